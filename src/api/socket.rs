//! A console session on the frames of a WebSocket: what the engine shows as frames, what the client sends as what it did.
//! A client that does not read lags in the console's ring; nobody waits for it, and past a minute it is gone.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, timeout_at};

use crate::clock::Instant;
use crate::session::{self, Ended, Gone, Heard};

/// Frames that may wait for the client: with 8 KiB each they bound what one that does not read costs.
const FRAMES: usize = 4;
/// Mobile networks forget a connection that is silent for half a minute.
const PING: Duration = Duration::from_secs(20);
/// A client that has answered nothing for so long, not even a ping, is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// Text frames of the board.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Say<'a> {
    /// The first frame. `types`: may ever type; `writer`: types now; `offset`: where the stream begins.
    Hello {
        session: u64,
        writer: bool,
        types: bool,
        offset: u64,
    },
    /// The stream will stand here after the next binary frame; sent when that is not simply longer by the frame.
    Offset {
        offset: u64,
    },
    /// So many bytes are lost; the stream goes on at this offset.
    Gap {
        bytes: u64,
        offset: u64,
    },
    Writer {
        writer: bool,
    },
    Notice {
        text: &'a str,
    },
    /// A frame of the client was not understood and did nothing.
    Error {
        text: String,
    },
    /// The last one.
    Ended {
        reason: &'a str,
        refused: bool,
    },
}

/// Text frames of the client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Break { millis: Option<u64> },
    TakeWriter {},
    Power {},
    Eof {},
}

fn frame(say: &Say<'_>) -> Message {
    // These shapes always have a JSON form.
    Message::Text(serde_json::to_string(say).unwrap_or_default().into())
}

