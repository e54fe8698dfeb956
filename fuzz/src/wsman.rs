//! The readers of WS-Management.

#[path = "../../src/amt/wsman/envelope.rs"]
pub mod envelope;
#[path = "../../src/amt/wsman/xml.rs"]
pub mod xml;
