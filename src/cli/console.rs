//! `oobctl console`: serial consoles, and a session on one. What is typed goes to the device byte for byte.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use clap::Subcommand;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::clock::Timestamp;
use crate::command::{Input, Output};
use crate::control::wire::{Request, Response};
use crate::escape::{self, Action, Escape, Piece};
use crate::fact::Console;
use crate::state::State;

use super::Form;
use super::client::{Client, unexpected};
use super::face::{Face, Failure};
use super::status::{people, port};
use super::table::{Cell, columns, cut, harmless};
use super::terminal;
use super::time::ago;

/// A session whose input ended (a pipe) stays this long after the device's last word.
const LINGER: Duration = Duration::from_secs(1);
/// Reads of the keyboard that may wait for the port, of 4 KiB at most.
const TYPED: usize = 256;
/// A break that every UART notices.
const BREAK_MILLIS: u64 = 300;
/// Characters of a device's last line in the table.
const LAST_LINE: usize = 40;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// All consoles and who is on them
    List,
    /// Join a console; `~.` at the start of a line leaves, `~?` helps
    Attach {
        /// As oobd.toml names it
        name: String,
        /// Look only, never type
        #[arg(long, short)]
        watch: bool,
        /// Show this many bytes of what it said before
        #[arg(long, value_name = "BYTES", default_value_t = 4096)]
        history: u32,
    },
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    match verb {
        Verb::List => list(form, client, face).await,
        Verb::Attach {
            name,
            watch,
            history,
        } => {
            let request = Request::Attach {
                console: name.clone(),
                write: !watch,
                history,
            };
            client.send(&request).await?;
            let writer = match client.receive().await? {
                Response::Attached { writer, .. } => writer,
                other => return Err(unexpected(&other)),
            };
            let role = match (writer, watch) {
                (true, _) => "you type",
                (false, true) => "you watch",
                (false, false) => "you watch: somebody else types, or you may not; ~w takes over",
            };
            hold(client, face, !watch, &name, role).await
        }
    }
}

async fn list(form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let state = client.state().await?;
    let table = |face: &Face| show(&state, Timestamp::now(), face.wrap(), face.color);
    face.list(form, "consoles", &state.consoles, table).await
}

pub(super) fn show(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let said = |console: &Console| match console.why.as_str() {
        "" => console.last_line.clone(),
        why => why.to_owned(),
    };
    let rows: Vec<Vec<Cell>> = state
        .consoles
        .values()
        .map(|console| {
            vec![
                Cell::plain(&console.name),
                port(console.phase),
                Cell::plain(ago(console.since, now)),
                Cell::plain(&console.line),
                Cell::plain(people(&console.sessions)),
            ]
        })
        .collect();
    let head = ["NAME", "STATE", "SINCE", "LINE", "WHO"];
    // The last line gets what room is left, in a table that is measured first.
    let used = columns(&head, &rows, false)
        .lines()
        .map(|line| line.chars().count())
        .max();
    let room = width.saturating_sub(used.unwrap_or(0) + 2).min(LAST_LINE);
    if room < 12 {
        return columns(&head, &rows, color);
    }
    let rows: Vec<Vec<Cell>> = rows
        .into_iter()
        .zip(state.consoles.values())
        .map(|(mut row, console)| {
            row.push(Cell::plain(cut(&harmless(&said(console)), room)));
            row
        })
        .collect();
    columns(
        &["NAME", "STATE", "SINCE", "LINE", "WHO", "LAST LINE"],
        &rows,
        color,
    )
}

/// What to do after an event of a session.
enum Next {
    Stay,
    Leave,
}

/// A person on a console.
struct Session<'f> {
    face: &'f mut Face,
    escape: Escape,
    may_type: bool,
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
) -> Result<(), Failure> {
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
    let mut session = Session {
        face,
        escape: Escape::new(b'~', escape::CONSOLE),
        may_type,
        typed,
        newline: if keyboard { "\r\n" } else { "\n" },
    };
    session
        .tell(&format!("console {name}: {role}; ~. leaves, ~? helps"))
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
            let input = match piece {
                Piece::Bytes(bytes) if bytes.is_empty() => continue,
                Piece::Bytes(bytes) => Input::Bytes(Bytes::from(bytes)),
                Piece::Action(Action::Quit) => return Next::Leave,
                Piece::Action(Action::Help) => {
                    let help = self.escape.help();
                    for line in help.lines() {
                        self.tell(line).await;
                    }
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
            if self.may_type && self.typed.try_send(Request::Input(input)).is_err() {
                self.tell("the port takes nothing more: what you typed is lost")
                    .await;
            }
        }
        Next::Stay
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
