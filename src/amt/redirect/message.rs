//! Messages of a redirection session as bytes: where one ends and the next begins, and what a few of them say. Pure.
//!
//! Little-endian. Sources: amtterm (kraxel/amtterm: RedirectionConstants.h, redir.c, redir.h) and MeshCommander
//! (Ylianst/MeshCommander: amt-redir-ws-0.1.0.js, amt-ider-ws-0.0.1.js).

use std::fmt;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Sol,
    Kvm,
    Ider,
}

impl Service {
    /// As it is asked for.
    #[must_use]
    pub fn tag(self) -> [u8; 4] {
        match self {
            Self::Sol => *b"SOL ",
            Self::Kvm => *b"KVMR",
            Self::Ider => *b"IDER",
        }
    }
}

/// As people read it.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sol => "Serial over LAN",
            Self::Kvm => "KVM",
            Self::Ider => "IDE redirection",
        })
    }
}

/// First bytes of messages.
pub mod kind {
    pub const START: u8 = 0x10;
    pub const STARTED: u8 = 0x11;
    pub const END: u8 = 0x12;
    pub const AUTH: u8 = 0x13;
    pub const AUTH_REPLY: u8 = 0x14;
    pub const SOL_SETTINGS: u8 = 0x20;
    pub const SOL_OPENED: u8 = 0x21;
    pub const SOL_END: u8 = 0x22;
    pub const SOL_ENDED: u8 = 0x23;
    pub const SOL_PING: u8 = 0x24;
    pub const SOL_PONG: u8 = 0x25;
    pub const SOL_CONTROL: u8 = 0x27;
    pub const SOL_TYPED: u8 = 0x28;
    pub const SOL_LINES: u8 = 0x29;
    pub const SOL_DATA: u8 = 0x2a;
    pub const SOL_BEAT: u8 = 0x2b;
    /// IDER and KVM alike.
    pub const OPEN: u8 = 0x40;
    pub const OPENED: u8 = 0x41;
    pub const IDER_END: u8 = 0x42;
    pub const IDER_ENDED: u8 = 0x43;
    pub const IDER_PING: u8 = 0x44;
    pub const IDER_PONG: u8 = 0x45;
    pub const IDER_RESET: u8 = 0x46;
    pub const IDER_RESET_DONE: u8 = 0x47;
    pub const IDER_FEATURES: u8 = 0x48;
    pub const IDER_FEATURES_REPLY: u8 = 0x49;
    pub const IDER_ERROR: u8 = 0x4a;
    pub const IDER_BEAT: u8 = 0x4b;
    pub const IDER_COMMAND: u8 = 0x50;
    pub const IDER_DONE: u8 = 0x51;
    pub const IDER_WANTS: u8 = 0x52;
    pub const IDER_WRITTEN: u8 = 0x53;
    pub const IDER_DATA: u8 = 0x54;
}

/// Longest challenge that is looked at; real ones have some hundred bytes.
const LONGEST_AUTH: usize = 4096;

