//! `GET /api/screen/{machine}`: the screen of a machine as RFB in binary frames of a WebSocket, as noVNC has it, and
//! `…/snapshot.png`. docs/screen.md has the parameters.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{
    Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::access::Right;
use crate::clock::Instant;
use crate::command::{Control, View, Viewing};
use crate::rfb::Server;
use crate::session::{Gone, Viewer};

use super::answer::{Fault, Path, Query};
use super::console::flag;
use super::house::House;
use super::sign_in::Caller;

/// Older noVNC asks for it.
const PROTOCOL: &str = "binary";
/// Longest frame of a client: a clipboard.
const FRAME: usize = 512 * 1024;
/// Mobile networks forget a connection that is silent for half a minute.
const PING: Duration = Duration::from_secs(20);
/// A client that says nothing, not even to a ping, or takes nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Looks only.
    view: Option<String>,
    /// Whoever types only looks from now on.
    take: Option<String>,
    /// Redeemed by [`Caller`] already.
    #[serde(rename = "ticket")]
    _ticket: Option<String>,
}

/// Asks the owner for a view, after the rights.
async fn look(
    house: &House,
    caller: &Caller,
    machine: String,
    control: Control,
) -> Result<Viewing, Fault> {
    let missing = |text: String| Fault::new(StatusCode::NOT_FOUND, text);
    let may = caller.person.may(Right::LookAtMachine(&machine));
    may.map_err(missing)?;
    if control == Control::Take {
        let may = caller.person.may(Right::SwitchMachine(&machine));
        may.map_err(Fault::forbidden)?;
    }
    let types = caller.person.may(Right::SwitchMachine(&machine)).is_ok();
    let view = View {
        machine,
        user: caller.person.name.clone(),
        from: caller.from(),
        control: if types { control } else { Control::No },
    };
    Ok(house.commands.screens.view(view).await?)
}

pub(super) async fn open(
    State(house): State<Arc<House>>,
    caller: Caller,
    Path(machine): Path<String>,
    Query(wanted): Query<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    let upgrade = upgrade.map_err(|e| Fault::new(e.status(), e.body_text()))?;
    let control = match (
        flag("view", wanted.view.as_deref())?,
        flag("take", wanted.take.as_deref())?,
    ) {
        (true, true) => {
            let text = "name `view` or `take`, not both";
            return Err(Fault::new(StatusCode::BAD_REQUEST, text));
        }
        (true, false) => Control::No,
        (false, true) => Control::Take,
        (false, false) => Control::IfFree,
    };
    let viewing = look(&house, &caller, machine.clone(), control).await?;
    let tracker = house.tracker.clone();
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(FRAME)
        .max_frame_size(FRAME)
        .on_upgrade(move |socket| {
            tracker.track_future(async move {
                let _hold = caller.hold(&house);
                tokio::select! {
                    // Neither is polled again after the other has ended, so nothing needs to be cancel-safe here.
                    () = serve(machine, viewing, socket) => {}
                    why = caller.over(&house) => tracing::debug!(why, "a view is over"),
                }
            })
        }))
}

/// One view from greeting to end. What the client does is heard also while it takes a picture.
async fn serve(machine: String, viewing: Viewing, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let mut updates = viewing.picture.updates();
    let mut ended = viewing.ended.clone();
    let mut view = Seen {
        viewer: Viewer::new(Server::new(&machine), viewing),
        heard: Instant::now(),
    };
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = match view.viewer.due() {
            Some(bytes) => Message::Binary(bytes.into()),
            None => tokio::select! {
                // cancel-safe: a frame is taken out of the stream whole or not at all
                next = stream.next() => match view.hear(next).await {
                    Ok(()) => continue,
                    Err(Gone) => return,
                },
                // cancel-safe: changed loses nothing
                Ok(()) = updates.changed() => continue,
                // cancel-safe: changed loses nothing
                _ = ended.changed() => break,
                // cancel-safe: a tick that is not taken comes again
                _ = ping.tick() => {
                    if view.heard.elapsed() > SILENCE {
                        return;
                    }
                    Message::Ping(Bytes::new())
                }
            },
        };
        let sending = timeout(SILENCE, sink.send(message));
        tokio::pin!(sending);
        loop {
            tokio::select! {
                // Goes on where it was until it is done.
                sent = &mut sending => match sent {
                    Ok(Ok(())) => break,
                    _ => return,
                },
                // cancel-safe: a frame is taken out of the stream whole or not at all
                next = stream.next() => if view.hear(next).await.is_err() {
                    return;
                },
            }
        }
    }
    let _ = timeout(SILENCE, sink.send(Message::Close(None))).await;
}

/// What one client sees and does.
struct Seen {
    viewer: Viewer,
    heard: Instant,
}

impl Seen {
    async fn hear(&mut self, next: Option<Result<Message, axum::Error>>) -> Result<(), Gone> {
        self.heard = Instant::now();
        match next {
            Some(Ok(Message::Binary(bytes))) => self.viewer.hear(&bytes).await,
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Gone),
            Some(Ok(_)) => Ok(()),
        }
    }
}

pub(super) async fn snapshot(
    State(house): State<Arc<House>>,
    caller: Caller,
    Path(machine): Path<String>,
) -> Result<Response, Fault> {
    let from = caller.from();
    let png = house
        .control
        .snapshot(&machine, &caller.person, &from)
        .await?;
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, png).into_response())
}
