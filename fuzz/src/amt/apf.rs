//! APF: the messages; what knows a connection stays away.

#[path = "../../../src/amt/apf/message.rs"]
pub mod message;
