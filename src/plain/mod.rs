//! The plain doors of one console: telnet, raw TCP, RFC 2217. One owner per door; it listens, admits, counts and ends. What is
//! said on a connection is [`telnet`]'s, [`raw`]'s and [`rfc2217`]'s; what a session does is [`crate::session`]'s.

mod comport;
mod house;
mod raw;
mod rfc2217;
mod signin;
mod talk;
mod telnet;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Directory;
use crate::config::{PlainDoor, PlainKind};
use crate::event::Kind;
use crate::fact::Door;
use crate::journal;
use crate::state::Store;
use crate::supervisor::context::Context;
use crate::tcp::{self, Slot};

use house::House;
use wire::Wire;

/// What open connections get to say goodbye when the door closes.
const GOODBYE: Duration = Duration::from_millis(2000);

/// Why the door is not open. The supervisor says so and tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on port {port}")]
    Listen { port: u16, source: std::io::Error },
}

/// Serves one plain door of a console until it is stopped.
///
/// # Errors
/// [`Error`] when it cannot listen; never because of a client or of the console.
pub async fn run(
    mut ctx: Context,
    console: String,
    door: PlainDoor,
    access: Arc<Directory>,
    store: Store,
    journal: journal::Reader,
) -> Result<(), Error> {
    let port = door.port;
    let listener = tcp::listen(port).map_err(|source| Error::Listen { port, source })?;
    let address = tcp::address(&listener, port);
    tracing::info!(door = ctx.name, address, "open");
    let _shown = ctx.show(Door {
        name: ctx.name.clone(),
        address,
        fingerprint: None,
    });
    ctx.ready.open();

    let house = Arc::new(House::new(&ctx, console, door, access, store, journal));
    let mut pulse = ctx.pulse.clone();
    let mut asks_open = true;
    loop {
        tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: recv loses nothing. Nobody has a command for this door; dropping the ask says so at once.
            ask = ctx.asks.recv(), if asks_open => asks_open = ask.is_some(),
            // cancel-safe: see tcp::accept
            (stream, peer) = tcp::accept(&listener) => take(&house, stream, peer),
        }
    }
    drop(listener);
    house.tracker.close();
    if timeout(GOODBYE, house.tracker.wait()).await.is_err() {
        tracing::warn!(door = ctx.name, "connections were cut off");
    }
    Ok(())
}

/// Takes one connection, or drops it at once: before anything is allocated for it.
fn take(house: &Arc<House>, stream: TcpStream, peer: SocketAddr) {
    if !house.door.admits(peer.ip()) {
        if house.access.reports(peer.ip()) {
            let (house, tracker) = (house.clone(), house.tracker.clone());
            let told = async move {
                house
                    .publish(Kind::SignInRefused {
                        door: house.door.kind.to_string(),
                        user: String::new(),
                        from: peer.to_string(),
                        reason: format!("not in the allow list of {}", house.name),
                    })
                    .await;
            };
            tracker.spawn(told);
        }
        return;
    }
    let signs_in = house.door.kind == PlainKind::Telnet;
    let access = signs_in.then_some(&*house.access);
    let Some((slot, severed)) = house.crowd.welcome(access, peer) else {
        return;
    };
    match Wire::new(stream) {
        Ok(wire) => {
            let connection = serve(house.clone(), wire, peer, slot, severed);
            house.tracker.spawn(connection);
        }
        Err(e) => tracing::debug!(%peer, "gone at once: {e}"),
    }
}

/// One connection from accept to end. `severed` ends it when it has to make room for others.
async fn serve(
    house: Arc<House>,
    wire: Wire,
    peer: SocketAddr,
    slot: Slot,
    severed: CancellationToken,
) {
    // Boxed: else each connection would take the room of the largest kind, twice over.
    match house.door.kind {
        PlainKind::Telnet => {
            let talk = Box::pin(telnet::serve(&house, &wire, peer, &slot));
            severed.run_until_cancelled(talk).await;
        }
        PlainKind::Raw => {
            slot.signed_in();
            Box::pin(raw::serve(&house, &wire, peer)).await;
        }
        PlainKind::Rfc2217 => {
            slot.signed_in();
            Box::pin(house.enter()).await;
            Box::pin(rfc2217::serve(&house, &wire, peer)).await;
            Box::pin(house.leave()).await;
        }
    }
    Box::pin(wire.hang_up()).await;
}
