//! Where machines with AMT call in (CIRA): the listener, who may have a tunnel, and the tunnels that are open. What goes through
//! them is their owners' business. docs/amt-cira.md

mod certificate;
mod gate;
mod greet;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amt::apf::{Asked, Error as Fault, Line, Tunnel};
use crate::bus::Bus;
use crate::clock::Timestamp;
use crate::config::Cira;
use crate::event::Kind;
use crate::fact::{CiraTunnel, Door, Fact};
use crate::fault::chain;
use crate::supervisor::context::Context;
use crate::tcp::{self, Crowd, Cuttable, Slot, Tunnels};

pub use gate::Caller;

use gate::Gate;
use greet::{Greeted, Refusal, greet};

/// For the handshake; firmware computes slowly.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// What tunnels get to say goodbye when the listener closes.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why nobody can call in. The supervisor says so and tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on port {port}")]
    Listen { port: u16, source: std::io::Error },
    #[error("there is no certificate to show: {0}")]
    Certificate(String),
}

/// What connections share.
struct House {
    name: String,
    bus: Bus,
    gate: Gate,
    tunnels: Tunnels,
    crowd: Crowd,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl House {
    async fn publish(&self, kind: Kind) {
        self.bus.publish_soon(&self.name, kind).await;
    }
}

/// Listens until stopped. `callers` may change meanwhile: tunnels of those who are none any more end.
///
/// # Errors
/// [`Error`], never because of a device.
pub async fn run(
    mut ctx: Context,
    cira: Cira,
    device: String,
    callers: watch::Receiver<Vec<Caller>>,
    tunnels: Tunnels,
) -> Result<(), Error> {
    let port = cira.port;
    let mut pulse = ctx.pulse.clone();
    let mut making = Box::pin(certificate::identity(cira.pair, &ctx.dirs.state, device));
    let identity = loop {
        tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => return Ok(()),
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: a boxed future goes on where it was
            made = &mut making => break made?,
        }
    };
    drop(making);
    let acceptor = TlsAcceptor::from(certificate::server(&identity)?);
    let listener = tcp::listen(port).map_err(|source| Error::Listen { port, source })?;
    let address = tcp::address(&listener, port);
    let fingerprint = format!("SHA256:{}", identity.fingerprint());
    tracing::info!(address, fingerprint, "devices may call in");
    let _shown = ctx.show(Door {
        name: "cira".into(),
        address,
        fingerprint: Some(fingerprint),
    });
    let house = Arc::new(House {
        name: ctx.name.clone(),
        bus: ctx.bus.clone(),
        gate: Gate::new(callers),
        tunnels,
        crowd: Crowd::default(),
        stop: ctx.stop.clone(),
        tracker: TaskTracker::new(),
    });
    let mut asks_open = true;
    loop {
        tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: recv loses nothing. Nobody has a command for this; dropping the ask says so at once.
            ask = ctx.asks.recv(), if asks_open => asks_open = ask.is_some(),
            // cancel-safe: see tcp::accept
            (stream, peer) = tcp::accept(&listener) => take(&house, &acceptor, stream, peer),
        }
    }
    drop(listener);
    house.tracker.close();
    if timeout(GOODBYE, house.tracker.wait()).await.is_err() {
        tracing::warn!("tunnels were cut off");
    }
    Ok(())
}

/// Takes one connection, or drops it at once: before anything is allocated for it.
fn take(house: &Arc<House>, acceptor: &TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
    if !house.gate.admits(peer.ip()) {
        return tracing::debug!(%peer, "too many connections in a short time");
    }
    let Some((slot, severed)) = house.crowd.welcome(None, peer) else {
        return;
    };
    if let Err(error) = tcp::prepare(&stream) {
        return tracing::debug!(%peer, "gone at once: {error}");
    }
    let stream = Cuttable::new(stream, severed);
    let serving = serve(house.clone(), acceptor.clone(), stream, peer, slot);
    house.tracker.spawn(serving);
}

