//! Fingerprints of other hosts, trusted since they were first seen: one small file per host. Talks to nobody.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::file::write_atomically;

/// A fingerprint is a word like `SHA256:…`; anything longer is no fingerprint.
const LONGEST: usize = 256;

/// The pins of this board. All of it blocks for the flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    dir: PathBuf,
}

/// What the pins say of a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was pinned; this one is from now on.
    First,
    Same,
    /// Another one is pinned, and still is.
    Changed {
        pinned: String,
    },
}

impl Pins {
    /// The pins under the state directory, which the first one makes.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self::at(state.join("pins"))
    }

    /// The pins in this folder, which the first one makes.
    #[must_use]
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Compares, and pins what was never seen before. `what` names protocol and address, as in `ssh 10.0.0.9:22`.
    ///
    /// # Errors
    /// A pin that cannot be read or written: then nothing is trusted.
    pub fn judge(&self, what: &str, found: &str) -> io::Result<Verdict> {
        match self.get(what)? {
            None => self.set(what, found).map(|()| Verdict::First),
            Some(pinned) if pinned == found => Ok(Verdict::Same),
            Some(pinned) => Ok(Verdict::Changed { pinned }),
        }
    }

    /// The pinned fingerprint.
    ///
    /// # Errors
    /// The file cannot be read, or holds no fingerprint.
    pub fn get(&self, what: &str) -> io::Result<Option<String>> {
        let path = self.path(what);
        let wrong = |why: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {why}", path.display()),
            )
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let fingerprint = text.trim();
                if fingerprint.is_empty() || fingerprint.len() > LONGEST {
                    return Err(wrong("no fingerprint"));
                }
                Ok(Some(fingerprint.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(&error.to_string())),
        }
    }

    /// Pins this one, whatever was pinned before.
    ///
    /// # Errors
    /// What the file system says; the old pin then stands.
    pub fn set(&self, what: &str, fingerprint: &str) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        write_atomically(
            &self.path(what),
            format!("{fingerprint}\n").as_bytes(),
            0o600,
        )
    }

    /// One file per name: what a file name should not have in it is written as `%` and two hex digits.
    fn path(&self, what: &str) -> PathBuf {
        let mut name = String::new();
        for byte in what.bytes() {
            if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
                name.push(char::from(byte));
            } else {
                let _ = write!(name, "%{byte:02x}");
            }
        }
        self.dir.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_pinned_another_is_not_until_told() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::new(dir.path());
        let what = "ssh [fd00::9]:22";
        assert_eq!(pins.judge(what, "SHA256:a").unwrap(), Verdict::First);
        let pins = Pins::new(dir.path());
        assert_eq!(pins.judge(what, "SHA256:a").unwrap(), Verdict::Same);
        let pinned = "SHA256:a".to_owned();
        let changed = Verdict::Changed { pinned };
        assert_eq!(pins.judge(what, "SHA256:b").unwrap(), changed);
        assert_eq!(pins.judge(what, "SHA256:b").unwrap(), changed);
        assert_eq!(pins.judge("ssh x", "SHA256:b").unwrap(), Verdict::First);
        pins.set(what, "SHA256:b").unwrap();
        assert_eq!(pins.judge(what, "SHA256:b").unwrap(), Verdict::Same);
        assert_eq!(
            pins.path("../a/b"),
            dir.path().join("pins").join("..%2fa%2fb")
        );
    }

    #[test]
    fn a_pin_that_cannot_be_read_trusts_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::new(dir.path());
        pins.set("x", "SHA256:a").unwrap();
        std::fs::write(pins.path("x"), "").unwrap();
        assert!(pins.judge("x", "SHA256:a").is_err());
        pins.set("x", "SHA256:a").unwrap();
        assert_eq!(pins.judge("x", "SHA256:a").unwrap(), Verdict::Same);
    }
}
