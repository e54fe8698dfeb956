//! Messages as on the IPMB, which LAN packets carry: addresses, checksums, matching numbers. §13.8 and the IPMB standard.
//! Knows no command.

use super::read::Reader;

/// Address of the BMC.
const BMC: u8 = 0x20;
/// Address of remote console software.
const CONSOLE: u8 = 0x81;

/// Network functions, of requests. §5.1.
pub mod netfn {
    pub const CHASSIS: u8 = 0x00;
    pub const SENSOR: u8 = 0x04;
    pub const APP: u8 = 0x06;
    pub const STORAGE: u8 = 0x0a;
}

/// Completion codes that this house acts on. §5.2.
pub mod code {
    pub const OK: u8 = 0x00;
    /// Of Activate Payload: already active on another session. §24.1.
    pub const ALREADY_ACTIVE: u8 = 0x80;
    pub const NODE_BUSY: u8 = 0xc0;
    pub const INVALID_COMMAND: u8 = 0xc1;
    pub const TIMEOUT: u8 = 0xc3;
    pub const RESERVATION_LOST: u8 = 0xc5;
    pub const LENGTH_INVALID: u8 = 0xc7;
    pub const TOO_LONG: u8 = 0xc8;
    pub const OUT_OF_RANGE: u8 = 0xc9;
    pub const CANNOT_RETURN_SO_MANY: u8 = 0xca;
    pub const NOT_PRESENT: u8 = 0xcb;
    pub const INVALID_DATA: u8 = 0xcc;
    pub const NO_PRIVILEGE: u8 = 0xd4;
}

/// The byte that makes the sum zero.
fn checksum(bytes: &[u8]) -> u8 {
    let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    sum.wrapping_neg()
}

fn frame(head: [u8; 2], body: &[&[u8]]) -> Vec<u8> {
    let mut out = head.to_vec();
    out.push(checksum(&head));
    let from = out.len();
    out.extend(body.concat());
    let sum = checksum(out.get(from..).unwrap_or_default());
    out.push(sum);
    out
}

fn unframe(bytes: &[u8]) -> Option<([u8; 2], Reader<'_>)> {
    let (head, body) = bytes.split_first_chunk::<3>()?;
    let whole = checksum(head) == 0 && checksum(body) == 0;
    let (_, body) = body.split_last()?;
    whole.then_some(([head[0], head[1]], Reader::new(body)))
}

/// A request of this `seq` (0 to 63). `netfn` is even.
#[must_use]
pub fn request(seq: u8, netfn: u8, lun: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let head = [BMC, netfn << 2 | lun & 3];
    frame(head, &[&[CONSOLE, seq << 2, command], data])
}

/// A request, as a BMC reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub seq: u8,
    pub netfn: u8,
    pub lun: u8,
    pub command: u8,
    pub data: &'a [u8],
}

/// `None` for what is no request to a BMC, or damaged.
#[must_use]
pub fn parse_request(bytes: &[u8]) -> Option<Request<'_>> {
    let ([to, function], mut body) = unframe(bytes)?;
    let [_from, seq, command] = body.array()?;
    (to == BMC && function & 4 == 0).then_some(Request {
        seq: seq >> 2,
        netfn: function >> 2,
        lun: function & 3,
        command,
        data: body.rest(),
    })
}

/// The BMC's answer to a request.
#[must_use]
pub fn response(to: &Request<'_>, completion: u8, data: &[u8]) -> Vec<u8> {
    let head = [CONSOLE, (to.netfn | 1) << 2];
    let body = [BMC, to.seq << 2 | to.lun & 3, to.command, completion];
    frame(head, &[&body, data])
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    pub seq: u8,
    /// Of the request: even.
    pub netfn: u8,
    pub command: u8,
    /// The completion code, [`code::OK`] for success.
    pub code: u8,
    pub data: &'a [u8],
}

/// `None` for what is no answer, or damaged.
#[must_use]
pub fn parse_response(bytes: &[u8]) -> Option<Response<'_>> {
    let ([_to, function], mut body) = unframe(bytes)?;
    let [_from, seq, command, code] = body.array()?;
    (function & 4 != 0).then_some(Response {
        seq: seq >> 2,
        netfn: function >> 2 & !1,
        command,
        code,
        data: body.rest(),
    })
}
