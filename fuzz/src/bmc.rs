//! What a BMC answers, and the machine behind it as its answers tell.

#[path = "../../src/bmc/ipmi/mod.rs"]
pub mod ipmi;
#[path = "redfish.rs"]
pub mod redfish;
