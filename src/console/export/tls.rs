//! How the syslog server's certificate is judged: by an authority, or by its fingerprint. Opens no connection.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::{Proof, Syslog};
use crate::tls;

/// What connects, and the name that the server must have.
///
/// # Errors
/// A sentence: the authority's certificates cannot be used.
pub(super) fn connector(syslog: &Syslog) -> Result<(TlsConnector, ServerName<'static>), String> {
    let config = match &syslog.proof {
        Some(Proof::Authority(pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
                let certificate = certificate.map_err(|error| format!("ca: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("ca: {error}"))?;
            }
            ClientConfig::builder_with_provider(tls::provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(roots)
                .with_no_client_auth()
        }
        // One certificate and no other, whoever signed it and however old it is: the pin says who it is.
        Some(Proof::Pin(pin)) => {
            let pin = *pin;
            tls::judged(move |certificate| digest(&SHA256, certificate).as_ref() == pin)
                .map_err(|error| error.to_string())?
        }
        None => return Err("TLS without `ca` or `pin`".into()),
    };
    let name = match &syslog.name {
        Some(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string())?,
        None => ServerName::from(syslog.server.ip()),
    };
    Ok((TlsConnector::from(Arc::new(config)), name))
}
