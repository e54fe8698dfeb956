//! Redirection: the messages and the sign-in; what knows a socket stays away.

#[path = "../../../src/amt/redirect/auth.rs"]
pub mod auth;
#[path = "../../../src/amt/redirect/message.rs"]
pub mod message;

/// As in `src/amt/redirect/mod.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Sol,
    Kvm,
    Ider,
}

impl Service {
    #[must_use]
    pub fn tag(self) -> [u8; 4] {
        match self {
            Self::Sol => *b"SOL ",
            Self::Kvm => *b"KVMR",
            Self::Ider => *b"IDER",
        }
    }
}
