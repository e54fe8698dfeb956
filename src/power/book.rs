//! What of a PDU's verbs must survive us: the number of the next action, verbs whose outcome was not told yet, and outlets
//! that are owed their power. One small file per PDU, each state of it written whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::file::Slots;
use crate::reset::Verb;

/// A verb on an outlet that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Underway {
    pub(super) outlet: String,
    pub(super) action: u64,
    pub(super) verb: Verb,
    pub(super) by: String,
    pub(super) began: Timestamp,
}

/// An outlet that we switched off and have to switch on again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed {
    #[serde(flatten)]
    pub(super) verb: Underway,
    /// The action has had its outcome, so what is left is ours alone.
    pub(super) told: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    next: u64,
    owed: Vec<Owed>,
    /// Verbs without an outcome.
    #[serde(default)]
    underway: Vec<Underway>,
}

/// The page and its file. All that writes blocks for the flash.
#[derive(Clone, Debug)]
pub(super) struct Book {
    slots: Slots,
    page: Page,
    /// The flash says already that the next number is taken: it may be given out while the page that tells of it is written.
    spare: bool,
    /// Where an oobd of before wrote; it goes once the page stands in the slots.
    former: Option<PathBuf>,
}

impl Book {
    /// What the file of this PDU holds. A damaged one is told in the log and begun anew, with numbers past any that were.
    pub(super) fn open(state: &Path, pdu: &str) -> Self {
        let folder = state.join("power");
        let path = folder.join(format!("{pdu}.book"));
        let (slots, last) = Slots::open(&path);
        let former = folder.join(format!("{pdu}.json"));
        let mut read = last;
        if let Ok(None) = read {
            read = match std::fs::read(&former) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
        }
        let fresh = |next| Page {
            next,
            ..Page::default()
        };
        let page = match read {
            Ok(None) => fresh(1),
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!("{} is not usable: {error}", path.display());
                fresh(Timestamp::now().0)
            }),
            Err(error) => {
                tracing::error!("{} cannot be read: {error}", path.display());
                fresh(Timestamp::now().0)
            }
        };
        let former = Some(former);
        Self {
            slots,
            page,
            spare: false,
            former,
        }
    }

    /// The number that [`Book::begin`] takes next, if it is good before `begin` has ended.
    pub(super) fn spare(&self) -> Option<u64> {
        self.spare.then_some(self.page.next)
    }

    /// The number of a new action on these outlets, kept before this ends.
    ///
    /// # Errors
    /// The flash refuses; the number is good for this boot.
    pub(super) fn begin(
        &mut self,
        outlets: &[String],
        verb: Verb,
        by: &str,
    ) -> (u64, io::Result<()>) {
        let action = self.page.next;
        self.page.next += 1;
        self.page
            .underway
            .retain(|other| !outlets.contains(&other.outlet));
        self.page
            .underway
            .extend(outlets.iter().map(|outlet| Underway {
                outlet: outlet.clone(),
                action,
                verb,
                by: by.to_owned(),
                began: Timestamp::now(),
            }));
        (action, self.store())
    }

    /// Verbs whose outcome was not told.
    pub(super) fn underway(&self) -> &[Underway] {
        &self.page.underway
    }

    /// The outcome of what was under way on this outlet has been told.
    ///
    /// # Errors
    /// The flash refuses; after the next start it is told once more.
    pub(super) fn told(&mut self, outlet: &str) -> io::Result<()> {
        self.strike(|page| &mut page.underway, |verb| verb.outlet == outlet)
    }

    pub(super) fn owed(&self) -> &[Owed] {
        &self.page.owed
    }

    /// Writes down that this outlet is owed its power.
    ///
    /// # Errors
    /// The flash refuses: then do not switch it off.
    pub(super) fn owe(&mut self, owed: Owed) -> io::Result<()> {
        self.page
            .owed
            .retain(|other| other.verb.outlet != owed.verb.outlet);
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
        self.strike(|page| &mut page.owed, |owed| owed.verb.outlet == outlet)
    }

    /// Takes entries off a list; writes only when there were some.
    fn strike<T>(
        &mut self,
        list: impl Fn(&mut Page) -> &mut Vec<T>,
        is_done: impl Fn(&T) -> bool,
    ) -> io::Result<()> {
        let list = list(&mut self.page);
        let before = list.len();
        list.retain(|entry| !is_done(entry));
        if list.len() == before {
            return Ok(());
        }
        self.store()
    }

    fn store(&mut self) -> io::Result<()> {
        self.spare = false;
        let page = Page {
            next: self.page.next + 1,
            ..self.page.clone()
        };
        let bytes = serde_json::to_vec(&page).map_err(io::Error::other)?;
        self.slots.write(&bytes)?;
        self.spare = true;
        if let Some(former) = self.former.take() {
            // Mostly there is none.
            let _ = std::fs::remove_file(former);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed() -> Owed {
        Owed {
            verb: Underway {
                outlet: "3".into(),
                action: 1,
                verb: Verb::PowerCycle,
                by: "alice".into(),
                began: Timestamp(5),
            },
            told: false,
        }
    }

    #[test]
    fn numbers_grow_and_debts_stay_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert_eq!(book.spare(), None, "no page tells of it yet");
        assert_eq!(book.begin(&[], Verb::On, "alice").0, 1);
        assert_eq!(book.spare(), Some(2));
        book.owe(owed()).unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert_eq!(book.owed(), [owed()]);
        // 2 may have been given out when the power was cut.
        assert_eq!(book.spare(), None);
        assert_eq!(book.begin(&[], Verb::On, "alice").0, 3);
        book.settle("4").unwrap();
        assert_eq!(book.owed().len(), 1);
        book.settle("3").unwrap();
        assert!(Book::open(dir.path(), "rack").owed().is_empty());
        std::fs::write(dir.path().join("power/rack.book"), "{").unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert!(book.begin(&[], Verb::On, "alice").0 > 1_000_000);
    }

    #[test]
    fn verbs_stay_until_their_outcome_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(dir.path(), "rack");
        let outlets = ["1".to_owned(), "2".to_owned()];
        book.begin(&outlets, Verb::ForceOff, "alice").1.unwrap();
        book.told("1").unwrap();
        let book = Book::open(dir.path(), "rack");
        let [left] = book.underway() else {
            panic!("{:?}", book.underway());
        };
        assert_eq!((left.outlet.as_str(), left.action), ("2", 1));
        assert_eq!((left.verb, left.by.as_str()), (Verb::ForceOff, "alice"));
    }

    #[test]
    fn a_page_of_before_is_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("power")).unwrap();
        let text = r#"{"next":7,"owed":[{"outlet":"3","action":1,"verb":"PowerCycle","by":"alice","began":"1970-01-01T00:00:00.005Z","told":false}]}"#;
        std::fs::write(dir.path().join("power/rack.json"), text).unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert_eq!(book.owed(), [owed()]);
        assert_eq!(book.begin(&[], Verb::On, "alice").0, 7);
        // What is written down from now on is elsewhere, and what is stale is gone.
        assert!(!dir.path().join("power/rack.json").exists());
        let mut book = Book::open(dir.path(), "rack");
        assert_eq!(book.owed(), [owed()]);
        assert_eq!(book.begin(&[], Verb::On, "alice").0, 9);
    }

    #[test]
    fn a_debt_that_cannot_be_kept_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("power"), "in the way").unwrap();
        let mut book = Book::open(dir.path(), "rack");
        assert!(book.owe(owed()).is_err());
        assert!(book.owed().is_empty());
        assert_eq!(book.spare(), None);
    }
}
