//! The HTTPS door: the web page, sign-in, state, events, commands, consoles over WebSocket; docs/api.md has it for clients. Knows no
//! device; opens no port but its own.

mod answer;
mod basic;
mod bundle;
mod certificate;
mod command;
mod config;
mod connection;
mod console;
mod control;
mod events;
mod house;
mod layers;
mod metrics;
mod openapi;
mod page;
mod screen;
mod session;
mod sessions;
mod shown;
mod sign_in;
mod socket;
mod state;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::access::{Directory, Person};
use crate::config::Https;
use crate::control::{Follow, wire};
use crate::event::Kind;
use crate::journal;
use crate::redfish;
use crate::state::Store;
use crate::supervisor::context::Context;
use crate::tcp;
use crate::tls::Identity;

pub(crate) use answer::Fault;
pub(crate) use console::bare as bare_console;
pub(crate) use events::{HEARTBEAT, Listener};
pub(crate) use house::{Guest, House};
pub(crate) use session::replace_password;
use shown::Showing;
pub(crate) use sign_in::{Caller, by_basic, by_password, by_token, must_change};

/// What open connections get to say goodbye when the board stops.
const GOODBYE: Duration = Duration::from_millis(2500);
/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// Why the door is not open. The supervisor tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on port {port}")]
    Listen { port: u16, source: std::io::Error },
    #[error("no certificate can be made: {0}")]
    Certificate(String),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Serves HTTPS until the board stops. `config` is followed: another certificate takes effect with the next handshake, and
/// other doors hear of it by `told`.
///
/// # Errors
/// [`Error`] when it cannot listen or has no certificate at all; never because of a client.
pub async fn run(
    mut ctx: Context,
    port: u16,
    access: Arc<Directory>,
    store: Store,
    journal: journal::Reader,
    (mut config, told): (watch::Receiver<Https>, Arc<watch::Sender<Option<Identity>>>),
) -> Result<(), Error> {
    let path = ctx.dirs.state.join("https.pem");
    let own = certificate::own(path, store.now().device).await;
    let own = own.map_err(Error::Certificate)?;
    if let Some((file, reason)) = own.replaced {
        ctx.publish(Kind::CertificateReplaced { file, reason })
            .await;
    }
    let listener = tcp::listen(port).map_err(|source| Error::Listen { port, source })?;
    let address = tcp::address(&listener, port);
    let first = config.borrow_and_update().clone();
    let mut door = Showing::new(&ctx, own.value, address, told, first).await;
    let shown = door.show(&ctx);
    let acceptor = TlsAcceptor::from(Arc::new(certificate::server(shown)?));
    ctx.ready.open();

    let house = Arc::new(House::new(
        &ctx,
        access.clone(),
        store,
        journal,
        config.clone(),
        redfish::Service::open(&ctx.dirs.state),
    ));
    redfish::start(&house);
    let router = table::router(house.clone());
    let mut changes = access.changes();
    let (mut happens, everybody) = (counted(&house), Person::root("metrics"));
    let mut counting = true;
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asks_open, mut config_open) = (true, true);
    let mut pulse = ctx.pulse.clone();
    loop {
        tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: recv loses nothing
            ask = ctx.asks.recv(), if asks_open => match ask {
                Some(ask) => door.answer(&ctx, ask).await,
                None => asks_open = false,
            },
            // cancel-safe: see Changes::next
            () = changes.next() => house.sessions.review(&access),
            // cancel-safe: changed loses nothing
            changed = config.changed(), if config_open => {
                config_open = changed.is_ok();
                let fresh = config.borrow_and_update().clone();
                door.adopt(&ctx, fresh);
            }
            // cancel-safe as Follow::next() says
            some = happens.next(&everybody), if counting => match some {
                Ok(Some(events)) => house.counts.add(&events),
                Ok(None) => counting = false,
                Err(refusal) => {
                    tracing::warn!("events are not counted for /metrics any more: {refusal}");
                    counting = false;
                }
            },
            // cancel-safe: a tick that is not taken comes again
            _ = sweep.tick() => {
                house.sessions.expire(house.idle());
                door.look_at_clock(&ctx).await;
            }
            // cancel-safe: see tcp::accept
            (stream, peer) = tcp::accept(&listener) => take(&house, &acceptor, &router, stream, peer),
        }
    }
    drop(listener);
    house.tracker.close();
    if timeout(GOODBYE, house.tracker.wait()).await.is_err() {
        tracing::warn!("connections were cut off");
    }
    Ok(())
}

/// Events from now on, for `/metrics`.
fn counted(house: &House) -> Follow {
    let query = wire::Query {
        newest: Some(0),
        follow: true,
        ..wire::Query::default()
    };
    Follow::new(&house.control, query)
}

/// Takes one connection, or drops it at once when its source or the board holds too many.
fn take(
    house: &Arc<House>,
    acceptor: &TlsAcceptor,
    router: &Router,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Some((slot, severed)) = house.crowd.welcome(Some(&house.access), peer) else {
        return;
    };
    if let Err(e) = tcp::prepare(&stream).and_then(|()| tcp::keep_unsent_short(&stream)) {
        tracing::debug!(%peer, "gone at once: {e}");
        return;
    }
    let stream = tcp::Cuttable::new(stream, severed);
    let (acceptor, router) = (acceptor.clone(), router.clone());
    let connection = connection::serve(house.clone(), acceptor, router, stream, peer, slot);
    house.tracker.spawn(connection);
}
