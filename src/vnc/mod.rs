//! A port for VNC viewers of one machine's screen. One owner per door; it listens, admits and ends. Knows no device: the picture
//! is the screen's owner's. docs/screen.md

mod hello;
mod house;
mod password;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::{Directory, Right};
use crate::command::{Control, View, Viewing};
use crate::config::Vnc;
use crate::fact::Door;
use crate::rfb::Server;
use crate::session::{Gone, Viewer};
use crate::supervisor::context::Context;
use crate::tcp::{self, Slot};
use crate::tls::Identity;

use hello::{Guest, Stream};
use house::House;

/// What open connections get to end when the door closes.
const GOODBYE: Duration = Duration::from_secs(2);
/// From the first word to the sign-in; a person has to type a password.
const HELLO: Duration = Duration::from_mins(2);
/// A viewer that takes nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 4096;

/// Why the door is not open. The supervisor says so and tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on port {port}")]
    Listen { port: u16, source: std::io::Error },
}

/// Serves the VNC door of a machine until it is stopped. `shown` is the certificate of the HTTPS door.
///
/// # Errors
/// [`Error`] when it cannot listen; never because of a client or of the machine.
pub async fn run(
    mut ctx: Context,
    machine: String,
    door: Vnc,
    access: Arc<Directory>,
    shown: watch::Receiver<Option<Identity>>,
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
    let house = Arc::new(House::new(&ctx, machine, door, access, shown));
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
            (stream, peer) = tcp::accept(&listener) => take(&house, &ctx.stop, stream, peer),
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
fn take(house: &Arc<House>, stop: &CancellationToken, stream: TcpStream, peer: SocketAddr) {
    if !house.door.admits(peer.ip()) {
        tracing::debug!(%peer, "not in the allow list of the VNC door of {}", house.machine);
        return;
    }
    let Some((slot, severed)) = house.crowd.welcome(Some(&house.access), peer) else {
        return;
    };
    if let Err(e) = tcp::prepare(&stream).and_then(|()| tcp::keep_unsent_short(&stream)) {
        tracing::debug!(%peer, "gone at once: {e}");
        return;
    }
    let (house, stop) = (house.clone(), stop.clone());
    house.clone().tracker.spawn(async move {
        tokio::select! {
            // None is polled again after another has ended, so nothing needs to be cancel-safe here.
            () = stop.cancelled() => {}
            () = severed.cancelled() => {}
            () = Box::pin(serve(&house, stream, peer, &slot)) => {}
        }
    });
}

/// One connection from its first word to its end.
async fn serve(house: &House, stream: TcpStream, peer: SocketAddr, slot: &Slot) {
    let (stream, guest) = match timeout(HELLO, hello::shake(house, stream, peer)).await {
        Ok(Ok(let_in)) => let_in,
        Ok(Err(why)) => {
            let why = crate::fault::chain(&why);
            tracing::debug!(%peer, why, "nobody was let in");
            return;
        }
        Err(_) => return,
    };
    slot.signed_in();
    let viewing = match look(house, &guest, peer).await {
        Ok(viewing) => viewing,
        // RFB has no word for it after the sign-in.
        Err(why) => {
            tracing::info!(%peer, machine = house.machine, why, "no screen for a viewer");
            return;
        }
    };
    let lost = async {
        match &guest {
            Guest::User(standing) => standing.lost(&house.access).await,
            // Another password in oobd.toml is another door.
            Guest::Password => std::future::pending().await,
        }
    };
    tokio::select! {
        // Neither is polled again after the other has ended.
        _ = show(house, viewing, stream) => {}
        why = lost => tracing::debug!(%peer, why, "a view is over"),
    }
}

/// Asks the screen's owner for a view, after the rights.
async fn look(house: &House, guest: &Guest, peer: SocketAddr) -> Result<Viewing, String> {
    let machine = &house.machine;
    let (user, types) = match guest {
        Guest::User(standing) => {
            let person = &standing.person;
            person.may(Right::LookAtMachine(machine))?;
            let types = person.may(Right::SwitchMachine(machine)).is_ok();
            (person.name.clone(), types)
        }
        Guest::Password => (house::DOOR.to_owned(), house.door.write),
    };
    let view = View {
        machine: machine.clone(),
        user,
        from: format!("{} {peer}", house::DOOR),
        control: if types { Control::IfFree } else { Control::No },
    };
    let viewing = house.commands.screens.view(view).await;
    viewing.map_err(|refusal| refusal.to_string())
}

/// One view. What the viewer does is heard also while it takes a picture.
async fn show(house: &House, viewing: Viewing, stream: Box<dyn Stream>) -> Result<(), Gone> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut updates = viewing.picture.updates();
    let mut ended = viewing.ended.clone();
    let mut viewer = Viewer::new(Server::let_in(&house.machine), viewing);
    let mut chunk = [0; CHUNK];
    loop {
        let Some(bytes) = viewer.due() else {
            tokio::select! {
                // cancel-safe per docs on AsyncReadExt::read()
                got = reader.read(&mut chunk) => viewer.hear(heard(got, &chunk)?).await?,
                // cancel-safe: changed loses nothing
                Ok(()) = updates.changed() => {}
                // cancel-safe: changed loses nothing
                _ = ended.changed() => break,
            }
            continue;
        };
        let sending = timeout(SILENCE, async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        });
        tokio::pin!(sending);
        loop {
            tokio::select! {
                // Goes on where it was until it is done.
                sent = &mut sending => match sent {
                    Ok(Ok(())) => break,
                    _ => return Err(Gone),
                },
                // cancel-safe per docs on AsyncReadExt::read()
                got = reader.read(&mut chunk) => viewer.hear(heard(got, &chunk)?).await?,
            }
        }
    }
    let _ = timeout(GOODBYE, writer.shutdown()).await;
    Ok(())
}

/// What was read, if anything was.
fn heard(got: std::io::Result<usize>, chunk: &[u8]) -> Result<&[u8], Gone> {
    let count = got.ok().filter(|count| *count > 0).ok_or(Gone)?;
    chunk.get(..count).ok_or(Gone)
}
