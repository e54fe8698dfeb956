//! Messages of the AMT Port Forwarding protocol: how they are told apart, read and written. Big-endian, as in SSH, and without a
//! length of the whole. Pure.

use bytes::{Buf as _, Bytes, BytesMut};

/// Numbers of the messages.
pub mod kind {
    pub const DISCONNECT: u8 = 1;
    pub const SERVICE_REQUEST: u8 = 5;
    pub const SERVICE_ACCEPT: u8 = 6;
    pub const USERAUTH_REQUEST: u8 = 50;
    pub const USERAUTH_FAILURE: u8 = 51;
    pub const USERAUTH_SUCCESS: u8 = 52;
    pub const GLOBAL_REQUEST: u8 = 80;
    pub const REQUEST_SUCCESS: u8 = 81;
    pub const REQUEST_FAILURE: u8 = 82;
    pub const CHANNEL_OPEN: u8 = 90;
    pub const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
    pub const CHANNEL_OPEN_FAILURE: u8 = 92;
    pub const CHANNEL_WINDOW_ADJUST: u8 = 93;
    pub const CHANNEL_DATA: u8 = 94;
    pub const CHANNEL_CLOSE: u8 = 97;
    pub const PROTOCOL_VERSION: u8 = 192;
    pub const KEEPALIVE_REQUEST: u8 = 208;
    pub const KEEPALIVE_REPLY: u8 = 209;
    pub const KEEPALIVE_OPTIONS_REQUEST: u8 = 210;
    pub const KEEPALIVE_OPTIONS_REPLY: u8 = 211;
}

/// The two services that a device asks for, one after the other.
pub const AUTH: &str = "auth@amt.intel.com";
pub const FORWARD: &str = "pfwd@amt.intel.com";

/// Bytes of a name, an address, a password. The longest real one has 26.
const LONGEST_TEXT: usize = 256;
/// Bytes of a datagram that a device wants sent on (alerts do so); nothing becomes of it.
const LONGEST_DATAGRAM: usize = 4096;
/// Most that a device may send on a channel before we say that it was taken, and so the most in one message.
pub const WINDOW: u32 = 64 * 1024;
const LONGEST_DATA: usize = WINDOW as usize;

/// What a device sent is none of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("a message of the unknown kind {0}")]
    Kind(u8),
    #[error("a message {0} with {1} bytes where {2} is the most")]
    Length(u8, usize, usize),
    #[error("a global request that is not known")]
    Request,
}

/// What a device says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Disconnect {
        reason: u32,
    },
    ServiceRequest {
        name: Bytes,
    },
    SignIn {
        user: Bytes,
        /// `None` when it wants to sign in without one.
        password: Option<Bytes>,
    },
    Forward {
        port: u32,
        wants_reply: bool,
    },
    CancelForward {
        port: u32,
        wants_reply: bool,
    },
    /// A datagram for somebody else.
    Datagram,
    /// It wants a channel; no device has a use for one.
    Open {
        sender: u32,
    },
    Confirmation {
        recipient: u32,
        sender: u32,
        window: u32,
    },
    Failure {
        recipient: u32,
        reason: u32,
    },
    Adjust {
        recipient: u32,
        bytes: u32,
    },
    Data {
        recipient: u32,
        data: Bytes,
    },
    Close {
        recipient: u32,
    },
    ProtocolVersion {
        major: u32,
        minor: u32,
        uuid: [u8; 16],
    },
    KeepaliveRequest {
        cookie: u32,
    },
    KeepaliveReply,
    OptionsReply,
}

/// Puts the bytes of a device together again, however the network cut them.
#[derive(Debug, Default)]
pub struct Splitter(BytesMut);

impl Splitter {
    /// More bytes came in. Take messages out until there is none before adding more: a message has at most
    /// 64 KiB and some dozen bytes, and what is kept is one of them and what came with its end.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message, if it is whole. A length that no message has is refused before its bytes are there.
    ///
    /// # Errors
    /// [`Bad`]; nothing that follows can be understood then.
    pub fn next_message(&mut self) -> Result<Option<Message>, Bad> {
        let Some(first) = self.0.first().copied() else {
            return Ok(None);
        };
        let mut reader = Reader {
            kind: first,
            bytes: &self.0,
            at: 1,
        };
        let Some(read) = read(&mut reader)? else {
            return Ok(None);
        };
        let length = reader.at;
        let whole = self.0.split_to(length).freeze();
        Ok(Some(read.fill(&whole)))
    }
}

/// A message whose texts are places in its bytes.
struct Shape {
    message: Message,
    first: Option<(usize, usize)>,
    second: Option<(usize, usize)>,
}

impl From<Message> for Shape {
    fn from(message: Message) -> Self {
        Self {
            message,
            first: None,
            second: None,
        }
    }
}

