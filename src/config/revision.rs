//! Changes of oobd.toml from inside: the text before is kept, and a change on trial comes undone unless it is confirmed. A power
//! cut at any byte leaves the old text or the new one in force. Blocks; one caller at a time.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::secret::Folders;
use super::{Problem, load, store};
use crate::file::write_atomically;

/// What a board without the file is edited from.
const NOTHING: &str = "schema = 1\n";
/// Beside oobd.toml, for a person with a card reader.
const BESIDE: &str = "oobd.previous.toml";

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// oobd.toml.
    pub file: PathBuf,
    pub state_dir: PathBuf,
    /// Where texts for the boot partition go: its own folder, or one from which a unit takes them there.
    pub notes_dir: PathBuf,
}

/// A text and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub text: String,
    pub hash: String,
}

impl Revision {
    #[must_use]
    pub fn new(text: String) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let hash = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            hash: hash.collect(),
            text,
        }
    }
}

/// Why a text was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("there is no configuration before this one")]
    NothingBefore,
}

/// A change on trial, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnTrial {
    pub by: String,
    /// Milliseconds of the board's uptime.
    pub since: u64,
    pub until: u64,
}

/// `config/trial.json` in the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Hash of the text on trial.
    new: String,
    /// Of the one before.
    old: String,
    by: String,
    boot: String,
    since: u64,
    until: u64,
    /// It came undone: the text before is in force, whatever the boot partition still holds.
    undone: bool,
}

/// What was found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Waits(OnTrial),
    /// It came undone now.
    Undone(OnTrial),
}

