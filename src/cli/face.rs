//! The person's side of a command: input, output, talk, and how wide it all is. Opens nothing by itself, so that the
//! SSH door can put a channel where `oobctl` has its terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::command::Refusal;

use super::Form;
use super::remote::Environment;

/// What a command reads and writes, and how.
pub struct Face {
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    /// Data.
    pub out: Box<dyn AsyncWrite + Send + Unpin>,
    /// Words about the data.
    pub talk: Box<dyn AsyncWrite + Send + Unpin>,
    /// `out` is a terminal: tables are wrapped to `width`.
    pub terminal: bool,
    /// Lines end in CR LF: `out` is a terminal in raw mode, as SSH clients put theirs.
    pub raw: bool,
    pub color: bool,
    /// Columns and lines of the terminal; only looked at when there is one.
    pub width: usize,
    pub height: usize,
    /// The process runs on the person's own terminal and files: it may change terminal modes and read files by name.
    pub local: bool,
    /// What surrounds a process of its own.
    pub environment: Environment,
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face")
            .field("terminal", &self.terminal)
            .field("width", &self.width)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Face {
    /// Prints a table, or says in words that there is nothing below its head; without words it is printed all the same.
    pub(super) async fn table(&mut self, text: &str, nothing: &str) -> Result<(), Failure> {
        if text.lines().count() < 2 && !nothing.is_empty() {
            self.say(&format!("{nothing}\n")).await;
            return Ok(());
        }
        self.print(text).await
    }

    /// A face without a terminal, as in a pipe; fill in what differs.
    #[must_use]
    pub fn new(
        input: Box<dyn AsyncRead + Send + Unpin>,
        out: Box<dyn AsyncWrite + Send + Unpin>,
        talk: Box<dyn AsyncWrite + Send + Unpin>,
    ) -> Self {
        Self {
            input,
            out,
            talk,
            terminal: false,
            raw: false,
            color: false,
            width: 80,
            height: 24,
            local: false,
            environment: Environment::default(),
        }
    }

    /// Where lines wrap: nowhere when a program reads them.
    pub(super) fn wrap(&self) -> usize {
        if self.terminal {
            self.width.max(20)
        } else {
            usize::MAX
        }
    }

    /// Writes data and makes sure it went out.
    pub(super) async fn print(&mut self, text: &str) -> Result<(), Failure> {
        let text = self.lines(text);
        self.out
            .write_all(text.as_bytes())
            .await
            .map_err(Failure::Output)?;
        self.out.flush().await.map_err(Failure::Output)
    }

    /// Writes bytes that are no text.
    pub(super) async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).await.map_err(Failure::Output)?;
        self.out.flush().await.map_err(Failure::Output)
    }

    /// Writes one JSON value on a line of its own.
    pub(super) async fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::Other(format!("cannot write JSON: {error}")))?;
        self.print(&(text + "\n")).await
    }

    /// Writes a list of named things: one object, one line each, or a table that `table` draws.
    pub(super) async fn list<T: Serialize>(
        &mut self,
        form: Form,
        nouns: &str,
        things: &BTreeMap<String, T>,
        table: impl FnOnce(&Self) -> String,
    ) -> Result<(), Failure> {
        match form {
            Form::Json => self.json(&BTreeMap::from([(nouns, things)])).await,
            Form::Lines => {
                for thing in things.values() {
                    self.json(thing).await?;
                }
                Ok(())
            }
            Form::Text if things.is_empty() => {
                self.say(&format!("no {nouns}\n")).await;
                Ok(())
            }
            Form::Text => {
                let text = table(self);
                self.print(&text).await
            }
        }
    }

    /// Says something about the data. Nobody may listen.
    pub(super) async fn say(&mut self, text: &str) {
        let text = self.lines(text);
        let _ = self.talk.write_all(text.as_bytes()).await;
        let _ = self.talk.flush().await;
    }

    fn lines(&self, text: &str) -> String {
        if self.raw {
            text.replace('\n', "\r\n")
        } else {
            text.to_owned()
        }
    }
}

/// What a verb `list` shows.
const LISTED: [&str; 6] = ["console", "machine", "uplink", "pdu", "ups", "event"];

/// Why a command failed; decides the exit code.
#[derive(Debug)]
pub enum Failure {
    Output(io::Error),
    Usage(String),
    Unreachable(String),
    Denied(String),
    Refused(Refusal),
    Other(String),
    /// Done, and nobody knows whether it took; all has been said.
    Unconfirmed,
    /// The outcome did not come in time.
    Late(String),
    /// All has been said.
    Silent,
}

impl Failure {
    /// 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 refused, 5 done and not confirmed, 124 as `timeout(1)` has it.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) | Self::Other(_) | Self::Silent => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Denied(_) => 4,
            Self::Refused(Refusal::NotPermitted { .. } | Refusal::Busy { .. }) => 4,
            Self::Late(_) | Self::Refused(Refusal::NoAnswer { .. }) => 124,
            Self::Refused(_) => 1,
            Self::Unconfirmed => 5,
        }
    }

    /// What to tell the person, if anything.
    pub(super) fn sentence(&self) -> Option<String> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("cannot write: {error}")),
            Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Denied(text)
            | Self::Late(text)
            | Self::Other(text) => Some(text.clone()),
            Self::Refused(refusal @ Refusal::Unknown { what }) => {
                let listed = |noun: &&str| LISTED.contains(noun);
                let noun = what.split(' ').next().filter(listed);
                let hint = noun.map(|noun| format!("; `{noun} list` shows them"));
                Some(format!("{refusal}{}", hint.unwrap_or_default()))
            }
            Self::Refused(refusal) => Some(refusal.to_string()),
            Self::Silent | Self::Unconfirmed => None,
        }
    }
}
