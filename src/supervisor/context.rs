//! What the supervisor hands to an owner. Imports no device room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::{Bus, Durable};
use crate::command::{Asks, Commands};
use crate::event::Kind;
use crate::fact::{Door, Fact};

/// Where oobd keeps things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// Survives reboots: journal, transcripts, host key. `/data/oobd` on the appliance.
    pub state: PathBuf,
    /// Lives as long as the boot: sockets, resolv.conf. `/run/oobd` on the appliance.
    pub run: PathBuf,
    /// The configuration file. Only read.
    pub config: PathBuf,
    /// Gets `first-boot.txt` and `oobd-errors.txt`, for a person with a card reader. The folder of the configuration file;
    /// on the appliance, where that is read-only for oobd, `/run/oobd/boot`, from which a unit takes them there.
    pub notes: PathBuf,
}

/// One owner's share of the house. Everything an owner task needs, and nothing of another room.
#[derive(Debug)]
pub struct Context {
    /// The owner's name, e.g. `uplink.hotspot`; the source of its events.
    pub name: String,
    pub bus: Bus,
    pub commands: Commands,
    /// What others ask of this owner; closed never while the owner runs.
    pub asks: Asks,
    /// The owner ends soon after this is cancelled: within 3 s, hardware left safe.
    pub stop: CancellationToken,
    /// For tasks that the owner starts; the supervisor waits for them at the end.
    pub tracker: TaskTracker,
    pub pulse: Pulse,
    /// A door calls [`Ready::open`] when it listens; READY waits for every door.
    pub ready: Ready,
    pub dirs: Arc<Dirs>,
}

impl Context {
    /// Journals an event under the owner's name. Waits until it is durable; an error means the board stops, so it is dropped.
    pub async fn publish(&self, kind: Kind) {
        let _ = self.bus.publish(&self.name, kind).await;
    }

    /// Hands an event to the journal; it is durable when what comes back says so, which is nothing when the board stops.
    pub async fn begin(&self, kind: Kind) -> Option<Durable> {
        self.bus.begin(&self.name, kind).await.ok()
    }

    pub fn observe(&self, fact: Fact) {
        self.bus.observe(fact);
    }

    /// Has a door in the state for as long as what is given back lives: an owner that ends takes it out, however it ends.
    #[must_use]
    pub fn show(&self, door: Door) -> Shown {
        let shown = Shown {
            bus: self.bus.clone(),
            name: door.name.clone(),
        };
        self.observe(Fact::Door(door));
        shown
    }
}

/// A door that is in the state.
#[derive(Debug)]
pub struct Shown {
    bus: Bus,
    name: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.bus.observe(Fact::DoorGone { name });
    }
}

/// The owner's answer to the supervisor's question "are you alive?", asked every few seconds.
///
/// Put `() = pulse.beat() => {}` into the owner's main `select!`: an owner that hangs stops answering, and the
/// hardware watchdog then restarts the board.
#[derive(Clone, Debug)]
pub struct Pulse {
    asked: watch::Receiver<u64>,
    answered: Arc<AtomicU64>,
}

impl Pulse {
    /// A pulse that writes its answers to `answered`; counts as having answered so far.
    #[must_use]
    pub fn new(asked: watch::Receiver<u64>, answered: Arc<AtomicU64>) -> Self {
        answered.store(*asked.borrow(), Ordering::Relaxed);
        Self { asked, answered }
    }

    /// Waits for the next question and answers it. Cancel-safe: it waits in `watch::Receiver::changed` only.
    pub async fn beat(&mut self) {
        if self.asked.changed().await.is_err() {
            // The supervisor is gone; the stop token ends us.
            std::future::pending::<()>().await;
        }
        let question = *self.asked.borrow_and_update();
        self.answered.store(question, Ordering::Relaxed);
    }
}

/// Tells the supervisor that a door is open.
#[derive(Clone, Debug)]
pub struct Ready {
    open: watch::Sender<bool>,
    changed: Arc<Notify>,
}

impl Ready {
    /// `changed` is told after every change of `open`.
    #[must_use]
    pub fn new(open: watch::Sender<bool>, changed: Arc<Notify>) -> Self {
        Self { open, changed }
    }

    /// The door listens from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
        self.changed.notify_one();
    }
}
