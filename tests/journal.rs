//! The journal on real files: frozen bytes, torn tails, rotation, reading beside a writer.

#[path = "journal/power.rs"]
mod power;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use oobd::bus::Bus;
use oobd::clock::Timestamp;
use oobd::event::{Breach, Event, HotspotFault, Kind, Severity};
use oobd::journal::{self, Limits, Reader, decode, encode};
use oobd::state::{State, Store};

fn note(text: &str) -> Kind {
    Kind::NoteWritten {
        actor: "alice".into(),
        text: text.into(),
    }
}

fn open(dir: &Path, limits: Limits) -> (Bus, journal::Thread) {
    let (bus, intake) = Bus::new(Store::new(State::default()));
    (bus, journal::spawn(dir, limits, intake).unwrap())
}

async fn write(dir: &Path, limits: Limits, texts: impl Iterator<Item = String>) -> Vec<u64> {
    let (bus, thread) = open(dir, limits);
    let mut seqs = Vec::new();
    for text in texts {
        seqs.push(bus.publish("test", note(&text)).await.unwrap());
    }
    drop(bus);
    thread.join();
    seqs
}

fn only_segment(dir: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.pop().unwrap()
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_loses_only_itself_and_says_so() {
    let whole = tempfile::tempdir().unwrap();
    write(
        whole.path(),
        Limits::default(),
        ["one", "two"].map(String::from).into_iter(),
    )
    .await;
    let bytes = fs::read(only_segment(whole.path())).unwrap();
    let first_two = bytes.len();
    write(
        whole.path(),
        Limits::default(),
        std::iter::once("three".to_string()),
    )
    .await;
    let segment = only_segment(whole.path());
    let name = segment.file_name().unwrap().to_owned();
    let bytes = fs::read(&segment).unwrap();

    for cut in first_two..bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(&name), &bytes[..cut]).unwrap();
        let seqs = write(
            dir.path(),
            Limits::default(),
            std::iter::once("next".to_string()),
        )
        .await;
        let events = Reader::new(dir.path().to_owned()).after(0, 100).unwrap();
        let kinds: Vec<_> = events.iter().map(|event| event.kind.clone()).collect();
        assert_eq!(&kinds[..2], [note("one"), note("two")], "cut at {cut}");
        assert_eq!(kinds.last(), Some(&note("next")), "cut at {cut}");
        assert_eq!(seqs, [events.last().unwrap().seq]);
        let lost = u64::try_from(cut - first_two).unwrap();
        let told = kinds.iter().any(
            |kind| matches!(kind, Kind::JournalRecovered { lost_bytes, .. } if *lost_bytes == lost),
        );
        assert_eq!(told, lost > 0, "cut at {cut}: {kinds:?}");
        let order: Vec<_> = events.iter().map(|event| event.seq).collect();
        assert!(
            order.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{order:?}"
        );
    }
}

#[tokio::test]
async fn a_segment_cut_while_it_was_made_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let small = Limits {
        segment_bytes: 40,
        segments: 64,
    };
    write(
        dir.path(),
        small,
        ["one", "two"].map(String::from).into_iter(),
    )
    .await;
    for torn in [&b""[..], b"OOBD", b"\0\0\0\0\0\0\0\0"] {
        fs::write(dir.path().join("00000000000000000099.oobj"), torn).unwrap();
        write(dir.path(), small, std::iter::once("again".to_string())).await;
        let events = Reader::new(dir.path().to_owned()).after(0, 100).unwrap();
        assert_eq!(events.first().map(|e| e.kind.clone()), Some(note("one")));
        assert_eq!(events.last().map(|e| e.kind.clone()), Some(note("again")));
        assert!(events.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    }
}

#[tokio::test]
async fn rotation_keeps_the_newest_and_the_cap() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment_bytes: 1024,
        segments: 4,
    };
    let seqs = write(dir.path(), limits, (0..400).map(|n| format!("note {n}"))).await;
    assert_eq!(seqs, (1..=400).collect::<Vec<u64>>());
    let files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap())
        .collect();
    assert!(files.len() <= 4);
    let size: u64 = files
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(size < 5 * 1024 + 512, "{size} bytes");
    let reader = Reader::new(dir.path().to_owned());
    let newest = reader.newest(10).unwrap();
    assert_eq!(
        newest.iter().map(|e| e.seq).collect::<Vec<_>>(),
        (391..=400).collect::<Vec<_>>()
    );
    assert_eq!(
        reader
            .after(395, 3)
            .unwrap()
            .iter()
            .map(|e| e.seq)
            .collect::<Vec<_>>(),
        [396, 397, 398]
    );
    assert_eq!(reader.after(400, 3).unwrap(), []);
    assert!(
        reader.after(0, 1).unwrap()[0].seq > 1,
        "the oldest are gone"
    );
}

