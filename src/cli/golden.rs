//! Every screen against a file in `tests/cli`: what a person sees changes on purpose only.
//! `OOBD_BLESS=1 cargo test --lib cli` writes the files anew.

use std::path::Path;

use crate::clock::Timestamp;
use crate::event::{Event, HotspotFault, Kind};
use crate::fact::{
    self, Console, DevicePhase, Door, Fact, Guard, Internet, Link, LinkRole, Owner, OwnerPhase,
    PortPhase, SerialPort, Session, Uplink, UplinkPhase,
};
use crate::line::LineState;
use crate::reset::PowerState;
use crate::state::State;

mod machines;

use super::{console, event, outlet, status, uplink, ups};

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn before(seconds: u64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

/// Compares with the golden file, and checks that the text fits a screen of this width.
pub(super) fn golden(name: &str, text: &str, width: usize) {
    for line in text.lines() {
        assert!(
            line.chars().count() <= width,
            "{name} is wider than {width}: {line}"
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli")
        .join(name);
    if std::env::var_os("OOBD_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == text, "{name} differs; it is now:\n{text}");
}

fn link(interface: &str, role: LinkRole, carrier: bool, addresses: &[&str]) -> Fact {
    Fact::Link(Link {
        interface: interface.into(),
        index: 2,
        role,
        mac: "dc:a6:32:01:02:03".into(),
        carrier,
        addresses: addresses.iter().map(ToString::to_string).collect(),
        gateways: addresses
            .iter()
            .take(1)
            .map(|_| "10.0.0.1".parse().unwrap())
            .collect(),
        dns: vec![],
    })
}

fn hotspot(phase: UplinkPhase, why: &str) -> Uplink {
    Uplink {
        name: "hotspot".into(),
        kind: "wifi".into(),
        interface: "wlan0".into(),
        phase,
        since: before(272),
        why: why.into(),
        ssid: None,
        bssid: None,
        signal_dbm: None,
        frequency_mhz: None,
        security: None,
        address: None,
        internet: Internet::Unknown,
    }
}

fn session(user: &str, writer: bool) -> Session {
    Session {
        id: 1,
        user: user.into(),
        from: "ssh 172.20.10.1:50122".into(),
        writer,
        since: before(60),
        typed_at: before(45),
    }
}

fn port(name: &str, phase: PortPhase, sessions: Vec<Session>) -> Fact {
    let gone = phase != PortPhase::Open;
    Fact::Console(Console {
        name: name.into(),
        port: "/dev/serial/by-path/platform-usb-0:1.2".into(),
        line: "9600n8".into(),
        phase,
        since: before(4000),
        why: if gone {
            "/dev/ttyUSB1 is not there".into()
        } else {
            String::new()
        },
        sessions,
        rx_bytes: 1000,
        tx_bytes: 10,
        last_line: "core-switch login: \u{1b}[31m".into(),
        state: LineState::default(),
        number: 1,
        device: None,
        outlets: vec![],
    })
}

/// A night in which all is well: a phone holds the hotspot up, two people are on the switch.
fn well() -> State {
    let mut state = State {
        device: "rack7".into(),
        version: "0.1.0".into(),
        started_at: before(273_000),
        ready: true,
        mode: "trigger".into(),
        ..State::default()
    };
    let up = Uplink {
        ssid: Some("remote.it".into()),
        bssid: Some("02:00:00:00:01:00".into()),
        signal_dbm: Some(-52),
        frequency_mhz: Some(2437),
        security: Some("WPA2".into()),
        address: Some("172.20.10.4/28".into()),
        internet: Internet::Yes,
        ..hotspot(UplinkPhase::Up, "")
    };
    let facts = [
        link("eth0", LinkRole::Lan, true, &["10.0.0.5/24", "fd00::5/64"]),
        link(
            "wlan0",
            LinkRole::Uplink("hotspot".into()),
            true,
            &["172.20.10.4/28"],
        ),
        Fact::Uplink(up),
        port(
            "core-switch",
            PortPhase::Open,
            vec![session("alice", true), session("bob", false)],
        ),
        port("edge", PortPhase::Open, vec![]),
        Fact::Guard(Guard {
            sealed: Some(true),
            checked_at: Some(before(12)),
            ..Guard::default()
        }),
        Fact::Door(Door {
            name: "ssh".into(),
            address: "[::]:22".into(),
            fingerprint: Some("SHA256:pSRvVFcqjyeg4k5ZPj9WNjnUQwxGoloX7QRTPqXUxng".into()),
        }),
        Fact::Door(Door {
            name: "control".into(),
            address: "/run/oobd/control.sock".into(),
            fingerprint: None,
        }),
    ];
    for fact in facts {
        state.apply(fact);
    }
    state
}

/// Three adapters, one of them with a console.
fn plugged() -> State {
    let adapter = |device: &str, position: &str, product: &str| SerialPort {
        device: device.into(),
        position: (!position.is_empty()).then(|| position.into()),
        driver: "ftdi_sio".into(),
        usb_id: Some("0403:6001".into()),
        product: (!product.is_empty()).then(|| product.into()),
        ..SerialPort::default()
    };
    let mut state = well();
    let mut named = adapter("/dev/ttyUSB0", "0000:01:00.0/1.2:0", "FT232R USB UART");
    named.serial = Some("A50285BI".into());
    named.links = vec!["/dev/serial/by-path/platform-usb-0:1.2".into()];
    state.ports = vec![
        named,
        adapter("/dev/ttyUSB1", "0000:01:00.0/1.3:0", ""),
        adapter("/dev/ttyAMA0", "", "on\u{1b}[2Jboard"),
    ];
    let Some(edge) = state.consoles.get_mut("edge") else {
        return state;
    };
    edge.port = "usb 1.3:0".into();
    state
}

/// A PDU that serves us, one that does not, a UPS on battery and one that is silent.
fn powered() -> State {
    let outlet = |key: &str, label: &str, state| fact::Outlet {
        key: key.into(),
        label: label.into(),
        state,
        ..fact::Outlet::default()
    };
    let mut measured = outlet("3", "core switch", PowerState::On);
    (measured.watts, measured.amps) = (Some(41.25), Some(0.2));
    measured.feeds = vec!["switch".into()];
    let mut moving = outlet("4", "", PowerState::Off);
    moving.in_transition = true;
    let rack = fact::Pdu {
        name: "rack".into(),
        kind: "nut".into(),
        address: "10.0.0.7:3493 pdu1".into(),
        phase: DevicePhase::Up,
        since: before(4000),
        read_at: Some(before(12)),
        outlets: vec![measured, moving],
        ..fact::Pdu::default()
    };
    let lab = fact::Pdu {
        name: "lab".into(),
        kind: "powerman".into(),
        address: "127.0.0.1:10101".into(),
        phase: DevicePhase::Silent,
        since: before(90),
        why: "cannot connect to 127.0.0.1:10101: Connection refused (os error 111)".into(),
        read_at: Some(before(90)),
        outlets: vec![outlet("web-1\u{1b}[2J", "", PowerState::Unknown)],
    };
    let ups = fact::Ups {
        name: "rack".into(),
        phase: DevicePhase::Up,
        since: before(4000),
        read_at: Some(before(3)),
        status: vec!["OB".into(), "DISCHRG".into()],
        charge: Some(83.0),
        runtime: Some(1260.0),
        load: Some(23.0),
        input_volts: Some(0.0),
        model: "Maker UPS 1500".into(),
        ..fact::Ups::default()
    };
    let cellar = fact::Ups {
        name: "cellar".into(),
        phase: DevicePhase::Silent,
        since: before(300),
        why: "upsd says DATA-STALE: it does not reach the device itself".into(),
        ..fact::Ups::default()
    };
    let mut state = State::default();
    let facts = [
        Fact::Pdu(rack),
        Fact::Pdu(lab),
        Fact::Ups(ups),
        Fact::Ups(cellar),
    ];
    for fact in facts {
        state.apply(fact);
    }
    state
}

/// Everything that can be wrong at once, and more consoles than fit.
fn ill() -> State {
    let mut state = well();
    let why = "the hotspot refuses the passphrase; correct it in oobd.toml or on the phone. Next try in 30 s";
    let failed = Uplink {
        ssid: Some("remote.it\u{1b}[2J".into()),
        ..hotspot(UplinkPhase::Failed, why)
    };
    let spare = Uplink {
        name: "spare".into(),
        ..hotspot(UplinkPhase::Searching, "no hotspot of this name is on air")
    };
    let facts = [
        link("eth0", LinkRole::Lan, false, &["10.0.0.5/24"]),
        Fact::Uplink(failed),
        Fact::Uplink(spare),
        Fact::Guard(Guard {
            sealed: Some(false),
            checked_at: Some(before(3)),
            breaches: 2,
            open: vec!["net.ipv4.ip_forward is 1".into()],
            ..Guard::default()
        }),
        Fact::Owner(Owner {
            name: "console.edge".into(),
            phase: OwnerPhase::Restarting,
            restarts: 3,
            last_fault: Some("panicked".into()),
        }),
        port("edge", PortPhase::Gone, vec![]),
        port("pdu", PortPhase::Failed, vec![]),
    ];
    for fact in facts {
        state.apply(fact);
    }
    for number in 1..=8 {
        state.apply(port(&format!("host-{number}"), PortPhase::Open, vec![]));
    }
    state.config_problems = vec![
        "line 14, column 9: uplink.hotspot.wifi.ssid[1]: named twice".into(),
        "line 20, column 1: lan.adress: unknown key (did you mean `address`?)".into(),
        "line 21, column 1: x: unknown key".into(),
        "line 22, column 1: y: unknown key".into(),
    ];
    state
}

#[test]
fn status_fits_a_phone_in_the_rack_row() {
    for (name, state) in [
        ("well", well()),
        ("ill", ill()),
        ("empty", State::default()),
    ] {
        for width in [80, 60, 40] {
            let screen = status::show(&state, NOW, width, false);
            golden(&format!("status-{name}-{width}.txt"), &screen, width);
            if width >= 80 || name != "ill" {
                let lines = screen.lines().count();
                assert!(lines <= 24, "{name} at {width} columns takes {lines} lines");
            }
        }
    }
}

#[test]
fn lists() {
    golden("uplink-list.txt", &uplink::show(&ill(), NOW, 80, false), 80);
    golden(
        "console-list.txt",
        &console::show(&ill(), NOW, 80, false),
        80,
    );
    golden(
        "console-list-60.txt",
        &console::show(&ill(), NOW, 60, false),
        60,
    );
    golden(
        "console-list-color.txt",
        &console::show(&well(), NOW, 80, true),
        120,
    );
    let state = well();
    let Ok(rows) = console::users::rows(&state, None) else {
        panic!("all consoles are there");
    };
    let table = console::users::show(&rows, NOW, false);
    golden("console-users.txt", &table, 80);
    let sheet = console::line::sheet(&state.consoles["core-switch"], NOW);
    golden("console-show.txt", &sheet, 80);
    golden(
        "console-ports.txt",
        &console::ports::show(&plugged(), false),
        120,
    );
}

#[test]
fn power_lists() {
    let state = powered();
    golden("outlet-list.txt", &outlet::show(&state, 80, false), 80);
    golden("pdu-list.txt", &outlet::pdus(&state, NOW, 90, false), 90);
    golden("ups-list.txt", &ups::show(&state, NOW, 100, false), 100);
}

#[test]
fn events() {
    let kinds = [
        Kind::SupervisorReady { after_ms: 412 },
        Kind::HotspotRefused {
            uplink: "hotspot".into(),
            ssid: "remote.it\r\nroot#".into(),
            bssid: "02:00:00:00:01:00".into(),
            fault: HotspotFault::WrongPassphrase,
        },
        Kind::NoteWritten {
            actor: "alice (ssh 172.20.10.1:50122)".into(),
            text: "replaced the cable of core-switch, port 7 had no light for two days".into(),
        },
    ];
    for width in [80, 60] {
        let mut text = String::new();
        for (seq, kind) in (41..).zip(kinds.clone()) {
            let event = Event {
                seq,
                at: NOW,
                severity: kind.severity(),
                source: "uplink.hotspot".into(),
                kind,
            };
            text += &event::show(&event, width, false);
        }
        golden(&format!("events-{width}.txt"), &text, width);
    }
}

/// The words to type, all of them: a script may use each, so none goes away by accident.
#[test]
fn help() {
    use clap::CommandFactory;
    let mut text = String::new();
    let mut waiting = vec![super::Args::command().bin_name("oobctl")];
    while let Some(mut command) = waiting.pop() {
        command.build();
        let help = command.render_help();
        let name = command.get_bin_name().unwrap_or_default();
        text += &format!("== {name}\n{help}\n");
        let inner = command
            .get_subcommands()
            .filter(|inner| inner.get_name() != "help" && !inner.is_hide_set());
        let mut inner: Vec<_> = inner.cloned().collect();
        inner.reverse();
        waiting.extend(inner);
    }
    golden("help.txt", &text, 200);
}
