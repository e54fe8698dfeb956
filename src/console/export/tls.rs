//! How the syslog server's certificate is judged: by an authority, or by its fingerprint. Opens no connection.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::config::{Proof, Syslog};

/// What connects, and the name that the server must have.
///
/// # Errors
/// A sentence: the authority's certificates cannot be used.
pub(super) fn connector(syslog: &Syslog) -> Result<(TlsConnector, ServerName<'static>), String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match &syslog.proof {
        Some(Proof::Authority(pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
                let certificate = certificate.map_err(|error| format!("ca: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("ca: {error}"))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Some(Proof::Pin(pin)) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned::new(*pin, &provider)))
            .with_no_client_auth(),
        None => return Err("TLS without `ca` or `pin`".into()),
    };
    let name = match &syslog.name {
        Some(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string())?,
        None => ServerName::from(syslog.server.ip()),
    };
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// Takes one certificate and no other, whoever signed it and however old it is: the pin says who it is.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(pin: [u8; 32], provider: &CryptoProvider) -> Self {
        Self {
            pin,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = sha256(end_entity);
        if found.as_deref() == Some(&self.pin[..]) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// By the hash that the TLS library brings for its own use.
fn sha256(bytes: &[u8]) -> Option<Vec<u8>> {
    let suite = crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let hash = suite.tls13()?.common.hash_provider.hash(bytes);
    Some(hash.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-4, example "abc".
        let hash = sha256(b"abc").unwrap();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
