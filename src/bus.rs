//! The way down: owners publish events and facts here. An event is on flash before anybody acts on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use crate::event::{Event, Kind};
use crate::fact::Fact;
use crate::state::Store;

/// Events that may wait for the journal; a stalled flash then makes publishers wait, which is what we want.
const WAITING_EVENTS: usize = 256;
/// Events a slow subscriber may lag behind before it is told how many it missed.
const LAG: usize = 1024;
/// Longest that [`Bus::publish_soon`] and [`Bus::settle`] wait.
const SOON: Duration = Duration::from_secs(2);

/// An event on its way to the journal.
#[derive(Debug)]
pub struct Publish {
    pub source: String,
    /// None: nothing is written, only answered when what came before is durable.
    pub kind: Option<Kind>,
    /// Answered with the sequence number once the event is durable. Nobody may be listening.
    pub done: oneshot::Sender<u64>,
}

/// An event that is in the journal's hands: it will stand before every one that is published later.
#[derive(Debug)]
#[must_use = "it may not be durable yet"]
pub struct Durable(oneshot::Receiver<u64>);

impl Durable {
    /// Waits until it is on flash; its sequence number.
    ///
    /// # Errors
    /// [`Closed`] while the board stops, and when the flash refuses.
    pub async fn wait(self) -> Result<u64, Closed> {
        self.0.await.map_err(|_| Closed)
    }
}

/// The journal's end of the bus: takes what is published, gives back what is durable.
#[derive(Debug)]
pub struct Intake {
    pub publishes: mpsc::Receiver<Publish>,
    pub live: broadcast::Sender<Arc<Event>>,
}

/// The journal has ended; only seen while the board stops.
#[derive(Debug, thiserror::Error)]
#[error("the journal takes no more events")]
pub struct Closed;

/// Cheap to clone; every owner and door holds one.
#[derive(Clone, Debug)]
pub struct Bus {
    publishes: mpsc::Sender<Publish>,
    live: broadcast::Sender<Arc<Event>>,
    store: Store,
}

impl Bus {
    /// A bus and the end that [`crate::journal`] serves.
    #[must_use]
    pub fn new(store: Store) -> (Self, Intake) {
        let (publishes, receiver) = mpsc::channel(WAITING_EVENTS);
        let (live, _) = broadcast::channel(LAG);
        let intake = Intake {
            publishes: receiver,
            live: live.clone(),
        };
        (
            Self {
                publishes,
                live,
                store,
            },
            intake,
        )
    }

    /// Journals an event and returns its sequence number once it is durable.
    ///
    /// # Errors
    /// [`Closed`] while the board stops; an owner may ignore it.
    pub async fn publish(&self, source: &str, kind: Kind) -> Result<u64, Closed> {
        self.hand(source, Some(kind)).await?.wait().await
    }

    /// Hands an event to the journal, for who has other things to do until it is durable.
    ///
    /// # Errors
    /// [`Closed`] while the board stops.
    pub async fn begin(&self, source: &str, kind: Kind) -> Result<Durable, Closed> {
        self.hand(source, Some(kind)).await
    }

    /// Waits until all that was handed to the journal before is durable, so that whoever reads it finds that; no longer than
    /// two seconds, for flash may have stalled.
    pub async fn settle(&self) {
        let settled = async {
            if let Ok(all) = self.hand("", None).await {
                let _ = all.wait().await;
            }
        };
        let _ = timeout(SOON, settled).await;
    }

    async fn hand(&self, source: &str, kind: Option<Kind>) -> Result<Durable, Closed> {
        let (done, durable) = oneshot::channel();
        let publish = Publish {
            source: source.to_owned(),
            kind,
            done,
        };
        self.publishes.send(publish).await.map_err(|_| Closed)?;
        Ok(Durable(durable))
    }

    /// Journals an event that nobody may be kept waiting for: flash that has stalled must not keep an operator out. After
    /// two seconds it stays on its way, and the caller goes on.
    pub async fn publish_soon(&self, source: &str, kind: Kind) {
        if timeout(SOON, self.publish(source, kind)).await.is_err() {
            tracing::warn!("the journal is slow; an event of {source} is not durable yet");
        }
    }

    /// Durable events from now on. A lagging receiver gets `RecvError::Lagged` and reads the gap from the journal.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }

    /// Replaces what is known of one device in the state. Never waits.
    pub fn observe(&self, fact: Fact) {
        self.store.modify(|state| state.apply(fact));
    }
}
