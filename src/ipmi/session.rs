//! A session with one BMC: opens it, asks one question after the other, closes it. Knows no command but those of sessions.

use std::fmt;
use std::net::SocketAddr;

use tokio::time::sleep;

use super::crypto::Suite;
use super::error::Error;
use super::handshake;
use super::link::Link;
use super::message::{self, code, netfn};
use super::packet::{self, payload};
use super::setup::{LONGEST_PASSWORD, LONGEST_USER};
use super::wire::{Limits, Wire};
use crate::clock::Instant;

/// How often a BMC that says it is busy is asked again.
const BUSY_TRIES: u32 = 5;
/// Set Session Privilege Level. §22.18.
const SET_PRIVILEGE: u8 = 0x3b;
/// Close Session. §22.19.
const CLOSE: u8 = 0x3c;

/// What a session may do. §6.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// Reads.
    User,
    /// Switches power, too.
    Operator,
    /// Changes the BMC, too.
    Administrator,
}

impl Privilege {
    /// Its number in the standard.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::User => 2,
            Self::Operator => 3,
            Self::Administrator => 4,
        }
    }

    /// The next lower one.
    #[must_use]
    pub fn lower(self) -> Option<Self> {
        match self {
            Self::Administrator => Some(Self::Operator),
            Self::Operator => Some(Self::User),
            Self::User => None,
        }
    }
}

/// What worked. Keep it per BMC and hand it to the next connect: it saves attempts, and a suite once seen is not given up
/// because the BMC is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub suite: Suite,
    pub privilege: Privilege,
}

/// Who signs in. Debug shows the name alone.
#[derive(Clone)]
pub struct Login {
    user: String,
    password: Vec<u8>,
    bmc_key: Option<Vec<u8>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// `bmc` is who an error names.
    ///
    /// # Errors
    /// [`Error::UserTooLong`], [`Error::PasswordTooLong`].
    pub fn new(bmc: SocketAddr, user: &str, password: &[u8]) -> Result<Self, Error> {
        let length = user.len();
        if length > LONGEST_USER {
            return Err(Error::UserTooLong { bmc, length });
        }
        let length = password.len();
        if length > LONGEST_PASSWORD {
            return Err(Error::PasswordTooLong { bmc, length });
        }
        Ok(Self {
            user: user.into(),
            password: password.into(),
            bmc_key: None,
        })
    }

    /// The key that some BMCs have besides (`K_G`, two-key login, §13.33).
    #[must_use]
    pub fn with_bmc_key(mut self, key: &[u8]) -> Self {
        self.bmc_key = Some(key.into());
        self
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> &[u8] {
        &self.password
    }

    pub(super) fn bmc_key(&self) -> Option<&[u8]> {
        self.bmc_key.as_deref()
    }
}

/// Is anybody there? A presence ping, which needs no login. §13.2.3.
///
/// # Errors
/// [`Error::NoAnswer`], also from a BMC that does not answer pings; [`Error::Unreached`].
pub async fn ping(interface: &str, bmc: SocketAddr, limits: Limits) -> Result<(), Error> {
    let mut wire = Wire::open(interface, bmc, limits).await?;
    let tag = rand::random::<u8>() & 0x7f;
    let ping = packet::ping(tag);
    let pong = wire.ask("a ping", &ping, |datagram| {
        packet::parse_pong(datagram, tag)
    });
    match pong.await? {
        true => Ok(()),
        false => Err(Error::Nonsense {
            bmc,
            what: "whoever is there speaks no IPMI",
        }),
    }
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// As in [`netfn`].
    pub netfn: u8,
    pub lun: u8,
    pub command: u8,
    pub data: &'a [u8],
    /// What it is about, for errors: `the power`.
    pub what: &'static str,
    /// Sent once, whatever gets lost: for what must not happen twice.
    pub once: bool,
}

impl<'a> Ask<'a> {
    /// A question that may be repeated.
    #[must_use]
    pub fn new(what: &'static str, netfn: u8, command: u8, data: &'a [u8]) -> Self {
        Self {
            netfn,
            lun: 0,
            command,
            data,
            what,
            once: false,
        }
    }

    /// Sent once.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// To another logical unit than 0.
    #[must_use]
    pub fn lun(self, lun: u8) -> Self {
        Self { lun, ..self }
    }
}

/// An open session. Dropping it tells the BMC, without waiting.
#[derive(Debug)]
pub struct Session {
    pub(super) wire: Wire,
    pub(super) link: Link,
    seq: u8,
    agreed: Agreed,
    is_open: bool,
}

impl Session {
    /// Opens a session from `interface` only. `known` is what worked the last time, `None` to find out.
    ///
    /// Takes as long as `limits` says for each of up to six messages. Cancel-safe in that nothing is left open here; the
    /// BMC forgets a half-open session by itself.
    ///
    /// # Errors
    /// [`Error::Unreached`], [`Error::NoAnswer`], [`Error::WrongPassword`], [`Error::NotPermitted`], [`Error::NoSuite`],
    /// [`Error::TooOld`], [`Error::Busy`], [`Error::Nonsense`].
    pub async fn connect(
        interface: &str,
        bmc: SocketAddr,
        login: &Login,
        limits: Limits,
        known: Option<Agreed>,
    ) -> Result<Self, Error> {
        let mut wire = Wire::open(interface, bmc, limits).await?;
        let (link, agreed) = handshake::open(&mut wire, login, known).await?;
        let mut session = Self {
            wire,
            link,
            seq: 0,
            agreed,
            is_open: true,
        };
        session.raise().await?;
        Ok(session)
    }

