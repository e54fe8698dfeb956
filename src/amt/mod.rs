//! Intel AMT: what `bmc` asks of a machine's management engine. Knows no machine of ours and no configuration.
//!
//! [`wsman`] is WS-Management, the words over HTTP: envelopes, faults, a small XML reader. [`redirect`] is the machine's serial
//! line and its screen over connections of their own. [`apf`] carries both when the device calls us. [`scan`] finds devices on
//! a network.

pub mod apf;
mod knock;
pub mod redirect;
pub mod scan;
mod uuid;
pub mod wsman;

pub use uuid::uuid;