#[tokio::test]
async fn an_event_is_on_flash_before_anybody_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (bus, thread) = open(dir.path(), Limits::default());
    let reader = Reader::new(dir.path().to_owned());
    let mut live = bus.subscribe();
    for n in 0..50 {
        let publisher = bus.clone();
        let publish =
            tokio::spawn(async move { publisher.publish("t", note(&n.to_string())).await });
        let heard = live.recv().await.unwrap();
        assert_eq!(reader.newest(1).unwrap()[0], *heard);
        assert_eq!(publish.await.unwrap().unwrap(), heard.seq);
    }
    drop(bus);
    thread.join();
}

/// One event of each kind, in the order of the enum, with every payload variant.
fn specimens() -> Vec<Kind> {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let s = String::from;
    let refused = |fault| Kind::HotspotRefused {
        uplink: s("h"),
        ssid: s("r"),
        bssid: s("b"),
        fault,
    };
    let breached = |breach| Kind::GuardBreached {
        breach,
        undone: true,
    };
    vec![
        Kind::SupervisorStarted {
            version: s("0.1.0"),
            boot_id: s("b"),
        },
        Kind::SupervisorReady { after_ms: 300 },
        Kind::SupervisorStopped {
            reason: s("SIGTERM"),
        },
        Kind::OwnerFailed {
            owner: s("link"),
            reason: s("x"),
            restart_in_ms: 500,
        },
        Kind::ConfigApplied {
            restarted: vec![s("ssh")],
        },
        Kind::ConfigRefused {
            file: s("f"),
            problems: vec![s("p")],
        },
        Kind::JournalRecovered {
            segment: s("1"),
            lost_bytes: 9,
        },
        Kind::LinkUp {
            interface: s("eth0"),
        },
        Kind::LinkDown {
            interface: s("eth0"),
        },
        Kind::LinkAdded {
            interface: s("eth0"),
        },
        Kind::LinkRemoved {
            interface: s("eth0"),
        },
        Kind::LeaseAcquired {
            interface: s("w"),
            address: s("172.20.10.2/28"),
            gateway: Some(ip("172.20.10.1")),
            dns: vec![ip("fe80::1")],
        },
        Kind::LeaseLost {
            interface: s("w"),
            reason: s("nak"),
        },
        Kind::RouterFound {
            interface: s("w"),
            router: ip("fe80::1"),
            prefixes: vec![s("2001:db8::/64")],
        },
        Kind::RouterLost {
            interface: s("w"),
            router: ip("fe80::1"),
        },
        breached(Breach::Forwarding(s("a"))),
        breached(Breach::DefaultRoute(s("b"))),
        breached(Breach::Rules(s("c"))),
        breached(Breach::Firewall(s("d"))),
        breached(Breach::Translation(s("e"))),
        breached(Breach::Setting(s("f"))),
        Kind::GuardRestored,
        Kind::SupplicantLost {
            interface: s("w"),
            reason: s("gone"),
        },
        Kind::SupplicantFound { interface: s("w") },
        Kind::HotspotSeen {
            uplink: s("h"),
            ssid: s("r"),
            bssid: s("b"),
            signal_dbm: -58,
            frequency_mhz: 2437,
        },
        Kind::HotspotLost {
            uplink: s("h"),
            ssid: s("r"),
        },
        refused(HotspotFault::Open),
        refused(HotspotFault::WrongPassphrase),
        refused(HotspotFault::EvilTwin),
        refused(HotspotFault::Rejected(s("17"))),
        refused(HotspotFault::Security(s("WEP"))),
        Kind::UplinkAssociated {
            uplink: s("h"),
            ssid: s("r"),
            bssid: s("b"),
            security: s("WPA2"),
        },
        Kind::UplinkUp {
            uplink: s("h"),
            address: s("a"),
            after_ms: 1200,
        },
        Kind::UplinkDown {
            uplink: s("h"),
            reason: s("gone"),
        },
        Kind::UplinkFailed {
            uplink: s("h"),
            reason: s("dhcp"),
            retry_in_ms: 10_000,
        },
        Kind::InternetFound {
            uplink: s("h"),
            target: s("1.1.1.1:443"),
        },
        Kind::InternetLost {
            uplink: s("h"),
            reason: s("timeout"),
        },
        Kind::OobEntered { uplink: s("h") },
        Kind::OobLeft { uplink: s("h") },
        Kind::ConsoleOpened {
            console: s("c"),
            port: s("/dev/ttyUSB0"),
        },
        Kind::ConsoleLost {
            console: s("c"),
            reason: s("eio"),
        },
        Kind::SessionOpened {
            console: s("c"),
            session: 4,
            user: s("alice"),
            from: s("ssh"),
            writer: true,
        },
        Kind::SessionClosed {
            console: s("c"),
            session: 4,
            user: s("alice"),
            reason: s("~."),
        },
        Kind::WriterChanged {
            console: s("c"),
            session: 5,
            user: s("bob"),
        },
        Kind::BreakSent {
            console: s("c"),
            user: s("bob"),
            millis: 300,
        },
        Kind::SignInAccepted {
            door: s("ssh"),
            user: s("a"),
            from: s("i"),
            method: s("publickey"),
        },
        Kind::SignInRefused {
            door: s("ssh"),
            user: s("a"),
            from: s("i"),
            reason: s("password"),
        },
        Kind::ForwardOpened {
            user: s("a"),
            from: s("i"),
            to: s("10.0.0.1:80"),
        },
        Kind::ForwardRefused {
            user: s("a"),
            from: s("i"),
            to: s("1.1.1.1:80"),
            reason: s("not on the LAN"),
        },
        Kind::ForwardClosed {
            user: s("a"),
            to: s("10.0.0.1:80"),
            sent: 10,
            received: 20,
        },
        Kind::CommandGiven {
            actor: s("a"),
            command: s("c"),
            outcome: s("done"),
        },
        note("hello"),
        Kind::HostKeyReplaced {
            file: s("f"),
            reason: s("r"),
        },
        Kind::TranscriptFailed {
            console: s("c"),
            reason: s("r"),
        },
        Kind::TranscriptResumed {
            console: s("c"),
            lost_bytes: 300,
        },
        Kind::LineSet {
            console: s("c"),
            user: s("u"),
            order: s("o"),
        },
        Kind::SignalChanged {
            console: s("c"),
            signal: s("g"),
            on: true,
        },
        Kind::CableUnplugged {
            console: s("c"),
            signal: s("g"),
        },
        Kind::CableBack {
            console: s("c"),
            signal: s("g"),
        },
        Kind::PatternSeen {
            console: s("c"),
            pattern: s("p"),
            line: s("l"),
            severity: Severity::Alert,
        },
        Kind::ConsoleSilent {
            console: s("c"),
            seconds: 300,
        },
        Kind::ConsoleHeard {
            console: s("c"),
            seconds: 300,
        },
        Kind::DeviceLogin {
            console: s("c"),
            user: s("u"),
        },
        Kind::DeviceLogout {
            console: s("c"),
            user: s("u"),
        },
        Kind::LineFound {
            console: s("c"),
            line: s("l"),
        },
        Kind::LineNotFound {
            console: s("c"),
            reason: s("r"),
        },
        Kind::NameFound {
            console: s("c"),
            name: s("n"),
        },
        Kind::NameNotFound {
            console: s("c"),
            reason: s("r"),
        },
        Kind::ExportFailed {
            console: s("c"),
            to: s("t"),
            reason: s("r"),
        },
        Kind::ExportResumed {
            console: s("c"),
            to: s("t"),
            lost_bytes: 300,
        },
        Kind::PinMismatch {
            what: s("w"),
            pinned: s("p"),
            found: s("f"),
        },
        Kind::Pinned {
            what: s("w"),
            fingerprint: s("f"),
        },
        Kind::DetachStringTyped {
            console: s("c"),
            bytes: 5,
        },
        Kind::CertificateReplaced {
            file: s("f"),
            reason: s("r"),
        },
        Kind::CertificateExpired {
            fingerprint: s("f"),
        },
        Kind::EventsLeftOut {
            console: s("c"),
            count: 300,
        },
    ]
    .into_iter()
    .chain(power::specimens())
    .collect()
}

