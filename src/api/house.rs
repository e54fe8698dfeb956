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
use crate::redfish;
use crate::state::Store;
use crate::supervisor::context::{Context, Dirs};
use crate::tcp::{Crowd, Slot};

use super::basic::Basic;
use super::metrics::Counts;
use super::sessions::Sessions;

#[derive(Debug)]
pub(crate) struct House {
    owner: String,
    bus: Bus,
    pub(crate) commands: Commands,
    pub(crate) dirs: Arc<Dirs>,
    pub(crate) access: Arc<Directory>,
    pub(crate) store: Store,
    /// State, events and commands as every door has them.
    pub(crate) control: control::House,
    pub(crate) sessions: Sessions,
    pub(crate) redfish: redfish::Service,
    pub(super) basic: Basic,
    pub(super) counts: Counts,
    pub(crate) stop: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(super) crowd: Crowd,
    config: watch::Receiver<config::Https>,
}

/// One connection as its requests see it. The last clone gives the place back.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) peer: SocketAddr,
    pub(crate) slot: Arc<Slot>,
}

impl Guest {
    /// As events and other operators see it.
    pub(crate) fn from(&self) -> String {
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
        redfish: redfish::Service,
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
            redfish,
            basic: Basic::default(),
            counts: Counts::default(),
            stop: ctx.stop.clone(),
            tracker: TaskTracker::new(),
            crowd: Crowd::default(),
            config,
        }
    }

    /// How long a session may be idle.
    pub(crate) fn idle(&self) -> Duration {
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
