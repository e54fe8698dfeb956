//! The certificate that calling devices are shown: that of oobd.toml, or one that the board makes at first and keeps.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::server::ServerConfig;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::TLS12;

use super::Error;
use crate::config::Pair;
use crate::file;
use crate::tls::{self, Identity};

/// In the state folder: key, certificate, authority.
const FILE: &str = "cira.pem";
/// Beside it, for who sets devices up: the authority alone.
const ROOT: &str = "cira-root.pem";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// What the listener shows.
///
/// # Errors
/// [`Error::Certificate`].
pub(super) async fn identity(
    pair: Option<Pair>,
    state: &Path,
    device: String,
) -> Result<Identity, Error> {
    if let Some(pair) = pair {
        let read = Identity::from_pem(&pair.certificate, pair.key.expose());
        return read.map_err(|bad| Error::Certificate(bad.to_string()));
    }
    let state = state.to_owned();
    let work = move || {
        let read = |text: &str| {
            let identity = Identity::from_pem(text, text).map_err(|bad| bad.to_string())?;
            let root = text.rfind(BEGIN).and_then(|at| text.get(at..));
            Ok((identity, root.unwrap_or_default().to_owned()))
        };
        let make = || tls::make_rsa(&device, &["localhost"]);
        let kept = file::keep(&state.join(FILE), "the CIRA certificate", read, make)?;
        let (identity, root) = kept.value;
        let path = state.join(ROOT);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&root)
            && let Err(error) = file::write_atomically(&path, root.as_bytes(), 0o644)
        {
            tracing::warn!("{}: {error}", path.display());
        }
        Ok(identity)
    };
    let made = tokio::task::spawn_blocking(work).await;
    made.map_err(|error| error.to_string())
        .flatten()
        .map_err(Error::Certificate)
}

/// TLS 1.2 alone: firmware that says it has 1.3 is known to break with it.
pub(super) fn server(identity: &Identity) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS12])
        .map_err(|error| Error::Certificate(error.to_string()))?;
    let shown = SingleCertAndKey::from(identity.certified().as_ref().clone());
    let config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    Ok(Arc::new(config))
}
