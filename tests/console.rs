//! The console owner against ptys: transparency, unplugging, sessions, breaks, stopping.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use oobd::command::{Command, Input, Output, Refusal, Reply};
use oobd::event::Kind;
use oobd::fact::PortPhase;
use oobd::transcript::{self, Entry, Reader, Since};
use tokio::time::Instant;

#[path = "support/console.rs"]
mod support;
use support::{Bench, open_files, sample, text, threads, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_value_passes_both_ways() {
    let (bench, mut device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    assert!(alice.0.writer);
    let data = sample(20_000);
    for chunk in data.chunks(777) {
        device.send(chunk).await;
        assert_eq!(alice.expect(chunk.len()).await, chunk);
    }
    for chunk in data.chunks(777) {
        alice.type_in(chunk).await;
        assert_eq!(device.expect(chunk.len()).await, chunk);
    }
    let console = bench
        .until("counted", |console| {
            console.rx_bytes == 20_000 && console.tx_bytes == 20_000
        })
        .await;
    assert_eq!(console.line, "115200n8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unplugged_port_comes_back_with_its_sessions() {
    let (mut bench, mut device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    let mut bob = bench.attach("bob", false, 0).await;
    for round in 0..3 {
        device.send(b"before").await;
        alice.expect(6).await;
        bench.unplug(device);
        assert_eq!(alice.notice("port").await, "[-- port gone --]");
        assert_eq!(bob.notice("port gone").await, "[-- port gone --]");
        let lost = bench.event("lost", |kind| match kind {
            Kind::ConsoleLost { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        assert!(lost.await.contains("unplugged"), "round {round}");
        bench.phase(PortPhase::Gone).await;
        alice.type_in(b"rm -rf /\r").await;
        alice.notice("not sent").await;

        device = bench.plug();
        assert_eq!(alice.notice("port back").await, "[-- port back --]");
        bench.phase(PortPhase::Open).await;
        device.send(b"after!").await;
        assert_eq!(alice.expect(6).await, b"after!");
        alice.type_in(b"ls\r").await;
        assert_eq!(
            device.expect(3).await,
            b"ls\r",
            "what was typed at a missing port never arrives"
        );
    }
    let sessions = bench.fact().unwrap().sessions;
    assert_eq!(sessions.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_missing_busy_or_no_tty_says_so_and_is_tried_again() {
    let mut bench = Bench::new();
    bench.start();
    bench
        .until("missing", |console| {
            console.why.ends_with("port is not there")
        })
        .await;
    let mut alice = bench.attach("alice", true, 0).await;
    alice.notice("port gone").await;

    std::fs::write(bench.link(), "no tty").unwrap();
    let console = bench.phase(PortPhase::Failed).await;
    assert!(
        console.why.ends_with("is no serial port"),
        "{}",
        console.why
    );
    alice.notice("port failed").await;

    std::fs::remove_file(bench.link()).unwrap();
    let mut device = bench.plug();
    alice.notice("port back").await;
    device.send(b"hello").await;
    assert_eq!(alice.expect(5).await, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_writer_others_watch_and_the_keyboard_is_taken_with_notice() {
    let (mut bench, mut device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    let mut bob = bench.attach("bob", true, 0).await;
    let mut carol = bench.attach("carol", false, 0).await;
    assert!(alice.0.writer && !bob.0.writer && !carol.0.writer);
    bob.type_in(b"x").await;
    bob.notice("not sent").await;
    alice.type_in(b"a").await;
    assert_eq!(device.expect(1).await, b"a");

    bob.give(Input::TakeWriter).await;
    bob.notice("you have the keyboard").await;
    alice.notice("bob (test) took the keyboard").await;
    let taken = bench.event("taken", |kind| match kind {
        Kind::WriterChanged { user, .. } => Some(user.clone()),
        _ => None,
    });
    assert_eq!(taken.await, "bob");
    alice.type_in(b"a").await;
    alice.notice("not sent").await;
    bob.type_in(b"b").await;
    assert_eq!(device.expect(1).await, b"b");

    carol.give(Input::TakeWriter).await;
    carol.notice("may only watch").await;

    drop(bob);
    alice.notice("bob left, the keyboard is free").await;
    alice.give(Input::TakeWriter).await;
    alice.notice("you have the keyboard").await;
    let kick = Command::KickSession {
        console: "core".into(),
        session: alice.0.session,
    };
    assert_eq!(bench.command(kick.clone()).await, Ok(Reply::Done));
    assert_eq!(alice.ended().await, "disconnected by root (test)");
    let closed = bench.event("closed", |kind| match kind {
        Kind::SessionClosed { user, reason, .. } if user == "alice" => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(closed.await, "disconnected by root (test)");
    assert!(matches!(
        bench.command(kick).await,
        Err(Refusal::Unknown { .. })
    ));
    drop(carol);
    bench
        .until("empty", |console| console.sessions.is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_session_is_told_its_gap_and_hurts_nobody() {
    let (bench, mut device) = Bench::started().await;
    let mut stalled = bench.attach("stalled", false, 0).await;
    let mut good = bench.attach("good", true, 0).await;
    let data = text(1_000_000);
    let mut seen = Vec::new();
    for chunk in data.chunks(16 * 1024) {
        device.send(chunk).await;
        seen.extend(good.expect(chunk.len()).await);
    }
    assert!(seen == data);

    let (mut at, mut gaps) = (0, 0);
    while at < data.len() {
        match stalled.next().await {
            Output::Bytes(bytes) => {
                assert!(bytes[..] == data[at..at + bytes.len()], "at {at}");
                at += bytes.len();
            }
            Output::Gap { bytes } => {
                at += usize::try_from(bytes).unwrap();
                gaps += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((at, gaps), (data.len(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_gets_every_byte_of_a_device_faster_than_any_line() {
    let (bench, mut device) = Bench::started().await;
    let mut stalled = bench.attach("stalled", false, 0).await;
    let mut good = bench.attach("good", true, 0).await;
    let data = text(8 << 20);
    let sending = data.clone();
    let sender = tokio::spawn(async move {
        device.send(&sending).await;
        device
    });
    let mut at = 0;
    while at < data.len() {
        match good.next().await {
            Output::Bytes(bytes) => {
                assert!(bytes[..] == data[at..at + bytes.len()], "at {at}");
                at += bytes.len();
            }
            other => panic!("{other:?} at {at}"),
        }
    }
    drop(sender.await);
    loop {
        if let Output::Gap { bytes } = stalled.next().await {
            assert!(bytes > 7 << 20);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_sessions_see_the_same() {
    let (bench, mut device) = Bench::started().await;
    let mut sessions = Vec::new();
    for number in 0..20 {
        sessions.push(bench.attach(&format!("user{number}"), false, 0).await);
    }
    let data = text(30_000);
    device.send(&data).await;
    for session in &mut sessions {
        assert!(session.expect(data.len()).await == data);
    }
    assert_eq!(bench.fact().unwrap().sessions.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_replayed_from_a_line_start_without_queries() {
    let (bench, mut device) = Bench::started().await;
    device.send(b"one\r\ntwo\x1b[6n\r\nswitch# ").await;
    bench
        .until("read", |console| console.last_line == "switch#")
        .await;
    let mut all = bench.attach("alice", true, 1000).await;
    assert_eq!(all.expect(18).await, b"one\r\ntwo\r\nswitch# ");
    let mut tail = bench.attach("bob", false, 16).await;
    assert_eq!(tail.expect(8).await, b"switch# ");
    device.send(b"\x1b[c\x1b[6nx").await;
    assert_eq!(
        all.expect(8).await,
        b"\x1b[c\x1b[6nx",
        "the writer's terminal may answer, live"
    );
    assert_eq!(tail.expect(1).await, b"x", "a watcher's terminal may not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_takes_nothing_hangs_nothing() {
    let (bench, mut device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    // Nobody reads the master: the pty holds the port off as a device with CTS low does.
    let paste = Bytes::from(vec![b'x'; 32 * 1024]);
    // What is full for a moment is taken by the session once more; it is full for good 64 KiB later.
    let mut full = 0;
    wait_for("held off", || {
        let held = alice.0.input.try_send(Input::Bytes(paste.clone())).is_err();
        full = if held { full + 1 } else { 0 };
        full == 10
    })
    .await;
    device.send(b"still here").await;
    assert_eq!(alice.expect(10).await, b"still here");
    let start = Instant::now();
    let sent = Command::SendBreak {
        console: "core".into(),
        millis: 50,
    };
    assert!(matches!(
        bench.command(sent).await,
        Ok(Reply::Journaled { .. })
    ));
    assert!(start.elapsed() < Duration::from_secs(5));
    alice.notice("root sent a break of 50 ms").await;
    let mut bob = bench.attach("bob", true, 0).await;
    bob.give(Input::TakeWriter).await;
    bob.notice("you have the keyboard").await;
    drop(alice);
    bench
        .until("alone", |console| console.sessions.len() == 1)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_typed_before_the_end_of_input_still_arrives() {
    let (bench, mut device) = Bench::started().await;
    let alice = bench.attach("alice", true, 0).await;
    let data = sample(40_000);
    alice.type_in(&data).await;
    let oobd::command::Attachment {
        input, mut output, ..
    } = alice.0;
    drop(input);
    assert!(device.expect(data.len()).await == data);
    device.send(b"bye").await;
    assert_eq!(
        output.recv().await,
        Some(Output::Bytes(Bytes::from_static(b"bye")))
    );
    drop(output);
    bench
        .until("left", |console| console.sessions.is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breaks_are_bounded_journaled_and_for_the_writer() {
    let (mut bench, _device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    let mut bob = bench.attach("bob", false, 0).await;
    bob.give(Input::Break { millis: 10 }).await;
    bob.notice("no break sent").await;
    alice.give(Input::Break { millis: 0 }).await;
    alice.notice("alice sent a break of 300 ms").await;
    bob.notice("alice sent a break of 300 ms").await;
    let start = Instant::now();
    let long = Command::SendBreak {
        console: "core".into(),
        millis: 3_600_000,
    };
    let second = Command::SendBreak {
        console: "core".into(),
        millis: 10,
    };
    let (long, second) = tokio::join!(bench.command(long), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.command(second).await
    });
    assert!(matches!(long, Ok(Reply::Journaled { .. })));
    assert!(matches!(second, Err(Refusal::Busy { .. })), "{second:?}");
    assert!(start.elapsed() >= Duration::from_secs(5) && start.elapsed() < Duration::from_secs(9));
    let sent = bench.event("break", |kind| match kind {
        Kind::BreakSent { millis, user, .. } if *millis == 5000 => Some(user.clone()),
        _ => None,
    });
    assert_eq!(sent.await, "root");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_ends_sessions_closes_the_port_and_the_transcript() {
    let mut bench = Bench::new();
    bench.console.name = "halting".into();
    let device = bench.plug();
    bench.start();
    bench.phase(PortPhase::Open).await;
    wait_for("its transcript is open", || {
        !open_files("/halting/").is_empty()
    })
    .await;
    let mut alice = bench.attach("alice", true, 0).await;
    let mut deaf = bench.attach("deaf", false, 0).await;
    bench.finish().await;
    assert_eq!(alice.ended().await, "oobd stops serving this console");
    assert!(deaf.0.output.recv().await.is_some());
    assert_eq!(bench.fact(), None);
    assert_eq!(open_files("/halting/"), Vec::<PathBuf>::new());
    // One for all consoles, of which there are many in this process.
    let transcripts = |name: &&String| *name == "transcripts";
    assert_eq!(threads().iter().filter(transcripts).count(), 1);
    // The port is free again.
    drop(device);
    let again = bench.plug();
    bench.start();
    bench.phase(PortPhase::Open).await;
    drop(again);
    bench.phase(PortPhase::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transcript_keeps_what_came_and_the_history_survives_a_restart() {
    let (mut bench, mut device) = Bench::started().await;
    let alice = bench.attach("alice", true, 0).await;
    device.send(b"login: \r\n\0\xff\r\nswitch# ").await;
    bench
        .until("read", |console| console.last_line == "switch#")
        .await;
    alice.give(Input::Break { millis: 1 }).await;
    bench
        .event("break", |kind| {
            matches!(kind, Kind::BreakSent { .. }).then_some(())
        })
        .await;
    bench.finish().await;
    drop(alice);

    bench.start();
    let console = bench.phase(PortPhase::Open).await;
    assert_eq!(console.last_line, "switch#");
    let mut bob = bench.attach("bob", true, 1000).await;
    assert_eq!(bob.expect(21).await, b"login: \r\n\0\xff\r\nswitch# ");
    device.send(b"more").await;
    assert_eq!(bob.expect(4).await, b"more");
    bench.finish().await;

    let dir = transcript::dir(&bench.dir.path().join("state"), "core");
    let page = Reader::new(&dir).read(Since::Offset(0), 1 << 20).unwrap();
    let (mut bytes, mut story) = (Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::Bytes {
                bytes: more, by, ..
            } => {
                assert!(by.is_some());
                bytes.extend(more);
            }
            // When it comes is the thread's business.
            Entry::Mark(record) if matches!(record.mark, transcript::Mark::Clock { .. }) => {}
            Entry::Mark(record) => {
                let text = format!("{:?}", record.mark);
                let word = text
                    .trim_start_matches("Event(")
                    .split([' ', ')'])
                    .next()
                    .unwrap()
                    .to_owned();
                story.push((record.offset, word));
            }
            missing @ Entry::Missing { .. } => panic!("{missing:?}"),
        }
    }
    assert_eq!(bytes, b"login: \r\n\0\xff\r\nswitch# more");
    let want = [
        (0, "Started"),
        (0, "ConsoleOpened"),
        (0, "SessionOpened"),
        (21, "BreakSent"),
        (21, "SessionClosed"),
        (21, "Stopped"),
        (21, "Started"),
        (21, "ConsoleOpened"),
        (21, "SessionOpened"),
        (25, "SessionClosed"),
        (25, "Stopped"),
    ];
    assert_eq!(story, want.map(|(offset, word)| (offset, word.to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_works_without_storage() {
    let mut bench = Bench::new();
    std::fs::write(bench.dir.path().join("state"), "in the way").unwrap();
    let mut device = bench.plug();
    bench.start();
    let failed = bench.event("failed", |kind| match kind {
        Kind::TranscriptFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let reason = failed.await;
    assert!(
        reason.contains("cannot make") && reason.contains("state/consoles/core"),
        "{reason}"
    );
    let mut alice = bench.attach("alice", true, 0).await;
    device.send(b"hello").await;
    assert_eq!(alice.expect(5).await, b"hello");
}
