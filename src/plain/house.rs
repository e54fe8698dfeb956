//! What the connections of one plain door share: the rooms they may ask, limits, and who set the line. No I/O.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Directory;
use crate::bus::Bus;
use crate::command::{Actor, Command, Commands};
use crate::config::{PlainDoor, PlainKind};
use crate::control::{self, PersonsPower};
use crate::event::Kind;
use crate::journal;
use crate::line::Order;
use crate::session::{Gone, Guest, Manner, Seat};
use crate::state::Store;
use crate::supervisor::context::{Context, Dirs};
use crate::tcp::Crowd;

/// A program that comes back at once may find its own last session still leaving: it waits this long for the keyboard.
const KEYBOARD_LIMIT: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct House {
    /// The owner's name, e.g. `raw.core-switch`.
    pub(super) name: String,
    pub(super) console: String,
    pub(super) door: PlainDoor,
    bus: Bus,
    pub(super) commands: Commands,
    pub(super) access: Arc<Directory>,
    pub(super) store: Store,
    /// Commands as every door has them.
    control: control::House,
    pub(super) dirs: Arc<Dirs>,
    pub(super) tracker: TaskTracker,
    pub(super) crowd: Crowd,
    stop: CancellationToken,
    /// Clients that may set the line, and whether one of them did.
    clients: AtomicUsize,
    touched: AtomicBool,
    /// Held while somebody comes or goes, so that restoring for the last never undoes what the next one set.
    gate: Semaphore,
}

impl House {
    pub(super) fn new(
        ctx: &Context,
        console: String,
        door: PlainDoor,
        access: Arc<Directory>,
        store: Store,
        journal: journal::Reader,
    ) -> Self {
        Self {
            name: ctx.name.clone(),
            console,
            door,
            bus: ctx.bus.clone(),
            commands: ctx.commands.clone(),
            control: control::House::of(ctx, access.clone(), store.clone(), journal),
            access,
            store,
            dirs: ctx.dirs.clone(),
            tracker: TaskTracker::new(),
            crowd: Crowd::default(),
            stop: ctx.stop.clone(),
            clients: AtomicUsize::new(0),
            touched: AtomicBool::new(false),
            gate: Semaphore::new(1),
        }
    }

    /// As events and other people on the console see a client.
    pub(super) fn from(&self, peer: SocketAddr) -> String {
        format!("{} {peer}", self.door.kind)
    }

    /// The outlets of somebody who signed in.
    pub(super) fn power(&self, user: &str, peer: SocketAddr) -> Arc<PersonsPower> {
        let caller = control::Caller {
            identity: control::Identity::User(user.to_owned()),
            from: self.from(peer),
        };
        Arc::new(PersonsPower::new(self.control.clone(), caller))
    }

    /// Journals an event of this door, as [`Bus::publish_soon`] does.
    pub(super) async fn publish(&self, kind: Kind) {
        self.bus.publish_soon(&self.name, kind).await;
    }

    /// Seats a program. The refusal is for the log: a stream of device bytes has no place for words.
    pub(super) async fn sit(&self, peer: SocketAddr) -> Option<Seat> {
        let manner = Manner {
            verbatim: true,
            // A pipe hears the answer to what it said last; a serial port that was closed is closed.
            answer: self.door.kind == PlainKind::Raw,
            ..Manner::program()
        };
        let guest = Guest {
            console: self.console.clone(),
            user: self.door.kind.to_string(),
            from: self.from(peer),
            types: self.door.write,
            keys: None,
        };
        self.keyboard_is_free(peer).await;
        let seat = guest.sit(&self.commands, manner).await;
        seat.inspect_err(|why| tracing::info!(door = self.name, %peer, why, "refused"))
            .ok()
    }

    /// Waits until no session of this client types here any more.
    async fn keyboard_is_free(&self, peer: SocketAddr) {
        let own = format!("{} {}:", self.door.kind, host(peer));
        let mut state = self.store.watch();
        let free = state.wait_for(|state| {
            let console = state.consoles.get(&self.console);
            !console.is_some_and(|console| {
                let mut sessions = console.sessions.iter();
                sessions.any(|session| session.writer && session.from.starts_with(&own))
            })
        });
        // It stays, then: a second program of the same host.
        let _ = timeout(KEYBOARD_LIMIT, free).await;
    }

    /// Does this session have the keyboard? `at_start` answers while the state does not know it yet.
    pub(super) fn writes(&self, session: u64, at_start: bool) -> bool {
        let state = self.store.watch();
        let state = state.borrow();
        let console = state.consoles.get(&self.console);
        let known = console.and_then(|console| console.sessions.iter().find(|s| s.id == session));
        known.map_or(at_start, |session| session.writer)
    }

    /// A program that had the keyboard and lost it must not type on into nothing, for it cannot read the notice.
    pub(super) fn still_types(&self, session: u64, at_start: bool) -> Result<(), Gone> {
        if !at_start || self.writes(session, at_start) {
            return Ok(());
        }
        tracing::info!(
            door = self.name,
            session,
            "dropped: somebody else has the keyboard"
        );
        Err(Gone)
    }

    /// Waits until the door closes; then why.
    pub(super) async fn closing(&self) -> String {
        self.stop.cancelled().await;
        "the board stops or restarts this door".into()
    }

    /// One more client that may set the line.
    pub(super) async fn enter(&self) {
        let _gate = self.gate.acquire().await;
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody has set the line.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// The last one restores what was set.
    pub(super) async fn leave(&self) {
        let _gate = self.gate.acquire().await;
        let others = self.clients.fetch_sub(1, Ordering::Relaxed) > 1;
        if others || !self.touched.swap(false, Ordering::Relaxed) {
            return;
        }
        let command = Command::SetLine {
            console: self.console.clone(),
            order: Order::Restore,
        };
        let actor = Actor::Owner(self.name.clone());
        if let Err(why) = self.commands.send(actor, command).await {
            tracing::warn!(door = self.name, %why, "the line settings are not restored");
        }
    }
}

/// The host as `SocketAddr` writes it.
fn host(peer: SocketAddr) -> String {
    match peer.ip() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
