//! Who signs in, and how. Shows no password.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How the password is shown to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// With every request, readable (RFC 7617): over TLS only, if the device can.
    Basic,
    /// As the answer to a challenge (RFC 7616); never readable, and never given as [`Scheme::Basic`] instead.
    Digest,
}

/// A user and the password, which does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub scheme: Scheme,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?} {} ***)", self.scheme, self.user)
    }
}

impl Login {
    #[must_use]
    pub fn new(scheme: Scheme, user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            scheme,
            password: password.to_owned(),
        }
    }

    /// The password itself; call it where it is used, never to keep it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.password
    }

    /// The `Authorization` of Basic.
    pub(super) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", STANDARD.encode(pair))
    }
}
