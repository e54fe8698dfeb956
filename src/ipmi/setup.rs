//! The messages that open a session: Open Session, RAKP 1 to 4. §13.17 to §13.23. Both ends write and read them here; who
//! says what when is in `handshake`.

use super::crypto::{Keys, Suite};
use super::read::Reader;

/// Longest name of a user. §13.20.
pub const LONGEST_USER: usize = 16;
/// Longest password of IPMI 2.0. §22.30.
pub const LONGEST_PASSWORD: usize = 20;
/// Find the user by name alone, not by name and privilege. §13.20.
pub const NAME_ONLY: u8 = 0x10;

/// RMCP+ status codes. §13.24 table 13-15.
pub mod status {
    pub const OK: u8 = 0x00;
    pub const NO_RESOURCES: u8 = 0x01;
    pub const INVALID_SESSION: u8 = 0x02;
    pub const INVALID_AUTHENTICATION: u8 = 0x04;
    pub const INVALID_INTEGRITY: u8 = 0x05;
    pub const INVALID_ROLE: u8 = 0x09;
    pub const UNAUTHORIZED_ROLE: u8 = 0x0a;
    pub const NO_RESOURCES_FOR_ROLE: u8 = 0x0b;
    pub const INVALID_NAME_LENGTH: u8 = 0x0c;
    pub const UNAUTHORIZED_NAME: u8 = 0x0d;
    pub const INVALID_CHECK_VALUE: u8 = 0x0f;
    pub const INVALID_CONFIDENTIALITY: u8 = 0x10;
    pub const NO_SUITE: u8 = 0x11;
    pub const ILLEGAL_PARAMETER: u8 = 0x12;
}

/// What a status code says, for a person.
#[must_use]
pub fn status_text(code: u8) -> String {
    let known = match code {
        status::OK => "no error",
        status::NO_RESOURCES => "no session is free",
        status::INVALID_SESSION => "it does not know this session",
        0x03 => "invalid payload type",
        status::INVALID_AUTHENTICATION => "it does not have this authentication algorithm",
        status::INVALID_INTEGRITY => "it does not have this integrity algorithm",
        0x06 => "no matching authentication payload",
        0x07 => "no matching integrity payload",
        0x08 => "inactive session",
        status::INVALID_ROLE => "invalid privilege",
        status::UNAUTHORIZED_ROLE => "the user does not have this privilege",
        status::NO_RESOURCES_FOR_ROLE => "no session is free for this privilege",
        status::INVALID_NAME_LENGTH => "invalid length of the user's name",
        status::UNAUTHORIZED_NAME => "it does not let this user in",
        0x0e => "unauthorized GUID",
        status::INVALID_CHECK_VALUE => "invalid integrity check value",
        status::INVALID_CONFIDENTIALITY => "it does not have this encryption",
        status::NO_SUITE => "it has no matching cipher suite",
        status::ILLEGAL_PARAMETER => "illegal parameter",
        other => return format!("status {other:02x}h"),
    };
    known.into()
}

/// First message. §13.17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    pub tag: u8,
    /// Highest privilege asked for; 0 for the highest there is.
    pub privilege: u8,
    /// The console's name of the session.
    pub console: u32,
    pub algorithms: [u8; 3],
}

fn algorithm_fields(algorithms: [u8; 3]) -> Vec<u8> {
    let field = |(kind, algorithm): (u8, u8)| [kind, 0, 0, 8, algorithm, 0, 0, 0];
    (0u8..).zip(algorithms).flat_map(field).collect()
}

fn parse_algorithms(reader: &mut Reader<'_>) -> Option<[u8; 3]> {
    let mut found = [0; 3];
    for (want, slot) in (0u8..).zip(&mut found) {
        let [kind, _, _, 8, algorithm, _, _, _] = reader.array()? else {
            return None;
        };
        if kind != want {
            return None;
        }
        *slot = algorithm & 0x3f;
    }
    Some(found)
}

impl OpenRequest {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.tag, self.privilege, 0, 0];
        let algorithms = algorithm_fields(self.algorithms);
        [&head[..], &self.console.to_le_bytes(), &algorithms].concat()
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [tag, privilege, _, _] = reader.array()?;
        Some(Self {
            tag,
            privilege: privilege & 0x0f,
            console: reader.u32()?,
            algorithms: parse_algorithms(&mut reader)?,
        })
    }
}

/// Answer to the first message. §13.18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenResponse {
    pub tag: u8,
    pub privilege: u8,
    pub console: u32,
    /// The BMC's name of the session.
    pub bmc: u32,
    pub algorithms: [u8; 3],
}

/// A tag and the status that is not OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub tag: u8,
    pub status: u8,
}

impl Refusal {
    /// As any of the answers; `console` is the console's name of the session.
    #[must_use]
    pub fn encode(&self, console: u32) -> Vec<u8> {
        let head = [self.tag, self.status, 0, 0];
        [head, console.to_le_bytes()].concat()
    }
}

