//! The WS-Man half.

use crate::Shared;

/// Opens the ports.
pub fn start(_machine: &Shared) {}

/// What the test orders; is it one of ours?
pub fn order(_machine: &Shared, _line: &str) -> bool {
    false
}
