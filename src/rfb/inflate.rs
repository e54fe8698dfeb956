//! Inflate (RFC 1950, 1951) of a stream that comes in pieces and never ends: one context for the whole of a session.
//! Bounded in what it keeps and in what it gives. The inflater is miniz_oxide's.

use std::fmt;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};

use super::Bad;

/// Bytes that are inflated at a time.
const PIECE: usize = 16 * 1024;

/// One stream.
pub struct Inflate {
    state: Box<InflateState>,
}

impl Default for Inflate {
    fn default() -> Self {
        Self {
            state: InflateState::new_boxed(DataFormat::Zlib),
        }
    }
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflate").finish_non_exhaustive()
    }
}

impl Inflate {
    /// What this piece of the stream comes to; at most `limit` bytes.
    ///
    /// # Errors
    /// [`Bad::Deflate`], [`Bad::Long`]; the stream is useless then.
    pub fn feed(&mut self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Bad> {
        let (mut input, mut out) = (bytes, Vec::new());
        let mut piece = vec![0; PIECE];
        loop {
            let step = inflate(&mut self.state, input, &mut piece, MZFlush::None);
            out.extend_from_slice(piece.get(..step.bytes_written).unwrap_or_default());
            if out.len() > limit {
                return Err(Bad::Long("compressed data"));
            }
            input = input.get(step.bytes_consumed..).unwrap_or_default();
            match step.status {
                Ok(_) if step.bytes_written == piece.len() || !input.is_empty() => {}
                // No progress is possible: it waits for more.
                Ok(_) | Err(MZError::Buf) => break,
                Err(_) => return Err(Bad::Deflate),
            }
        }
        // Behind the end of a stream there is nothing.
        if input.is_empty() {
            Ok(out)
        } else {
            Err(Bad::Deflate)
        }
    }
}
