//! The AMT Port Forwarding protocol (APF), in which a device that called us carries streams to its ports: messages, the connection
//! they come over, and the channels in it. Knows no listener and judges nobody. docs/amt-cira.md

mod line;
pub mod message;
#[cfg(test)]
mod tests;
mod tunnel;

pub use line::Line;
pub use tunnel::{Asked, Tunnel};

/// Why a tunnel ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Lost(String),
    #[error("it ended the tunnel (reason {0})")]
    Ended(u32),
    #[error("it called in anew")]
    Replaced,
    #[error("it says nothing any more")]
    Silent,
    #[error("it sent {0}")]
    Garbled(#[source] message::Bad),
    #[error("it sent more on a channel than the window allows")]
    Overrun,
    #[error("it sent {0}, which has no place here")]
    Unexpected(&'static str),
}
