//! Serial over LAN: the console of a machine through its BMC, in a session of its own. §15, §24. Knows no console of ours.
//!
//! Everything happens in [`Sol::poll_turn`]: who holds a [`Sol`] keeps polling it, also when there is nothing to write.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::error::Error;
use super::message::{self, code, netfn};
use super::packet::payload;
use super::read::Reader;
use super::session::{Agreed, Ask, Login, Session};
use super::wire::Limits;
use crate::clock::Instant;
use flow::Flow;
use packet::Packet;

pub mod flow;
pub mod packet;
#[cfg(test)]
mod tests;

/// Activate Payload, Deactivate Payload, Get Payload Instance Info. §24.1, §24.2, §24.5.
const ACTIVATE: u8 = 0x48;
const DEACTIVATE: u8 = 0x49;
const INSTANCE: u8 = 0x4b;
/// Get Device ID, which keeps the session alive. §20.1.
const DEVICE_ID: u8 = 0x01;
/// SOL, its first instance.
const FIRST: [u8; 2] = [payload::SOL, 1];
/// How often the BMC is asked whether it is still there; sessions end after 60 s of silence (§6.12.15).
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Datagrams looked at in one turn.
const AT_ONCE: usize = 64;
/// How often a taken-over console is activated: BMCs need a moment to let go of it.
const TAKE_OVER_TRIES: u32 = 5;

/// What one turn did.
#[derive(Debug)]
pub enum Moved {
    /// So many characters of the machine are in the buffer; at least one.
    Read(usize),
    /// So many characters of the output were taken; at least one.
    Wrote(usize),
    /// The console is gone. Drop it.
    Lost(Error),
}

/// A keepalive that waits for its answer.
#[derive(Debug)]
struct Asked {
    seq: u8,
    tries: u32,
}

/// An open console. Dropping it deactivates it and closes its session, without waiting.
#[derive(Debug)]
pub struct Sol {
    session: Session,
    flow: Flow,
    asked: Option<Asked>,
    /// When to ask next whether the BMC is still there.
    next_ask: Instant,
    timer: Pin<Box<Sleep>>,
    is_active: bool,
}

impl Sol {
    /// Opens a session and activates the console in it. `take_over` ends it for whoever has it.
    ///
    /// # Errors
    /// What [`Session::connect`] says; [`Error::ConsoleTaken`] when another session has it, [`Error::ConsoleOff`].
    pub async fn open(
        interface: &str,
        bmc: SocketAddr,
        login: &Login,
        limits: Limits,
        known: Option<Agreed>,
        take_over: bool,
    ) -> Result<Self, Error> {
        let mut session = Session::connect(interface, bmc, login, limits, known).await?;
        if take_over {
            deactivate(&mut session).await?;
        }
        let mut tries = if take_over { TAKE_OVER_TRIES } else { 1 };
        let inbound = loop {
            match activate(&mut session).await {
                Err(Error::Refused {
                    code: code::ALREADY_ACTIVE,
                    ..
                }) => {
                    tries -= 1;
                    // An activation whose answer was lost is our own.
                    let mine = holder(&mut session).await == Some(session.link.theirs());
                    if mine || tries > 0 {
                        deactivate(&mut session).await?;
                        tries = tries.max(1);
                        sleep(limits.pause).await;
                    } else {
                        return Err(Error::ConsoleTaken { bmc });
                    }
                }
                Err(Error::Refused { code: 0x81, .. }) => return Err(Error::ConsoleOff { bmc }),
                activated => break activated?,
            }
        };
        let now = Instant::now();
        Ok(Self {
            session,
            flow: Flow::new(limits, inbound),
            asked: None,
            next_ask: now + KEEPALIVE,
            timer: Box::pin(sleep(KEEPALIVE)),
            is_active: true,
        })
    }

    /// Suite and privilege of its session.
    #[must_use]
    pub fn agreed(&self) -> Agreed {
        self.session.agreed()
    }

