//! What of a PDU's verbs must survive us: the number of the next action, and outlets that are owed their power. One small
//! file per PDU, written whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::file::write_atomically;
use crate::reset::Verb;

/// An outlet that we switched off and have to switch on again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed {
    pub(super) outlet: String,
    pub(super) action: u64,
    pub(super) verb: Verb,
    pub(super) by: String,
    pub(super) began: Timestamp,
    /// The action has had its outcome, so what is left is ours alone.
    pub(super) told: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    next: u64,
    owed: Vec<Owed>,
}

/// The page and its file. All that writes blocks for the flash.
#[derive(Clone, Debug)]
pub(super) struct Book {
    path: PathBuf,
    page: Page,
}

impl Book {
    /// What the file of this PDU holds. A damaged one is told in the log and begun anew, with numbers past any that were.
    pub(super) fn open(state: &Path, pdu: &str) -> Self {
        let path = state.join("power").join(format!("{pdu}.json"));
        let fresh = |next| Page {
            next,
            owed: Vec::new(),
        };
        let page = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!("{} is not usable: {error}", path.display());
                fresh(Timestamp::now().0)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh(1),
            Err(error) => {
                tracing::error!("{} cannot be read: {error}", path.display());
                fresh(Timestamp::now().0)
            }
        };
        Self { path, page }
    }

    /// The number of a new action, kept before it is given out.
    ///
    /// # Errors
    /// The flash refuses; the number is good for this boot.
    pub(super) fn number(&mut self) -> (u64, io::Result<()>) {
        let number = self.page.next;
        self.page.next += 1;
        (number, self.store())
    }

    pub(super) fn owed(&self) -> &[Owed] {
        &self.page.owed
    }

    /// Writes down that this outlet is owed its power.
    ///
    /// # Errors
    /// The flash refuses: then do not switch it off.
    pub(super) fn owe(&mut self, owed: Owed) -> io::Result<()> {
        self.page.owed.retain(|other| other.outlet != owed.outlet);
        self.page.owed.push(owed);
        let stored = self.store();
        if stored.is_err() {
            self.page.owed.pop();
        }
        stored
    }

    /// The outlet has its power, or somebody wants it otherwise.
    ///
    /// # Errors
    /// The flash refuses; after the next start it is switched on once more.
    pub(super) fn settle(&mut self, outlet: &str) -> io::Result<()> {
        if !self.page.owed.iter().any(|owed| owed.outlet == outlet) {
            return Ok(());
        }
        self.page.owed.retain(|owed| owed.outlet != outlet);
        self.store()
    }

    fn store(&self) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let bytes = serde_json::to_vec(&self.page).map_err(io::Error::other)?;
        write_atomically(&self.path, &bytes, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_and_debts_stay_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert_eq!(book.number().0, 1);
        let owed = Owed {
            outlet: "3".into(),
            action: 1,
            verb: Verb::PowerCycle,
            by: "alice".into(),
            began: Timestamp(5),
            told: false,
        };
        book.owe(owed.clone()).unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert_eq!(book.owed(), [owed]);
        assert_eq!(book.number().0, 2);
        book.settle("4").unwrap();
        assert_eq!(book.owed().len(), 1);
        book.settle("3").unwrap();
        assert!(Book::open(dir.path(), "rack").owed().is_empty());
        std::fs::write(dir.path().join("power/rack.json"), "{").unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert!(book.number().0 > 1_000_000);
    }

    #[test]
    fn a_debt_that_cannot_be_kept_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("power"), "in the way").unwrap();
        let mut book = Book::open(dir.path(), "rack");
        let owed = Owed {
            outlet: "3".into(),
            action: 1,
            verb: Verb::PowerCycle,
            by: "alice".into(),
            began: Timestamp(5),
            told: false,
        };
        assert!(book.owe(owed).is_err());
        assert!(book.owed().is_empty());
    }
}