impl Shape {
    fn fill(mut self, whole: &Bytes) -> Message {
        let piece = |place: Option<(usize, usize)>| {
            let (start, length) = place.unwrap_or_default();
            let mut rest = whole.clone();
            rest.advance(start.min(whole.len()));
            rest.truncate(length);
            rest
        };
        match &mut self.message {
            Message::ServiceRequest { name } => *name = piece(self.first),
            Message::Data { data, .. } => *data = piece(self.first),
            Message::SignIn { user, password } => {
                *user = piece(self.first);
                *password = self.second.map(|place| piece(Some(place)));
            }
            _ => {}
        }
        self.message
    }
}

/// Reads from the front; `None` while too little of it is there.
struct Reader<'a> {
    kind: u8,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes.get(self.at..self.at + count)?;
        self.at += count;
        Some(())
    }

    /// Where a text of at most so many bytes stands.
    fn text(&mut self, most: usize) -> Result<Option<(usize, usize)>, Bad> {
        let Some(length) = self.u32() else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > most {
            return Err(Bad::Length(self.kind, length, most));
        }
        let start = self.at;
        Ok(self.skip(length).map(|()| (start, length)))
    }

    fn is(&self, (start, length): (usize, usize), text: &str) -> bool {
        self.bytes.get(start..start + length) == Some(text.as_bytes())
    }
}

