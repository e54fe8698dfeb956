//! Serial over LAN: opens the machine's line in a session and carries its bytes. Knows no console of ours.
//!
//! Everything happens in [`Sol::poll_turn`]: who holds a [`Sol`] keeps polling it, also when there is nothing to write.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep, timeout};

use super::message::{self, Message, kind};
use super::{Error, Service, Session, Target};
use crate::clock::Instant;
use crate::http::Pinned;

/// Bytes of the machine that wait for the reader; past that its connection is not read.
const INBOX: usize = 32 * 1024;
/// Bytes typed that wait for the connection; past that the writer waits.
const AHEAD: usize = 4 * 1024;
/// Most bytes typed in one message; said to the machine in the settings. amtterm: RedirectionConstants.h.
const MOST: usize = 1000;
/// How often we say that we are still there (MeshCommander does so every two seconds).
const BEAT: Duration = Duration::from_secs(2);
/// How often the machine shall say so, in milliseconds (amtterm).
const THEIR_BEAT: u16 = 5000;
/// A machine that has shown its heartbeat and then says nothing for so long is gone. One that never shows it is left alone.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest wait for the line to be opened.
const OPEN: Duration = Duration::from_secs(15);
/// Messages looked at in one turn.
const AT_ONCE: usize = 64;
/// The BREAK wire among the control bits of a line. amtterm: `BREAK_CONTROL`.
const BREAK: u8 = 4;

/// What one turn did.
#[derive(Debug)]
pub enum Moved {
    /// So many characters of the machine are in the buffer; at least one.
    Read(usize),
    /// So many characters of the output were taken; at least one.
    Wrote(usize),
    /// The line is gone. Drop it.
    Lost(Error),
}

