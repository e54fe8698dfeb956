//! What every request shares: the rooms it may ask, the sessions, the limits. No I/O.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Directory;
use crate::bus::Bus;
use crate::command::Commands;
use crate::config;
use crate::control;
use crate::event::Kind;
use crate::journal;
use crate::state::Store;
use crate::supervisor::context::{Context, Dirs};
use crate::tcp::{Crowd, Slot};

use super::basic::Basic;
use super::sessions::Sessions;

#[derive(Debug)]
pub(super) struct House {
    owner: String,
    bus: Bus,
    pub(super) commands: Commands,
    pub(super) dirs: Arc<Dirs>,
    pub(super) access: Arc<Directory>,
    pub(super) store: Store,
    /// State, events and commands as every door has them.
    pub(super) control: control::House,
    pub(super) sessions: Sessions,
    pub(super) basic: Basic,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
    pub(super) crowd: Crowd,
    config: watch::Receiver<config::Https>,
}

/// One connection as its requests see it. The last clone gives the place back.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) peer: SocketAddr,
    pub(super) slot: Arc<Slot>,
}

impl Guest {
    /// As events and other operators see it.
    pub(super) fn from(&self) -> String {
        format!("https {}", self.peer)
    }
}

impl House {
    pub(super) fn new(
        ctx: &Context,
        access: Arc<Directory>,
        store: Store,
        journal: journal::Reader,
        config: watch::Receiver<config::Https>,
    ) -> Self {
        Self {
            owner: ctx.name.clone(),
            bus: ctx.bus.clone(),
            commands: ctx.commands.clone(),
            dirs: ctx.dirs.clone(),
            control: control::House::of(ctx, access.clone(), store.clone(), journal),
            access,
            store,
            sessions: Sessions::default(),
            basic: Basic::default(),
            stop: ctx.stop.clone(),
            tracker: TaskTracker::new(),
            crowd: Crowd::default(),
            config,
        }
    }

    /// How long a session may be idle.
    pub(super) fn idle(&self) -> Duration {
        self.config.borrow().idle
    }

    /// Where the files of the web page lie.
    pub(super) fn ui(&self) -> PathBuf {
        self.config.borrow().ui.clone()
    }

    /// Journals an event of this door, as [`Bus::publish_soon`] does.
    pub(super) async fn publish(&self, kind: Kind) {
        self.bus.publish_soon(&self.owner, kind).await;
    }
}
