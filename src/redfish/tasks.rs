//! What goes on after its request was answered, and what came of it: the tasks of the task service. Bounded in number and age. Of a restart
//! they survive as far as that it is told which were cut off.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::file::Slots;

use super::message::Message;

/// Tasks at once, those that are over included.
const MOST: usize = 64;
/// How long what came of one is kept.
pub(super) const KEPT: Duration = Duration::from_secs(3600);
const FILE: &str = "redfish-tasks";

/// Where an action is told in the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    Machine(String),
    Outlet { pdu: String, outlet: String },
}

/// A verb that an owner has begun, by the number that it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) target: Target,
    pub(super) action: u64,
}

/// How it stands, as `Task.TaskState` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Running,
    Completed,
    Exception,
}

/// What the monitor answers at the end.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) status: StatusCode,
    pub(super) messages: Vec<Message>,
}

impl End {
    /// Done, and nothing to say.
    pub(super) fn well() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            messages: vec![],
        }
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) owner: String,
    /// The address that was posted to.
    pub(super) target: String,
    pub(super) began: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) begun: Option<Begun>,
    pub(super) end: Option<End>,
}

impl Task {
    pub(super) fn stand(&self) -> Stand {
        match &self.end {
            None => Stand::Running,
            Some(end) if end.status.is_success() => Stand::Completed,
            Some(_) => Stand::Exception,
        }
    }
}

/// Record on flash of one that is under way.
#[derive(Debug, Serialize, Deserialize)]
struct Open {
    owner: String,
    target: String,
    began: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    last: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    tasks: BTreeMap<u64, Task>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tasks {
    table: Mutex<Table>,
    slots: Mutex<Slots>,
}

impl Tasks {
    /// With those that were cut off when the board stopped. Blocks on a small file.
    pub(super) fn open(state: &Path) -> Self {
        let (slots, kept) = Slots::open(&state.join(FILE));
        let kept = kept.and_then(|bytes| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            None => Ok(Record::default()),
        });
        let Record { last, open } = kept.unwrap_or_else(|error| {
            tracing::warn!(%error, "which tasks were cut off is not known");
            Record::default()
        });
        let now = Timestamp::now();
        let cut = open.into_iter().map(|(id, one)| {
            let task = Task {
                owner: one.owner,
                target: one.target,
                began: one.began,
                ended: Some(now),
                begun: None,
                end: Some(End {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    messages: vec![Message::new("CutOff", &[])],
                }),
            };
            (id, task)
        });
        Self {
            table: Mutex::new(Table {
                last,
                tasks: cut.collect(),
            }),
            slots: Mutex::new(slots),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = Timestamp::now().0.saturating_sub(millis(KEPT));
        table
            .tasks
            .retain(|_, task| task.ended.is_none_or(|ended| ended.0 >= oldest));
        table
    }

    /// A task more, in the place of the oldest that is over; `None` while too many are under way.
    pub(super) fn add(&self, owner: &str, target: &str, begun: Option<Begun>) -> Option<u64> {
        let mut table = self.table();
        if table.tasks.len() >= MOST {
            let mut over = table.tasks.iter().filter(|(_, task)| task.end.is_some());
            let oldest = over.next().map(|(id, _)| *id)?;
            table.tasks.remove(&oldest);
        }
        table.last += 1;
        let id = table.last;
        let task = Task {
            owner: owner.to_owned(),
            target: target.to_owned(),
            began: Timestamp::now(),
            ended: None,
            begun,
            end: None,
        };
        table.tasks.insert(id, task);
        Some(id)
    }

    /// An owner has begun what this one is about.
    pub(super) fn begun(&self, id: u64, begun: Begun) {
        if let Some(task) = self.table().tasks.get_mut(&id) {
            task.begun = Some(begun);
        }
    }

    pub(super) fn end(&self, id: u64, end: End) {
        if let Some(task) = self.table().tasks.get_mut(&id) {
            task.ended = Some(Timestamp::now());
            task.end = Some(end);
        }
    }

    /// Forgets one that is over; says whether it did.
    pub(super) fn forget(&self, id: u64) -> bool {
        let mut table = self.table();
        let over = table.tasks.get(&id).is_some_and(|task| task.end.is_some());
        over && table.tasks.remove(&id).is_some()
    }

    pub(super) fn get(&self, id: u64) -> Option<Task> {
        self.table().tasks.get(&id).cloned()
    }

    pub(super) fn list(&self) -> Vec<(u64, Task)> {
        let table = self.table();
        let tasks = table.tasks.iter();
        tasks.map(|(id, task)| (*id, task.clone())).collect()
    }

    /// Puts on flash what is under way. Blocks.
    pub(super) fn save(&self) -> io::Result<()> {
        // Whoever comes second writes what is newest.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let record = {
            let table = self.table();
            let open = table.tasks.iter().filter(|(_, task)| task.end.is_none());
            let open = open.map(|(id, task)| {
                let open = Open {
                    owner: task.owner.clone(),
                    target: task.target.clone(),
                    began: task.began,
                };
                (*id, open)
            });
            Record {
                last: table.last,
                open: open.collect(),
            }
        };
        let bytes = serde_json::to_vec(&record).map_err(io::Error::other)?;
        slots.write(&bytes)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_and_a_restart_says_which_it_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::open(folder.path());
        let add = || tasks.add("alice", "/redfish/v1/Systems/db1/x", None);
        let ids: Vec<u64> = (0..MOST).map(|_| add().unwrap()).collect();
        assert_eq!(add(), None, "none of them is over");
        tasks.end(ids[3], End::well());
        tasks.end(ids[5], End::well());
        assert!(!tasks.forget(ids[4]), "it is under way");
        let next = add().unwrap();
        assert!(tasks.get(ids[3]).is_none() && tasks.get(ids[5]).is_some());
        assert!(tasks.forget(ids[5]) && !tasks.forget(ids[5]));
        tasks.save().unwrap();
        drop(tasks);
        let tasks = Tasks::open(folder.path());
        let one = tasks.get(next).unwrap();
        assert_eq!(
            (one.stand(), one.owner.as_str()),
            (Stand::Exception, "alice")
        );
        assert_eq!(one.end.unwrap().messages[0].id(), "Oobd.1.0.CutOff");
        assert_eq!(tasks.list().len(), MOST - 1);
        let after = tasks.add("bob", "/x", None).unwrap();
        assert!(after > next, "numbers do not come again");
    }
}