/// An open line. Dropping it ends the session, without waiting.
#[derive(Debug)]
pub struct Sol {
    session: Session,
    seq: u32,
    typed: VecDeque<u8>,
    wants_break: bool,
    inbox: VecDeque<u8>,
    next_beat: Instant,
    /// When it last said something, once it has shown its heartbeat.
    heard: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Sol {
    /// Opens a session and the machine's line in it.
    ///
    /// # Errors
    /// What [`Session::open`] says; [`Error::Off`] when the line cannot be opened.
    pub async fn open(target: &Target) -> Result<(Self, Option<Pinned>), Error> {
        let service = Service::Sol;
        let (mut session, pinned) = Session::open(target, service).await?;
        let asked = timeout(OPEN, session.ask(&settings(0), kind::SOL_OPENED)).await;
        let opened = asked.unwrap_or_else(|_| {
            Err(Error::Late {
                machine: target.machine.clone(),
                service,
                limit: OPEN,
            })
        })?;
        if opened.status() != 0 {
            return Err(Error::Off {
                machine: target.machine.clone(),
                service,
                status: opened.status(),
            });
        }
        let mut sol = Self {
            session,
            seq: 1,
            typed: VecDeque::new(),
            wants_break: false,
            inbox: VecDeque::new(),
            next_beat: Instant::now() + BEAT,
            heard: None,
            timer: Box::pin(sleep(BEAT)),
        };
        sol.control(0);
        Ok((sol, pinned))
    }

    /// Moves characters once: from `output` to the machine, or from it to `input`, the latter only when `read` says so.
    ///
    /// Ready with something done, or pending with nothing moved: a turn that is cancelled loses nothing. Keeps the session
    /// alive whatever it is asked for.
    pub fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        loop {
            if let Err(error) = self.hear(context).and_then(|()| self.say(context)) {
                return Poll::Ready(Moved::Lost(error));
            }
            if self.heard.is_some_and(|heard| heard.elapsed() >= SILENCE) {
                let why = "it has been silent for half a minute";
                return Poll::Ready(Moved::Lost(self.session.leave(why)));
            }
            if read && !self.inbox.is_empty() && !input.is_empty() {
                let count = input.len().min(self.inbox.len());
                for (slot, byte) in input.iter_mut().zip(self.inbox.drain(..count)) {
                    *slot = byte;
                }
                return Poll::Ready(Moved::Read(count));
            }
            let count = output.len().min(AHEAD.saturating_sub(self.typed.len()));
            if count > 0 {
                self.typed.extend(output.iter().take(count));
                let said = self.say(context);
                return Poll::Ready(said.map_or_else(Moved::Lost, |()| Moved::Wrote(count)));
            }
            self.timer.as_mut().reset(self.next_beat);
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes messages while there is room for what they bring.
    fn hear(&mut self, context: &mut task::Context<'_>) -> Result<(), Error> {
        for _ in 0..AT_ONCE {
            // Nothing is read that has no room, nor answered to who does not take answers.
            if self.inbox.len() >= INBOX {
                // Who is not listened to cannot be called silent.
                self.heard = self.heard.map(|_| Instant::now());
                return Ok(());
            }
            if self.session.backlog() >= AHEAD {
                return Ok(());
            }
            let Poll::Ready(message) = self.session.poll_hear(context) else {
                return Ok(());
            };
            let message = message?;
            if self.heard.is_some() || message.kind() == kind::SOL_BEAT {
                self.heard = Some(Instant::now());
            }
            self.take(&message)?;
        }
        // More may be there, and nobody would wake us.
        context.waker().wake_by_ref();
        Ok(())
    }

    fn take(&mut self, message: &Message) -> Result<(), Error> {
        match message.kind() {
            kind::SOL_DATA => self.inbox.extend(message.rest(10)),
            kind::SOL_PING => self
                .session
                .say(&message::short(kind::SOL_PONG, message.u32(4))),
            kind::SOL_BEAT | kind::SOL_PONG | kind::SOL_LINES => {}
            kind::SOL_ENDED => {
                return Err(self.session.leave("it ended Serial over LAN"));
            }
            other => return Err(self.session.unexpected(&format!("a message {other:#04x}"))),
        }
        Ok(())
    }

    fn next_seq(&mut self) -> u32 {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        seq
    }

    /// Sends what is due. What was typed becomes messages only as the connection takes them, so that the rest of it can be
    /// thrown away.
    fn say(&mut self, context: &mut task::Context<'_>) -> Result<(), Error> {
        let now = Instant::now();
        if self.next_beat <= now {
            self.next_beat = now + BEAT;
            let beat = message::short(kind::SOL_BEAT, self.next_seq());
            self.session.say(&beat);
        }
        loop {
            match self.session.poll_flush(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(flushed) => flushed?,
            }
            if !self.typed.is_empty() {
                let count = self.typed.len().min(MOST);
                let piece: Vec<u8> = self.typed.drain(..count).collect();
                let message = typed(self.next_seq(), &piece);
                self.session.say(&message);
            } else if std::mem::take(&mut self.wants_break) {
                self.control(BREAK);
                self.control(0);
            } else {
                return Ok(());
            }
        }
    }

    fn control(&mut self, bits: u8) {
        let message = control(self.next_seq(), bits);
        self.session.say(&message);
    }

    /// Sends a break with the next turns, after what was written before. Its length is the machine's choice.
    pub fn send_break(&mut self) {
        self.wants_break = true;
    }

    /// Throws away what was written and is in no message yet.
    pub fn discard_output(&mut self) {
        self.typed.clear();
        self.wants_break = false;
    }
}

/// Opens the line: sizes and times in milliseconds as MeshCommander and amtterm have them.
#[must_use]
pub fn settings(seq: u32) -> Vec<u8> {
    let most = u16::try_from(MOST).unwrap_or(u16::MAX);
    let mut out = message::short(kind::SOL_SETTINGS, seq).to_vec();
    // Most sent at once, its timeout, its overflow timeout; receive timeout, flush timeout; heartbeat.
    for value in [most, 100, 0, 10_000, 100, THEIR_BEAT] {
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    out
}

/// Characters for the machine; at most 65535 of them.
#[must_use]
pub fn typed(seq: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut out = message::short(kind::SOL_TYPED, seq).to_vec();
    out.extend(length.to_le_bytes());
    out.extend_from_slice(bytes.get(..usize::from(length)).unwrap_or_default());
    out
}

/// The wires of our side; `0` is what MeshCommander sends once the line is open. The place of the bits is that of the
/// machine's own message 0x29 (amtterm: `controls_from_host_message`); no source has one with a bit set.
#[must_use]
pub fn control(seq: u32, bits: u8) -> Vec<u8> {
    let mut out = message::short(kind::SOL_CONTROL, seq).to_vec();
    out.extend([bits, 0, 0x1b, 0, 0, 0]);
    out
}
