//! A session on a console: bytes both ways, escape sequences, notices. Never waits for the device with the keyboard in
//! its hands: `~.` works however full the line is.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::access::{Right, printable};
use crate::command::{Attach, Input, Output, Start};
use crate::escape::{Action, CONSOLE, Escape, HOLD, Piece};

use super::house::House;
use super::login::Login;
use super::session;
use super::terminal::{Gone, Heard, Reader, Terminal, Writer};

/// The escape character.
const ESCAPE: u8 = b'~';
/// Bytes of history that a terminal gets first; a script gets none.
const HISTORY: u32 = 4096;
/// Bytes that wait for a slow line in this session; past that the client waits.
const WAITING: usize = 128 * 1024;
/// Typed pieces that may wait, however small.
const PIECES: usize = 4096;
/// How long a break is held; boot loaders want a quarter of a second and more.
const BREAK_MILLIS: u64 = 500;
/// After a script's end of input: quiet on the line for this long means that the answer is complete …
const QUIET: Duration = Duration::from_millis(1000);
/// … and a device that talks for ever is left after this.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// A line that takes nothing for this long while all queues before it are full is stuck. The session then ends, for it
/// could not even see any more that its client is gone.
const STUCK: Duration = Duration::from_secs(60);

/// How a session on a console ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// `~.`
    Left,
    /// The client's input ended and the answer is out.
    Eof,
    /// The console ended it, e.g. an administrator or a reload.
    Port(String),
    Refused(String),
}

impl Ended {
    pub(super) fn status(self) -> u32 {
        match self {
            Self::Left | Self::Eof => session::OK,
            Self::Port(_) => session::FAILED,
            Self::Refused(_) => session::REFUSED,
        }
    }
}

/// Joins a console and stays until one side has had enough. Why it ended is told to the client here.
pub(super) async fn run(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
    console: &str,
) -> Result<Ended, Gone> {
    let ended = match join(house, login, terminal.writer.is_terminal, console).await {
        Ok(joined) => joined.run(terminal).await?,
        Err(refusal) => Ended::Refused(refusal),
    };
    match &ended {
        Ended::Refused(why) => terminal.writer.remark(&format!("{why}\n")).await?,
        Ended::Port(why) => {
            let line = format!("\n[-- {}: {} --]\n", printable(console), why);
            terminal.writer.remark(&line).await?;
        }
        Ended::Left => {
            let line = format!("\n[-- left {} --]\n", printable(console));
            terminal.writer.remark(&line).await?;
        }
        Ended::Eof => {}
    }
    Ok(ended)
}

/// A seat at a console.
struct Joined {
    console: String,
    /// May this person ever type here?
    types: bool,
    writer: bool,
    output: mpsc::Receiver<Output>,
    input: mpsc::Sender<Input>,
}

async fn join(
    house: &House,
    login: &Login,
    terminal: bool,
    console: &str,
) -> Result<Joined, String> {
    // One text for both, so that nobody learns which consoles there are beyond the own ones.
    if !login.person.sees(console) || !house.store.now().consoles.contains_key(console) {
        let shown = printable(console);
        return Err(format!(
            "there is no console {shown}; ssh {}:serial lists yours",
            login.person.name
        ));
    }
    login.person.may(Right::WatchConsole(console))?;
    let types = login.person.may(Right::TypeOnConsole(console)).is_ok();
    let request = Attach {
        console: console.to_owned(),
        user: login.person.name.clone(),
        from: login.from(),
        write: types,
        start: Start::History(if terminal { HISTORY } else { 0 }),
        ..Attach::default()
    };
    let attached = house
        .commands
        .attach(request)
        .await
        .map_err(|e| e.to_string())?;
    Ok(Joined {
        console: console.to_owned(),
        types,
        writer: attached.writer,
        output: attached.output,
        input: attached.input,
    })
}

