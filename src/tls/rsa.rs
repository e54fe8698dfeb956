//! Certificates with RSA keys, for firmware that knows no other.

use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256,
};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::identity::parameters;
use super::legacy;

/// What firmware of that age takes.
const BITS: u32 = 2048;

/// Makes a certificate with a new RSA key for these names, signed by an authority of its own that can sign nothing more: its
/// key is forgotten. As PEM: the key, the certificate, the authority. It holds as long as one of [`super::make`].
///
/// Takes seconds on a small board; blocks.
///
/// # Errors
/// Why it could not be made.
pub fn make_rsa(name: &str, others: &[&str]) -> Result<String, String> {
    let said = |error: rcgen::Error| error.to_string();
    let (root_key, key) = (new_key()?, new_key()?);
    let mut root = parameters(&format!("oobd of {name}"), Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let names = std::iter::once(&name)
        .chain(others)
        .map(ToString::to_string);
    let mut leaf = parameters(name, names.collect())?;
    leaf.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let signed = root.self_signed(&root_key).map_err(said)?;
    let issuer = Issuer::from_params(&root, &root_key);
    let certificate = leaf.signed_by(&key, &issuer).map_err(said)?;
    Ok(format!(
        "{}{}{}",
        key.serialize_pem(),
        certificate.pem(),
        signed.pem()
    ))
}

fn new_key() -> Result<KeyPair, String> {
    let der = PrivatePkcs8KeyDer::from(legacy::rsa_key(BITS)?);
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Identity;

    #[test]
    fn what_is_made_can_be_used() {
        let pem = make_rsa("rack7", &["localhost"]).unwrap();
        Identity::from_pem(&pem, &pem).unwrap();
        assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(pem.matches("PRIVATE KEY").count(), 2);
    }
}
