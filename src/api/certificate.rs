//! Which certificate the door shows: the one of oobd.toml, or one that the board makes at first start and keeps.
//! Swapping it leaves open connections alone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Pair;
use crate::file::{self, Kept};
use crate::tls::{self, Identity};

/// Names besides the device's under which a client on the board, or at the end of a forward, calls it. Addresses of
/// links come and go, so they are left out.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Reads the board's own certificate, or makes one for this device name. A change of the name later keeps it: who pinned
/// it pinned the board.
///
/// # Errors
/// Only when none can be made at all.
pub(super) async fn own(path: PathBuf, device: String) -> Result<Kept<Identity>, String> {
    let work = move || {
        let read = |text: &str| Identity::from_pem(text, text).map_err(|bad| bad.to_string());
        let make = || tls::make(&device, &NAMES);
        file::keep(&path, "the HTTPS certificate", read, make)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| e.to_string())?
}

/// The certificate in force among the two; `own` is what the board keeps.
pub(super) fn choose(pair: Option<&Pair>, own: &Identity) -> Identity {
    let Some(pair) = pair else {
        return own.clone();
    };
    // The configuration was checked with the same words, so this does not fail.
    Identity::from_pem(&pair.certificate, pair.key.expose()).unwrap_or_else(|bad| {
        tracing::error!("the certificate of oobd.toml is not used: {bad}");
        own.clone()
    })
}

/// What the next handshake shows.
#[derive(Debug)]
pub(super) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(super) fn new(identity: &Identity) -> Self {
        Self(RwLock::new(identity.certified()))
    }

    pub(super) fn set(&self, identity: &Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity.certified();
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(shown.clone())
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1. No session survives a change of the certificate by more than its cache.
pub(super) fn server(shown: Arc<Shown>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Secret;

    #[tokio::test]
    async fn the_own_certificate_is_kept_and_a_damaged_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("https.pem");
        let made = own(path.clone(), "rack7".into()).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = own(path.clone(), "renamed".into()).await.unwrap();
        assert_eq!(again.value.fingerprint(), made.value.fingerprint());
        assert!(again.replaced.is_none());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        let fresh = own(path.clone(), "rack7".into()).await.unwrap();
        assert_ne!(fresh.value.fingerprint(), made.value.fingerprint());
        assert!(fresh.replaced.unwrap().0.ends_with("https.pem"));
        assert!(path.with_extension("damaged").exists());
    }

    #[test]
    fn the_file_of_the_operator_goes_first() {
        let (own, other) = (tls::make("a", &[]).unwrap(), tls::make("b", &[]).unwrap());
        let own = Identity::from_pem(&own, &own).unwrap();
        let pair = Pair {
            certificate: other.clone(),
            key: Secret::new(other),
        };
        assert_eq!(choose(None, &own).fingerprint(), own.fingerprint());
        assert_ne!(choose(Some(&pair), &own).fingerprint(), own.fingerprint());
        let torn = Pair {
            certificate: String::new(),
            ..pair
        };
        assert_eq!(choose(Some(&torn), &own).fingerprint(), own.fingerprint());
    }
}