    /// Moves characters once: from `output` to the machine, or from it to `input`, the latter only when `read` says so.
    ///
    /// Ready with something done, or pending with nothing moved: a turn that is cancelled loses nothing. Acknowledges,
    /// repeats and keeps the session alive whatever it is asked for.
    pub fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        loop {
            if let Err(error) = self.hear(context).and_then(|()| self.say()) {
                return Poll::Ready(Moved::Lost(error));
            }
            if read && self.flow.has_input() && !input.is_empty() {
                let count = self.flow.read(input);
                return self.done(Moved::Read(count));
            }
            let count = self.flow.write(output);
            if count > 0 {
                return self.done(Moved::Wrote(count));
            }
            let due = self
                .flow
                .due()
                .map_or(self.next_ask, |due| due.min(self.next_ask));
            self.timer.as_mut().reset(due);
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What a turn made to be said goes out before anybody waits.
    fn done(&mut self, moved: Moved) -> Poll<Moved> {
        Poll::Ready(self.say().map_or_else(Moved::Lost, |()| moved))
    }

    /// Takes what is in the socket, until it is empty.
    fn hear(&mut self, context: &mut task::Context<'_>) -> Result<(), Error> {
        for _ in 0..AT_ONCE {
            let Poll::Ready(datagram) = self.session.wire.poll_hear(context) else {
                return Ok(());
            };
            let Some((kind, bytes)) = self.session.link.open(datagram?) else {
                continue;
            };
            let now = Instant::now();
            if kind == payload::SOL {
                if let Some(packet) = Packet::parse(&bytes) {
                    self.flow.hear(&packet, now);
                }
            } else if let Some(answer) = message::parse_response(&bytes)
                && answer.command == DEVICE_ID
                && self
                    .asked
                    .take_if(|asked| asked.seq == answer.seq)
                    .is_some()
            {
                self.next_ask = now + KEEPALIVE;
            }
        }
        // There may be more: come back at once, but let others run.
        context.waker().wake_by_ref();
        Ok(())
    }

    /// Sends what is due.
    fn say(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let bmc = self.session.bmc();
        while let Some(packet) = self.flow.next_packet(now) {
            let datagram = self.session.link.seal(payload::SOL, &packet.encode());
            self.session.wire.send(&datagram)?;
        }
        if let Some(why) = self.flow.fault() {
            return Err(Error::ConsoleLost { bmc, why });
        }
        if self.next_ask <= now {
            let limits = self.session.wire.limits;
            let tries = self.asked.as_ref().map_or(0, |asked| asked.tries);
            if tries > limits.tries {
                let why = "the BMC no longer answers";
                return Err(Error::ConsoleLost { bmc, why });
            }
            let seq = self.session.next_seq();
            let message = message::request(seq, netfn::APP, 0, DEVICE_ID, &[]);
            let datagram = self.session.link.seal(payload::IPMI, &message);
            self.session.wire.send(&datagram)?;
            self.asked = Some(Asked {
                seq,
                tries: tries + 1,
            });
            self.next_ask = now + limits.wait(tries);
        }
        Ok(())
    }

    /// Waits for characters of the machine; at least one. Cancel-safe.
    ///
    /// # Errors
    /// The console is gone.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        match poll_fn(|context| self.poll_turn(context, buffer, &[], true)).await {
            Moved::Read(count) | Moved::Wrote(count) => Ok(count),
            Moved::Lost(error) => Err(error),
        }
    }

    /// Waits until some of the characters are taken, and says how many. Cancel-safe. Taken is not there yet: that takes
    /// further turns.
    ///
    /// # Errors
    /// The console is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match poll_fn(|context| self.poll_turn(context, &mut [], bytes, false)).await {
            Moved::Read(count) | Moved::Wrote(count) => Ok(count),
            Moved::Lost(error) => Err(error),
        }
    }

    /// Has the BMC acknowledged everything that was written, breaks included?
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flow.is_idle()
    }

    /// Sends a break with the next turns, after what was written before. Its length is the BMC's choice.
    pub fn send_break(&mut self) {
        self.flow.send_break();
    }

    /// Throws away what was written and is in no packet yet.
    pub fn discard_output(&mut self) {
        self.flow.discard_output();
    }

    /// Deactivates the console and closes its session, and waits a moment for the BMC to say so.
    pub async fn close(mut self) {
        self.is_active = false;
        self.session.wire.limits.tries = 1;
        // A BMC that does not answer ends the session by itself, and the console with it.
        let _ = deactivate(&mut self.session).await;
    }
}

impl Drop for Sol {
    fn drop(&mut self) {
        if self.is_active {
            let seq = self.session.next_seq();
            let data = [&FIRST[..], &[0; 4]].concat();
            let message = message::request(seq, netfn::APP, 0, DEACTIVATE, &data);
            let datagram = self.session.link.seal(payload::IPMI, &message);
            // Nobody is left to be told; the session closes right after.
            let _ = self.session.wire.send(&datagram);
        }
    }
}

/// The largest payload that the BMC takes. §24.1.
async fn activate(session: &mut Session) -> Result<usize, Error> {
    // Encrypted and authenticated; serial alerts fail meanwhile.
    let data = [&FIRST[..], &[0xc0, 0, 0, 0]].concat();
    let asked = Ask::new("its console", netfn::APP, ACTIVATE, &data);
    let answer = session.request(&asked).await?;
    let sizes = |mut reader: Reader<'_>| {
        reader.take(4)?;
        reader.u16()
    };
    let inbound = sizes(Reader::new(&answer)).ok_or(Error::Nonsense {
        bmc: session.bmc(),
        what: "the sizes of its console's packets",
    })?;
    Ok(usize::from(inbound))
}

/// Ends the console for whoever has it; nobody is fine. §24.2.
async fn deactivate(session: &mut Session) -> Result<(), Error> {
    let data = [&FIRST[..], &[0; 4]].concat();
    let asked = Ask::new("to end its console", netfn::APP, DEACTIVATE, &data);
    match session.request(&asked).await {
        Ok(_) | Err(Error::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The session that has the console, if the BMC tells. §24.5.
async fn holder(session: &mut Session) -> Option<u32> {
    let asked = Ask::new("who has its console", netfn::APP, INSTANCE, &FIRST);
    let answer = session.request(&asked).await.ok()?;
    Reader::new(&answer).u32()
}
