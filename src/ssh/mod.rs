//! The SSH door: sign-in, chooser, consoles, commands, forwards to LAN hosts. Knows no device; opens no port but its
//! own, and no connection that could leave the LAN.

mod algorithms;
mod attach;
mod channel;
mod chooser;
mod command;
mod connection;
mod forward;
mod handler;
mod host_key;
mod house;
mod login;
mod reach;
mod resolve;
mod session;
mod terminal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::access::Directory;
use crate::config;
use crate::event::Kind;
use crate::fact::{Door, Fact};
use crate::journal;
use crate::state::Store;
use crate::supervisor::context::Context;
use crate::tcp;

use house::House;

/// A console's own port that cannot be opened is tried again after this.
const LANDING_RETRY: Duration = Duration::from_secs(5);
/// What open connections get to say goodbye when the board stops.
const GOODBYE: Duration = Duration::from_millis(2500);

/// Why the door is not open. The supervisor tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on port {port}")]
    Listen { port: u16, source: std::io::Error },
    #[error("no host key can be made for {path}: {reason}")]
    HostKey { path: PathBuf, reason: String },
}

/// A port whose sign-ins land on one console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    pub port: u16,
    pub console: String,
}

/// Serves SSH until the board stops.
///
/// # Errors
/// [`Error`] when it cannot listen or has no host key at all; never because of a client.
pub async fn run(
    mut ctx: Context,
    config: config::Ssh,
    access: Arc<Directory>,
    store: Store,
    journal: journal::Reader,
    lan_interface: String,
    landings: Vec<Landing>,
) -> Result<(), Error> {
    let key_path = ctx.dirs.state.join("ssh_host_ed25519_key");
    let key = host_key::load_or_make(key_path).await?;
    if let Some((file, reason)) = key.replaced {
        ctx.publish(Kind::HostKeyReplaced { file, reason }).await;
    }
    let listener = tcp::listen(config.port).map_err(|source| Error::Listen {
        port: config.port,
        source,
    })?;
    let address = tcp::address(&listener, config.port);
    tracing::info!(address, fingerprint = key.fingerprint, "ssh is open");
    ctx.observe(Fact::Door(Door {
        name: "ssh".into(),
        address,
        fingerprint: Some(key.fingerprint),
    }));
    ctx.ready.open();

    let house = Arc::new(House::new(
        &ctx,
        access,
        store,
        journal,
        lan_interface,
        key.key,
    ));
    for landing in landings {
        ctx.tracker.spawn(land(house.clone(), landing));
    }
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
            (stream, peer) = tcp::accept(&listener) => take(&house, stream, peer, None),
        }
    }
    drop(listener);
    house.tracker.close();
    if timeout(GOODBYE, house.tracker.wait()).await.is_err() {
        tracing::warn!("connections were cut off");
    }
    Ok(())
}

/// Serves the port of one console. One that is taken is tried again and holds nobody else up.
async fn land(house: Arc<House>, landing: Landing) {
    let Landing { port, console } = landing;
    let stop = house.stop.clone();
    let serve = async {
        let mut told = false;
        let listener = loop {
            match tcp::listen(port) {
                Ok(listener) => break listener,
                Err(error) if !told => {
                    tracing::error!(console, port, "ssh_port: cannot listen: {error}");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(LANDING_RETRY).await;
        };
        tracing::info!(console, port, "ssh to one console is open");
        loop {
            let (stream, peer) = tcp::accept(&listener).await;
            take(&house, stream, peer, Some(&console));
        }
    };
    stop.run_until_cancelled(serve).await;
}

/// Takes one connection, or drops it at once when its source or the board holds too many.
fn take(house: &Arc<House>, stream: TcpStream, peer: std::net::SocketAddr, console: Option<&str>) {
    let Some((slot, severed)) = house.crowd.welcome(Some(&house.access), peer) else {
        return;
    };
    if let Err(e) = tcp::prepare(&stream) {
        tracing::debug!(%peer, "gone at once: {e}");
        return;
    }
    let stream = tcp::Cuttable::new(stream, severed.clone());
    let connection = connection::serve(
        house.clone(),
        stream,
        peer,
        slot,
        severed,
        console.map(str::to_owned),
    );
    house.tracker.spawn(connection);
}
