//! Intel AMT: what `bmc` asks of a machine's management engine. Knows no machine of ours and no configuration.
//!
//! [`wsman`] is WS-Management, the words over HTTP: envelopes, faults, a small XML reader. [`redirect`] is the machine's serial
//! line and its screen over connections of their own. [`scan`] finds devices on a network.

pub mod redirect;
pub mod scan;
pub mod wsman;
