//! The engine against a console's desk made of plain channels: what a door sees and what the owner gets.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Ended, Gone, Guest, Heard, Keyboard, Manner, Screen};
use crate::command::{Ask, Attach, Attachment, Commands, Input, Output, Outputs, Refusal};
use crate::line::LineState;

#[derive(Default)]
struct Paper(Mutex<String>);

impl Paper {
    fn write(&self, text: &str) -> Result<(), Gone> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Screen for Paper {
    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        self.write(&String::from_utf8_lossy(&bytes))
    }
    async fn say(&self, text: &str) -> Result<(), Gone> {
        self.write(text)
    }
    async fn remark(&self, text: &str) -> Result<(), Gone> {
        self.write(text)
    }
}

struct Hands(mpsc::Receiver<Heard>);

impl Keyboard for Hands {
    async fn next(&mut self) -> Result<Heard, Gone> {
        self.0.recv().await.ok_or(Gone)
    }
}

/// The owner's ends of one session.
struct Console {
    request: Attach,
    output: mpsc::Sender<Output>,
    input: mpsc::Receiver<Input>,
}

/// Serves one attach of the console `core`.
fn console(commands: &Commands, writer: bool) -> tokio::task::JoinHandle<Console> {
    let mut asks = commands.register("console.core");
    tokio::spawn(async move {
        let Some(Ask::Attach { request, reply }) = asks.recv().await else {
            panic!("no attach");
        };
        let (output, mut outputs) = mpsc::channel(4);
        let (inputs, input) = mpsc::channel(2);
        let attachment = Attachment {
            session: 7,
            writer,
            output: Outputs::new(stream::poll_fn(move |context| outputs.poll_recv(context))),
            input: inputs,
            line: watch::channel(LineState::default()).1,
            keys: None,
        };
        reply.send(Ok(attachment)).unwrap();
        Console {
            request,
            output,
            input,
        }
    })
}

fn guest(types: bool) -> Guest {
    Guest {
        console: "core".into(),
        user: "alice".into(),
        from: "test".into(),
        types,
        keys: None,
    }
}

fn typed(text: &'static str) -> Heard {
    Heard::Bytes(Bytes::from_static(text.as_bytes()))
}

async fn never() -> String {
    std::future::pending().await
}