impl Place {
    /// The text of oobd.toml. Without the file, what a file that says nothing has.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn current(&self) -> Result<Revision, Vec<Problem>> {
        if matches!(fs::metadata(&self.file), Err(e) if e.kind() == ErrorKind::NotFound) {
            return Ok(Revision::new(NOTHING.to_owned()));
        }
        store::read_text(&self.file).map(Revision::new)
    }

    /// The text that was in force before the newest.
    ///
    /// # Errors
    /// There is none.
    pub fn previous(&self) -> Result<Revision, Error> {
        let text = fs::read_to_string(self.config_dir().join("previous.toml"));
        text.map(Revision::new).map_err(|_| Error::NothingBefore)
    }

    /// Writes a checked text in the place of oobd.toml; it is there once [`Place::holds`] says so. `on_trial` is who made it,
    /// the boot and how long it may wait.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn replace(
        &self,
        old: &Revision,
        new: &Revision,
        on_trial: Option<(&OnTrial, &str)>,
    ) -> Result<(), Error> {
        let old = &self.good(old);
        self.write("previous.toml", old.text.as_bytes())?;
        if let Some((trial, boot)) = on_trial {
            self.record(&Record {
                new: new.hash.clone(),
                old: old.hash.clone(),
                by: trial.by.clone(),
                boot: boot.to_owned(),
                since: trial.since,
                until: trial.until,
                undone: false,
            })?;
        }
        if self.is_direct() {
            let beside = self.notes_dir.join(BESIDE);
            if let Err(error) = write_atomically(&beside, old.text.as_bytes(), 0o600) {
                tracing::warn!("{}: {error}", beside.display());
            }
        }
        self.ask(new).inspect_err(|_| self.forget())
    }

    /// Is this the text of oobd.toml now?
    #[must_use]
    pub fn holds(&self, text: &Revision) -> bool {
        let holds = self.current().is_ok_and(|now| now.hash == text.hash);
        if holds {
            self.take_request_back();
        }
        holds
    }

    /// Gives up writing what [`Place::replace`] began to.
    pub fn abandon(&self) {
        self.take_request_back();
        self.forget();
    }

    /// The text on trial stays.
    pub fn confirm(&self) {
        self.forget();
    }

    /// Has the text before in force from the next import on: also where it cannot be written yet, see [`Place::settle`].
    pub fn undo(&self) {
        let Some(record) = self.load() else {
            return;
        };
        self.begin_undo(record);
    }

    fn begin_undo(&self, record: Record) {
        let undone = Record {
            undone: true,
            ..record
        };
        if let Err(error) = self.record(&undone) {
            tracing::error!("what came undone of oobd.toml may be in force again: {error}");
        }
        match self.previous().and_then(|old| self.ask(&old)) {
            Ok(()) if self.is_direct() => self.forget(),
            Ok(()) => {}
            Err(error) => tracing::error!("oobd.toml keeps the text that came undone: {error}"),
        }
    }

    /// Looks again whether what was undone has reached the file; cheap when nothing was.
    pub fn settle(&self) {
        let Some(record) = self.load().filter(|record| record.undone) else {
            return;
        };
        // Also when a person has put a text of their own there.
        if self.current().is_ok_and(|now| now.hash != record.new) {
            self.take_request_back();
            self.forget();
        }
    }

    /// The trial, at start. A reboot ends it: whoever lost the board by a change has the one before after a power cycle.
    #[must_use]
    pub fn resume(&self, boot: &str, uptime: u64) -> Found {
        let Some(record) = self.load() else {
            self.take_request_back();
            return Found::Nothing;
        };
        if !self.current().is_ok_and(|now| now.hash == record.new) {
            // Never written, or written over by a person since.
            self.take_request_back();
            self.forget();
            return Found::Nothing;
        }
        let trial = OnTrial {
            by: record.by.clone(),
            since: record.since,
            until: record.until,
        };
        if record.boot == boot && uptime < record.until && !record.undone {
            return Found::Waits(trial);
        }
        let told = record.undone;
        self.begin_undo(record);
        if told {
            Found::Nothing
        } else {
            Found::Undone(trial)
        }
    }

    /// The text in force, if it is not that of the file: a change came undone that the file still holds.
    pub(super) fn instead(&self) -> Option<String> {
        let record = self.load().filter(|record| record.undone)?;
        let stands = self.current().is_ok_and(|now| now.hash == record.new);
        let old = self.previous().ok().filter(|_| stands)?;
        (old.hash == record.old).then_some(old.text)
    }

    /// The text itself, or the copy of the last good one where it is not in force.
    fn good(&self, text: &Revision) -> Revision {
        let folders = Folders::of(&self.file, &self.state_dir);
        if load(&text.text, &folders).is_ok() {
            return text.clone();
        }
        let copy = fs::read_to_string(self.config_dir().join("last-good.toml"));
        copy.map_or_else(|_| text.clone(), Revision::new)
    }

    /// Writes oobd.toml where it is, or where it is taken from.
    fn ask(&self, new: &Revision) -> Result<(), Error> {
        let path = self
            .notes_dir
            .join(self.file.file_name().unwrap_or_default());
        let path = if self.is_direct() {
            self.file.clone()
        } else {
            path
        };
        write_atomically(&path, new.text.as_bytes(), 0o600)
            .map_err(|source| Error::Write { path, source })
    }

    /// Is the folder of oobd.toml ours to write to?
    fn is_direct(&self) -> bool {
        self.file.parent() == Some(&self.notes_dir)
    }

    fn take_request_back(&self) {
        if !self.is_direct() {
            let name = self.file.file_name().unwrap_or_default();
            remove(&self.notes_dir.join(name));
        }
    }

    fn config_dir(&self) -> PathBuf {
        self.state_dir.join("config")
    }

    fn record(&self, record: &Record) -> Result<(), Error> {
        let json = serde_json::to_vec(record).unwrap_or_default();
        self.write("trial.json", &json)
    }

    fn load(&self) -> Option<Record> {
        let path = self.config_dir().join("trial.json");
        let bytes = fs::read(&path).ok()?;
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::error!("{} is damaged: {error}", path.display()))
            .ok()
    }

    fn forget(&self) {
        remove(&self.config_dir().join("trial.json"));
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.config_dir().join(name);
        let written = fs::create_dir_all(self.config_dir())
            .and_then(|()| write_atomically(&path, bytes, 0o600));
        written.map_err(|source| Error::Write { path, source })
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::error!("{}: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "revision_tests.rs"]
mod tests;
