//! The machine behind a BMC, as its answers tell of it.

#[path = "../../src/bmc/ipmi/mod.rs"]
pub mod ipmi;
