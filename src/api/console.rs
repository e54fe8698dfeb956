//! `GET /api/console/{name}`: a session on a console over a WebSocket (RFC 6455). Rights are looked up before the upgrade
//! and while it lasts; the session itself is [`crate::session`]'s. docs/api.md has the protocol.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::timeout;

use crate::access::Right;
use crate::command::Start;
use crate::control::{self, Identity, PersonsPower};
use crate::session::{self, HISTORY, Manner};

use super::answer::{Fault, Path, Query};
use super::house::House;
use super::sign_in::Caller;
use super::socket::{self, Say};

/// The protocol of text and binary frames; a client that names none gets this one.
const PROTOCOL: &str = "oobd.console.v1";
/// Longest frame of a client.
const FRAME: usize = 64 * 1024;
/// Buffers per WebSocket: the library's own would cost 256 KiB.
const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 16 * 1024;
const MOST_UNWRITTEN: usize = 128 * 1024;
/// After the last word, so long for the client to take it.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Resume at this offset of the stream.
    offset: Option<u64>,
    /// Else so many bytes of history.
    history: Option<u32>,
    write: Option<String>,
    verbatim: Option<String>,
    /// Redeemed by [`Caller`] already.
    #[serde(rename = "ticket")]
    _ticket: Option<String>,
}

pub(super) async fn open(
    State(house): State<Arc<House>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    let missing = |text: String| Fault::new(StatusCode::NOT_FOUND, text);
    let watch = Right::WatchConsole(&name);
    caller.person.may(watch).map_err(missing)?;
    if !house.store.now().consoles.contains_key(&name) {
        let name = crate::access::printable(&name);
        return Err(missing(format!("there is no console {name}")));
    }
    let write = flag("write", wanted.write.as_deref())?;
    let start = match (wanted.offset, wanted.history) {
        (Some(_), Some(_)) => {
            let text = "name `offset` or `history`, not both";
            return Err(Fault::new(StatusCode::BAD_REQUEST, text));
        }
        (Some(offset), None) => Start::Offset(offset),
        (None, history) => Start::History(history.unwrap_or(HISTORY)),
    };
    let manner = Manner {
        // The client has buttons for what a person types `~` for.
        escape: None,
        offsets: true,
        verbatim: flag("verbatim", wanted.verbatim.as_deref())?,
        start,
        ..Manner::person()
    };
    let upgrade = upgrade.map_err(|e| Fault::new(e.status(), e.body_text()))?;
    let offered: Vec<_> = upgrade.requested_protocols().cloned().collect();
    if !offered.is_empty() && !offered.iter().any(|protocol| protocol == PROTOCOL) {
        let text = format!("this board speaks {PROTOCOL}");
        return Err(Fault::new(StatusCode::BAD_REQUEST, text));
    }
    let upgrade = upgrade.protocols([PROTOCOL]);
    Ok(start_on(
        house,
        caller,
        name,
        Form::Framed { write },
        manner,
        upgrade,
    ))
}

/// A session of bytes alone, as a terminal has it: nothing but binary frames, and it types as soon as nobody else does. Rights are the
/// caller's to look up; the session looks them up again.
pub(crate) fn bare(
    house: Arc<House>,
    caller: Caller,
    name: String,
    upgrade: WebSocketUpgrade,
) -> Response {
    let manner = Manner {
        // Every key is the machine's.
        escape: None,
        ..Manner::person()
    };
    start_on(house, caller, name, Form::Bare, manner, upgrade)
}

/// What goes over the WebSocket.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Bytes in binary frames and JSON in text frames.
    Framed { write: bool },
    /// Bytes alone.
    Bare,
}

fn start_on(
    house: Arc<House>,
    caller: Caller,
    name: String,
    form: Form,
    manner: Manner,
    upgrade: WebSocketUpgrade,
) -> Response {
    let tracker = house.tracker.clone();
    upgrade
        .max_message_size(FRAME)
        .max_frame_size(FRAME)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MOST_UNWRITTEN)
        .on_upgrade(move |socket| {
            tracker.track_future(serve(house, caller, name, form, manner, socket))
        })
}

/// One session from attach to end.
async fn serve(
    house: Arc<House>,
    caller: Caller,
    console: String,
    form: Form,
    manner: Manner,
    socket: WebSocket,
) {
    let _hold = caller.hold(&house);
    let (bare, write) = match form {
        Form::Framed { write } => (false, write),
        Form::Bare => (true, true),
    };
    let (screen, mut keyboard, writing) = socket::split(socket, bare);
    let session = async {
        let guest = session::Guest::of(&caller.person, &console, caller.from());
        let seat = match guest {
            Ok(mut guest) => {
                guest.types &= write;
                let seat = guest.sit(&house.commands, manner).await;
                let identity = Identity::User(caller.person.name.clone());
                let from = caller.from();
                let asker = control::Caller { identity, from };
                let power = PersonsPower::new(house.control.clone(), asker);
                seat.map(|seat| seat.with_power(Arc::new(power)))
            }
            Err(refusal) => Err(refusal),
        };
        let seat = match seat {
            Ok(seat) => seat,
            Err(why) => {
                let refused = Say::Ended {
                    reason: &why,
                    refused: true,
                };
                let _ = screen.say_to(refused).await;
                return;
            }
        };
        screen.hello(seat.session, seat.writer, seat.types);
        let (id, writer) = (seat.session, seat.writer);
        tokio::select! {
            // Neither is polled again after the other has ended, so nothing needs to be cancel-safe here.
            ended = seat.run(&screen, &mut keyboard, caller.over(&house)) => drop(ended),
            () = tell_writer(&house, &console, id, writer, &screen) => {}
        }
        // The last sender: the writing ends when all is out.
        drop(screen);
        drop(keyboard);
    };
    tokio::pin!(writing);
    tokio::select! {
        // Neither is polled again here after the other has ended, so nothing needs to be cancel-safe. The session first: what
        // it shows is written in the same turn.
        biased;
        () = session => drop(timeout(FAREWELL, writing).await),
        () = &mut writing => tracing::debug!(peer = %caller.guest.peer, "the client is gone"),
    }
}

/// Tells the client when the keyboard comes or goes. Never ends by itself but with the client.
async fn tell_writer(
    house: &House,
    console: &str,
    session: u64,
    mut writer: bool,
    screen: &socket::Screen,
) {
    let mut state = house.store.watch();
    loop {
        let now = {
            let state = state.borrow_and_update();
            let sessions = state.consoles.get(console).map(|console| &console.sessions);
            let mine = sessions.and_then(|all| all.iter().find(|one| one.id == session));
            mine.map(|mine| mine.writer)
        };
        if let Some(now) = now
            && now != writer
        {
            writer = now;
            if screen.say_to(Say::Writer { writer }).await.is_err() {
                return;
            }
        }
        if state.changed().await.is_err() {
            // The board stops: the session itself says so.
            std::future::pending::<()>().await;
        }
    }
}

/// `?write=1`.
pub(super) fn flag(name: &str, given: Option<&str>) -> Result<bool, Fault> {
    match given {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true" | "") => Ok(true),
        Some(_) => {
            let text = format!("`{name}` is 0 or 1");
            Err(Fault::new(StatusCode::BAD_REQUEST, text))
        }
    }
}
