//! Datagrams around messages: RMCP and ASF presence (§13.1 to §13.2), the headers of both IPMI versions (§13.6). Knows no
//! keys: what a session protects is in `link`.

use super::read::Reader;

/// Where BMCs listen, UDP.
pub const PORT: u16 = 623;
/// No datagram of IPMI is longer than this.
pub const LONGEST: usize = 1024;

/// Version 1.0, no RMCP acknowledge, class IPMI. §13.1.3.
pub(super) const RMCP_IPMI: [u8; 4] = [6, 0, 0xff, 7];
const RMCP_ASF: [u8; 4] = [6, 0, 0xff, 6];
/// The enterprise number of ASF.
const ASF: [u8; 4] = 4542u32.to_be_bytes();
const ASF_PING: u8 = 0x80;
const ASF_PONG: u8 = 0x40;

/// The session header of 2.0, told by this authentication type. §13.6 table 13-8.
pub(super) const V20: u8 = 6;

/// What a payload is. §13.27.3.
pub mod payload {
    /// A message as on the IPMB.
    pub const IPMI: u8 = 0;
    /// Serial over LAN.
    pub const SOL: u8 = 1;
    pub const OPEN_REQUEST: u8 = 0x10;
    pub const OPEN_RESPONSE: u8 = 0x11;
    pub const RAKP_1: u8 = 0x12;
    pub const RAKP_2: u8 = 0x13;
    pub const RAKP_3: u8 = 0x14;
    pub const RAKP_4: u8 = 0x15;
}

/// A presence ping. §13.2.3.
#[must_use]
pub fn ping(tag: u8) -> Vec<u8> {
    [&RMCP_ASF[..], &ASF, &[ASF_PING, tag, 0, 0]].concat()
}

/// Is this a presence ping, and with which tag?
#[must_use]
pub fn parse_ping(datagram: &[u8]) -> Option<u8> {
    let rest = datagram.strip_prefix(&RMCP_ASF)?.strip_prefix(&ASF)?;
    let &[ASF_PING, tag, ..] = rest else {
        return None;
    };
    Some(tag)
}

/// The answer to a ping. §13.2.4.
#[must_use]
pub fn pong(tag: u8) -> Vec<u8> {
    let mut out = [&RMCP_ASF[..], &ASF, &[ASF_PONG, tag, 0, 16], &ASF].concat();
    out.extend([0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// A pong to the ping of this tag: does whoever sent it speak IPMI?
#[must_use]
pub fn parse_pong(datagram: &[u8], tag: u8) -> Option<bool> {
    let rest = datagram.strip_prefix(&RMCP_ASF)?.strip_prefix(&ASF)?;
    let mut reader = Reader::new(rest);
    let [kind, theirs, _, length] = reader.array()?;
    let data = reader.take(usize::from(length))?;
    (kind == ASF_PONG && theirs == tag).then_some(data.get(8)? & 0x80 != 0)
}

/// A message outside every session, as the header of IPMI 1.5 carries it. §13.6.
#[must_use]
pub fn sessionless(message: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(message.len()).ok()?;
    Some([&RMCP_IPMI[..], &[0; 9], &[length], message].concat())
}

/// The message of a datagram outside every session, without authentication.
#[must_use]
pub fn parse_sessionless(datagram: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(datagram.strip_prefix(&RMCP_IPMI)?);
    if reader.u8()? != 0 {
        return None;
    }
    let (_sequence, 0) = (reader.u32()?, reader.u32()?) else {
        return None;
    };
    let length = reader.u8()?;
    reader.take(usize::from(length))
}

/// A message of session setup: 2.0 header, session 0, neither signed nor encrypted.
#[must_use]
pub fn setup(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let header = [&RMCP_IPMI[..], &[V20, kind & 0x3f], &[0; 8]];
    [&header.concat()[..], &length.to_le_bytes(), payload].concat()
}

/// Kind and payload of such a message.
#[must_use]
pub fn parse_setup(datagram: &[u8]) -> Option<(u8, &[u8])> {
    let mut reader = Reader::new(datagram.strip_prefix(&RMCP_IPMI)?);
    let [V20, kind] = reader.array()? else {
        return None;
    };
    let (0, _sequence) = (reader.u32()?, reader.u32()?) else {
        return None;
    };
    let length = reader.u16()?;
    let payload = reader.take(usize::from(length))?;
    (kind & 0xc0 == 0).then_some((kind, payload))
}
