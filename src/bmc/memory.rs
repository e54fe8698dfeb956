//! What a machine's owner must not forget over a restart: numbers of actions, the verb under way, the end of the log.
//! One small file per machine.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::file::write_atomically;
use crate::reset::{Try, Verb};

/// A file longer than this is none of ours.
const LONGEST: u64 = 64 * 1024;

/// What stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The number of the last action.
    #[serde(default)]
    pub(super) last_action: u64,
    #[serde(default)]
    pub(super) underway: Option<Underway>,
    /// The newest entry of the machine's own log that was told.
    #[serde(default)]
    pub(super) log: Option<String>,
}

/// A verb that was begun and not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Underway {
    pub(super) action: u64,
    pub(super) verb: Verb,
    pub(super) by: String,
    pub(super) began: Timestamp,
    pub(super) trail: Vec<Try>,
    pub(super) step: Step,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Nothing was asked of any device yet.
    Begun,
    /// This way was asked for all of it.
    Asked { method: String },
    /// This way was asked to take the power away; we owe the machine its power.
    OffAsked { method: String },
    /// As before, and the power was seen away.
    Dark { method: String },
}

/// The file and what stands in it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    path: Arc<Path>,
    now: Arc<Mutex<Remembered>>,
}

impl Memory {
    /// Opens the memory of a machine under the state directory; a damaged one is told and begun anew. Blocks.
    #[must_use]
    pub(super) fn open(state: &Path, machine: &str) -> Self {
        let path = state.join("machines").join(format!("{machine}.json"));
        let now = read(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!("{}: {error}; begun anew", path.display());
            }
            Remembered::default()
        });
        Self {
            path: path.into(),
            now: Arc::new(Mutex::new(now)),
        }
    }

    #[must_use]
    pub(super) fn get(&self) -> Remembered {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes it and waits until it is on flash. A flash that refuses is told in the log: power is worth more.
    pub(super) async fn change(&self, change: impl FnOnce(&mut Remembered)) {
        let (before, after) = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            let before = now.clone();
            change(&mut now);
            (before, now.clone())
        };
        if before == after {
            return;
        }
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path, &after)).await;
        if let Err(error) = written.map_err(io::Error::other).flatten() {
            tracing::error!("{} cannot be kept: {error}", self.path.display());
        }
    }

    pub(super) async fn step(&self, step: Step) {
        self.change(|now| {
            if let Some(underway) = &mut now.underway {
                underway.step = step;
            }
        })
        .await;
    }
}

fn read(path: &Path) -> io::Result<Remembered> {
    let length = std::fs::metadata(path)?.len();
    if length > LONGEST {
        return Err(io::Error::other(format!("{length} bytes are too many")));
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn write(path: &Path, now: &Remembered) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    write_atomically(path, &serde_json::to_vec(now)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_there_after_a_restart_and_a_damaged_one_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path(), "db1");
        assert_eq!(memory.get(), Remembered::default());
        memory.change(|now| now.last_action = 7).await;
        assert_eq!(Memory::open(dir.path(), "db1").get().last_action, 7);
        assert_eq!(Memory::open(dir.path(), "db2").get().last_action, 0);
        std::fs::write(dir.path().join("machines/db1.json"), "{").unwrap();
        assert_eq!(Memory::open(dir.path(), "db1").get().last_action, 0);
    }
}
