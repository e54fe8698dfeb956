//! COM-PORT-OPTION messages (RFC 2217 §3), both ways: the client's codes, and the server's, which are 100 higher. Says what
//! the bytes mean, not what is done about it.

use bytes::Bytes;

use super::{COM_PORT, subnegotiation};
use crate::line::{Faults, Flow, LineState, Parity, Signals};

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// One message. In numbers 0 asks for the value in effect, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text that names the software; empty asks for it. Either side may send and ask.
    Signature(Bytes),
    Baud(u32),
    /// The single byte that old Cisco IOS sends instead of four: see [`cisco_baud`].
    CiscoBaud(u8),
    /// 5 to 8.
    DataSize(u8),
    /// See [`parity`].
    Parity(u8),
    /// 1 one, 2 two, 3 one and a half.
    StopSize(u8),
    Control(Control),
    /// From the server: see [`line_state`]. From a client: a poll (not in the RFC, but sent by some).
    LineState(u8),
    /// From the server: see [`modem_state`]. From a client: a poll.
    ModemState(u8),
    /// Stop sending data to me. Never answered.
    Suspend,
    Resume,
    LineMask(u8),
    ModemMask(u8),
    /// 1 received, 2 to be sent, 3 both.
    Purge(u8),
}

/// SET-CONTROL values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    AskFlow,
    /// Flow control both ways, or what we send by: none, XON/XOFF, RTS/CTS.
    Flow(Flow),
    AskBreak,
    Break(bool),
    AskDtr,
    Dtr(bool),
    AskRts,
    Rts(bool),
    AskFlowIn,
    /// Flow control of what the device sends.
    FlowIn(Flow),
    /// DCD, DTR and DSR flow control (17 to 19), and whatever comes later.
    Other(u8),
}

impl Control {
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::AskFlow,
            1 => Self::Flow(Flow::None),
            2 => Self::Flow(Flow::XonXoff),
            3 => Self::Flow(Flow::RtsCts),
            4 => Self::AskBreak,
            5 => Self::Break(true),
            6 => Self::Break(false),
            7 => Self::AskDtr,
            8 => Self::Dtr(true),
            9 => Self::Dtr(false),
            10 => Self::AskRts,
            11 => Self::Rts(true),
            12 => Self::Rts(false),
            13 => Self::AskFlowIn,
            14 => Self::FlowIn(Flow::None),
            15 => Self::FlowIn(Flow::XonXoff),
            16 => Self::FlowIn(Flow::RtsCts),
            other => Self::Other(other),
        }
    }

    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::AskFlow => 0,
            Self::Flow(Flow::None) => 1,
            Self::Flow(Flow::XonXoff) => 2,
            Self::Flow(Flow::RtsCts) => 3,
            Self::AskBreak => 4,
            Self::Break(true) => 5,
            Self::Break(false) => 6,
            Self::AskDtr => 7,
            Self::Dtr(true) => 8,
            Self::Dtr(false) => 9,
            Self::AskRts => 10,
            Self::Rts(true) => 11,
            Self::Rts(false) => 12,
            Self::AskFlowIn => 13,
            Self::FlowIn(Flow::None) => 14,
            Self::FlowIn(Flow::XonXoff) => 15,
            Self::FlowIn(Flow::RtsCts) => 16,
            Self::Other(other) => other,
        }
    }
}

impl Message {
    /// Reads the payload of a COM-PORT subnegotiation that `from` sent. `None` for what the RFC does not have, a wrong
    /// length, or the other side's code.
    #[must_use]
    pub fn parse(from: Side, payload: &[u8]) -> Option<Self> {
        let (&code, data) = payload.split_first()?;
        let code = match from {
            Side::Client => code,
            Side::Server => code.checked_sub(100)?,
        };
        let one = || match data {
            [value] => Some(*value),
            _ => None,
        };
        // A poll carries nothing, or a byte that means nothing.
        let state = || match (from, data) {
            (Side::Client, []) => Some(0),
            _ => one(),
        };
        Some(match code {
            0 => Self::Signature(Bytes::copy_from_slice(data)),
            1 => match data {
                [index] => Self::CiscoBaud(*index),
                _ => Self::Baud(u32::from_be_bytes(data.try_into().ok()?)),
            },
            2 => Self::DataSize(one()?),
            3 => Self::Parity(one()?),
            4 => Self::StopSize(one()?),
            5 => Self::Control(Control::from_byte(one()?)),
            6 => Self::LineState(state()?),
            7 => Self::ModemState(state()?),
            8 => Self::Suspend,
            9 => Self::Resume,
            10 => Self::LineMask(one()?),
            11 => Self::ModemMask(one()?),
            12 => Self::Purge(one()?),
            _ => return None,
        })
    }

