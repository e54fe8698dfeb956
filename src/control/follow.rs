//! Events for one person: first what the journal has, then what happens. Every door reads them through this; it never
//! writes one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::access::Person;
use crate::bus::Bus;
use crate::command::Refusal;
use crate::event::Event;
use crate::journal;

use super::serve::House;
use super::view;
use super::wire::Query;

/// Events per read of the journal; each read walks a whole segment, so fewer would only read it again.
const CHUNK: usize = 4096;
/// Longest a read of flash may take.
const FLASH_LIMIT: Duration = Duration::from_secs(20);

/// How far a reader has come.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Nothing read yet; only so many are wanted, the newest.
    Newest(usize),
    /// The journal has more after this one, perhaps.
    Journal(u64),
    /// The journal was read up to this one.
    Live(u64),
}

/// One reader of events. A slow one lags on the bus and then reads the journal again, so nobody waits for it and it
/// misses nothing that the journal still has.
#[derive(Debug)]
pub struct Follow {
    journal: journal::Reader,
    /// Until the journal was waited for: who has just had something done finds it.
    settles: Option<Bus>,
    live: broadcast::Receiver<Arc<Event>>,
    query: Query,
    place: Place,
}

impl Follow {
    /// Begins to listen now, so that nothing falls between the journal and what happens.
    #[must_use]
    pub fn new(house: &House, query: Query) -> Self {
        let place = match query.newest {
            Some(newest) => Place::Newest(usize::try_from(newest).unwrap_or(usize::MAX)),
            None => Place::Journal(query.after.unwrap_or(0)),
        };
        Self {
            journal: house.journal(),
            settles: Some(house.bus()),
            live: house.subscribe(),
            query,
            place,
        }
    }

    /// The next events of the journal that this person gets, possibly none of a chunk; `None` at its end. Cancel-safe.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn past(&mut self, person: &Person) -> Result<Option<Vec<Event>>, Refusal> {
        if let Some(bus) = &self.settles {
            bus.settle().await;
            self.settles = None;
        }
        match self.place {
            Place::Newest(wanted) => {
                let (events, last) = self.newest(person, wanted).await?;
                self.place = Place::Live(last);
                Ok(Some(events))
            }
            Place::Journal(after) => {
                let journal = self.journal.clone();
                let mut events = read(move || journal.after(after, CHUNK)).await?;
                let Some(newest) = events.last() else {
                    self.place = Place::Live(after);
                    return Ok(None);
                };
                self.place = Place::Journal(newest.seq);
                events.retain(|event| view::shows(event, &self.query, person));
                Ok(Some(events))
            }
            Place::Live(_) => Ok(None),
        }
    }

    /// The next events, of the journal or as they happen; `None` when the board stops. Cancel-safe.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn next(&mut self, person: &Person) -> Result<Option<Vec<Event>>, Refusal> {
        loop {
            if let Some(events) = self.past(person).await? {
                return Ok(Some(events));
            }
            let Place::Live(seen) = self.place else {
                continue;
            };
            match self.live.recv().await {
                Ok(event) if event.seq > seen => {
                    self.place = Place::Live(event.seq);
                    if view::shows(&event, &self.query, person) {
                        return Ok(Some(vec![Event::clone(&event)]));
                    }
                }
                Ok(_) => {}
                // Too slow for the bus: the journal has what was missed.
                Err(RecvError::Lagged(_)) => self.place = Place::Journal(seen),
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    async fn newest(&self, person: &Person, wanted: usize) -> Result<(Vec<Event>, u64), Refusal> {
        // A filter lets some through only, so look further back until there are enough or no more.
        let mut depth = wanted.clamp(1, usize::MAX / 8);
        loop {
            let journal = self.journal.clone();
            let events = read(move || journal.newest(depth)).await?;
            let all = events.len() < depth;
            let last = events.last().map_or(0, |event| event.seq);
            let mut fit: Vec<Event> = events
                .into_iter()
                .filter(|event| view::shows(event, &self.query, person))
                .collect();
            if all || fit.len() >= wanted {
                return Ok((fit.split_off(fit.len().saturating_sub(wanted)), last));
            }
            depth = depth.saturating_mul(8);
        }
    }
}

/// Reads the journal off the reactor.
async fn read(
    call: impl FnOnce() -> Result<Vec<Event>, journal::Error> + Send + 'static,
) -> Result<Vec<Event>, Refusal> {
    match timeout(FLASH_LIMIT, spawn_blocking(call)).await {
        Ok(Ok(Ok(events))) => Ok(events),
        Ok(Ok(Err(error))) => Err(Refusal::Failed(crate::fault::chain(&error))),
        Ok(Err(_)) | Err(_) => Err(Refusal::Failed("the journal cannot be read".into())),
    }
}
