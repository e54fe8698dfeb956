//! What every connection shares: the rooms it may ask, and the limits that hold for all of them. No I/O.

use std::sync::Arc;

use russh::keys::PrivateKey;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Directory;
use crate::bus::Bus;
use crate::command::Commands;
use crate::control;
use crate::event::Kind;
use crate::journal;
use crate::state::Store;
use crate::supervisor::context::{Context, Dirs};
use crate::tcp::Crowd;

use super::algorithms;

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
    /// What commands may ask.
    pub(super) control: control::House,
    /// Forwards leave through this interface and no other.
    pub(super) lan_interface: String,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
    pub(super) config: Arc<russh::server::Config>,
    pub(super) forwards: Arc<Semaphore>,
    pub(super) crowd: Crowd,
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
            control: control::House::of(ctx, access.clone(), store.clone(), journal),
            access,
            store,
            lan_interface,
            stop: ctx.stop.clone(),
            tracker: TaskTracker::new(),
            config: Arc::new(algorithms::config(key)),
            forwards: Arc::new(Semaphore::new(FORWARDS)),
            crowd: Crowd::default(),
        }
    }

    /// Journals an event of this door, as [`Bus::publish_soon`] does.
    pub(super) async fn publish(&self, kind: Kind) {
        self.bus.publish_soon(&self.owner, kind).await;
    }
}
