//! What we say in an IDER session, as bytes. Pure.
//!
//! Sources: Ylianst/MeshCommander amt-ider-ws-0.0.1.js, kraxel/amtterm redir.h and ider.c. Each message has the number of those
//! that we said before it; the attributes have bit 0 for DMA and bit 1 for the end of a command.

use super::scsi::{Kind, Sense};
use crate::amt::redirect::message::{self, kind};

/// How long the device waits for us, and how often it shall say that it is there, in milliseconds (MeshCommander).
const THEIR_PATIENCE: u16 = 30_000;
const THEIR_BEAT: u16 = 20_000;
const VERSION: u32 = 1;

const DMA: u8 = 1;
const LAST: u8 = 2;

/// Commands of the register of features (message 0x48).
pub mod feature {
    /// What the device can do.
    pub const SUPPORTED: u8 = 1;
    pub const STATUS: u8 = 2;
    pub const SET: u8 = 3;
}

/// When the machine gets to see the drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Now,
    /// When nothing is going on with its own.
    Graceful,
    /// When it starts the next time.
    Reboot,
}

fn message(kind: u8, attributes: u8, seq: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = message::short(kind, seq).to_vec();
    if let Some(slot) = out.get_mut(3) {
        *slot = attributes;
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// Opens the session.
#[must_use]
pub fn open(seq: u32) -> Vec<u8> {
    let [patience, none, beat] = [THEIR_PATIENCE, 0, THEIR_BEAT].map(u16::to_le_bytes);
    let version = VERSION.to_le_bytes();
    message(kind::OPEN, 0, seq, &[&patience, &none, &beat, &version])
}

/// Shows the drives to the machine.
#[must_use]
pub fn enable(seq: u32, start: Start) -> Vec<u8> {
    let mode: u32 = match start {
        Start::Reboot => 0x08,
        Start::Graceful => 0x10,
        Start::Now => 0x18,
    };
    let value = (mode | 1).to_le_bytes();
    message(kind::IDER_FEATURES, 0, seq, &[&[feature::SET], &value])
}

/// A message with nothing in it.
#[must_use]
pub fn bare(kind: u8, seq: u32) -> Vec<u8> {
    message(kind, 0, seq, &[])
}

/// Ends a command that was done and has no data left to send.
#[must_use]
pub fn good(seq: u32, drive: Kind) -> Vec<u8> {
    let output = [0xc5, 0, 3, 0, 0, 0, drive.register(), 0x50];
    message(kind::IDER_DONE, LAST, seq, &[&[0; 12], &output, &[0; 3]])
}

/// Ends a command that was not done.
#[must_use]
pub fn failed(seq: u32, drive: Kind, sense: Sense) -> Vec<u8> {
    let Sense {
        key,
        code,
        qualifier,
    } = sense;
    let output = [0x87, key << 4, 3, 0, 0, 0, drive.register(), 0x51];
    let sense = [key, code, qualifier];
    message(kind::IDER_DONE, LAST, seq, &[&[0; 12], &output, &sense])
}

/// A piece of what was read, the last one or not; at most 65535 bytes. `register` is that of the drive.
#[must_use]
pub fn data(seq: u32, register: u8, dma: bool, last: bool, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let bytes = bytes.get(..usize::from(length)).unwrap_or_default();
    let [low, high] = length.to_le_bytes();
    let (mask, counted) = if dma {
        (0xb4, [0, 0])
    } else {
        (0xb5, [low, high])
    };
    let input = [mask, 0, 2, 0, counted[0], counted[1], register, 0x58];
    let output = match last {
        true => [0x85, 0, 3, 0, 0, 0, register, 0x50],
        false => [0; 8],
    };
    let attributes = if dma { DMA } else { 0 } | if last { LAST } else { 0 };
    let head = [0, low, high, 0];
    let parts: [&[u8]; 5] = [&head, &input, &output, &[0; 6], bytes];
    message(kind::IDER_DATA, attributes, seq, &parts)
}

/// Wants so many bytes of what is to be written.
#[must_use]
pub fn wants(seq: u32, drive: Kind, count: u16) -> Vec<u8> {
    let [low, high] = count.to_le_bytes();
    let input = [0xb5, 0, 0, 0, low, high, drive.register(), 0x58];
    let parts: [&[u8]; 3] = [&[0, low, high, 0], &input, &[0; 11]];
    message(kind::IDER_WANTS, 0, seq, &parts)
}