/// If this fails, do not change the file: what it holds stands on flash in the field. Appending a line for a new
/// kind of event is the one allowed change (`OOBD_FREEZE=1` prints the lines to append).
#[test]
fn the_bytes_of_frame_version_1_are_frozen() {
    let frozen = include_str!("journal/frames-v1.txt");
    let mut lines = frozen.lines().filter(|line| !line.starts_with('#'));
    for (index, kind) in specimens().into_iter().enumerate() {
        let event = Event {
            seq: 1000 + u64::try_from(index).unwrap(),
            at: Timestamp(1_795_000_000_123),
            severity: kind.severity(),
            source: "uplink.hotspot".into(),
            kind,
        };
        let frame = encode(&event).unwrap();
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        if std::env::var_os("OOBD_FREEZE").is_some() {
            println!("{hex}");
            continue;
        }
        assert_eq!(
            lines.next(),
            Some(hex.as_str()),
            "the frame of {:?}",
            event.kind
        );
        assert!(
            matches!(decode(&frame), journal::Found::Frame { event: back, .. } if *back == event)
        );
    }
    assert_eq!(lines.next(), None, "a frozen kind has no specimen any more");
}

/// Zero bytes decode as empty strings, zeros and `None`, so the first index that does not decode is the end of the enum.
#[test]
fn every_kind_of_event_has_a_frozen_specimen() {
    let index_of = |kind: &Kind| postcard::to_stdvec(kind).unwrap()[0];
    let frozen: std::collections::BTreeSet<u8> = specimens().iter().map(index_of).collect();
    let known: std::collections::BTreeSet<u8> = (0..0x80)
        .filter(|index| {
            let mut bytes = vec![*index];
            bytes.resize(64, 0);
            postcard::take_from_bytes::<Kind>(&bytes).is_ok()
        })
        .collect();
    assert_eq!(frozen, known);
}
