//! The public key of a certificate, and the word that it is pinned by. Judges nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// `[0]`, around the version of a certificate; version 1 has none.
const VERSION: u8 = 0xa0;
/// Before the base64 text of a pin, as curl's `--pinnedpubkey` has it.
const SCHEME: &str = "sha256//";

/// Where the public key lies in a certificate. Both point into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    /// The whole SubjectPublicKeyInfo, tag and length included.
    pub(super) info: &'a [u8],
    /// Content of its AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// Content of its subjectPublicKey, the count of unused bits left out.
    pub(super) key: &'a [u8],
}

/// The fingerprint that a server's key is pinned by: `sha256//` and base64 of the SHA-256 of its SubjectPublicKeyInfo
/// (RFC 7469 §2.4). `None` when this is no certificate.
///
/// Unlike the fingerprint of the certificate it stays when a device signs itself a new certificate for its old key.
#[must_use]
pub fn key_pin(certificate: &[u8]) -> Option<String> {
    let digest = ring::digest::digest(&ring::digest::SHA256, public_key(certificate)?.info);
    Some(format!("{SCHEME}{}", STANDARD.encode(digest)))
}

/// Is the text written as [`key_pin`] writes it?
#[must_use]
pub fn is_key_pin(text: &str) -> bool {
    let encoded = text.strip_prefix(SCHEME);
    encoded.is_some_and(|text| STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32))
}

/// Walks to the key (RFC 5280 §4.1). Looks at nothing else: old devices have certificates with versions, serial numbers,
/// dates and extensions that no strict reader takes.
pub(super) fn public_key(certificate: &[u8]) -> Option<PublicKey<'_>> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate.content, SEQUENCE)?;
    let mut fields = rest.content;
    if let Some((_, after)) = element(fields, VERSION) {
        fields = after;
    }
    // Serial number, signature, issuer, validity, subject.
    for _ in 0..5 {
        (rest, fields) = any(fields)?;
    }
    let _ = rest;
    let (info, _) = element(fields, SEQUENCE)?;
    let (algorithm, after) = element(info.content, SEQUENCE)?;
    let (bits, _) = element(after, BIT_STRING)?;
    let (0, key) = bits
        .content
        .split_first()
        .map(|(unused, key)| (*unused, key))?
    else {
        return None;
    };
    Some(PublicKey {
        info: info.whole,
        algorithm: algorithm.content,
        key,
    })
}

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
}

fn element(bytes: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    any(bytes).filter(|(element, _)| element.tag == tag)
}

/// The first element and what follows it. Lengths of up to four bytes; a certificate has no longer ones.
fn any(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        let length = digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some((
        Element {
            tag,
            whole,
            content,
        },
        after,
    ))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn certificate() -> CertificateDer<'static> {
        let pem = super::super::make("bmc", &["10.0.0.9"]).unwrap();
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn the_key_is_the_one_a_strict_reader_finds() {
        let der = certificate();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let strict = &parsed.tbs_certificate.subject_pki;
        let found = public_key(&der).unwrap();
        assert_eq!(found.info, strict.raw);
        assert_eq!(found.key, &*strict.subject_public_key.data);
        let pin = key_pin(&der).unwrap();
        assert!(is_key_pin(&pin), "{pin}");
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        let der = certificate();
        for end in 0..der.len() {
            assert_eq!(public_key(&der[..end]), None, "{end}");
        }
        for bad in [
            &b"\x30\x80\x30\x80"[..],
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x89",
        ] {
            assert_eq!(public_key(bad), None);
        }
        proptest::proptest!(|(bytes: Vec<u8>, at: proptest::sample::Index, byte: u8)| {
            let _ = public_key(&bytes);
            let mut bent = der.to_vec();
            *at.get_mut(&mut bent) = byte;
            let _ = key_pin(&bent);
        });
        for text in ["", "sha256//", "sha256//AAAA", "SHA256:AB", "sha256//!"] {
            assert!(!is_key_pin(text), "{text}");
        }
    }
}
