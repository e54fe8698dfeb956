//! The line of a console while it runs: settings, wires, breaks and purging, against a pty that shows what was set.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use oobd::command::{Actor, Command, Input, Refusal, Reply};
use oobd::config::{Dtr, Flow, Parity, Transport};
use oobd::event::Kind;
use oobd::fact::PortPhase;
use oobd::line::{Cable, LineState, Order};
use rustix::termios::{ControlModes, InputModes, Termios, tcgetattr};
use tokio::time::Instant;

#[path = "support/console.rs"]
mod support;
use support::{Bench, Device, sample};

/// What the kernel holds of the line, as the master of the pty sees it.
fn termios(device: &Device) -> Termios {
    #[allow(unsafe_code, reason = "the stream has no AsFd")]
    // SAFETY: the device outlives the borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(device.0.as_raw_fd()) };
    tcgetattr(fd).expect("termios")
}

async fn order(bench: &Bench, order: Order) -> Result<LineState, Refusal> {
    let console = bench.console.name.clone();
    match bench.command(Command::SetLine { console, order }).await? {
        Reply::Line(state) => Ok(state),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_reach_the_driver_and_the_answer_is_what_is_in_effect() {
    let (mut bench, device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    let state = order(&bench, Order::Look).await.unwrap();
    assert_eq!(state.line.to_string(), "115200n8");
    assert!(state.dtr && state.rts && !state.breaking);
    assert_eq!((state.signals, state.faults), (None, None));
    assert_eq!(state.cable, Cable::Unknown);

    for (asked, line) in [
        (Order::Baud(9600), "9600n8"),
        (Order::Baud(31_250), "31250n8"),
        (Order::DataBits(7), "31250n7"),
        (Order::Parity(Parity::Even), "31250e7"),
        (Order::StopBits(2), "31250e72"),
        (Order::Flow(Flow::XonXoff), "31250e72"),
    ] {
        let state = order(&bench, asked).await.unwrap();
        assert_eq!(state.line.to_string(), line, "{asked}");
        assert_eq!(*alice.0.line.borrow(), state, "sessions follow");
    }
    let set = termios(&device);
    assert_eq!(set.output_speed(), 31_250);
    assert!(set.control_modes.contains(ControlModes::CSTOPB));
    assert!(set.input_modes.contains(InputModes::IXON));
    let said = alice.notice("31250").await;
    assert_eq!(said, "[-- root: set 31250 baud --]");
    let first = bench.event("line set", |kind| match kind {
        Kind::LineSet { user, order, .. } => Some(format!("{user} {order}")),
        _ => None,
    });
    assert_eq!(first.await, "root set 9600 baud");
    bench
        .until("shown", |console| console.line == "31250e72")
        .await;

    let state = order(&bench, Order::Restore).await.unwrap();
    assert_eq!(state.line.to_string(), "115200n8");
    assert_eq!(state.line.flow, Flow::None);
    assert_eq!(termios(&device).output_speed(), 115_200);
    assert!(!termios(&device).input_modes.contains(InputModes::IXON));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_setting_leaves_the_line_as_it_was() {
    let (bench, device) = Bench::started().await;
    for (asked, word) in [
        (Order::Baud(0), "0 baud"),
        (Order::Baud(5_000_000), "5000000 baud"),
        (Order::DataBits(9), "9 data bits"),
        (Order::StopBits(3), "3 stop bits"),
    ] {
        let refusal = order(&bench, asked).await.unwrap_err().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
    let state = order(&bench, Order::Look).await.unwrap();
    assert_eq!(state.line.to_string(), "115200n8");
    assert_eq!(termios(&device).output_speed(), 115_200);
}

/// A pty has no such wires; an RFC 2217 client gets its answers all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wires_that_are_not_there_are_remembered() {
    let (mut bench, _device) = Bench::started().await;
    assert!(!order(&bench, Order::Dtr(false)).await.unwrap().dtr);
    let state = order(&bench, Order::Rts(false)).await.unwrap();
    assert!(!state.dtr && !state.rts);
    // What is so already is no event; what a program of ours orders is none either.
    order(&bench, Order::Rts(false)).await.unwrap();
    let actor = Actor::Owner("rules".into());
    let console = bench.console.name.clone();
    let command = Command::SetLine {
        console,
        order: Order::Rts(true),
    };
    bench.commands.send(actor, command).await.unwrap();
    order(&bench, Order::Dtr(true)).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        let line = bench.event("line set", |kind| match kind {
            Kind::LineSet { order, .. } => Some(order.clone()),
            _ => None,
        });
        told.push(line.await);
    }
    assert_eq!(told, ["turn DTR off", "turn RTS off", "turn DTR on"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_begun_and_ended_by_order_and_ends_by_itself_after_five_seconds() {
    let (mut bench, mut device) = Bench::started().await;
    let alice = bench.attach("alice", true, 0).await;
    assert!(order(&bench, Order::Break(true)).await.unwrap().breaking);
    assert!(order(&bench, Order::Break(true)).await.unwrap().breaking);
    // Other orders do not wait for its end.
    let during = order(&bench, Order::Baud(9600)).await.unwrap();
    assert!(during.breaking && during.line.baud == 9600);
    assert!(!order(&bench, Order::Break(false)).await.unwrap().breaking);
    assert!(!order(&bench, Order::Break(false)).await.unwrap().breaking);
    let sent = |kind: &Kind| match kind {
        Kind::BreakSent { millis, .. } => Some(*millis),
        _ => None,
    };
    assert!(bench.event("break", sent).await < 5_000);

    let start = Instant::now();
    order(&bench, Order::Break(true)).await.unwrap();
    assert_eq!(bench.event("break", sent).await, 5_000);
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert!(!order(&bench, Order::Look).await.unwrap().breaking);
    alice.type_in(b"on it goes").await;
    device.expect(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_throws_away_what_was_typed_and_not_sent() {
    let (bench, mut device) = Bench::started().await;
    let alice = bench.attach("alice", true, 0).await;
    // More than the pty holds: the rest waits with us.
    let flood = sample(60_000);
    alice.type_in(&flood).await;
    bench.until("stuck", |console| console.tx_bytes > 0).await;
    let purge = Order::Purge {
        received: true,
        typed: true,
    };
    order(&bench, purge).await.unwrap();
    alice.type_in(b"<the end>").await;
    let mut got = Vec::new();
    while !got.ends_with(b"<the end>") {
        got.extend(device.expect(1).await);
    }
    assert!(got.len() < flood.len(), "{} bytes came", got.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_comes_back_has_the_settings_of_the_file_and_no_old_answers() {
    let (bench, device) = Bench::started().await;
    order(&bench, Order::Baud(9600)).await.unwrap();
    order(&bench, Order::Dtr(false)).await.unwrap();
    bench.unplug(device);
    bench.phase(PortPhase::Gone).await;
    let refusal = order(&bench, Order::Baud(300)).await.unwrap_err();
    assert_eq!(refusal.to_string(), "port gone");
    let device = bench.plug();
    bench.phase(PortPhase::Open).await;
    let state = order(&bench, Order::Look).await.unwrap();
    assert_eq!(state.line.to_string(), "115200n8");
    assert!(state.dtr);
    assert_eq!(termios(&device).output_speed(), 115_200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dtr_follows_the_sessions_where_the_file_says_so() {
    let mut bench = Bench::new();
    let Transport::Serial(serial) = &mut bench.console.transport else {
        panic!("the bench's port is serial");
    };
    serial.dtr = Dtr::Session;
    let _device = bench.plug();
    bench.start();
    bench.phase(PortPhase::Open).await;
    assert!(!order(&bench, Order::Look).await.unwrap().dtr);
    let alice = bench.attach("alice", true, 0).await;
    bench.until("DTR up", |console| console.state.dtr).await;
    let bob = bench.attach("bob", false, 0).await;
    drop(alice);
    bench
        .until("one left", |console| console.sessions.len() == 1)
        .await;
    assert!(order(&bench, Order::Look).await.unwrap().dtr);
    assert!(order(&bench, Order::Restore).await.unwrap().dtr);
    drop(bob);
    bench.until("DTR down", |console| !console.state.dtr).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_begin_anew_when_told_to() {
    let (bench, mut device) = Bench::started().await;
    let mut alice = bench.attach("alice", true, 0).await;
    device.send(b"hello").await;
    alice.expect(5).await;
    alice.give(Input::Bytes(b"hi"[..].into())).await;
    device.expect(2).await;
    bench
        .until("counted", |console| {
            (console.rx_bytes, console.tx_bytes) == (5, 2)
        })
        .await;
    let console = bench.console.name.clone();
    let done = bench.command(Command::ResetCounters { console }).await;
    assert_eq!(done, Ok(Reply::Done));
    bench
        .until("reset", |console| {
            (console.rx_bytes, console.tx_bytes) == (0, 0)
        })
        .await;
}
