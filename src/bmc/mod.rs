//! Baseboard management controllers: the clients that speak to them, and the file that one of them is served. Decides nothing.

pub mod media;
pub mod redfish;
