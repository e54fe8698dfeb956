//! TLS as old firmware speaks it and nobody else should: versions 1.0 and 1.1, key exchange by RSA, CBC ciphers, SHA-1, keys of 1024 bits.
//! By OpenSSL, the one place that knows it, for devices whose section says so; and the kind of key that old firmware knows.
//! The best that a device can is what is spoken, so one that learns TLS 1.2 gets it. Judges no key: who shows which is for
//! the caller, who has asked nothing yet.

use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to old firmware.
pub type LegacyStream<S> = tokio_openssl::SslStream<S>;

/// Best first. Level 0 lets in what versions before 1.2 are made of (MD5 with SHA-1), and short keys. No null ciphers, nobody without
/// a certificate; RC4 and single or triple DES are not built into OpenSSL any more.
const SUITES: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:kRSA+AES:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0";

/// `SSL_OP_LEGACY_SERVER_CONNECT`: servers from before RFC 5746 (2010). We never renegotiate.
const OLDER_THAN_RFC_5746: SslOptions = SslOptions::from_bits_retain(1 << 2);

/// Shakes hands on an open connection. Gives the certificate (DER) whose key the device has proven to hold.
///
/// # Errors
/// A sentence: why there is no TLS.
pub async fn shake_legacy<S>(stream: S) -> Result<(LegacyStream<S>, Vec<u8>), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ssl = client().map_err(|error| format!("OpenSSL: {error}"))?;
    let mut stream = LegacyStream::new(ssl, stream).map_err(|error| format!("OpenSSL: {error}"))?;
    let shaken = Pin::new(&mut stream).connect().await;
    shaken.map_err(|error| words(&error))?;
    let certificate = stream.ssl().peer_certificate();
    let shown = certificate.ok_or("it showed no certificate")?.to_der();
    let shown = shown.map_err(|error| format!("OpenSSL: {error}"))?;
    Ok((stream, shown))
}

/// A new RSA key, as PKCS #8 in DER, for a certificate that old firmware is shown: it knows no other kind, and ring makes none.
///
/// # Errors
/// Why it could not be made.
pub(super) fn rsa_key(bits: u32) -> Result<Vec<u8>, String> {
    let key = Rsa::generate(bits).and_then(PKey::from_rsa);
    let der = key.and_then(|key| key.private_key_to_pkcs8());
    der.map_err(|error| format!("OpenSSL: {error}"))
}

fn client() -> Result<Ssl, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    context.set_max_proto_version(None)?;
    context.set_cipher_list(SUITES)?;
    // By its key, not by who signed for it.
    context.set_verify(SslVerifyMode::NONE);
    // Old firmware hangs up without a word; HTTP knows what is missing.
    context.set_options(
        SslOptions::NO_COMPRESSION | SslOptions::IGNORE_UNEXPECTED_EOF | OLDER_THAN_RFC_5746,
    );
    Ssl::new(&context.build())
}

/// The reasons alone, without places in OpenSSL's source.
fn words(error: &openssl::ssl::Error) -> String {
    let stack = error.ssl_error().map(ErrorStack::errors);
    let reasons: Vec<&str> = stack
        .into_iter()
        .flatten()
        .filter_map(openssl::error::Error::reason)
        .collect();
    match (reasons.is_empty(), error.io_error()) {
        (false, _) => reasons.join("; "),
        (true, Some(error)) => error.to_string(),
        (true, None) => "the connection ended".into(),
    }
}
