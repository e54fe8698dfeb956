//! What an Intel AMT device answers.

#[path = "wsman.rs"]
pub mod wsman;
