//! Events on flash: append-only postcard frames with CRC in rotated, size-capped segments.
//!
//! A frame is durable before anybody hears of its event. A power cut can only tear the tail of the newest
//! segment; [`spawn`] cuts the torn bytes off and journals how many were lost. Never rewrites a frame.

mod frame;
mod reader;
mod segment;
mod writer;

use std::path::PathBuf;

pub use frame::{Found, VERSION, decode, encode};
pub use reader::Reader;
pub use writer::{Limits, Thread, spawn};

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("journal: cannot {what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("journal: an event of {size} bytes is longer than a frame may be ({limit})")]
    TooLong { size: usize, limit: usize },
    #[error("journal: an event cannot be encoded")]
    Encode(#[source] postcard::Error),
}

impl Error {
    fn io(what: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}
