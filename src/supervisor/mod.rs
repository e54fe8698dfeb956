//! Starts owners, restarts them with backoff, tells systemd READY and WATCHDOG, reloads, stops in reverse.

pub mod context;
pub mod owner;
