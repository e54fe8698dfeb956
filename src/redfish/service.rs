//! What the Redfish service keeps between requests: whose turn it is to change a resource, who gets events, and the tasks. Subscriptions survive
//! a restart; streams end with their connection.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::file::Slots;

use super::record::Filter;
use super::resource::boot::Said;
use super::tasks::Tasks;

/// Resources are spread over so many turnstiles.
const TURNS: u64 = 16;
/// Subscriptions and streams at once.
const MOST_PUSHES: usize = 20;
const MOST_STREAMS: usize = 40;
const FILE: &str = "redfish-subscriptions";

/// What becomes of a subscription whose receiver does not take events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Policy {
    TerminateAfterRetries,
    SuspendRetries,
    #[default]
    RetryForeverWithBackoff,
}

/// A receiver that events are pushed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Push {
    /// Who made it, and with whose rights it is served.
    pub(super) owner: String,
    pub(super) destination: String,
    pub(super) context: String,
    /// May hold a secret of the receiver; never shown.
    pub(super) headers: Vec<(String, String)>,
    pub(super) filter: Filter,
    pub(super) policy: Policy,
    /// The last event that it took or did not want.
    pub(super) cursor: u64,
    /// Given up until somebody changes it.
    pub(super) suspended: bool,
}

/// A stream of server-sent events that is open.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) owner: String,
    pub(super) from: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Push(Box<Push>),
    Stream(Stream),
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// Cancelled when it is removed.
    cut: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    entries: BTreeMap<u64, Entry>,
}

/// Record on flash.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    last: u64,
    pushes: BTreeMap<u64, Push>,
}

/// Either kind, as it is listed.
#[derive(Clone, Debug)]
pub(super) enum Listed {
    Push(Push),
    Stream(Stream),
}

impl Listed {
    pub(super) fn owner(&self) -> &str {
        match self {
            Self::Push(push) => &push.owner,
            Self::Stream(stream) => &stream.owner,
        }
    }
}

/// Kept by the HTTPS door as long as it is open.
#[derive(Debug)]
pub(crate) struct Service {
    /// Of two changes that both say `If-Match`, the second is compared with what the first has made.
    turns: Vec<Semaphore>,
    pub(super) tasks: Tasks,
    pub(super) boots: Said,
    table: Mutex<Table>,
    slots: Mutex<Slots>,
}

