//! argon2id: makes and checks password hashes, one at a time so that memory stays bounded. Never logs a password.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// Longest password that is hashed; longer ones are wrong.
pub const LONGEST: usize = 1024;
/// Most memory a configured hash may ask for, in KiB: the board has 1 GiB and a console to serve.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes over it.
const MOST_PASSES: u32 = 16;
/// Hash that an unknown user's password is checked against, so that it takes as long as a known one's.
/// Made with the default parameters of [`make`]; nobody knows a password that fits.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWlzLWhlcmU$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a hash cannot be used or made. Never holds the password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("this is no argon2id hash in PHC form ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")]
    NotArgon2id,
    #[error("the hash asks for too much work (at most m={MOST_MEMORY_KIB}, t={MOST_PASSES})")]
    TooCostly,
    #[error("the password is empty")]
    Empty,
    #[error("the password is longer than {LONGEST} bytes")]
    TooLong,
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Is this a hash that [`verify`] can use? For checking a configuration; costs nothing.
///
/// # Errors
/// What is wrong with it.
pub fn check(phc: &str) -> Result<(), Error> {
    let hash = PasswordHash::new(phc).map_err(|_| Error::NotArgon2id)?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
        return Err(Error::NotArgon2id);
    }
    let params = Params::try_from(&hash).map_err(|_| Error::NotArgon2id)?;
    if params.m_cost() > MOST_MEMORY_KIB || params.t_cost() > MOST_PASSES {
        return Err(Error::TooCostly);
    }
    Ok(())
}

/// Hashes a password (19 MiB, two passes: OWASP's first choice). Takes about 50 ms of a core; call it off the reactor.
///
/// # Errors
/// An empty or endless password, or no randomness.
pub fn make(password: &str) -> Result<String, Error> {
    if password.is_empty() {
        return Err(Error::Empty);
    }
    if password.len() > LONGEST {
        return Err(Error::TooLong);
    }
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    argon2
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| Error::Hash(e.to_string()))
}

/// Does the password fit the stored hash? `None` (no such user, or one without a password) takes the same time and is
/// never right. Call it off the reactor.
#[must_use]
pub fn verify(stored: Option<&str>, password: &str) -> bool {
    let usable = stored.filter(|phc| check(phc).is_ok());
    let Ok(hash) = PasswordHash::new(usable.unwrap_or(NOBODY)) else {
        return false;
    };
    let sane = password.len() <= LONGEST;
    let tried = if sane { password } else { "" };
    let fits = Argon2::default()
        .verify_password(tried.as_bytes(), &hash)
        .is_ok();
    fits && usable.is_some() && sane && !password.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = make("correct horse").unwrap();
        assert_eq!(check(&hash), Ok(()));
        assert!(verify(Some(&hash), "correct horse"));
        assert!(!verify(Some(&hash), "correct horsf"));
        assert!(!verify(Some(&hash), ""));
        assert!(!verify(Some(&hash), &"x".repeat(LONGEST * 4)));
        assert!(!verify(None, "correct horse"));
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        assert_eq!(check(NOBODY), Ok(()));
        assert!(!verify(None, ""));
    }

    #[test]
    fn foreign_and_greedy_hashes_are_refused() {
        for (phc, error) in [
            ("", Error::NotArgon2id),
            ("secret", Error::NotArgon2id),
            ("$6$rounds=5000$abc$def", Error::NotArgon2id),
            (
                "$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
                Error::NotArgon2id,
            ),
            (
                "$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
                Error::TooCostly,
            ),
        ] {
            assert_eq!(check(phc), Err(error), "{phc}");
            assert!(!verify(Some(phc), "secret"));
        }
    }
}
