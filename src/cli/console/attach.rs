//! A person's session on a console: what is typed goes to the device byte for byte.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::cli::client::{Client, unexpected};
use crate::cli::face::{Face, Failure};
use crate::cli::table::harmless;
use crate::cli::terminal;
use crate::command::{Input, Output};
use crate::control::wire::{Request, Response};
use crate::escape::{self, Action, Escape, Piece};
use crate::keymap::Keymap;
use crate::session;

/// A session whose input ended (a pipe) stays this long after the device's last word.
const LINGER: Duration = Duration::from_secs(1);
/// Reads of the keyboard that may wait for the port, of 4 KiB at most.
const TYPED: usize = 256;
/// A break that every UART notices.
const BREAK_MILLIS: u64 = 300;

/// Joins a console and stays until the person leaves or the session ends.
pub(super) async fn run(
    mut client: Client,
    face: &mut Face,
    name: &str,
    watch: bool,
    history: u32,
) -> Result<(), Failure> {
    let name = &super::users::find(&client.state().await?, name)?
        .name
        .clone();
    let request = Request::Join {
        console: name.clone(),
        write: !watch,
        history,
    };
    client.send(&request).await?;
    let (writer, keys) = match client.receive().await? {
        Response::Joined { writer, keys, .. } => (writer, keys),
        other => return Err(unexpected(&other)),
    };
    let take = keys.shown(Action::TakeWriter);
    let role = match (writer, watch) {
        (true, _) => "you type".to_owned(),
        (false, true) => "you watch".to_owned(),
        (false, false) => {
            format!("you watch: somebody else types, or you may not; {take} takes over")
        }
    };
    hold(client, face, !watch, name, &role, keys).await
}

/// What to do after an event of a session.
enum Next {
    Stay,
    Leave,
}

/// A person on a console.
struct Session<'f> {
    face: &'f mut Face,
    name: &'f str,
    escape: Escape,
    may_type: bool,
    /// The power menu has the keys.
    menu: bool,
    /// Leads to the board. Bounded: a port that takes nothing for long loses what is typed, loudly, so that `~.` is
    /// always read.
    typed: mpsc::Sender<Request>,
    /// Line end of our own words.
    newline: &'static str,
}

/// Holds one session until the person leaves, the console ends, the input is used up or the process is told to end.
async fn hold(
    client: Client,
    face: &mut Face,
    may_type: bool,
    name: &str,
    role: &str,
    keys: Keymap,
) -> Result<(), Failure> {
    let (quit, help) = (keys.shown(Action::Quit), keys.shown(Action::Help));
    let keyboard = face.local && terminal::is_terminal().0;
    // Restored when dropped, on every way out of this function.
    let _restore = if keyboard {
        let raw = terminal::raw();
        Some(raw.map_err(|error| Failure::Other(format!("cannot use the terminal: {error}")))?)
    } else {
        None
    };
    let (mut asking, mut hearing) = client.split();
    let (typed, mut queue) = mpsc::channel(TYPED);
    let mut pump = pin!(async move {
        while let Some(request) = queue.recv().await {
            asking.send(&request).await?;
        }
        Ok::<(), Failure>(())
    });
    let mut ended = pin!(terminal::ended(face.local));
    // Signals are caught from here on, before a person sees that we are there.
    if futures::poll!(&mut ended).is_ready() {
        return Ok(());
    }
    let mut session = Session {
        face,
        name,
        escape: Escape::new(keys),
        may_type,
        menu: false,
        typed,
        newline: if keyboard { "\r\n" } else { "\n" },
    };
    session
        .tell(&format!(
            "console {name}: {role}; {quit} leaves, {help} helps"
        ))
        .await;
    let mut buffer = [0; 4096];
    let mut input_open = true;
    let mut quiet_at = Instant::now() + LINGER;
    loop {
        let release = session
            .escape
            .pending_since()
            .map(|since| since + escape::HOLD);
        // A person's keys are always read, for `~.` may be among them; a pipe waits for its turn.
        let listens = input_open && (keyboard || session.typed.capacity() > 0);
        let next = tokio::select! {
            // cancel-safe per docs on AsyncReadExt::read(): nothing is read when another arm wins
            read = session.face.input.read(&mut buffer), if listens => match read {
                Ok(0) | Err(_) => {
                    input_open = false;
                    quiet_at = Instant::now() + LINGER;
                    Next::Stay
                }
                Ok(length) => {
                    let keys = buffer.get(..length).unwrap_or_default();
                    let pieces = session.escape.feed(keys, Instant::now());
                    session.take(pieces).await
                }
            },
            // cancel-safe: the pump is polled on where it stood
            sent = &mut pump => return sent,
            // cancel-safe as Hearing::receive() says
            response = hearing.receive() => {
                quiet_at = Instant::now() + LINGER;
                match response? {
                    Response::Output(output) => session.show(output).await?,
                    Response::Menu { open } => {
                        session.menu = open;
                        Next::Stay
                    }
                    other => return Err(unexpected(&other)),
                }
            }
            // cancel-safe: a timer has nothing to lose
            () = until(release) => {
                let bytes = session.escape.flush();
                session.take(vec![Piece::Bytes(bytes)]).await
            }
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(quiet_at), if !input_open => Next::Leave,
            // cancel-safe: signals stay noted in their streams
            () = &mut ended => Next::Leave,
        };
        if matches!(next, Next::Leave) {
            session.tell(&format!("left console {name}")).await;
            return Ok(());
        }
    }
}