/// What a device sent is none of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("a message of the unknown kind {0:#04x}")]
    Kind(u8),
    #[error("a message {0:#04x} of {1} bytes")]
    Length(u8, usize),
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.byte(0)
    }

    /// Second byte: 0 for success, in those messages that have a status.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.byte(1)
    }

    /// A byte of it; 0 beyond its end.
    #[must_use]
    pub fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    /// Two bytes of it as a number.
    #[must_use]
    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }

    /// Four bytes of it as a number.
    #[must_use]
    pub fn u32(&self, at: usize) -> u32 {
        [3, 2, 1, 0]
            .iter()
            .fold(0, |sum, more| sum << 8 | u32::from(self.byte(at + more)))
    }

    /// What follows so many bytes.
    #[must_use]
    pub fn rest(&self, from: usize) -> &[u8] {
        self.0.get(from..).unwrap_or_default()
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Puts the bytes of a device together again, however the network cut them.
#[derive(Debug)]
pub struct Splitter {
    service: Service,
    bytes: Vec<u8>,
    /// So many of them are handed out already.
    done: usize,
}

impl Splitter {
    /// For what a device says in a session of this service.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self {
            service,
            bytes: Vec::new(),
            done: 0,
        }
    }

    /// More bytes came in. Take messages out until there is none before adding more: a message has at most 64 KiB, and
    /// what is kept is one of them and what came with its end.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.done);
        self.done = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, if it is whole.
    ///
    /// # Errors
    /// [`Bad`]; nothing that follows can be understood then.
    pub fn next_message(&mut self) -> Result<Option<Message>, Bad> {
        let left = self.bytes.get(self.done..).unwrap_or_default();
        let Some(length) = length(self.service, left)? else {
            return Ok(None);
        };
        let Some(message) = left.get(..length) else {
            return Ok(None);
        };
        self.done += length;
        Ok(Some(Message(message.to_vec())))
    }

    /// What was not handed out: where a session's messages end and bytes of another protocol begin.
    #[must_use]
    pub fn into_rest(mut self) -> Vec<u8> {
        self.bytes.drain(..self.done);
        self.bytes
    }
}

/// Length of the message that begins here; `None` while too little of it is there to say.
fn length(service: Service, bytes: &[u8]) -> Result<Option<usize>, Bad> {
    let at = |at: usize| bytes.get(at).copied();
    let u16_at = |place: usize| {
        Some(usize::from(u16::from_le_bytes([
            at(place)?,
            at(place + 1)?,
        ])))
    };
    let Some(first) = at(0) else {
        return Ok(None);
    };
    let fixed = |length| Ok(Some(length));
    match (first, service) {
        (kind::STARTED, _) => Ok(match at(1) {
            Some(0) => at(12).map(|oem| 13 + usize::from(oem)),
            Some(_) => Some(4),
            None => None,
        }),
        (kind::AUTH_REPLY, _) => {
            let (Some(low), Some(high)) = (u16_at(5), u16_at(7)) else {
                return Ok(None);
            };
            let length = low | high << 16;
            if length > LONGEST_AUTH {
                return Err(Bad::Length(first, length));
            }
            Ok(Some(9 + length))
        }
        (kind::SOL_OPENED, Service::Sol) => fixed(23),
        (kind::SOL_LINES, Service::Sol) => fixed(10),
        (kind::SOL_DATA, Service::Sol) => Ok(u16_at(8).map(|length| 10 + length)),
        (kind::SOL_ENDED | kind::SOL_PING | kind::SOL_PONG | kind::SOL_BEAT, Service::Sol)
        | (kind::OPENED, Service::Kvm)
        | (kind::IDER_ENDED | kind::IDER_PING | kind::IDER_PONG | kind::IDER_BEAT, Service::Ider) => {
            fixed(8)
        }
        (kind::OPENED, Service::Ider) => Ok(at(29).map(|oem| 30 + usize::from(oem))),
        (kind::IDER_RESET, Service::Ider) => fixed(9),
        (kind::IDER_FEATURES_REPLY, Service::Ider) => fixed(13),
        (kind::IDER_ERROR, Service::Ider) => fixed(11),
        (kind::IDER_COMMAND, Service::Ider) => fixed(28),
        (kind::IDER_WRITTEN, Service::Ider) => Ok(u16_at(9).map(|length| 14 + length)),
        _ => Err(Bad::Kind(first)),
    }
}

/// A message with nothing but a sequence number after its first four bytes.
#[must_use]
pub fn short(kind: u8, seq: u32) -> [u8; 8] {
    let [a, b, c, d] = seq.to_le_bytes();
    [kind, 0, 0, 0, a, b, c, d]
}

/// Asks for a session of this service.
#[must_use]
pub fn start(service: Service) -> [u8; 8] {
    let [a, b, c, d] = service.tag();
    let second = u8::from(service == Service::Kvm);
    [kind::START, second, 0, 0, a, b, c, d]
}

/// Ends the session.
pub const END: [u8; 4] = [kind::END, 0, 0, 0];
