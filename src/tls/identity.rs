//! A certificate chain with its private key: read from PEM, checked as a pair, or made anew. Never shows the key.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error as TlsError, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Certificates of one chain; more is the wrong file.
const LONGEST_CHAIN: usize = 16;

/// Why a certificate or its key cannot be used. For a person; never holds any of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// The fault is the certificate's.
    #[error("{0}")]
    Certificate(String),
    /// The fault is the key's, or the two do not belong together.
    #[error("{0}")]
    Key(String),
}

/// What a server shows and proves.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    leaf: CertificateDer<'static>,
    /// Seconds since 1970 of the end of validity.
    expires: i64,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity")
            .field(&self.fingerprint())
            .finish()
    }
}

impl Identity {
    /// Reads a chain (the server's own certificate first) and its key (PKCS #8, PKCS #1 or SEC 1), and checks that they
    /// belong together. How long they hold is not judged: the clock of a board may be off by years.
    ///
    /// # Errors
    /// [`Bad`] says which of the two is at fault, and why.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Bad> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .take(LONGEST_CHAIN)
            .collect();
        let chain = chain.map_err(|e| Bad::Certificate(no_pem("certificate", &e)))?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(Bad::Certificate(no_pem(
                "certificate",
                &pem::Error::NoItemsFound,
            )));
        };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|e| Bad::Key(no_pem("private key", &e)))?;
        let (_, parsed) = X509Certificate::from_der(&leaf)
            .map_err(|_| Bad::Certificate("the certificate is damaged".into()))?;
        let expires = parsed.validity().not_after.timestamp();
        check_order(&chain)?;
        let key = CertifiedKey::from_der(chain, key, &super::provider()).map_err(|e| match e {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Bad::Key("the key does not belong to the certificate".into())
            }
            TlsError::InvalidCertificate(fault) => {
                Bad::Certificate(format!("the certificate cannot be used: {fault:?}"))
            }
            other => Bad::Key(format!("the key cannot be used: {other}")),
        })?;
        Ok(Self {
            key: Arc::new(key),
            leaf,
            expires,
        })
    }

    /// For a TLS server.
    #[must_use]
    pub fn certified(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// SHA-256 of the certificate as browsers and `openssl x509 -fingerprint -sha256` show it: `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.leaf)
    }

    /// Time left from `now` (since 1970) to the end of validity; zero when it is over.
    #[must_use]
    pub fn left(&self, now: Duration) -> Duration {
        let end = u64::try_from(self.expires).unwrap_or(0);
        Duration::from_secs(end).saturating_sub(now)
    }
}

/// What a person compares of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub subject: String,
    pub issuer: String,
    /// DNS names and addresses that it is good for.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// Certificates that are shown together.
    pub chain: usize,
    /// Says that it is good for servers, or nothing about what it is good for.
    pub serves: bool,
}

impl Identity {
    /// What it says of itself.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let Ok((_, parsed)) = X509Certificate::from_der(&self.leaf) else {
            // It was read when it was made.
            return Facts::default();
        };
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
        let usage = parsed.extended_key_usage().ok().flatten();
        Facts {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            names: names.unwrap_or_default(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: self.expires,
            chain: self.key.cert.len(),
            serves: usage.is_none_or(|usage| usage.value.server_auth || usage.value.any),
        }
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Each certificate of a chain vouches for the one before it (RFC 8446 §4.4.2; a client may refuse another order).
fn check_order(chain: &[CertificateDer<'_>]) -> Result<(), Bad> {
    let parsed = chain.iter().map(|one| X509Certificate::from_der(one));
    let parsed: Vec<X509Certificate<'_>> = parsed
        .map(|one| one.map(|(_, certificate)| certificate))
        .collect::<Result<_, _>>()
        .map_err(|_| Bad::Certificate("a certificate of the chain is damaged".into()))?;
    for (at, pair) in parsed.windows(2).enumerate() {
        let [one, next] = pair else { continue };
        if one.issuer().as_raw() != next.subject().as_raw() {
            return Err(Bad::Certificate(format!(
                "certificate {} of the chain does not vouch for the one before it; the server's own goes first, then its issuer, and so on",
                at + 2
            )));
        }
    }
    Ok(())
}

/// Makes a request for a certificate with a new ECDSA P-256 key: the request, and the key, as PEM.
///
/// # Errors
/// A name that is none, or no randomness.
pub fn request(names: &[String]) -> Result<(String, String), String> {
    let said = |e: rcgen::Error| e.to_string();
    let first = names.first().ok_or("no name is given")?;
    let parameters = parameters(first, names.to_vec())?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(said)?;
    let request = parameters.serialize_request(&key).map_err(said)?;
    Ok((request.pem().map_err(said)?, key.serialize_pem()))
}

/// SHA-256 of a certificate (DER), as [`Identity::fingerprint`] shows it.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let bytes = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
    bytes.collect::<Vec<_>>().join(":")
}

fn no_pem(what: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => format!("there is no {what} in it (PEM text is expected)"),
        _ => format!("the PEM text of the {what} is damaged"),
    }
}

