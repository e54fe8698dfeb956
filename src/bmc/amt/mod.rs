//! What a machine's management engine is asked in words of [`crate::amt::wsman`]: power, boot, consent, logs. One function per
//! question; keeps nothing.

pub mod power;
