//! Outlets and UPSes: one owner per device, one file per protocol. Knows no machine; switches what it is asked to.

pub mod driver;
