//! Line settings and names that are found by asking: a pty whose device talks rubbish unless it is read at its own speed.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use oobd::command::{Command, Refusal, Reply};
use oobd::config::Discover;
use oobd::event::Kind;
use oobd::fact::PortPhase;
use oobd::line::Order;
use rustix::termios::tcgetattr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

#[path = "support/console.rs"]
mod support;
use support::{Bench, Device, LIMIT};

/// A switch that speaks at one speed and answers RETURN with its prompt.
fn switch(mut device: Device, baud: u32, prompt: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut key = [0];
        while device.0.read_exact(&mut key).await.is_ok() {
            #[allow(unsafe_code, reason = "the stream has no AsFd")]
            // SAFETY: the device outlives the borrow.
            let fd = unsafe { BorrowedFd::borrow_raw(device.0.as_raw_fd()) };
            let read_at = tcgetattr(fd).expect("termios").output_speed();
            let answer = match read_at == baud {
                true => prompt.as_bytes().to_vec(),
                // What a UART makes of bits of another length.
                false => vec![0x00, 0xfe, 0x80, 0xf8, 0x1e, 0x66, 0x00, 0xe6, 0x98, 0xfe],
            };
            if device.0.write_all(&answer).await.is_err() {
                return;
            }
        }
    })
}

async fn ask(bench: &Bench, command: fn(String) -> Command) -> Result<Reply, Refusal> {
    bench.command(command(bench.console.name.clone())).await
}

const LINE: fn(String) -> Command = |console| Command::FindLine { console };
const NAME: fn(String) -> Command = |console| Command::FindName { console };

async fn told(bench: &mut Bench) -> String {
    let told = bench.event("the outcome", |kind| match kind {
        Kind::LineFound { line, .. } => Some(format!("line {line}")),
        Kind::LineNotFound { reason, .. } => Some(format!("no line: {reason}")),
        Kind::NameFound { name, .. } => Some(format!("name {name}")),
        Kind::NameNotFound { reason, .. } => Some(format!("no name: {reason}")),
        _ => None,
    });
    told.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_speed_is_found_and_the_line_is_set_back() {
    let (mut bench, device) = Bench::started().await;
    let _switch = switch(device, 9600, "\r\ncore-switch>");
    let Ok(Reply::Said(text)) = ask(&bench, LINE).await else {
        panic!("refused");
    };
    assert!(text.contains("LineFound"), "{text}");
    assert_eq!(told(&mut bench).await, "line 9600n8");
    let console = bench.console.name.clone();
    let order = Order::Look;
    let Ok(Reply::Line(state)) = bench.command(Command::SetLine { console, order }).await else {
        panic!("refused");
    };
    assert_eq!(state.line.to_string(), "115200n8", "set back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_is_asked_for_and_kept_in_the_state() {
    let (mut bench, device) = Bench::started().await;
    let _switch = switch(device, 115_200, "\r\ncore-switch(config)#");
    ask(&bench, NAME).await.expect("asked");
    assert_eq!(told(&mut bench).await, "name core-switch");
    bench
        .until("named", |console| {
            console.device.as_deref() == Some("core-switch")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_cannot_be_read_or_is_off_has_no_name_yet() {
    let (mut bench, device) = Bench::started().await;
    let talk = switch(device, 9600, "never seen");
    ask(&bench, NAME).await.expect("asked");
    let outcome = told(&mut bench).await;
    assert!(outcome.contains("no plain text"), "{outcome}");
    // Unplugged, and a silent one put in its place.
    std::fs::remove_file(bench.link()).expect("unlink");
    talk.abort();
    bench.phase(PortPhase::Gone).await;
    let _silent = bench.plug();
    bench.phase(PortPhase::Open).await;
    let asked = async {
        // What the one before wrote is still too fresh.
        while ask(&bench, NAME).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LIMIT, asked).await.expect("asked");
    let outcome = told(&mut bench).await;
    assert_eq!(outcome, "no name: the device does not answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_disturbed() {
    let (mut bench, device) = Bench::started().await;
    let _switch = switch(device, 300, "x");
    // Not while somebody is attached.
    let mut alice = bench.attach("alice", true, 0).await;
    for goal in [LINE, NAME] {
        let refusal = ask(&bench, goal).await.unwrap_err().to_string();
        assert!(refusal.contains("attached"), "{refusal}");
    }
    drop(alice);
    bench
        .until("left", |console| console.sessions.is_empty())
        .await;
    // One at a time.
    ask(&bench, LINE).await.expect("asked");
    let refusal = ask(&bench, NAME).await.unwrap_err().to_string();
    assert!(refusal.contains("asked already"), "{refusal}");
    // And who attaches ends it, and finds the line as it was.
    alice = bench.attach("alice", true, 0).await;
    let outcome = told(&mut bench).await;
    assert!(outcome.contains("somebody attached"), "{outcome}");
    let line = alice.0.line.borrow_and_update().line;
    assert_eq!(line.to_string(), "115200n8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_writes_is_not_asked_for_its_name() {
    let (bench, mut device) = Bench::started().await;
    device.send(b"booting...\r\n").await;
    bench.until("heard", |console| console.rx_bytes > 0).await;
    let refusal = ask(&bench, NAME).await.unwrap_err().to_string();
    assert!(refusal.contains("within the last 5 s"), "{refusal}");
}

/// By the clock, without a question: a name is told once, and the line only when it is another than the file's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_device_is_asked_by_the_clock_and_only_news_is_told() {
    let mut bench = Bench::new();
    bench.console.discover = Some(Discover {
        every: Duration::from_millis(500),
        line: true,
        name: true,
    });
    let device = bench.plug();
    bench.start();
    bench.phase(PortPhase::Open).await;
    let _switch = switch(device, 38_400, "\r\nedge-router>");
    assert_eq!(told(&mut bench).await, "line 38400n8");
    let console = bench.console.name.clone();
    let order = Order::Baud(38_400);
    // Between two tries: the answers of the first are too fresh for the next.
    bench
        .command(Command::SetLine { console, order })
        .await
        .expect("set");
    let named = async {
        loop {
            let news = told(&mut bench).await;
            if news.starts_with("name") {
                return news;
            }
        }
    };
    assert_eq!(named.await, "name edge-router");
}
