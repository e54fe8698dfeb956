//! Writes what a console received to flash: raw bytes in segment files, and beside each an index of who, what and when.
//! How it lies there, and how it is read, is `crate::transcript`.
//!
//! A power cut may take the last seconds, never what was synced before.

mod flusher;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use store::Store;
pub(super) use writer::{Fault, Place, Writer};
