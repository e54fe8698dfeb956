//! The payload of Serial over LAN: four bytes, then characters. §15.9 tables 15-2 and 15-3.

use crate::ipmi::read::Reader;

/// Bytes before the characters.
pub const HEADER: usize = 4;
/// Most characters that one packet carries: the count of accepted ones is a byte.
pub const MOST: usize = 255;

/// Bits from the BMC. §15.9 table 15-3.
pub mod status {
    /// The packet named is not taken, or not as a whole.
    pub const NACK: u8 = 0x40;
    /// Characters cannot be passed on now.
    pub const UNAVAILABLE: u8 = 0x20;
    /// Serial over LAN ends.
    pub const DEACTIVATED: u8 = 0x10;
    /// The BMC lost characters of the machine.
    pub const OVERRUN: u8 = 0x08;
    /// The machine sent a break.
    pub const BREAK: u8 = 0x04;
}

/// Bits to the BMC. §15.9 table 15-2.
pub mod operation {
    /// The packet named is not taken.
    pub const NACK: u8 = 0x40;
    /// Send a break.
    pub const BREAK: u8 = 0x10;
}

/// One packet, either way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// 1 to 15; 0 in one that carries no characters and wants no answer.
    pub seq: u8,
    /// The packet that this one acknowledges; 0 for none.
    pub ack: u8,
    /// So many of its characters were taken.
    pub accepted: u8,
    /// [`status`] or [`operation`].
    pub flags: u8,
    pub data: Vec<u8>,
}

impl Packet {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.seq & 0x0f, self.ack & 0x0f, self.accepted, self.flags];
        [&head[..], &self.data].concat()
    }

    /// `None` for what is too short to be one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [seq, ack, accepted, flags] = reader.array()?;
        Some(Self {
            seq: seq & 0x0f,
            ack: ack & 0x0f,
            accepted,
            flags,
            data: reader.rest().to_vec(),
        })
    }
}
