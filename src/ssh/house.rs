//! What every connection shares: the rooms it may ask, and how many connections there may be. No I/O.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::PrivateKey;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Directory, Source};
use crate::bus::Bus;
use crate::command::Commands;
use crate::event::Kind;
use crate::journal;
use crate::state::Store;
use crate::supervisor::context::{Context, Dirs};

use super::algorithms;

/// Connections at once, signed in or not: about 60 KiB each while nothing flows.
const CONNECTIONS: usize = 192;
/// Of these, from one source. Fifty scripts at once from one machine is a use that was asked for.
const PER_SOURCE: usize = 96;
/// Forwarded connections over all sessions; two descriptors each.
const FORWARDS: usize = 256;

#[derive(Debug)]
pub(super) struct House {
    owner: String,
    pub(super) bus: Bus,
    pub(super) commands: Commands,
    pub(super) dirs: Arc<Dirs>,
    pub(super) access: Arc<Directory>,
    pub(super) store: Store,
    /// For commands that read events.
    pub(super) journal: journal::Reader,
    /// Forwards leave through this interface and no other.
    pub(super) lan_interface: String,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
    pub(super) config: Arc<russh::server::Config>,
    pub(super) forwards: Arc<Semaphore>,
    connections: Arc<Mutex<HashMap<Source, usize>>>,
}

impl House {
    pub(super) fn new(
        ctx: &Context,
        access: Arc<Directory>,
        store: Store,
        journal: journal::Reader,
        lan_interface: String,
        key: PrivateKey,
    ) -> Self {
        Self {
            owner: ctx.name.clone(),
            bus: ctx.bus.clone(),
            commands: ctx.commands.clone(),
            dirs: ctx.dirs.clone(),
            access,
            store,
            journal,
            lan_interface,
            stop: ctx.stop.clone(),
            tracker: TaskTracker::new(),
            config: Arc::new(algorithms::config(key)),
            forwards: Arc::new(Semaphore::new(FORWARDS)),
            connections: Arc::default(),
        }
    }

    /// Journals an event of this door. An error means that the board stops.
    pub(super) async fn publish(&self, kind: Kind) {
        let _ = self.bus.publish(&self.owner, kind).await;
    }

    /// Room for one more connection from here; the slot is given back when it is dropped.
    pub(super) fn slot(&self, from: IpAddr) -> Option<Slot> {
        let source = Source::from(from);
        let mut table = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let here = table.get(&source).copied().unwrap_or(0);
        if here >= PER_SOURCE || table.values().sum::<usize>() >= CONNECTIONS {
            return None;
        }
        table.insert(source, here + 1);
        Some(Slot {
            source,
            table: self.connections.clone(),
        })
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Slot {
    source: Source,
    table: Arc<Mutex<HashMap<Source, usize>>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = table.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.remove(&self.source);
            }
        }
    }
}