    /// Appends the whole subnegotiation, IAC SB to IAC SE, as `from` sends it.
    pub fn write(&self, from: Side, out: &mut Vec<u8>) {
        let (code, value) = match self {
            Self::Signature(_) => (0, None),
            Self::Baud(_) => (1, None),
            Self::CiscoBaud(index) => (1, Some(*index)),
            Self::DataSize(bits) => (2, Some(*bits)),
            Self::Parity(parity) => (3, Some(*parity)),
            Self::StopSize(stop) => (4, Some(*stop)),
            Self::Control(control) => (5, Some(control.byte())),
            Self::LineState(state) => (6, Some(*state)),
            Self::ModemState(state) => (7, Some(*state)),
            Self::Suspend => (8, None),
            Self::Resume => (9, None),
            Self::LineMask(mask) => (10, Some(*mask)),
            Self::ModemMask(mask) => (11, Some(*mask)),
            Self::Purge(which) => (12, Some(*which)),
        };
        let code = match from {
            Side::Client => code,
            Side::Server => code + 100,
        };
        let mut payload = vec![code];
        match self {
            Self::Signature(text) => payload.extend_from_slice(text),
            Self::Baud(baud) => payload.extend_from_slice(&baud.to_be_bytes()),
            _ => payload.extend(value),
        }
        subnegotiation(COM_PORT, &payload, out);
    }
}

/// SET-PARITY values.
#[must_use]
pub fn parity_byte(parity: Parity) -> u8 {
    match parity {
        Parity::None => 1,
        Parity::Odd => 2,
        Parity::Even => 3,
        Parity::Mark => 4,
        Parity::Space => 5,
    }
}

/// SET-PARITY values; `None` for the question and for what there is not.
#[must_use]
pub fn parity(byte: u8) -> Option<Parity> {
    match byte {
        1 => Some(Parity::None),
        2 => Some(Parity::Odd),
        3 => Some(Parity::Even),
        4 => Some(Parity::Mark),
        5 => Some(Parity::Space),
        _ => None,
    }
}

/// The rates that old Cisco IOS names by one byte, as ser2net reads them (gensio, `sergensio_telnet.c`).
const CISCO: [(u8, u32); 14] = [
    (3, 300),
    (4, 600),
    (5, 1200),
    (6, 2400),
    (7, 4800),
    (8, 9600),
    (10, 19_200),
    (12, 38_400),
    (13, 57_600),
    (14, 115_200),
    (15, 230_400),
    (16, 460_800),
    (17, 921_600),
    (18, 1_000_000),
];

/// The rate of a one-byte SET-BAUDRATE; 0 asks.
#[must_use]
pub fn cisco_baud(index: u8) -> Option<u32> {
    if index == 0 {
        return Some(0);
    }
    CISCO
        .iter()
        .find(|(known, _)| *known == index)
        .map(|(_, baud)| *baud)
}

/// The one-byte name of a rate; 0 for one without a name.
#[must_use]
pub fn cisco_index(baud: u32) -> u8 {
    CISCO
        .iter()
        .find(|(_, known)| *known == baud)
        .map_or(0, |(index, _)| *index)
}

/// NOTIFY-MODEMSTATE bits: 128 CD, 64 RI, 32 DSR, 16 CTS. The low half holds what has changed since `before` (8 CD, 4 the
/// end of RI, 2 DSR, 1 CTS).
#[must_use]
pub fn modem_state(now: Signals, before: Signals) -> u8 {
    let bit = |on: bool, value: u8| if on { value } else { 0 };
    bit(now.dcd, 128)
        | bit(now.ri, 64)
        | bit(now.dsr, 32)
        | bit(now.cts, 16)
        | bit(now.dcd != before.dcd, 8)
        | bit(before.ri && !now.ri, 4)
        | bit(now.dsr != before.dsr, 2)
        | bit(now.cts != before.cts, 1)
}

/// Reads a NOTIFY-MODEMSTATE.
#[must_use]
pub fn signals(state: u8) -> Signals {
    Signals {
        dcd: state & 128 != 0,
        ri: state & 64 != 0,
        dsr: state & 32 != 0,
        cts: state & 16 != 0,
    }
}

/// What a client is told that asks for modem lines which nobody can read: all that a program waits for is on, as it is
/// on a three-wire cable with the usual loops.
pub const NO_WIRES: Signals = Signals {
    cts: true,
    dsr: true,
    dcd: true,
    ri: false,
};

/// The modem lines of a console as RFC 2217 can say them.
#[must_use]
pub fn wires(state: &LineState) -> Signals {
    state.signals.unwrap_or(NO_WIRES)
}

/// NOTIFY-LINESTATE bits of what went wrong between two counts: 16 break, 8 framing, 4 parity, 2 overrun.
#[must_use]
pub fn line_state(now: Faults, before: Faults) -> u8 {
    let bit = |now: u64, before: u64, value: u8| if now > before { value } else { 0 };
    bit(now.breaks, before.breaks, 16)
        | bit(now.framing, before.framing, 8)
        | bit(now.parity, before.parity, 4)
        | bit(now.overrun, before.overrun, 2)
}

/// The transmit queue is empty (32 THRE, 64 TSRE), said in answer to a poll.
pub const IDLE: u8 = 96;