impl Joined {
    async fn run(mut self, terminal: &mut Terminal) -> Result<Ended, Gone> {
        let Terminal { reader, writer } = terminal;
        let is_terminal = writer.is_terminal;
        if is_terminal {
            writer.say(&self.greeting()).await?;
        }
        let heard = Mutex::new(Instant::now());
        let mut output = std::mem::replace(&mut self.output, mpsc::channel(1).1);
        let showing = show(&mut output, writer, &heard);
        let typing = Typing {
            reader,
            writer,
            input: &self.input,
            types: self.types,
            // A person may take the keyboard later; a script cannot.
            unheard: (!is_terminal && !self.writer).then(|| self.unheard()),
            escape: is_terminal.then(|| Escape::new(ESCAPE, CONSOLE)),
            queue: VecDeque::new(),
            waiting: 0,
            told: false,
        };
        tokio::select! {
            // Neither is polled again after the other has ended, so nothing needs to be cancel-safe here.
            ended = showing => ended,
            ended = typing.run(&heard) => ended,
        }
    }

    /// What a script is told that sends where nobody listens.
    fn unheard(&self) -> String {
        let why = if self.types {
            "somebody else types here"
        } else {
            "your role only watches"
        };
        format!("{}: {why}; nothing was sent", self.console)
    }

    fn greeting(&self) -> String {
        let seat = match (self.types, self.writer) {
            (true, true) => "you type",
            (true, false) => "somebody else types, you watch",
            (false, _) => "you watch",
        };
        let take = if self.types && !self.writer {
            " ~w take the keyboard,"
        } else {
            ""
        };
        format!(
            "[-- {}: {seat}.{take} ~. leave, ~? help; OpenSSH keeps the first ~: type ~~. and ~~? --]\n",
            self.console
        )
    }
}

/// Carries the device's output to the client. A client that does not read lags in the console's ring alone.
async fn show(
    output: &mut mpsc::Receiver<Output>,
    writer: &Writer,
    heard: &Mutex<Instant>,
) -> Result<Ended, Gone> {
    while let Some(piece) = output.recv().await {
        set(heard);
        match piece {
            Output::Bytes(bytes) => writer.bytes(bytes).await?,
            Output::Reached { .. } => {}
            Output::Gap { bytes } => {
                writer
                    .remark(&format!("\n[-- {bytes} bytes skipped --]\n"))
                    .await?;
            }
            Output::Notice(text) => writer.remark(&format!("\n{text}\n")).await?,
            Output::Ended(why) => return Ok(Ended::Port(why)),
        }
        set(heard);
    }
    Ok(Ended::Port("the console ended".into()))
}

fn set(heard: &Mutex<Instant>) {
    *heard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
}

/// The keyboard side.
struct Typing<'a> {
    reader: &'a mut Reader,
    writer: &'a Writer,
    input: &'a mpsc::Sender<Input>,
    types: bool,
    /// Why a script's input would be lost; its first byte ends the session with this.
    unheard: Option<String>,
    /// None for a script: every byte is the device's.
    escape: Option<Escape>,
    queue: VecDeque<Input>,
    /// Bytes in the queue.
    waiting: usize,
    /// A watcher was told once that typing does nothing.
    told: bool,
}