/// The two sides of a session, and the future that carries frames out: it ends when both sides are dropped and all is
/// sent, or when the client is gone. A `bare` one has no JSON: what the board says stands among the bytes, as on a terminal.
pub(super) fn split(socket: WebSocket, bare: bool) -> (Screen, Keyboard, impl Future<Output = ()>) {
    let (sink, stream) = socket.split();
    let (sender, frames) = mpsc::channel(FRAMES);
    let screen = Screen {
        frames: sender.clone(),
        bare,
        hello: Mutex::default(),
        stand: Mutex::default(),
    };
    let keyboard = Keyboard {
        stream,
        frames: sender,
        bare,
        heard: Instant::now(),
    };
    (screen, keyboard, write(sink, frames))
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut frames: mpsc::Receiver<Message>) {
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            // cancel-safe per docs on Receiver::recv()
            frame = frames.recv() => match frame {
                Some(frame) => frame,
                None => break,
            },
            // cancel-safe per docs on Interval::tick()
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        let mut next = Some(first);
        // What is ready goes in one write.
        while let Some(frame) = next {
            if sink.feed(frame).await.is_err() {
                return;
            }
            next = frames.try_recv().ok();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
    let _ = sink.send(Message::Close(None)).await;
}

/// Where the stream stands for this client.
#[derive(Debug, Default)]
struct Stand {
    offset: u64,
    /// A piece that waits for its offset: the two go out together, so that a client that lost the connection between them
    /// never counts wrong.
    piece: Option<Bytes>,
    gap: Option<u64>,
}

/// The device's side.
#[derive(Debug)]
pub(super) struct Screen {
    frames: mpsc::Sender<Message>,
    bare: bool,
    /// What is told of the session once its offset is known.
    hello: Mutex<Option<(u64, bool, bool)>>,
    stand: Mutex<Stand>,
}

impl Screen {
    /// Has the session introduced by its first offset.
    pub(super) fn hello(&self, session: u64, writer: bool, types: bool) {
        *lock(&self.hello) = Some((session, writer, types));
    }

    pub(super) async fn say_to(&self, say: Say<'_>) -> Result<(), Gone> {
        match say {
            say if !self.bare => self.send(frame(&say)).await,
            Say::Ended { reason, .. } => self.print(&format!("\n[-- {reason} --]\n")).await,
            // Told by the session in words, or nothing that a terminal has a place for.
            _ => Ok(()),
        }
    }

    /// Words for a person among the bytes, with the line ends of a terminal.
    async fn print(&self, text: &str) -> Result<(), Gone> {
        let text = text.replace('\n', "\r\n");
        self.send(Message::Binary(text.into())).await
    }

    async fn send(&self, frame: Message) -> Result<(), Gone> {
        self.frames.send(frame).await.map_err(|_| Gone)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stand {
    /// The frames that bring the client to this offset.
    fn advance(&mut self, offset: u64) -> Vec<Message> {
        let mut frames = Vec::new();
        if let Some(bytes) = self.gap.take() {
            self.offset = offset;
            frames.push(frame(&Say::Gap { bytes, offset }));
        }
        if let Some(piece) = self.piece.take().filter(|piece| !piece.is_empty()) {
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if self.offset.saturating_add(length) != offset {
                frames.push(frame(&Say::Offset { offset }));
            }
            self.offset = offset;
            frames.push(Message::Binary(piece));
        }
        frames
    }
}

impl session::Screen for Screen {
    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        if self.bare {
            return match bytes.is_empty() {
                true => Ok(()),
                false => self.send(Message::Binary(bytes)).await,
            };
        }
        lock(&self.stand).piece = Some(bytes);
        Ok(())
    }

    /// Unless bare, the first frame has said it.
    async fn say(&self, text: &str) -> Result<(), Gone> {
        match self.bare {
            true => self.print(text).await,
            false => Ok(()),
        }
    }

    async fn remark(&self, text: &str) -> Result<(), Gone> {
        if self.bare {
            return self.print(text).await;
        }
        let text = text.trim();
        self.say_to(Say::Notice { text }).await
    }

    async fn gap(&self, bytes: u64) -> Result<(), Gone> {
        if self.bare {
            return self.print(&session::skipped(bytes)).await;
        }
        lock(&self.stand).gap = Some(bytes);
        Ok(())
    }

    async fn reached(&self, offset: u64) -> Result<(), Gone> {
        let hello = lock(&self.hello).take();
        if let Some((session, writer, types)) = hello {
            lock(&self.stand).offset = offset;
            let hello = Say::Hello {
                session,
                writer,
                types,
                offset,
            };
            return self.say_to(hello).await;
        }
        let frames = lock(&self.stand).advance(offset);
        for frame in frames {
            self.send(frame).await?;
        }
        Ok(())
    }

    async fn ended(&self, _console: &str, ended: &Ended) -> Result<(), Gone> {
        let (reason, refused) = match ended {
            Ended::Left | Ended::Chooser => ("left", false),
            Ended::Eof => ("done", false),
            Ended::Port(why) => (why.as_str(), false),
            Ended::Refused(why) => (why.as_str(), true),
        };
        self.say_to(Say::Ended { reason, refused }).await
    }
}

/// The client's side.
#[derive(Debug)]
pub(super) struct Keyboard {
    stream: SplitStream<WebSocket>,
    frames: mpsc::Sender<Message>,
    bare: bool,
    heard: Instant,
}

impl session::Keyboard for Keyboard {
    /// Cancel-safe: a frame is taken out of the stream whole or not at all, and nothing is awaited after it.
    async fn next(&mut self) -> Result<Heard, Gone> {
        loop {
            let next = timeout_at(self.heard + SILENCE, self.stream.next()).await;
            let Ok(Some(Ok(message))) = next else {
                return Err(Gone);
            };
            self.heard = Instant::now();
            match message {
                Message::Binary(bytes) => return Ok(Heard::Bytes(bytes)),
                Message::Text(text) if self.bare => return Ok(Heard::Bytes(text.into())),
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(Said::Break { millis }) => return Ok(Heard::Break { millis }),
                    Ok(Said::TakeWriter {}) => return Ok(Heard::TakeWriter),
                    Ok(Said::Power {}) => return Ok(Heard::Power),
                    Ok(Said::Eof {}) => return Ok(Heard::Eof),
                    Err(e) => {
                        // A client that does not read its errors need not get them.
                        let text = format!("not understood: {e}");
                        let _ = self.frames.try_send(frame(&Say::Error { text }));
                    }
                },
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return Err(Gone),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frames: Vec<Message>) -> Vec<String> {
        let text = |frame| match frame {
            Message::Text(text) => text.to_string(),
            Message::Binary(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => format!("{other:?}"),
        };
        frames.into_iter().map(text).collect()
    }

    #[test]
    fn a_client_that_counts_frames_knows_the_offset() {
        let mut stand = Stand {
            offset: 10,
            ..Stand::default()
        };
        stand.piece = Some(Bytes::from("abc"));
        assert_eq!(texts(stand.advance(13)), ["abc"]);
        // A query of four bytes was taken out.
        stand.piece = Some(Bytes::from("de"));
        let offset = r#"{"type":"offset","offset":19}"#;
        assert_eq!(texts(stand.advance(19)), [offset, "de"]);
        // All of it was taken out: the next piece corrects.
        stand.piece = Some(Bytes::new());
        assert!(stand.advance(23).is_empty());
        stand.piece = Some(Bytes::from("f"));
        let offset = r#"{"type":"offset","offset":24}"#;
        assert_eq!(texts(stand.advance(24)), [offset, "f"]);
        stand.gap = Some(100);
        let gap = r#"{"type":"gap","bytes":100,"offset":124}"#;
        assert_eq!(texts(stand.advance(124)), [gap]);
        stand.piece = Some(Bytes::from("gh"));
        assert_eq!(texts(stand.advance(126)), ["gh"]);
    }

    #[test]
    fn what_a_client_may_say() {
        for (text, good) in [
            (r#"{"type":"break"}"#, true),
            (r#"{"type":"break","millis":250}"#, true),
            (r#"{"type":"take_writer"}"#, true),
            (r#"{"type":"power"}"#, true),
            (r#"{"type":"eof"}"#, true),
            (r#"{"type":"break","milis":250}"#, false),
            (r#"{"type":"reboot"}"#, false),
            ("ls\r", false),
        ] {
            assert_eq!(serde_json::from_str::<Said>(text).is_ok(), good, "{text}");
        }
    }
}