/// Makes a self-signed certificate with a new ECDSA P-256 key for these host names and addresses, as PEM: the key first.
///
/// It holds from 2020 to 2049, for a board may start without a clock, and who trusts it has compared its fingerprint.
///
/// # Errors
/// Why it could not be made, such as no randomness.
pub fn make(name: &str, others: &[&str]) -> Result<String, String> {
    let said = |e: rcgen::Error| e.to_string();
    let names = std::iter::once(&name).chain(others);
    let mut parameters = parameters(name, names.map(ToString::to_string).collect())?;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(said)?;
    let certificate = parameters.self_signed(&key).map_err(said)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

/// What all certificates of this board have in common; `names` are those that it is good for.
pub(super) fn parameters(name: &str, names: Vec<String>) -> Result<CertificateParams, String> {
    let mut parameters = CertificateParams::new(names).map_err(|error| error.to_string())?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    parameters.distinguished_name = subject;
    // A board may start without a clock.
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2049, 12, 31);
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_used() {
        let pem = make("rack7", &["localhost", "127.0.0.1", "::1"]).unwrap();
        let identity = Identity::from_pem(&pem, &pem).unwrap();
        assert_eq!(identity.fingerprint().len(), 32 * 3 - 1);
        let (_, parsed) = X509Certificate::from_der(&identity.leaf).unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 4);
        let year = Duration::from_secs(365 * 86_400);
        assert!(identity.left(year * 56) > year * 20);
        assert_eq!(identity.left(year * 90), Duration::ZERO);
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }

    #[test]
    fn it_says_what_a_person_compares() {
        let pem = make("rack7", &["localhost", "127.0.0.1", "::1"]).unwrap();
        let facts = Identity::from_pem(&pem, &pem).unwrap().facts();
        assert_eq!(
            (facts.subject.as_str(), facts.issuer.as_str()),
            ("CN=rack7", "CN=rack7")
        );
        assert_eq!(facts.names, ["rack7", "localhost", "127.0.0.1", "::1"]);
        assert_eq!((facts.not_before, facts.chain), (1_577_836_800, 1));
        assert!(facts.serves);
    }

    #[test]
    fn a_chain_goes_upwards() {
        let (one, other) = (make("a", &[]).unwrap(), make("b", &[]).unwrap());
        let bad = Identity::from_pem(&format!("{one}{other}"), &one).unwrap_err();
        assert!(
            bad.to_string().starts_with("certificate 2 of the chain"),
            "{bad}"
        );
    }

    #[test]
    fn a_request_names_what_was_asked_for() {
        use tokio_rustls::rustls::pki_types::CertificateSigningRequestDer;
        use x509_parser::certification_request::X509CertificationRequest;
        let (pem, key) = request(&["rack7.example.net".into(), "10.0.0.5".into()]).unwrap();
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
        assert_eq!(
            parsed.certification_request_info.subject.to_string(),
            "CN=rack7.example.net"
        );
        assert!(key.contains("PRIVATE KEY") && !pem.contains("PRIVATE KEY"));
        assert!(request(&[]).is_err());
    }

    #[test]
    fn what_cannot_be_used_says_which_of_the_two() {
        let (one, other) = (make("a", &[]).unwrap(), make("b", &[]).unwrap());
        assert_eq!(
            Identity::from_pem(&one, &other).unwrap_err(),
            Bad::Key("the key does not belong to the certificate".into())
        );
        let key_only = &one[..one.find("-----BEGIN CERT").unwrap()];
        for (certificate, key, says) in [
            (
                "",
                one.as_str(),
                "there is no certificate in it (PEM text is expected)",
            ),
            (
                key_only,
                &one,
                "there is no certificate in it (PEM text is expected)",
            ),
            (
                &one,
                "",
                "there is no private key in it (PEM text is expected)",
            ),
            (
                &one[..one.len() - 40],
                &one,
                "the PEM text of the certificate is damaged",
            ),
        ] {
            let bad = Identity::from_pem(certificate, key).unwrap_err();
            assert_eq!(bad.to_string(), says);
        }
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let bad = Identity::from_pem(hollow, &one).unwrap_err();
        assert_eq!(bad, Bad::Certificate("the certificate is damaged".into()));
    }
}
