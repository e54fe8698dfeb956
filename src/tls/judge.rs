//! Servers that are known by what they hold, whoever signed for it. Keeps no pin and opens no connection.

use std::fmt;
use std::sync::Arc;

use ring::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey,
};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
};

use super::spki::public_key;

/// A client that takes the servers whose certificate (DER) `judge` takes, and no other. Names, dates and signers say
/// nothing here; that the server holds the key of the certificate is proven, also for a certificate of version 1 and, up to
/// TLS 1.2, for an RSA key of 1024 bits, as old management controllers have them.
///
/// Every connection is judged: none is resumed.
///
/// # Errors
/// When the algorithms do not fit together.
pub fn judged(
    judge: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> Result<ClientConfig, Error> {
    let provider = super::provider();
    let verifier = Judged {
        judge: Box::new(judge),
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Takes a certificate, or not.
type Judge = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

struct Judged {
    judge: Judge,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judged")
    }
}

impl Judged {
    /// Checks the signature with the first `tries` algorithms of its scheme.
    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        tries: usize,
    ) -> Result<HandshakeSignatureValid, Error> {
        let wrong = |error| Err(Error::InvalidCertificate(error));
        let Some(found) = public_key(certificate) else {
            return wrong(CertificateError::BadEncoding);
        };
        let mut mapping = self.algorithms.mapping.iter();
        let Some((_, algorithms)) = mapping.find(|(scheme, _)| *scheme == signed.scheme) else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        for algorithm in algorithms.iter().take(tries) {
            if algorithm.public_key_alg_id().as_ref() == found.algorithm
                && algorithm
                    .verify_signature(found.key, message, signed.signature())
                    .is_ok()
            {
                return Ok(HandshakeSignatureValid::assertion());
            }
        }
        wrong(CertificateError::BadSignature)
    }
}

/// A signature of an RSA key that the usual algorithms take for too short.
fn short_key(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> bool {
    let algorithm = match signed.scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SignatureScheme::RSA_PKCS1_SHA512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        _ => return false,
    };
    public_key(certificate).is_some_and(|found| {
        UnparsedPublicKey::new(algorithm, found.key)
            .verify(message, signed.signature())
            .is_ok()
    })
}

impl ServerCertVerifier for Judged {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if (self.judge)(end_entity) {
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
        let judged = self.verify(message, cert, dss, usize::MAX);
        if judged.is_err() && short_key(message, cert, dss) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        judged
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // A scheme of TLS 1.3 stands for one algorithm, the first.
        self.verify(message, cert, dss, 1)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