    /// A session begins as a user; this asks for the highest privilege there is.
    async fn raise(&mut self) -> Result<(), Error> {
        loop {
            let wanted = self.agreed.privilege;
            let level = [wanted.number()];
            let asked = Ask::new("the privilege", netfn::APP, SET_PRIVILEGE, &level);
            match (self.request(&asked).await, wanted.lower()) {
                (Ok(_), _) => return Ok(()),
                (Err(Error::Refused { .. } | Error::NotPermitted { .. }), Some(lower)) => {
                    self.agreed.privilege = lower;
                }
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn bmc(&self) -> SocketAddr {
        self.wire.bmc
    }

    /// Suite and privilege of this session.
    #[must_use]
    pub fn agreed(&self) -> Agreed {
        self.agreed
    }

    pub(super) fn next_seq(&mut self) -> u8 {
        self.seq = (self.seq + 1) & 0x3f;
        self.seq
    }

    /// Asks and waits for the answer: the data after the completion code. Dropping it leaves open whether the BMC was
    /// asked; a late answer is ignored.
    ///
    /// # Errors
    /// [`Error::NoAnswer`], [`Error::Unanswered`] for what is sent once, [`Error::Unreached`], [`Error::Busy`],
    /// [`Error::NotPermitted`], [`Error::Refused`] with the completion code.
    pub async fn request(&mut self, ask: &Ask<'_>) -> Result<Vec<u8>, Error> {
        let (bmc, what) = (self.wire.bmc, ask.what);
        for busy in 1.. {
            let (completion, data) = self.exchange(ask).await?;
            match completion {
                code::OK => return Ok(data),
                // After its own timeout it may have done it.
                code::TIMEOUT if ask.once => return Err(Error::Unanswered { bmc, what }),
                code::NODE_BUSY | code::TIMEOUT if busy < BUSY_TRIES => {
                    sleep(self.wire.limits.pause.saturating_mul(busy)).await;
                }
                code::NODE_BUSY | code::TIMEOUT => break,
                code::NO_PRIVILEGE => {
                    let why = super::error::completion(completion);
                    return Err(Error::NotPermitted { bmc, what, why });
                }
                code => return Err(Error::Refused { bmc, what, code }),
            }
        }
        Err(Error::Busy { bmc, what })
    }

    async fn exchange(&mut self, ask: &Ask<'_>) -> Result<(u8, Vec<u8>), Error> {
        let seq = self.next_seq();
        let message = message::request(seq, ask.netfn, ask.lun, ask.command, ask.data);
        let Self { wire, link, .. } = self;
        let (bmc, what, limits) = (wire.bmc, ask.what, wire.limits);
        let tries = if ask.once { 1 } else { limits.tries.max(1) };
        for attempt in 0..tries {
            wire.send(&link.seal(payload::IPMI, &message))?;
            let wait = if ask.once {
                limits.whole()
            } else {
                limits.wait(attempt)
            };
            let heard = wire.hear(Instant::now() + wait, |datagram| {
                let (kind, payload) = link.open(datagram)?;
                let answer = message::parse_response(&payload)?;
                let ours = kind == payload::IPMI
                    && (answer.seq, answer.netfn, answer.command) == (seq, ask.netfn, ask.command);
                ours.then(|| (answer.code, answer.data.to_vec()))
            });
            match heard.await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(_) if ask.once => break,
                Err(error) => return Err(error),
            }
        }
        Err(if ask.once {
            Error::Unanswered { bmc, what }
        } else {
            Error::NoAnswer { bmc, what }
        })
    }

    /// Closes the session and waits a moment for the BMC to say so. It also closes when it is dropped.
    pub async fn close(mut self) {
        let id = self.link.theirs().to_le_bytes();
        let asked = Ask::new("to close the session", netfn::APP, CLOSE, &id);
        self.is_open = false;
        self.wire.limits.tries = 1;
        // A BMC that does not answer forgets the session by itself.
        let _ = self.exchange(&asked).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_open {
            let id = self.link.theirs().to_le_bytes();
            let message = message::request(self.next_seq(), netfn::APP, 0, CLOSE, &id);
            // Nobody is left to be told.
            let _ = self.wire.send(&self.link.seal(payload::IPMI, &message));
        }
    }
}
