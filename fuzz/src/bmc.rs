//! What a controller answers.

#[path = "redfish.rs"]
pub mod redfish;
