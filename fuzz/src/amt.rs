//! What an Intel AMT device answers.

pub mod apf;
pub mod redirect;
#[path = "wsman.rs"]
pub mod wsman;
