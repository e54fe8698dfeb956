//! The one engine of every session on a console: joins it, carries bytes both ways, finds escape sequences, tells what
//! happened. Knows no protocol and no socket: a door brings a [`Screen`] and a [`Keyboard`] and says in what [`Manner`].

mod act;
mod power;
pub mod prompt;
mod seat;
mod show;
mod standing;
#[cfg(test)]
mod tests;
mod typing;
mod view;

use std::future::Future;

use bytes::Bytes;

use crate::escape::Escape;
use crate::keymap::Keymap;

pub use act::{REPLAY, log_hint};
pub use power::{Bound, Doing, Panel, Power};
pub use seat::{Guest, Seat};
pub use standing::Standing;
pub use view::Viewer;

/// Bytes of history that a person gets first.
pub const HISTORY: u32 = 4096;
/// How long a break is held unless a door says how long; boot loaders want a quarter of a second and more.
pub const BREAK_MILLIS: u64 = 500;

/// The client is gone; there is nobody to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is gone")]
pub struct Gone;

/// How a session on a console ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The person asked for it: `~.`
    Left,
    /// The person wants the list of consoles: `~m`. Only with [`Manner::chooser`].
    Chooser,
    /// The client's input ended and the answer is out.
    Eof,
    /// The console or the board ended it, e.g. an administrator, a reload, rights that were taken away.
    Port(String),
    /// It never began, or typed where nobody listens.
    Refused(String),
}

/// Something the client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Typed, for the device but for the escape sequences in it.
    Bytes(Bytes),
    /// A break asked for by the protocol itself, e.g. telnet's BRK. `None` for the usual length.
    Break { millis: Option<u64> },
    /// Asked by the protocol itself to become the writer.
    TakeWriter,
    /// Asked by the protocol itself for the power menu: the next bytes are its keys.
    Power,
    /// Throw away what was typed and has not reached the line's own queue yet.
    Discard,
    /// It will send no more, but still reads.
    Eof,
}

/// How a gap is told in words.
pub(crate) fn skipped(bytes: u64) -> String {
    format!("\n[-- {bytes} bytes skipped --]\n")
}

/// What a client sees. Each call may wait for the client: it then lags in the console's ring, and nobody else waits.
pub trait Screen: Sync {
    /// Bytes of the device, as they are.
    fn bytes(&self, bytes: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Text for the person, lines ended by `\n`. Only called for a [`Manner`] with a person.
    fn say(&self, text: &str) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Text about the session, lines ended by `\n`; a door that carries nothing but the device's bytes drops it.
    fn remark(&self, text: &str) -> impl Future<Output = Result<(), Gone>> + Send;

    /// So many bytes were overwritten before this client had read them.
    fn gap(&self, bytes: u64) -> impl Future<Output = Result<(), Gone>> + Send {
        async move { self.remark(&skipped(bytes)).await }
    }

    /// A line about the session or the port, e.g. `[-- port gone --]`.
    fn notice(&self, text: &str) -> impl Future<Output = Result<(), Gone>> + Send {
        async move { self.remark(&format!("\n{text}\n")).await }
    }

    /// The stream up to this offset has been shown; told first of all, and after each piece. Only with [`Manner::offsets`].
    fn reached(&self, offset: u64) -> impl Future<Output = Result<(), Gone>> + Send {
        let _ = offset;
        async { Ok(()) }
    }

    /// The last word: how the session ended. `console` is safe to show.
    fn ended(&self, console: &str, ended: &Ended) -> impl Future<Output = Result<(), Gone>> + Send {
        async move {
            match ended {
                Ended::Refused(why) => self.remark(&format!("{why}\n")).await,
                Ended::Port(why) => self.remark(&format!("\n[-- {console}: {why} --]\n")).await,
                Ended::Left | Ended::Chooser => {
                    self.remark(&format!("\n[-- left {console} --]\n")).await
                }
                Ended::Eof => Ok(()),
            }
        }
    }
}

/// What a client does.
pub trait Keyboard: Send {
    /// The next thing that matters. Must be cancel-safe: nothing may be lost when the wait is given up.
    fn next(&mut self) -> impl Future<Output = Result<Heard, Gone>> + Send;
}

/// How a client is to be treated.
#[derive(Clone, Debug)]
pub struct Manner {
    /// A person looks on: greeting, a reminder that watchers do not type. Otherwise a program, which is refused as soon
    /// as it types while somebody else has the keyboard, for it could not take the hint.
    pub person: bool,
    /// Finds the escape sequences in what is typed; `None`: every byte is the device's. The keys of the
    /// person or of the console take the place of these.
    pub escape: Option<Escape>,
    /// The door has a list of consoles to go back to.
    pub chooser: bool,
    /// The client keeps the first escape character of a line for itself, as OpenSSH does: hints double it.
    pub doubled: bool,
    /// Every byte of the device as it came: see [`crate::command::Attach::verbatim`].
    pub verbatim: bool,
    /// [`Screen::reached`] is wanted.
    pub offsets: bool,
    /// After the end of its input the client waits for an answer, as a pipe does: the session stays until the device has
    /// been quiet for a second. Otherwise it ends as soon as the line has what was typed.
    pub answer: bool,
    /// Where the output begins.
    pub start: crate::command::Start,
}

impl Manner {
    /// A person at a terminal: history first, the usual escape sequences.
    #[must_use]
    pub fn person() -> Self {
        Self {
            person: true,
            escape: Some(Escape::new(Keymap::default())),
            chooser: false,
            doubled: false,
            verbatim: false,
            offsets: false,
            answer: true,
            start: crate::command::Start::History(HISTORY),
        }
    }

    /// A program or a pipe: from now on, all 256 values both ways.
    #[must_use]
    pub fn program() -> Self {
        Self {
            person: false,
            escape: None,
            chooser: false,
            doubled: false,
            verbatim: false,
            offsets: false,
            answer: true,
            start: crate::command::Start::default(),
        }
    }
}
