//! What a machine's management engine is asked in words of [`crate::amt::wsman`]: power, boot, consent, logs. One function per
//! question; keeps nothing.

pub mod audit;
pub mod boot;
pub mod clock;
pub mod consent;
pub mod features;
pub mod info;
pub mod log;
pub mod power;