#[tokio::test]
async fn bytes_break_gap_and_leaving() {
    let commands = Commands::default();
    let owner = console(&commands, true);
    let seat = guest(true).sit(&commands, Manner::person()).await.unwrap();
    let mut owner = owner.await.unwrap();
    assert!(owner.request.write && !owner.request.verbatim);
    let (hands, typing) = mpsc::channel(8);
    let talk = async {
        owner
            .output
            .send(Output::Bytes(Bytes::from_static(b"login: ")))
            .await
            .unwrap();
        owner.output.send(Output::Gap { bytes: 9 }).await.unwrap();
        hands.send(typed("ab")).await.unwrap();
        assert_eq!(
            owner.input.recv().await,
            Some(Input::Bytes(Bytes::from_static(b"ab")))
        );
        hands.send(typed("\r~b")).await.unwrap();
        hands
            .send(Heard::Break { millis: Some(300) })
            .await
            .unwrap();
        let mut got = vec![];
        while got.last() != Some(&Input::Break { millis: 300 }) {
            got.push(owner.input.recv().await.unwrap());
        }
        // A break drops what was typed before it and still waits: the first two may be missing.
        assert!(
            got.iter()
                .all(|input| matches!(input, Input::Bytes(_) | Input::Break { .. }))
        );
        hands.send(typed("~.")).await.unwrap();
    };
    let (paper, mut keyboard) = (Paper::default(), Hands(typing));
    let (ended, ()) = tokio::join!(seat.run(&paper, &mut keyboard, never()), talk);
    assert_eq!(ended, Ok(Ended::Left));
    let text = paper.text();
    for part in [
        "core: you type",
        "login: ",
        "[-- 9 bytes skipped --]",
        "[-- left core --]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("OpenSSH"), "{text}");
}

#[tokio::test]
async fn a_program_that_types_beside_another_is_refused_and_nothing_is_sent() {
    let commands = Commands::default();
    let owner = console(&commands, false);
    let seat = guest(true).sit(&commands, Manner::program()).await.unwrap();
    let mut owner = owner.await.unwrap();
    let (hands, typing) = mpsc::channel(8);
    hands.send(typed("~.reload\r")).await.unwrap();
    let paper = Paper::default();
    let ended = seat.run(&paper, &mut Hands(typing), never()).await;
    assert!(matches!(ended, Ok(Ended::Refused(_))), "{ended:?}");
    assert_eq!(
        paper.text(),
        "core: somebody else types here; nothing was sent\n"
    );
    assert_eq!(owner.input.recv().await, None);
}

#[tokio::test]
async fn a_watcher_is_told_once_and_rights_that_go_end_it() {
    let commands = Commands::default();
    let owner = console(&commands, false);
    let seat = guest(false).sit(&commands, Manner::person()).await.unwrap();
    let mut owner = owner.await.unwrap();
    assert!(!owner.request.write);
    let (hands, typing) = mpsc::channel(8);
    for _ in 0..3 {
        hands.send(typed("x")).await.unwrap();
    }
    hands.send(Heard::Break { millis: None }).await.unwrap();
    let (lost, over) = tokio::sync::oneshot::channel::<String>();
    let over = async move { over.await.unwrap() };
    let talk = async {
        while hands.capacity() < hands.max_capacity() {
            tokio::task::yield_now().await;
        }
        lost.send("gone".into()).unwrap();
    };
    let (paper, mut keyboard) = (Paper::default(), Hands(typing));
    let (ended, ()) = tokio::join!(seat.run(&paper, &mut keyboard, over), talk);
    assert_eq!(ended, Ok(Ended::Port("gone".into())));
    let text = paper.text();
    assert_eq!(text.matches("your role only watches").count(), 1, "{text}");
    assert!(text.contains("[-- core: gone --]"), "{text}");
    assert_eq!(owner.input.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn leaving_works_however_full_the_line_is() {
    let commands = Commands::default();
    let owner = console(&commands, true);
    let seat = guest(true).sit(&commands, Manner::person()).await.unwrap();
    // Held, and never read.
    let _owner = owner.await.unwrap();
    let (hands, typing) = mpsc::channel(8);
    let talk = async {
        for _ in 0..50 {
            hands.send(typed("a rather long line\r")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        hands.send(typed("~.")).await.unwrap();
    };
    let (paper, mut keyboard) = (Paper::default(), Hands(typing));
    let both = async { tokio::join!(seat.run(&paper, &mut keyboard, never()), talk) };
    let (ended, ()) = timeout(Duration::from_secs(10), both).await.unwrap();
    assert_eq!(ended, Ok(Ended::Left));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_has_said_all_hears_the_answer() {
    let commands = Commands::default();
    let owner = console(&commands, true);
    let seat = guest(true).sit(&commands, Manner::program()).await.unwrap();
    let mut owner = owner.await.unwrap();
    let (hands, typing) = mpsc::channel(8);
    hands.send(typed("show\r")).await.unwrap();
    hands.send(Heard::Eof).await.unwrap();
    let talk = async {
        let asked = owner.input.recv().await;
        assert_eq!(asked, Some(Input::Bytes(Bytes::from_static(b"show\r"))));
        tokio::time::sleep(Duration::from_millis(900)).await;
        let answer = Output::Bytes(Bytes::from_static(b"answer"));
        owner.output.send(answer).await.unwrap();
    };
    let (paper, mut keyboard) = (Paper::default(), Hands(typing));
    let (ended, ()) = tokio::join!(seat.run(&paper, &mut keyboard, never()), talk);
    assert_eq!(ended, Ok(Ended::Eof));
    assert_eq!(paper.text(), "answer");
}

#[tokio::test]
async fn a_console_that_refuses_says_why() {
    let commands = Commands::default();
    let mut asks = commands.register("console.core");
    tokio::spawn(async move {
        if let Some(Ask::Attach { reply, .. }) = asks.recv().await {
            let full = Refusal::Busy {
                what: "console core".into(),
                why: "it has 64 sessions".into(),
            };
            let _ = reply.send(Err(full));
        }
    });
    let refused = guest(true).sit(&commands, Manner::program()).await;
    assert_eq!(
        refused.unwrap_err(),
        "console core is busy: it has 64 sessions"
    );
}
