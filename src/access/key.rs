//! OpenSSH public keys of users, one per line of `keys`. Never reads private keys.

use russh::keys::ssh_key::Algorithm;
use russh::keys::{HashAlg, PublicKey};

/// Smallest RSA modulus that may sign in, as OpenSSH's `RequiredRSASize` would have it on a hardened host.
const RSA_BITS: u32 = 2048;

/// Why a line is no key of ours. The text is for the person who edits oobd.toml.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadKey {
    #[error("the key is empty")]
    Empty,
    #[error(
        "the key starts with options ({0}); oobd has none per key: say it with role, consoles and forward of the user"
    )]
    Options(String),
    #[error(
        "{0} keys are not accepted; use ssh-ed25519, ecdsa-sha2-nistp256 or ssh-rsa of 2048 bits and more"
    )]
    Algorithm(String),
    #[error("the RSA key is too short ({0} bits); 2048 is the least")]
    Short(u32),
    #[error(
        "this is a private key: put the line of the .pub file here, and make a new key pair, for this one is no secret any more"
    )]
    Private,
    #[error("this is no OpenSSH public key ({0})")]
    Malformed(String),
}

/// Reads `ssh-ed25519 AAAA… comment`.
///
/// # Errors
/// [`BadKey`] says what to do about it; it repeats at most the first words of the line.
pub fn parse(line: &str) -> Result<PublicKey, BadKey> {
    let line = line.trim();
    let Some(first) = line.split_whitespace().next() else {
        return Err(BadKey::Empty);
    };
    if first.starts_with("-----BEGIN") || line.contains("PRIVATE KEY") {
        return Err(BadKey::Private);
    }
    if !looks_like_type(first) {
        // `from="10.0.0.0/8",no-pty ssh-ed25519 AAAA…`: silently dropping the restriction would widen the key.
        if line.split_whitespace().skip(1).any(looks_like_type) {
            return Err(BadKey::Options(super::printable(first)));
        }
        return Err(BadKey::Malformed(format!(
            "it starts with {:?}",
            super::printable(first)
        )));
    }
    if first == "ssh-dss" || first.contains("-cert-") {
        return Err(BadKey::Algorithm(first.to_owned()));
    }
    let key = PublicKey::from_openssh(line).map_err(|e| BadKey::Malformed(e.to_string()))?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => {}
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {}
        Algorithm::Rsa { .. } => {
            let bits = key.key_data().rsa().map_or(0, |rsa| rsa.key_size());
            if bits < RSA_BITS {
                return Err(BadKey::Short(bits));
            }
        }
        other => return Err(BadKey::Algorithm(other.to_string())),
    }
    Ok(key)
}

/// `SHA256:…`, as `ssh-keygen -l` prints it.
#[must_use]
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn looks_like_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_key_with_and_without_comment() {
        let plain = parse(ED25519).unwrap();
        let commented = parse(&format!("  {ED25519} alice at her laptop\n")).unwrap();
        assert_eq!(plain.key_data(), commented.key_data());
        assert!(fingerprint(&plain).starts_with("SHA256:"));
    }

    #[test]
    fn options_are_refused_and_named() {
        let line = format!("from=\"10.0.0.0/8\",no-pty {ED25519}");
        let Err(BadKey::Options(options)) = parse(&line) else {
            panic!("options accepted");
        };
        assert!(options.starts_with("from="));
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert_eq!(parse("  "), Err(BadKey::Empty));
        assert!(matches!(parse("hello"), Err(BadKey::Malformed(_))));
        assert!(matches!(
            parse("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+"),
            Err(BadKey::Malformed(_))
        ));
        assert_eq!(
            parse("-----BEGIN OPENSSH PRIVATE KEY-----"),
            Err(BadKey::Private)
        );
        assert_eq!(
            parse("ssh-dss AAAAB3NzaC1kc3MAAACBAJ"),
            Err(BadKey::Algorithm("ssh-dss".into()))
        );
    }
}