impl Typing<'_> {
    async fn run(mut self, heard: &Mutex<Instant>) -> Result<Ended, Gone> {
        let mut moved = Instant::now();
        loop {
            let held = self.escape.as_ref().and_then(Escape::pending_since);
            let has_room = self.waiting < WAITING && self.queue.len() < PIECES;
            tokio::select! {
                // cancel-safe: see Reader::next
                heard_now = self.reader.next(), if has_room => match heard_now? {
                    Heard::Bytes(bytes) => {
                        if self.queue.is_empty() {
                            moved = Instant::now();
                        }
                        if let Some(ended) = self.take(bytes).await? {
                            return Ok(ended);
                        }
                    }
                    Heard::Eof => return self.drain(heard).await,
                },
                // cancel-safe: a permit that is not used is given back
                permit = self.input.reserve(), if !self.queue.is_empty() => {
                    let Ok(permit) = permit else {
                        // The console is going; `show` has its reason.
                        return std::future::pending().await;
                    };
                    if let Some(piece) = self.queue.pop_front() {
                        self.waiting -= weight(&piece);
                        permit.send(piece);
                    }
                    moved = Instant::now();
                }
                // cancel-safe: a timer has nothing to lose
                () = sleep_until(moved + STUCK), if !has_room => return Ok(stuck()),
                // cancel-safe: a timer has nothing to lose
                () = sleep_until(held.map_or_else(Instant::now, |since| since + HOLD)), if held.is_some() => {
                    let bytes = self.escape.as_mut().map(Escape::flush).unwrap_or_default();
                    self.send(bytes).await?;
                }
            }
        }
    }

    /// Takes what was read; `Some` when that ends the session.
    async fn take(&mut self, bytes: Bytes) -> Result<Option<Ended>, Gone> {
        if let Some(why) = self.unheard.take() {
            return Ok(Some(Ended::Refused(why)));
        }
        let Some(escape) = &mut self.escape else {
            self.send(bytes).await?;
            return Ok(None);
        };
        for piece in escape.feed(&bytes, Instant::now()) {
            match piece {
                Piece::Bytes(bytes) => self.send(bytes).await?,
                Piece::Action(Action::Quit) => return Ok(Some(Ended::Left)),
                Piece::Action(action) => self.act(action).await?,
            }
        }
        Ok(None)
    }

    async fn act(&mut self, action: Action) -> Result<(), Gone> {
        match action {
            Action::Quit => {}
            Action::Help => {
                let help = self.escape.as_ref().map(Escape::help).unwrap_or_default();
                let help = help.replace("\r\n", "\n");
                let note = "(with OpenSSH type ~~ where ~ is written)\n";
                self.writer.say(&format!("\n{help}{note}")).await?;
            }
            Action::Break | Action::TakeWriter if !self.types => self.tell().await?,
            Action::Break => {
                // What was typed before and is still waiting is not wanted any more.
                self.queue.clear();
                self.waiting = 0;
                self.queue.push_back(Input::Break {
                    millis: BREAK_MILLIS,
                });
            }
            Action::TakeWriter => self.queue.push_back(Input::TakeWriter),
        }
        Ok(())
    }

    async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.types {
            return self.tell().await;
        }
        self.waiting += bytes.len();
        self.queue.push_back(Input::Bytes(bytes));
        Ok(())
    }

    async fn tell(&mut self) -> Result<(), Gone> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        self.writer
            .remark("\n[-- your role only watches --]\n")
            .await
    }

    /// The client has said all: let the line take it, wait for the answer.
    async fn drain(mut self, heard: &Mutex<Instant>) -> Result<Ended, Gone> {
        if let Some(escape) = &mut self.escape {
            let held = escape.flush();
            self.send(held).await?;
        }
        while let Some(piece) = self.queue.pop_front() {
            match timeout(STUCK, self.input.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => return Ok(stuck()),
            }
        }
        // All of it out of the console's own queue, too: every permit is free again.
        let all = self.input.max_capacity();
        match timeout(STUCK, self.input.reserve_many(all)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return Ok(stuck()),
        }
        let limit = Instant::now() + DRAIN_LIMIT;
        set(heard);
        loop {
            let last = *heard
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let quiet_at = (last + QUIET).min(limit);
            if Instant::now() >= quiet_at {
                return Ok(Ended::Eof);
            }
            sleep_until(quiet_at).await;
        }
    }
}

fn stuck() -> Ended {
    Ended::Port("the line takes no input".into())
}

fn weight(piece: &Input) -> usize {
    match piece {
        Input::Bytes(bytes) => bytes.len(),
        Input::Break { .. } | Input::TakeWriter => 0,
    }
}
