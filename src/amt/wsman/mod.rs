//! WS-Management as Intel AMT speaks it (DMTF DSP0226): envelopes, a small XML reader, and a client over [`crate::http`].
//! Knows classes by their names only; what they mean is for whoever asks.

mod client;
pub mod envelope;
mod error;
pub mod xml;

pub use client::{Client, returned};
pub use envelope::{Selectors, plain, reference, written};
pub use error::{Error, status};
pub use xml::Element;