impl Session<'_> {
    async fn take(&mut self, pieces: Vec<Piece>) -> Next {
        for piece in pieces {
            // Whatever else a person does ends the menu; the board closes it with the next input.
            if matches!(piece, Piece::Action(action) if action != Action::Power) {
                self.menu = false;
            }
            let input = match piece {
                Piece::Bytes(bytes) if bytes.is_empty() => continue,
                Piece::Bytes(bytes) if self.menu => {
                    self.send(Request::MenuKeys(bytes)).await;
                    continue;
                }
                Piece::Bytes(bytes) => Input::Bytes(Bytes::from(bytes)),
                Piece::Action(Action::Quit) => return Next::Leave,
                Piece::Action(Action::Help) => {
                    let help = self.escape.keymap().help();
                    for line in help.lines() {
                        self.tell(line).await;
                    }
                    continue;
                }
                Piece::Action(Action::Log) => {
                    self.tell(&session::log_hint(self.name)).await;
                    continue;
                }
                // Until the board says that it is closed: what is typed meanwhile is meant for it.
                Piece::Action(Action::Power) => {
                    self.menu = true;
                    self.send(Request::OpenMenu).await;
                    continue;
                }
                Piece::Action(Action::Chooser) => {
                    self.tell("the others: console list").await;
                    return Next::Leave;
                }
                // Looking is for everybody.
                Piece::Action(Action::History) => {
                    self.ask(Input::Replay {
                        bytes: session::REPLAY,
                    })
                    .await;
                    continue;
                }
                Piece::Action(Action::Users) => {
                    self.ask(Input::Who).await;
                    continue;
                }
                Piece::Action(Action::Break) => Input::Break {
                    millis: BREAK_MILLIS,
                },
                Piece::Action(Action::TakeWriter) => {
                    self.may_type = true;
                    Input::TakeWriter
                }
            };
            // Who only watches by choice sends nothing by a slip of the finger.
            if self.may_type {
                self.ask(input).await;
            }
        }
        Next::Stay
    }

    async fn ask(&mut self, input: Input) {
        self.send(Request::Input(input)).await;
    }

    async fn send(&mut self, request: Request) {
        if self.typed.try_send(request).is_err() {
            self.tell("the port takes nothing more: what you typed is lost")
                .await;
        }
    }

    async fn show(&mut self, output: Output) -> Result<Next, Failure> {
        match output {
            Output::Bytes(bytes) => {
                self.face
                    .out
                    .write_all(&bytes)
                    .await
                    .map_err(Failure::Output)?;
                self.face.out.flush().await.map_err(Failure::Output)?;
            }
            Output::Reached { .. } => {}
            Output::Gap { bytes } => {
                self.tell(&format!("{bytes} bytes went by too fast and are not shown"))
                    .await;
            }
            Output::Notice(text) => self.line(&text).await,
            Output::Ended(reason) => {
                self.tell(&format!("the session ended: {reason}")).await;
                return Err(Failure::Silent);
            }
        }
        Ok(Next::Stay)
    }

    /// Words of ours, marked so that nobody takes them for the device's.
    async fn tell(&mut self, text: &str) {
        self.line(&format!("[-- {text} --]")).await;
    }

    async fn line(&mut self, text: &str) {
        let end = self.newline;
        let start = if end == "\n" { "" } else { end };
        self.face
            .say(&format!("{start}{}{end}", harmless(text)))
            .await;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
