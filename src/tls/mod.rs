//! TLS as every room uses it: one provider (ring), and the certificates with their keys, and servers known by
//! what is pinned; apart from it, what old firmware speaks. Opens no connection.

mod identity;
mod judge;
mod legacy;
mod rsa;
mod spki;

pub use identity::{Bad, Facts, Identity, fingerprint, make, request};
pub use judge::judged;
pub use legacy::{LegacyStream, shake_legacy};
pub use rsa::make_rsa;
pub use spki::{is_key_pin, key_pin};

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// The one set of algorithms for all but old firmware ([`shake_legacy`]): ECDHE with AES-GCM or ChaCha20, nothing that is known to be weak.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