/// Gives up for now where something is not there yet.
macro_rules! there {
    ($read:expr) => {
        match $read {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}

fn read(reader: &mut Reader<'_>) -> Result<Option<Shape>, Bad> {
    let message = match reader.kind {
        kind::DISCONNECT => {
            let reason = there!(reader.u32());
            there!(reader.skip(2));
            Message::Disconnect { reason }
        }
        kind::SERVICE_REQUEST => {
            let name = there!(reader.text(LONGEST_TEXT)?);
            return Ok(Some(Shape {
                message: Message::ServiceRequest { name: Bytes::new() },
                first: Some(name),
                second: None,
            }));
        }
        kind::USERAUTH_REQUEST => return sign_in(reader),
        kind::GLOBAL_REQUEST => return global(reader),
        kind::CHANNEL_OPEN => {
            there!(reader.text(LONGEST_TEXT)?);
            let sender = there!(reader.u32());
            there!(reader.skip(8));
            for _ in 0..2 {
                there!(reader.text(LONGEST_TEXT)?);
                there!(reader.u32());
            }
            Message::Open { sender }
        }
        kind::CHANNEL_OPEN_CONFIRMATION => {
            let [recipient, sender, window] = there!(numbers(reader));
            there!(reader.u32());
            Message::Confirmation {
                recipient,
                sender,
                window,
            }
        }
        kind::CHANNEL_OPEN_FAILURE => {
            let [recipient, reason, _] = there!(numbers(reader));
            there!(reader.u32());
            Message::Failure { recipient, reason }
        }
        kind::CHANNEL_WINDOW_ADJUST => {
            let [recipient, bytes] = there!(numbers(reader));
            Message::Adjust { recipient, bytes }
        }
        kind::CHANNEL_DATA => {
            let recipient = there!(reader.u32());
            let data = there!(reader.text(LONGEST_DATA)?);
            return Ok(Some(Shape {
                message: Message::Data {
                    recipient,
                    data: Bytes::new(),
                },
                first: Some(data),
                second: None,
            }));
        }
        kind::CHANNEL_CLOSE => Message::Close {
            recipient: there!(reader.u32()),
        },
        kind::PROTOCOL_VERSION => {
            // What made it call follows: a user, an alert, a timer.
            let [major, minor, _] = there!(numbers(reader));
            let start = reader.at;
            there!(reader.skip(16 + 64));
            let found = reader.bytes.get(start..start + 16);
            let uuid = found.and_then(|bytes| bytes.try_into().ok());
            Message::ProtocolVersion {
                major,
                minor,
                uuid: uuid.unwrap_or_default(),
            }
        }
        kind::KEEPALIVE_REQUEST => Message::KeepaliveRequest {
            cookie: there!(reader.u32()),
        },
        kind::KEEPALIVE_REPLY => {
            there!(reader.u32());
            Message::KeepaliveReply
        }
        kind::KEEPALIVE_OPTIONS_REPLY => {
            there!(reader.skip(8));
            Message::OptionsReply
        }
        other => return Err(Bad::Kind(other)),
    };
    Ok(Some(message.into()))
}

fn numbers<const N: usize>(reader: &mut Reader<'_>) -> Option<[u32; N]> {
    let mut out = [0; N];
    for slot in &mut out {
        *slot = reader.u32()?;
    }
    Some(out)
}

fn sign_in(reader: &mut Reader<'_>) -> Result<Option<Shape>, Bad> {
    let user = there!(reader.text(LONGEST_TEXT)?);
    there!(reader.text(LONGEST_TEXT)?);
    let method = there!(reader.text(LONGEST_TEXT)?);
    let password = if reader.is(method, "password") {
        there!(reader.u8());
        Some(there!(reader.text(LONGEST_TEXT)?))
    } else {
        None
    };
    Ok(Some(Shape {
        message: Message::SignIn {
            user: Bytes::new(),
            password: None,
        },
        first: Some(user),
        second: password,
    }))
}

fn global(reader: &mut Reader<'_>) -> Result<Option<Shape>, Bad> {
    let name = there!(reader.text(LONGEST_TEXT)?);
    let wants_reply = there!(reader.u8()) != 0;
    let cancels = reader.is(name, "cancel-tcpip-forward");
    if cancels || reader.is(name, "tcpip-forward") {
        there!(reader.text(LONGEST_TEXT)?);
        let port = there!(reader.u32());
        let message = if cancels {
            Message::CancelForward { port, wants_reply }
        } else {
            Message::Forward { port, wants_reply }
        };
        return Ok(Some(message.into()));
    }
    if !reader.is(name, "udp-send-to@amt.intel.com") {
        // How long it is nobody can say.
        return Err(Bad::Request);
    }
    for _ in 0..2 {
        there!(reader.text(LONGEST_TEXT)?);
        there!(reader.u32());
    }
    there!(reader.text(LONGEST_DATAGRAM)?);
    Ok(Some(Message::Datagram.into()))
}

/// A message of this kind with numbers after it.
fn with(kind: u8, numbers: &[u32]) -> Vec<u8> {
    let mut out = vec![kind];
    for number in numbers {
        out.extend(number.to_be_bytes());
    }
    out
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(text);
}

/// Has the service that was asked for.
#[must_use]
pub fn service_accept(name: &[u8]) -> Vec<u8> {
    let mut out = vec![kind::SERVICE_ACCEPT];
    text(&mut out, name);
    out
}

/// The sign-in failed; only a password would do (RFC 4252 §5.1).
#[must_use]
pub fn sign_in_failure() -> Vec<u8> {
    let mut out = vec![kind::USERAUTH_FAILURE];
    text(&mut out, b"password");
    out.push(0);
    out
}

#[must_use]
pub fn sign_in_success() -> Vec<u8> {
    vec![kind::USERAUTH_SUCCESS]
}

/// A port is forwarded from now on; `None` for one that is so no more.
#[must_use]
pub fn request_success(port: Option<u32>) -> Vec<u8> {
    with(kind::REQUEST_SUCCESS, port.as_slice())
}

/// Opens a channel to a port of the device, which may send a [`WINDOW`] on it.
#[must_use]
pub fn open(sender: u32, port: u16) -> Vec<u8> {
    let mut out = vec![kind::CHANNEL_OPEN];
    text(&mut out, b"forwarded-tcpip");
    // The last of them is reserved.
    for number in [sender, WINDOW, u32::MAX] {
        out.extend(number.to_be_bytes());
    }
    let local = b"127.0.0.1";
    text(&mut out, local);
    out.extend(u32::from(port).to_be_bytes());
    text(&mut out, local);
    // Where the connection comes from means nothing to the firmware.
    out.extend(u32::from(port).to_be_bytes());
    out
}

/// The device gets no channel: that kind of it is not known (3).
#[must_use]
pub fn open_failure(recipient: u32) -> Vec<u8> {
    with(kind::CHANNEL_OPEN_FAILURE, &[recipient, 3, 0, 0])
}

#[must_use]
pub fn adjust(recipient: u32, bytes: u32) -> Vec<u8> {
    with(kind::CHANNEL_WINDOW_ADJUST, &[recipient, bytes])
}

#[must_use]
pub fn data(recipient: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = with(kind::CHANNEL_DATA, &[recipient]);
    text(&mut out, bytes);
    out
}

#[must_use]
pub fn close(recipient: u32) -> Vec<u8> {
    with(kind::CHANNEL_CLOSE, &[recipient])
}

/// Ends the tunnel: by application (RFC 4253 §11.1).
#[must_use]
pub fn disconnect() -> Vec<u8> {
    let mut out = with(kind::DISCONNECT, &[11]);
    out.extend([0; 2]);
    out
}

#[must_use]
pub fn keepalive_request(cookie: u32) -> Vec<u8> {
    with(kind::KEEPALIVE_REQUEST, &[cookie])
}

#[must_use]
pub fn keepalive_reply(cookie: u32) -> Vec<u8> {
    with(kind::KEEPALIVE_REPLY, &[cookie])
}

/// How often the device shall say that it is there, in seconds. The second number is how long it may wait for our answer;
/// 0 leaves that to it, as all servers do.
#[must_use]
pub fn keepalive_options(interval: u32) -> Vec<u8> {
    with(kind::KEEPALIVE_OPTIONS_REQUEST, &[interval, 0])
}