/// An answer of the BMC: its tag, its third byte and what follows, unless the status refuses. OpenIPMI's BMC ends a refusal
/// after the status.
fn answer<T>(
    bytes: &[u8],
    read: impl FnOnce(u8, u8, &mut Reader<'_>) -> Option<T>,
) -> Option<Result<T, Refusal>> {
    let mut reader = Reader::new(bytes);
    let [tag, status] = reader.array()?;
    if status != status::OK {
        return Some(Err(Refusal { tag, status }));
    }
    let [third, _] = reader.array()?;
    read(tag, third, &mut reader).map(Ok)
}

impl OpenResponse {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.tag, status::OK, self.privilege, 0];
        let names = [self.console.to_le_bytes(), self.bmc.to_le_bytes()].concat();
        [&head[..], &names, &algorithm_fields(self.algorithms)].concat()
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, Refusal>> {
        answer(bytes, |tag, privilege, reader| {
            Some(Self {
                tag,
                privilege: privilege & 0x0f,
                console: reader.u32()?,
                bmc: reader.u32()?,
                algorithms: parse_algorithms(reader)?,
            })
        })
    }
}

/// The console's name and random number. §13.20.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp1 {
    pub tag: u8,
    pub bmc: u32,
    pub random: [u8; 16],
    /// Privilege, and [`NAME_ONLY`].
    pub role: u8,
    pub user: Vec<u8>,
}

impl Rakp1 {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u8::try_from(self.user.len()).unwrap_or(u8::MAX);
        let names = [&self.bmc.to_le_bytes()[..], &self.random].concat();
        let tail = [self.role, 0, 0, length];
        [&[self.tag, 0, 0, 0], &names[..], &tail, &self.user].concat()
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [tag, _, _, _] = reader.array()?;
        let (bmc, random) = (reader.u32()?, reader.array()?);
        let [role, _, _, length] = reader.array()?;
        let length = usize::from(length);
        let user = reader.take(length)?.to_vec();
        (length <= LONGEST_USER).then_some(Self {
            tag,
            bmc,
            random,
            role,
            user,
        })
    }
}

/// The BMC's random number, and its proof that it knows the password. §13.21.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp2 {
    pub tag: u8,
    pub console: u32,
    pub random: [u8; 16],
    pub guid: [u8; 16],
    pub code: Vec<u8>,
}

impl Rakp2 {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.tag, status::OK, 0, 0];
        let numbers = [self.random, self.guid].concat();
        [&head[..], &self.console.to_le_bytes(), &numbers, &self.code].concat()
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, Refusal>> {
        answer(bytes, |tag, _, reader| {
            Some(Self {
                tag,
                console: reader.u32()?,
                random: reader.array()?,
                guid: reader.array()?,
                code: reader.rest().to_vec(),
            })
        })
    }
}

/// The console's proof. Without a code it takes the attempt back. §13.22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp3 {
    pub tag: u8,
    pub status: u8,
    pub bmc: u32,
    pub code: Vec<u8>,
}

impl Rakp3 {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.tag, self.status, 0, 0];
        [&head[..], &self.bmc.to_le_bytes(), &self.code].concat()
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [tag, status, _, _] = reader.array()?;
        Some(Self {
            tag,
            status,
            bmc: reader.u32()?,
            code: reader.rest().to_vec(),
        })
    }
}

/// The BMC's check value: the session is open. §13.23.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp4 {
    pub tag: u8,
    pub console: u32,
    pub check: Vec<u8>,
}

impl Rakp4 {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.tag, status::OK, 0, 0];
        [&head[..], &self.console.to_le_bytes(), &self.check].concat()
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, Refusal>> {
        answer(bytes, |tag, _, reader| {
            Some(Self {
                tag,
                console: reader.u32()?,
                check: reader.rest().to_vec(),
            })
        })
    }
}

/// What both ends put into their proofs. §13.31, §13.32.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub suite: Suite,
    /// Names of the session: the console's, the BMC's.
    pub console: u32,
    pub bmc: u32,
    /// Random numbers: the console's, the BMC's.
    pub ours: [u8; 16],
    pub theirs: [u8; 16],
    pub guid: [u8; 16],
    pub role: u8,
    pub user: Vec<u8>,
}

impl Exchange {
    fn who(&self) -> Vec<u8> {
        let length = u8::try_from(self.user.len()).unwrap_or(u8::MAX);
        [&[self.role, length], &self.user[..]].concat()
    }

    /// The code of RAKP 2. `key` is the user's password.
    #[must_use]
    pub fn rakp2_code(&self, key: &[u8]) -> Vec<u8> {
        let names = [self.console.to_le_bytes(), self.bmc.to_le_bytes()].concat();
        let numbers = [self.ours, self.theirs, self.guid].concat();
        self.suite.hmac(key, &[&names, &numbers, &self.who()])
    }

    /// The code of RAKP 3.
    #[must_use]
    pub fn rakp3_code(&self, key: &[u8]) -> Vec<u8> {
        let names = self.console.to_le_bytes();
        self.suite.hmac(key, &[&self.theirs, &names, &self.who()])
    }

    /// The session integrity key. `key` is the BMC's own key where it has one, the user's password otherwise.
    #[must_use]
    pub fn sik(&self, key: &[u8]) -> Vec<u8> {
        let numbers = [self.ours, self.theirs].concat();
        self.suite.hmac(key, &[&numbers, &self.who()])
    }

    /// The check value of RAKP 4.
    #[must_use]
    pub fn rakp4_check(&self, sik: &[u8]) -> Vec<u8> {
        let name = self.bmc.to_le_bytes();
        let mut check = self.suite.hmac(sik, &[&self.ours, &name, &self.guid]);
        check.truncate(self.suite.tag_length());
        check
    }

    /// Keys of the session.
    #[must_use]
    pub fn keys(&self, sik: &[u8]) -> Keys {
        Keys::derive(self.suite, sik)
    }
}
