//! BMCs of machines: who asks them and tells them what to do.

pub mod ipmi;
