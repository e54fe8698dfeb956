//! Redirection: the messages and the sign-in; what knows a socket stays away.

#[path = "../../../src/amt/redirect/auth.rs"]
pub mod auth;
#[path = "../../../src/amt/redirect/ider/scsi.rs"]
pub mod scsi;
#[path = "../../../src/amt/redirect/message.rs"]
pub mod message;
