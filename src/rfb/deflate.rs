//! Deflate (RFC 1950, 1951) of a stream that goes out in pieces and never ends: one context for the whole of a connection. The
//! deflater is miniz_oxide's.

use std::fmt;

use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};

/// Bytes that are deflated at a time.
const PIECE: usize = 16 * 1024;
/// The quickest: the board has little to calculate with, and a screen of text shrinks to a hundredth all the same.
const LEVEL: u8 = 1;

/// One stream; some 300 KiB.
pub(super) struct Deflate {
    state: Box<CompressorOxide>,
    piece: Vec<u8>,
}

impl Default for Deflate {
    fn default() -> Self {
        let mut state = Box::<CompressorOxide>::default();
        state.set_format_and_level(DataFormat::Zlib, LEVEL);
        Self {
            state,
            piece: vec![0; PIECE],
        }
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").finish_non_exhaustive()
    }
}

impl Deflate {
    /// Appends what these bytes come to; who has all so far can inflate all so far.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut input = bytes;
        loop {
            let step = deflate(&mut self.state, input, &mut self.piece, MZFlush::Sync);
            out.extend_from_slice(self.piece.get(..step.bytes_written).unwrap_or_default());
            input = input.get(step.bytes_consumed..).unwrap_or_default();
            // A piece that was not filled is the end of the flush; an error means that nothing is left to do.
            if step.status.is_err() || (input.is_empty() && step.bytes_written < self.piece.len()) {
                return;
            }
        }
    }
}
