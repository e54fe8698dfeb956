//! Pictures of a screen on the wire: the remote framebuffer protocol (RFC 6143), as client of a machine's firmware and as
//! server of viewers, and PNG. Bytes in, bytes out: opens no connection and knows no machine.

pub mod client;
mod deflate;
pub mod frame;
pub mod inflate;
mod pixel;
pub mod png;
pub mod server;
#[cfg(test)]
mod tests;
mod zrle;

pub use client::Client;
pub use frame::{Frame, Picture};
pub use pixel::Format;
pub use server::{Input, Server};

/// Why bytes are no RFB, or none that can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("no greeting of RFB")]
    Greeting,
    #[error("no security type that is known here")]
    Security,
    #[error("it refuses: {0}")]
    Refused(String),
    #[error("a screen of {0}×{1}")]
    Size(usize, usize),
    #[error("a message of the unknown kind {0}")]
    Kind(u8),
    #[error("a rectangle in the unknown encoding {0}")]
    Encoding(i32),
    #[error("a rectangle beyond the screen's edge")]
    Edge,
    #[error("{0} that is too long")]
    Long(&'static str),
    #[error("compressed data that is broken")]
    Deflate,
    #[error("a rectangle that is broken")]
    Tile,
    #[error("pixels of a format that is unknown here")]
    Format,
}

/// Encodings. RFC 6143 §7.7 and §7.8.
mod encoding {
    pub(super) const RAW: i32 = 0;
    pub(super) const ZRLE: i32 = 16;
    pub(super) const SIZE: i32 = -223;
}

/// A place in a growing input that gives what is whole.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<usize> {
        self.array()
            .map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}

/// A number of bytes that came in 32 bits, held to a limit.
fn limited(length: u32, most: usize, what: &'static str) -> Result<usize, Bad> {
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= most)
        .ok_or(Bad::Long(what))
}
