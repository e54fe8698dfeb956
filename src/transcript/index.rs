//! The record of a transcript's index: two bytes of length, four of CRC-32, then postcard. Little endian.
//!
//! These bytes live on flash: append variants to [`Mark`] and never change one.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::Kind;

pub(super) const HEADER: usize = 6;

/// What is said about the place in the stream before the byte `offset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub offset: u64,
    pub at: Timestamp,
    pub mark: Mark,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mark {
    /// The bytes since the mark before had come by now.
    Time,
    /// So many bytes from here on were never stored: flash was slower than the line.
    Gap { bytes: u64 },
    /// Somebody came, left, took the keyboard; the port came or went; a break.
    Event(Kind),
    /// Everything before is stored and recording ended as it should.
    Stopped,
    /// Recording begins; when no `Stopped` stands before, the last seconds before were lost with the power.
    Started,
    /// So many bytes before this place were synced once and are gone: the storage lied or was damaged.
    Damaged { bytes: u64 },
    /// Typed on the console and sent to the port, from `at` on; only where oobd.toml asks for it.
    Typed { user: String, bytes: Vec<u8> },
    /// The board has run for so long at `at` (sleep included). `step`: the wall clock was set by so many milliseconds
    /// since the mark of this kind before.
    Clock { uptime_ms: u64, step_ms: i64 },
    /// So many marks from here on were never stored: flash stood still for too long.
    MarksLost { count: u64 },
}

impl Record {
    /// The record as it stands in the file; `None` when a text in it is beyond all measure.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let payload = postcard::to_stdvec(self).ok()?;
        let length = u16::try_from(payload.len()).ok()?;
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        Some(bytes)
    }
}

/// The records at the start of `bytes`, and how many bytes they take; what follows is torn.
#[must_use]
pub(crate) fn decode(bytes: &[u8]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((record, used)) = decode_one(rest) {
        records.push(record);
        rest = rest.get(used..).unwrap_or_default();
    }
    (records, bytes.len() - rest.len())
}

pub(super) fn decode_one(bytes: &[u8]) -> Option<(Record, usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let [l0, l1, c0, c1, c2, c3] = *header;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    let payload = rest.get(..length)?;
    if crc32fast::hash(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let (record, left) = postcard::take_from_bytes(payload).ok()?;
    left.is_empty().then_some((record, HEADER + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let event = Kind::BreakSent {
            console: "core".into(),
            user: "alice".into(),
            millis: 300,
        };
        let marks = [
            Mark::Time,
            Mark::Gap { bytes: 70_000 },
            Mark::Event(event),
            Mark::Stopped,
            Mark::Started,
            Mark::Damaged { bytes: 1 },
            Mark::Typed {
                user: "alice".into(),
                bytes: b"show\r".to_vec(),
            },
            Mark::Clock {
                uptime_ms: 90_000,
                step_ms: -3_600_000,
            },
            Mark::MarksLost { count: 3 },
        ];
        let record = |(at, mark)| Record {
            offset: 1_u64.checked_shl(at).unwrap_or(7),
            at: Timestamp(1_795_000_000_000),
            mark,
        };
        (0_u32..).step_by(9).zip(marks).map(record).collect()
    }

    /// Written by the version that brought each kind of mark; a failure here means that old transcripts can no longer be read.
    const FROZEN: &str = "\
        08000243bba80180bcd9f29e34000c00f0c1c4ec800480bcd9f29e3401f0a204\
        180028efde2980801080bcd9f29e34022304636f726505616c696365ac020b00\
        9f82912d8080804080bcd9f29e34030d00356f137c80808080800280bcd9f29e\
        34040f00133910378080808080800880bcd9f29e3405011b00115a3499808080\
        808080802080bcd9f29e340605616c6963650573686f770d180064cf1a7a8080\
        808080808080800180bcd9f29e340790bf05ffb9b7030900da976e1e0780bcd9\
        f29e340803";

    #[test]
    fn torn_at_every_byte_gives_the_records_before() {
        let records = records();
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for record in &records {
            bytes.extend(record.encode().unwrap());
            ends.push(bytes.len());
        }
        assert_eq!(decode(&bytes), (records.clone(), bytes.len()));
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
            let (found, used) = decode(&bytes[..cut]);
            assert_eq!(
                (&found[..], used),
                (&records[..whole], ends[whole]),
                "cut at {cut}"
            );
        }
        for flipped in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[flipped] ^= 0x40;
            let (found, _) = decode(&bad);
            assert!(
                records.starts_with(&found) && found.len() < records.len(),
                "flipped {flipped}"
            );
        }
    }

    #[test]
    fn bytes_on_flash_are_frozen() {
        let mut bytes = Vec::new();
        for record in records() {
            bytes.extend(record.encode().unwrap());
        }
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, FROZEN);
    }
}
