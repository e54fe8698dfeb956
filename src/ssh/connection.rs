//! One TCP connection from accept to end: the time to sign in, the goodbye when the board stops or the user is removed.
//! Never looks into channels.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::server::run_stream;
use tokio::io::BufReader;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::access::printable;
use crate::event::Kind;
use crate::tcp::{Cuttable, Slot};

use super::chooser;
use super::handler::Client;
use super::house::House;
use super::login::Login;

/// Time to sign in, from accept on.
const GRACE: Duration = Duration::from_secs(60);
/// A key or a line as a packet, a few times over.
const READ: usize = 1024;
/// Time for a client to show what restores its terminal.
const SCREEN_TIME: Duration = Duration::from_millis(300);
/// Time for the goodbye to reach the client before the connection is cut.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// How far a connection has come; the handler tells.
#[derive(Clone, Debug, Default)]
pub(super) enum Standing {
    #[default]
    Stranger,
    /// Tried to sign in as this user, in vain so far.
    Tried {
        user: String,
    },
    /// Gets no further try; the text is for the person.
    Barred {
        user: String,
        reason: String,
    },
    SignedIn(Arc<Login>),
}

/// Serves one connection to its end. `severed` cuts the stream; `console` is where it lands unless the user name says.
pub(super) async fn serve(
    house: Arc<House>,
    stream: Cuttable,
    peer: SocketAddr,
    slot: Slot,
    severed: CancellationToken,
    console: Option<String>,
) {
    let cut = house.stop.child_token();
    // Ends the channel tasks, and with the next guard the stream, however this function ends.
    let cut_at_end = cut.clone().drop_guard();
    let (standing, mut watching) = watch::channel(Standing::Stranger);
    let client = Client::new(house.clone(), peer, standing, cut.clone(), console);
    let sever_at_end = severed.drop_guard();
    // A packet is read as a head and a rest: together from here.
    let stream = BufReader::with_capacity(READ, stream);
    let begun = timeout(GRACE, run_stream(house.config.clone(), stream, client)).await;
    let mut session = match begun {
        Ok(Ok(session)) => session,
        Ok(Err(e)) => return tracing::debug!(%peer, "no SSH: {e}"),
        Err(_) => return tracing::debug!(%peer, "said nothing"),
    };
    let handle = session.handle();
    let mut changes = house.access.changes();
    let grace = sleep(GRACE);
    tokio::pin!(grace);
    let mut watch_open = true;
    let goodbye: String = loop {
        let signed_in = matches!(*watching.borrow(), Standing::SignedIn(_));
        tokio::select! {
            // cancel-safe: a join handle keeps its result
            ended = &mut session => {
                if let Err(e) = ended {
                    tracing::debug!(%peer, "connection ended: {e}");
                }
                report(&house, peer, &watching).await;
                return;
            }
            // cancel-safe: waits for the token only
            () = house.stop.cancelled() => break "the board stops or restarts its SSH door".into(),
            // cancel-safe: the timer keeps its deadline
            () = &mut grace, if !signed_in => break "not signed in within 60 s".into(),
            // cancel-safe: see Changes::next
            () = changes.next() => {
                let standing = watching.borrow().clone();
                if let Standing::SignedIn(login) = standing
                    && !login.still_stands(&house.access) {
                        break "your user was changed or removed; sign in again".into();
                    }
            }
            // cancel-safe: changed loses nothing
            changed = watching.changed(), if watch_open => {
                watch_open = changed.is_ok();
                match &*watching.borrow_and_update() {
                    Standing::Barred { reason, .. } => break reason.clone(),
                    Standing::SignedIn(_) => slot.signed_in(),
                    Standing::Stranger | Standing::Tried { .. } => {}
                }
            }
        }
    };
    let signed_in = match &*watching.borrow() {
        Standing::SignedIn(login) => Some(login.clone()),
        _ => None,
    };
    let screens = signed_in.map_or_else(Vec::new, |login| login.screens(|open| open.clone()));
    let last_words = async {
        for channel in &screens {
            // Whoever drew there was cut in the middle; the person gets their own screen back.
            let _ = handle.data(*channel, chooser::RESTORE).await;
        }
        if !screens.is_empty() {
            // OpenSSH that reads a disconnect ends at once, with what it has not shown yet.
            sleep(SCREEN_TIME).await;
        }
        let _ = handle
            .disconnect(Disconnect::ByApplication, goodbye, String::new())
            .await;
        let _ = (&mut session).await;
    };
    if timeout(LAST_WORDS, last_words).await.is_err() {
        tracing::debug!(%peer, "did not hang up by itself");
    }
    report(&house, peer, &watching).await;
    drop((cut_at_end, sever_at_end, slot));
}

/// Journals a connection that tried to sign in and failed with nothing that was journaled already, within a limit.
async fn report(house: &House, peer: SocketAddr, standing: &watch::Receiver<Standing>) {
    let (user, reason) = match &*standing.borrow() {
        Standing::Tried { user } => (
            printable(user),
            "no key of this user, no password".to_owned(),
        ),
        Standing::Barred { user, reason } => (printable(user), reason.clone()),
        Standing::Stranger | Standing::SignedIn(_) => return,
    };
    if house.access.reports(peer.ip()) {
        house
            .publish(Kind::SignInRefused {
                door: "ssh".into(),
                user,
                from: peer.to_string(),
                reason,
            })
            .await;
    }
}
