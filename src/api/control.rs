//! `GET /api/control`: the control protocol over a WebSocket, what `oobctl --host` speaks. Questions and answers are JSON text
//! frames, so that both sides may be of different versions; the bytes of a console are binary frames. Rights are looked up
//! at each step by [`crate::control`]; this only carries.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{
    Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
};
use axum::response::Response as HttpResponse;
use bytes::Bytes;
use futures::stream::SplitStream;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::command::{Input, Output, Refusal};
use crate::control::wire::{LONGEST_FRAME, Request, Response, Sending, Wire};
use crate::control::{self, Identity};

use super::answer::{Fault, Query};
use super::house::House;
use super::sign_in::Caller;

/// A client that names none gets this one.
const PROTOCOL: &str = "oobd.control.v1";
/// What may wait between the conversation and the socket, each way.
const PIPE: usize = 16 * 1024;
/// Buffers per WebSocket: the library's own would cost 256 KiB.
const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 16 * 1024;
/// A state of hundreds of machines is one frame.
const MOST_UNWRITTEN: usize = 8 << 20;
/// Mobile networks forget a connection that is silent for half a minute.
const PING: Duration = Duration::from_secs(20);
/// A client that says nothing, not even to a ping, or takes nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Redeemed by [`Caller`] already.
    #[serde(rename = "ticket")]
    _ticket: Option<String>,
}

pub(super) async fn open(
    State(house): State<Arc<House>>,
    caller: Caller,
    Query(_): Query<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<HttpResponse, Fault> {
    let upgrade = upgrade.map_err(|e| Fault::new(e.status(), e.body_text()))?;
    let tracker = house.tracker.clone();
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(LONGEST_FRAME)
        .max_frame_size(LONGEST_FRAME)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MOST_UNWRITTEN)
        .on_upgrade(move |socket| tracker.track_future(serve(house, caller, socket))))
}

/// One conversation from greeting to end.
async fn serve(house: Arc<House>, caller: Caller, socket: WebSocket) {
    let _hold = caller.hold(&house);
    let asker = control::Caller {
        identity: Identity::User(caller.person.name.clone()),
        from: caller.from(),
    };
    let (near, far) = duplex(PIPE);
    let talk = async {
        if let Err(e) = control::serve(asker, far, house.control.clone()).await {
            tracing::debug!("a conversation over HTTPS broke off: {e}");
        }
    };
    // The conversation ends with its pipe.
    futures::future::join(talk, carry(socket, near, caller.over(&house))).await;
}

/// Carries both ways until the client, the conversation or the right to it ends. The two ways do not wait for each other.
async fn carry(socket: WebSocket, near: DuplexStream, over: impl Future<Output = String>) {
    let (mut sink, stream) = socket.split();
    let (asks, mut answers) = Wire::new(near).split();
    let (amiss, mut misses) = mpsc::channel(4);
    let hear = hear(stream, asks, amiss);
    let tell = async {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(over);
        loop {
            let (frame, last) = tokio::select! {
                // cancel-safe as Receiving::receive() says
                answer = answers.receive::<Response>() => match answer {
                    Ok(answer) => (frame(answer), false),
                    Err(_) => (Message::Close(None), true),
                },
                // cancel-safe per docs on Receiver::recv()
                Some(miss) = misses.recv() => (frame(miss), false),
                // cancel-safe: see Caller::over
                why = &mut over => (frame(Response::Denied(why)), true),
                // cancel-safe per docs on Interval::tick()
                _ = ping.tick() => (Message::Ping(Bytes::new()), false),
            };
            let sent = timeout(SILENCE, sink.send(frame)).await;
            if last || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    };
    tokio::select! {
        // Neither is polled again after the other has ended, so nothing needs to be cancel-safe here.
        () = hear => {}
        () = tell => {}
    }
}

/// Takes frames of the client until it is gone.
async fn hear(
    mut stream: SplitStream<WebSocket>,
    mut asks: Sending<DuplexStream>,
    amiss: mpsc::Sender<Response>,
) {
    while let Ok(Some(Ok(message))) = timeout(SILENCE, stream.next()).await {
        let request = match message {
            Message::Binary(bytes) => Request::Input(Input::Bytes(bytes)),
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(request) => request,
                Err(e) => {
                    let why = format!("this question is not understood: {e}");
                    // A client that does not read its errors need not get them.
                    let _ = amiss.try_send(Response::Refused(Refusal::Failed(why)));
                    continue;
                }
            },
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return,
        };
        if asks.send(&request).await.is_err() {
            // The conversation is over: the other way says so.
            std::future::pending::<()>().await;
        }
    }
}

fn frame(answer: Response) -> Message {
    match answer {
        Response::Output(Output::Bytes(bytes)) | Response::Piece(bytes) => Message::Binary(bytes),
        Response::Picture(bytes) => Message::Binary(bytes.into()),
        // These shapes always have a JSON form.
        other => Message::Text(serde_json::to_string(&other).unwrap_or_default().into()),
    }
}