impl Service {
    /// With the subscriptions of before. A record that cannot be read is left out: its receivers subscribe anew. Blocks on a small file.
    pub(crate) fn open(state: &Path) -> Self {
        let (slots, kept) = Slots::open(&state.join(FILE));
        let kept = kept.and_then(|bytes| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            None => Ok(Kept::default()),
        });
        let Kept { last, pushes } = kept.unwrap_or_else(|error| {
            tracing::warn!(%error, "the subscriptions to events are lost");
            Kept::default()
        });
        let entries = pushes
            .into_iter()
            .map(|(id, push)| (id, entry(Kind::Push(Box::new(push)))));
        Self {
            turns: (0..TURNS).map(|_| Semaphore::new(1)).collect(),
            tasks: Tasks::open(state),
            boots: Said::default(),
            table: Mutex::new(Table {
                last,
                entries: entries.collect(),
            }),
            slots: Mutex::new(slots),
        }
    }

    /// Waits until nobody else changes the resource of this path; `None` never happens while the door is open.
    pub(super) async fn turn(&self, path: &str) -> Option<SemaphorePermit<'_>> {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % TURNS).unwrap_or(0);
        self.turns.get(at)?.acquire().await.ok()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a receiver; `None` when there are too many. Who adds saves.
    pub(super) fn add_push(&self, push: Push) -> Option<(u64, CancellationToken)> {
        let mut table = self.table();
        let is_push = |entry: &&Entry| matches!(entry.kind, Kind::Push(_));
        let there = table.entries.values().filter(is_push).count();
        (there < MOST_PUSHES).then(|| table.add(Kind::Push(Box::new(push))))
    }

    /// As [`Service::add_push`].
    pub(super) fn add_stream(&self, stream: Stream) -> Option<(u64, CancellationToken)> {
        let mut table = self.table();
        let is_stream = |entry: &&Entry| matches!(entry.kind, Kind::Stream(_));
        let there = table.entries.values().filter(is_stream).count();
        (there < MOST_STREAMS).then(|| table.add(Kind::Stream(stream)))
    }

    /// Takes one out and ends it; says whether it was there.
    pub(super) fn remove(&self, id: u64) -> bool {
        let removed = self.table().entries.remove(&id);
        removed.inspect(|entry| entry.cut.cancel()).is_some()
    }

    pub(super) fn get(&self, id: u64) -> Option<Listed> {
        self.table().entries.get(&id).map(listed)
    }

    pub(super) fn list(&self) -> Vec<(u64, Listed)> {
        let table = self.table();
        let entries = table.entries.iter();
        entries.map(|(id, entry)| (*id, listed(entry))).collect()
    }

    /// The receivers, to be served.
    pub(super) fn pushes(&self) -> Vec<(u64, CancellationToken)> {
        let table = self.table();
        let pushes = table.entries.iter();
        let pushes = pushes.filter(|(_, entry)| matches!(entry.kind, Kind::Push(_)));
        pushes.map(|(id, entry)| (*id, entry.cut.clone())).collect()
    }

    /// Changes a receiver; says whether it is there.
    pub(super) fn change(&self, id: u64, change: impl FnOnce(&mut Push)) -> bool {
        match self
            .table()
            .entries
            .get_mut(&id)
            .map(|entry| &mut entry.kind)
        {
            Some(Kind::Push(push)) => {
                change(push);
                true
            }
            _ => false,
        }
    }

    /// Puts the receivers on flash. Blocks.
    pub(super) fn save(&self) -> io::Result<()> {
        // Whoever comes second writes what is newest.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = {
            let table = self.table();
            let pushes = table
                .entries
                .iter()
                .filter_map(|(id, entry)| match &entry.kind {
                    Kind::Push(push) => Some((*id, Push::clone(push))),
                    Kind::Stream(_) => None,
                });
            Kept {
                last: table.last,
                pushes: pushes.collect(),
            }
        };
        let bytes = serde_json::to_vec(&kept).map_err(io::Error::other)?;
        slots.write(&bytes)
    }
}

impl Table {
    fn add(&mut self, kind: Kind) -> (u64, CancellationToken) {
        self.last += 1;
        let entry = entry(kind);
        let cut = entry.cut.clone();
        self.entries.insert(self.last, entry);
        (self.last, cut)
    }
}

fn entry(kind: Kind) -> Entry {
    Entry {
        kind,
        cut: CancellationToken::new(),
    }
}

fn listed(entry: &Entry) -> Listed {
    match &entry.kind {
        Kind::Push(push) => Listed::Push(Push::clone(push)),
        Kind::Stream(stream) => Listed::Stream(stream.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_survive_and_streams_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let push = Push {
            owner: "alice".into(),
            destination: "https://10.0.0.9/events".into(),
            context: "x".into(),
            headers: vec![],
            filter: Filter::default(),
            policy: Policy::default(),
            cursor: 7,
            suspended: false,
        };
        let service = Service::open(folder.path());
        let (id, _) = service.add_push(push.clone()).unwrap();
        let stream = Stream {
            owner: "bob".into(),
            from: "here".into(),
        };
        let (open, cut) = service.add_stream(stream).unwrap();
        assert!(service.change(id, |push| push.cursor = 9) && !service.change(open, |_| ()));
        service.save().unwrap();
        assert!(service.remove(open) && cut.is_cancelled() && !service.remove(open));
        drop(service);
        let service = Service::open(folder.path());
        assert_eq!(service.pushes().len(), 1);
        assert!(
            matches!(service.get(id), Some(Listed::Push(one)) if one == Push { cursor: 9, ..push.clone() })
        );
        let (next, _) = service.add_push(push).unwrap();
        assert!(next > open - 1, "numbers do not come again");
        for _ in 0..MOST_PUSHES {
            let _ = service.add_push(Push {
                cursor: 0,
                ..as_push(&service, id)
            });
        }
        assert_eq!(service.pushes().len(), MOST_PUSHES);
    }

    fn as_push(service: &Service, id: u64) -> Push {
        match service.get(id) {
            Some(Listed::Push(push)) => push,
            other => panic!("{other:?}"),
        }
    }
}
