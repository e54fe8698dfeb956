//! The readers of Redfish replies, with the types that they read into.

#[path = "../../src/bmc/redfish/read/mod.rs"]
pub mod read;
#[path = "../../src/bmc/redfish/types.rs"]
pub mod types;
