//! The control socket: a door for `oobctl` on the board. Whoever connects is who the kernel says. Knows no device.

mod act;
mod bundle;
mod follow;
mod log;
mod names;
mod outlets;
mod power;
mod rights;
mod serve;
mod snapshot;
mod view;
pub mod wire;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::access::Directory;
use crate::event::Kind;
use crate::fact::{Door, Fact};
use crate::journal;
use crate::state::Store;
use crate::supervisor::context::Context;

pub use act::Outcome;
pub use follow::Follow;
pub use outlets::{resolve, switches};
pub use power::PersonsPower;
pub use rights::needed;
pub use serve::{Caller, House, Identity, serve};
pub(crate) use view::concerns;

use wire::{Response, Wire};

/// Conversations at once; a few KiB each.
const CONVERSATIONS: usize = 64;
/// Of these, those that others than root may hold, so that root always gets in.
const OTHERS: usize = 32;
/// Pause after an accept error (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Longest the system's user table may take.
const NAME_LIMIT: Duration = Duration::from_secs(5);
/// A refused caller gets this long to read why.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why the door is not open. The supervisor tries again.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {path}")]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// Serves `control.sock` in the run directory until the board stops.
///
/// # Errors
/// [`Error`] when it cannot listen; never because of a client.
pub async fn run(
    mut ctx: Context,
    access: Arc<Directory>,
    store: Store,
    journal: journal::Reader,
) -> Result<(), Error> {
    let path = ctx.dirs.run.join("control.sock");
    let listener = listen(&path).map_err(|source| Error {
        path: path.clone(),
        source,
    })?;
    ctx.observe(Fact::Door(Door {
        name: "control".into(),
        address: path.display().to_string(),
        fingerprint: None,
    }));
    ctx.ready.open();
    let house = House::of(&ctx, access, store, journal);
    let all = Arc::new(Semaphore::new(CONVERSATIONS));
    let others = Arc::new(Semaphore::new(OTHERS));
    let mut pulse = ctx.pulse.clone();
    let mut asks_open = true;
    loop {
        let stream = tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => break,
            // cancel-safe as Pulse::beat() says
            () = pulse.beat() => continue,
            // cancel-safe per docs on Receiver::recv(); nothing is asked of this door, and a dropped ask says so
            ask = ctx.asks.recv(), if asks_open => {
                asks_open = ask.is_some();
                continue;
            }
            // cancel-safe per docs on UnixListener::accept()
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the control socket");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(slot) = all.clone().try_acquire_owned() else {
            tracing::warn!("the control socket is full: {CONVERSATIONS} conversations");
            continue;
        };
        let (house, others) = (house.clone(), others.clone());
        ctx.tracker.spawn(async move {
            let _slot = slot;
            welcome(stream, house, &others).await;
        });
    }
    // The next start makes a new one; a client gets a clear "not running" meanwhile.
    let _ = std::fs::remove_file(&path);
    Ok(())
}

fn listen(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Left over from a run that was killed; the supervisor's lock says that nobody listens there now.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Finds out who called, and serves them if they may come in.
async fn welcome(stream: UnixStream, house: House, others: &Semaphore) {
    let caller = match identify(&stream, &house).await {
        Ok(caller) => caller,
        Err((user, reason)) => {
            let kind = Kind::SignInRefused {
                door: "control".into(),
                user,
                from: "local".into(),
                reason: reason.clone(),
            };
            house.publish(kind).await;
            let mut wire = Wire::new(stream);
            let _ = timeout(GOODBYE, wire.send(&Response::Denied(reason))).await;
            return;
        }
    };
    let _other = match &caller.identity {
        Identity::Root => None,
        Identity::User(_) => match others.try_acquire() {
            Ok(slot) => Some(slot),
            Err(_) => return,
        },
    };
    if let Err(error) = serve(caller, stream, house).await {
        tracing::debug!(
            error = crate::fault::chain(&error),
            "a conversation on the control socket broke off"
        );
    }
}

/// Root and whoever runs oobd are administrators; others are who oobd.toml says, by their account's name.
async fn identify(stream: &UnixStream, house: &House) -> Result<Caller, (String, String)> {
    let credentials = stream.peer_cred().map_err(|error| {
        (
            "?".to_owned(),
            format!("the kernel does not say who calls: {error}"),
        )
    })?;
    let process = credentials
        .pid()
        .map_or_else(|| "on the board".to_owned(), |pid| format!("process {pid}"));
    let uid = Uid::from_raw(credentials.uid());
    if uid.is_root() || uid == Uid::effective() {
        return Ok(Caller {
            identity: Identity::Root,
            from: process,
        });
    }
    let look_up = timeout(NAME_LIMIT, spawn_blocking(move || User::from_uid(uid)));
    let Ok(Ok(Ok(Some(account)))) = look_up.await else {
        return Err((
            format!("uid {uid}"),
            format!("uid {uid} has no account on this board"),
        ));
    };
    if house.access().person(&account.name).is_none() {
        let reason = format!("oobd.toml has no [user.{}]", account.name);
        return Err((account.name, reason));
    }
    Ok(Caller {
        identity: Identity::User(account.name),
        from: process,
    })
}