/// One connection from its handshake to its end.
async fn serve(
    house: Arc<House>,
    acceptor: TlsAcceptor,
    stream: Cuttable,
    peer: SocketAddr,
    slot: Slot,
) {
    let meeting = Box::pin(meet(&house, &acceptor, stream, peer));
    let met = tokio::select! {
        // cancel-safe: the connection is over
        () = house.stop.cancelled() => return,
        // cancel-safe: polled to its end or dropped for good
        met = meeting => met,
    };
    match met {
        Ok((line, greeted)) => {
            slot.signed_in();
            Box::pin(carry(&house, line, greeted, peer)).await;
        }
        Err(Refusal::SignIn { user, why }) => {
            if house.gate.reports(peer.ip()) {
                let refused = Kind::SignInRefused {
                    door: "cira".into(),
                    user,
                    from: peer.to_string(),
                    reason: why,
                };
                house.publish(refused).await;
            }
        }
        Err(other) => tracing::debug!(%peer, "no tunnel: {}", chain(&other)),
    }
}

type Wire = TlsStream<Cuttable>;

async fn meet(
    house: &House,
    acceptor: &TlsAcceptor,
    stream: Cuttable,
    peer: SocketAddr,
) -> Result<(Line<Wire>, Greeted), Refusal> {
    let shaken = timeout(HANDSHAKE, acceptor.accept(stream)).await;
    let shaken = shaken.map_err(|_| Refusal::Late)?;
    let stream = shaken.map_err(|error| Fault::Lost(format!("no TLS: {error}")))?;
    let mut line = Line::new(stream);
    let greeted = greet(&house.gate, &mut line, peer.ip()).await?;
    Ok((line, greeted))
}

/// Carries streams until the tunnel is over, and tells of it.
async fn carry(house: &House, line: Line<Wire>, greeted: Greeted, peer: SocketAddr) {
    let Greeted { caller, ports } = greeted;
    let mut told = CiraTunnel {
        machine: caller.machine.clone(),
        from: peer.to_string(),
        since: Timestamp::now(),
        ports: ports.iter().copied().collect(),
    };
    // From here on an older tunnel of the device is none any more.
    let wishes = house.tunnels.open(&caller.login.uuid);
    house.bus.observe(Fact::Cira(told.clone()));
    let machine = caller.machine.clone();
    let from = peer.ip().to_string();
    house.publish(Kind::CiraOpened { machine, from }).await;
    let mut tunnel = Tunnel::new(line, wishes);
    let reason = follow(house, &caller, &mut tunnel, ports, &mut told).await;
    drop(tunnel);
    let machine = caller.machine.clone();
    if !house.tunnels.has(&caller.login.uuid) {
        house.bus.observe(Fact::CiraGone { machine });
    }
    let machine = caller.machine;
    house.publish(Kind::CiraClosed { machine, reason }).await;
}

/// Serves the tunnel; why it ended.
async fn follow(
    house: &House,
    caller: &Caller,
    tunnel: &mut Tunnel<Wire>,
    mut ports: BTreeSet<u16>,
    told: &mut CiraTunnel,
) -> String {
    let mut callers = house.gate.callers();
    let reason = loop {
        if !callers.borrow_and_update().contains(caller) {
            break "it is not configured like that any more".to_owned();
        }
        tokio::select! {
            // cancel-safe: waits for the token only
            () = house.stop.cancelled() => break "the board stops or restarts the listener".to_owned(),
            // cancel-safe: changed loses nothing. Its sender lives as long as the board.
            _ = callers.changed() => {}
            // cancel-safe: see Tunnel::serve
            asked = tunnel.serve() => match asked {
                Ok(Asked::Forward(port)) if ports.len() < greet::PORTS => {
                    ports.extend(u16::try_from(port).ok());
                }
                Ok(Asked::Forward(_)) => {}
                Ok(Asked::Cancel(port)) => ports.retain(|one| u32::from(*one) != port),
                Err(error) => {
                    if matches!(error, Fault::Silent) {
                        tunnel.stream().get_ref().0.reset_at_end();
                    }
                    if matches!(error, Fault::Replaced) {
                        break chain(&error);
                    }
                    return chain(&error);
                }
            }
        }
        if !told.ports.iter().eq(&ports) {
            told.ports = ports.iter().copied().collect();
            house.bus.observe(Fact::Cira(told.clone()));
        }
    };
    tunnel.part().await;
    reason
}
