//! The bytes of one frame: `length u32 LE | crc32 u32 LE | version u8 | postcard(Event)`.
//!
//! `length` counts version and payload; the CRC (IEEE) covers the same bytes. The bytes of every version are
//! frozen in `tests/journal/`: if that test fails, do not change the test, add a version.

use super::Error;
use crate::event::Event;

/// Version written today.
pub const VERSION: u8 = 1;
/// Bytes before the version byte.
pub(super) const HEAD: usize = 8;
/// No honest event comes near this; a longer length is a torn or foreign frame.
pub(super) const LONGEST: usize = 64 * 1024;

/// The frame of one event.
///
/// # Errors
/// [`Error::TooLong`] above 64 KiB, [`Error::Encode`] if serde refuses the value.
pub fn encode(event: &Event) -> Result<Vec<u8>, Error> {
    let payload = postcard::to_stdvec(event).map_err(Error::Encode)?;
    let length = payload.len() + 1;
    let too_long = || Error::TooLong {
        size: length,
        limit: LONGEST,
    };
    if length > LONGEST {
        return Err(too_long());
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[VERSION]);
    crc.update(&payload);
    let mut frame = Vec::with_capacity(HEAD + length);
    frame.extend_from_slice(&u32::try_from(length).map_err(|_| too_long())?.to_le_bytes());
    frame.extend_from_slice(&crc.finalize().to_le_bytes());
    frame.push(VERSION);
    frame.extend_from_slice(&payload);
    Ok(frame)
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A whole frame of this many bytes.
    Frame { event: Box<Event>, size: usize },
    /// A whole frame with a good CRC of a version this program does not know (written by a newer one).
    Foreign { version: u8, size: usize },
    /// A whole frame, but the CRC does not hold.
    Damaged { size: usize },
    /// Not enough bytes for what the length says, or a length no frame has.
    Torn,
}

/// Reads the frame at the start of `bytes`. Never panics, whatever the bytes.
#[must_use]
pub fn decode(bytes: &[u8]) -> Found {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Found::Torn;
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let Ok(length) = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])) else {
        return Found::Torn;
    };
    if length == 0 || length > LONGEST || rest.len() < length {
        return Found::Torn;
    }
    let size = HEAD + length;
    let body = &rest[..length];
    if crc32fast::hash(body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Found::Damaged { size };
    }
    match body {
        [VERSION, payload @ ..] => match postcard::from_bytes(payload) {
            Ok(event) => Found::Frame {
                event: Box::new(event),
                size,
            },
            Err(_) => Found::Damaged { size },
        },
        [version, ..] => Found::Foreign {
            version: *version,
            size,
        },
        [] => Found::Torn,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::event::{Kind, Severity};

    fn event() -> Event {
        Event {
            seq: 7,
            at: Timestamp(1_795_000_000_123),
            severity: Severity::Info,
            source: "supervisor".into(),
            kind: Kind::NoteWritten {
                actor: "alice".into(),
                text: "hi".into(),
            },
        }
    }

    #[test]
    fn every_single_byte_change_is_noticed() {
        let frame = encode(&event()).unwrap();
        for at in 0..frame.len() {
            let mut bad = frame.clone();
            bad[at] ^= 0x41;
            assert!(!matches!(decode(&bad), Found::Frame { .. }), "byte {at}");
        }
    }

    #[test]
    fn every_shorter_prefix_is_torn() {
        let frame = encode(&event()).unwrap();
        for end in 0..frame.len() {
            assert_eq!(decode(&frame[..end]), Found::Torn, "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
