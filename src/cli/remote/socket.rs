//! The control protocol over a WebSocket: what `api::control` speaks on the board. Carries, and understands nothing of it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt, StreamExt};
use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::cli::connect::Connected;
use crate::cli::face::Failure;
use crate::command::{Input, Output, Refusal};
use crate::config::Secret;
use crate::control::wire::{Request, Response, Wire};
use crate::fault::chain;

use super::place::Place;

const PROTOCOL: &str = "oobd.control.v1";
/// For sign-in; a board that hashes passwords of others takes its turns.
const SIGN_IN: Duration = Duration::from_secs(50);
/// The board pings every 20 s; one that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// What may wait between a verb and the socket, each way.
const PIPE: usize = 64 * 1024;
/// What binary frames of the board are.
const ARCHIVE: u8 = 0;
const CONSOLE: u8 = 1;
const PICTURE: u8 = 2;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Signs in and begins a conversation.
pub(super) async fn open(
    stream: TlsStream<TcpStream>,
    place: &Place,
    user: &str,
    password: &Secret,
) -> Result<Connected, Failure> {
    let gone = |why: String| Failure::Unreachable(format!("{place} went away: {why}"));
    let address = format!(
        "wss://{}/api/control",
        place.to_string().replace('%', "%25")
    );
    let address = address.parse::<http::Uri>();
    let address = address.map_err(|error| Failure::Usage(format!("{place}: {error}")))?;
    let credentials = STANDARD.encode(format!("{user}:{}", password.expose()));
    let request = ClientRequestBuilder::new(address)
        .with_header("Authorization", format!("Basic {credentials}"))
        .with_sub_protocol(PROTOCOL);
    let answer = match timeout(SIGN_IN, client_async(request, stream)).await {
        Ok(answer) => answer,
        Err(_) => return Err(gone(format!("no answer within {} s", SIGN_IN.as_secs()))),
    };
    match answer {
        Ok((socket, _)) => {
            let (link, near) = duplex(PIPE);
            Ok(Connected::pumped(Box::new(link), pump(socket, near)))
        }
        Err(Error::Http(answer)) => Err(refused(place, &answer)),
        Err(error) => Err(gone(chain(&error))),
    }
}

/// What the board says instead of opening.
fn refused(place: &Place, answer: &http::Response<Option<Vec<u8>>>) -> Failure {
    let body = answer.body().as_deref().unwrap_or_default();
    let body: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = body.as_ref().and_then(|body| body.get("error")?.as_str());
    let status = answer.status();
    let text = match said {
        Some(said) => format!("{place}: {said}"),
        None if status == http::StatusCode::NOT_FOUND => {
            format!("{place} has no control protocol over HTTPS: its oobd is older than this")
        }
        None => format!("{place} answers {status}"),
    };
    match status.as_u16() {
        401 | 403 | 429 => Failure::Denied(text),
        _ => Failure::Other(text),
    }
}

/// Carries both ways until either side is gone; the verb then finds its connection closed.
async fn pump(socket: Socket, near: DuplexStream) -> Infallible {
    carry(socket, near).await;
    pending().await
}

async fn carry(socket: Socket, near: DuplexStream) {
    let (mut sink, mut stream) = socket.split();
    let (mut answers, mut asks) = Wire::new(near).split();
    // Binary frames are the bytes of what was asked for last.
    let asked = AtomicU8::new(ARCHIVE);
    let ask = async {
        while let Ok(request) = asks.receive::<Request>().await {
            match request {
                Request::Attach { .. } | Request::Join { .. } => {
                    asked.store(CONSOLE, Ordering::Relaxed);
                }
                Request::Snapshot { .. } => asked.store(PICTURE, Ordering::Relaxed),
                _ => {}
            }
            let Ok(frame) = frame(&request) else {
                return;
            };
            if sink.send(frame).await.is_err() {
                return;
            }
        }
    };
    let hear = async {
        while let Ok(Some(Ok(message))) = timeout(SILENCE, stream.next()).await {
            let answer = match message {
                Message::Binary(bytes) => match asked.load(Ordering::Relaxed) {
                    CONSOLE => Response::Output(Output::Bytes(bytes)),
                    PICTURE => Response::Picture(bytes.to_vec()),
                    _ => Response::Piece(bytes),
                },
                Message::Text(text) => serde_json::from_str(&text).unwrap_or_else(|error| {
                    let why = format!(
                        "an answer of the board is not understood ({error}); are oobd and oobctl of the same version?"
                    );
                    Response::Refused(Refusal::Failed(why))
                }),
                Message::Close(_) => return,
                _ => continue,
            };
            if answers.send(&answer).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // Neither is polled again after the other has ended, so nothing needs to be cancel-safe.
        () = ask => {}
        () = hear => {}
    }
}

fn frame(request: &Request) -> Result<Message, serde_json::Error> {
    Ok(match request {
        Request::Input(Input::Bytes(bytes)) => Message::Binary(bytes.clone()),
        other => Message::Text(serde_json::to_string(other)?.into()),
    })
}
