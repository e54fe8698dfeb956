//! Intel AMT: what `bmc` asks of a machine's management engine. Knows no machine of ours and no configuration.
//!
//! [`wsman`] is WS-Management, the words over HTTP: envelopes, faults, a small XML reader. [`redirect`] is the machine's serial
//! line, screen and drives over connections of their own.

pub mod redirect;
pub mod wsman;
