//! What crosses the control socket: frames of a length (u32, little endian) and a postcard value. Does no I/O itself.

use bytes::{Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{Sink, SinkExt, Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::clock::Timestamp;
use crate::command::{Command, Input, Output, Refusal, Reply};
use crate::config::Problem;
use crate::event::{Event, Severity};
use crate::keymap::Keymap;
use crate::reset::{Action, Verb};
use crate::state::State;
use crate::transcript;

/// A frame longer than this ends the conversation.
pub const LONGEST_FRAME: usize = 1 << 20;

/// What a client asks. Append variants only, and never change one: an old `oobctl` may still be around after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Answered by one [`Response::State`].
    State,
    /// Answered by a [`Response::State`] now and after each change, until the client hangs up.
    WatchState,
    /// Answered by [`Response::Events`], as many as it takes, then [`Response::End`] unless it follows.
    Events(Query),
    /// Answered by [`Response::Done`], [`Response::Refused`] or [`Response::Denied`].
    Command(Command),
    /// Answered by [`Response::Attached`], then [`Response::Output`]s; the client sends [`Request::Input`]s meanwhile.
    Attach {
        console: String,
        /// Wants to type.
        write: bool,
        /// Bytes of the ring to replay first.
        history: u32,
    },
    /// Within an attachment only.
    Input(Input),
    /// Checks a text, or the board's own file when there is none, without applying it. Answered by [`Response::Checked`].
    CheckConfig { text: Option<String> },
    /// Asks the transcript of a console. Answered by [`Response::Log`], as many as it takes, then [`Response::End`]
    /// unless it follows.
    Log {
        console: String,
        query: transcript::Query,
    },
    /// As [`Request::Attach`], answered by [`Response::Joined`].
    Join {
        console: String,
        write: bool,
        history: u32,
    },
    /// Within an attachment only: opens the power menu. Its words come as notices, then [`Response::Menu`].
    OpenMenu,
    /// Within an attachment only: keys typed since the menu was opened; what is left of them when it closes is input.
    /// Answered as [`Request::OpenMenu`].
    MenuKeys(Vec<u8>),
    /// Has the outlets that these words mean switched. Answered by [`Response::Switched`] once all is over, or as
    /// [`Request::Command`] where it does not begin.
    SwitchOutlets {
        /// `PDU/OUTLET`, or a label that one outlet alone has.
        words: Vec<String>,
        verb: Verb,
        cut_myself: bool,
    },
    /// The screen of a machine. Answered by [`Response::Picture`], as many as it takes, then [`Response::End`].
    Snapshot { machine: String },
    /// What a helper elsewhere needs to know. Answered by [`Response::Piece`]s, then [`Response::End`].
    SupportBundle,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Only greater sequence numbers.
    pub after: Option<u64>,
    /// Only from this wall time on.
    pub since: Option<Timestamp>,
    /// Of the events that fit, only this many, the newest.
    pub newest: Option<u32>,
    /// Only this severe or more.
    pub severity: Option<Severity>,
    /// Only from this owner, or from its kind: `uplink` fits `uplink.hotspot`.
    pub source: Option<String>,
    /// Goes on with events as they happen, until the client hangs up.
    pub follow: bool,
}

/// What the board answers. Append variants only, and never change one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response {
    State(Box<State>),
    Events(Vec<Event>),
    /// No more events.
    End,
    Done(Reply),
    /// The owner, or the board, would not.
    Refused(Refusal),
    /// The caller may not; the sentence is for a person.
    Denied(String),
    Attached {
        session: u64,
        writer: bool,
    },
    Output(Output),
    Checked {
        /// The file that was read; empty when the client sent the text.
        file: String,
        problems: Vec<Problem>,
    },
    Log(Vec<transcript::Item>),
    Joined {
        session: u64,
        writer: bool,
        /// The keys of the menu for this person on this console.
        keys: Keymap,
    },
    /// Whether the power menu has the keys now.
    Menu {
        open: bool,
    },
    /// What came of it, by `PDU/OUTLET`.
    Switched(Vec<(String, Action)>),
    /// A piece of a PNG file.
    Picture(Vec<u8>),
    /// Of what is asked for, in order.
    Piece(Bytes),
}

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the connection broke")]
    Io(#[source] std::io::Error),
    #[error("the other side closed the connection")]
    Closed,
    #[error("a frame is not understood (are both sides of the same version?)")]
    Frame(#[source] postcard::Error),
}

/// One side of a conversation.
#[derive(Debug)]
pub struct Wire<S>(Framed<S, LengthDelimitedCodec>);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .little_endian()
            .length_field_type::<u32>()
            .max_frame_length(LONGEST_FRAME)
            .new_codec();
        Self(Framed::new(stream, codec))
    }

    /// Sends one value. Not cancel-safe: a frame may be half written.
    ///
    /// # Errors
    /// [`Error::Io`], also for a value that does not fit a frame; the conversation is over then.
    pub async fn send<T: Serialize>(&mut self, value: &T) -> Result<(), Error> {
        send(&mut self.0, value).await
    }

    /// Receives one value. Cancel-safe: bytes of an unfinished frame stay buffered.
    ///
    /// # Errors
    /// [`Error::Closed`] when the other side hung up between frames.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        receive(&mut self.0).await
    }

    /// Two halves, so that one direction goes on while the other waits.
    pub fn split(self) -> (Sending<S>, Receiving<S>) {
        let (sink, stream) = self.0.split();
        (Sending(sink), Receiving(stream))
    }
}

/// The half of a [`Wire`] that sends.
#[derive(Debug)]
pub struct Sending<S>(SplitSink<Framed<S, LengthDelimitedCodec>, Bytes>);

impl<S: AsyncRead + AsyncWrite + Unpin> Sending<S> {
    /// As [`Wire::send`].
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub async fn send<T: Serialize>(&mut self, value: &T) -> Result<(), Error> {
        send(&mut self.0, value).await
    }
}

/// The half of a [`Wire`] that receives.
#[derive(Debug)]
pub struct Receiving<S>(SplitStream<Framed<S, LengthDelimitedCodec>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Receiving<S> {
    /// As [`Wire::receive`].
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        receive(&mut self.0).await
    }
}

async fn send<T: Serialize>(
    sink: &mut (impl Sink<Bytes, Error = std::io::Error> + Unpin),
    value: &T,
) -> Result<(), Error> {
    let bytes = postcard::to_stdvec(value).map_err(Error::Frame)?;
    sink.send(Bytes::from(bytes)).await.map_err(Error::Io)
}

async fn receive<T: DeserializeOwned>(
    stream: &mut (impl Stream<Item = std::io::Result<BytesMut>> + Unpin),
) -> Result<T, Error> {
    match stream.next().await {
        Some(Ok(bytes)) => postcard::from_bytes(&bytes).map_err(Error::Frame),
        Some(Err(error)) => Err(Error::Io(error)),
        None => Err(Error::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// If this fails, do not change the numbers: append variants instead.
    #[test]
    fn the_numbers_of_the_words_are_fixed() {
        let number = |value: &Request| postcard::to_stdvec(value).unwrap()[0];
        let requests = [
            Request::State,
            Request::WatchState,
            Request::Events(Query::default()),
            Request::Command(Command::ReloadConfig),
            Request::Attach {
                console: String::new(),
                write: false,
                history: 0,
            },
            Request::Input(Input::TakeWriter),
            Request::CheckConfig { text: None },
            Request::Log {
                console: String::new(),
                query: transcript::Query::default(),
            },
            Request::Join {
                console: String::new(),
                write: false,
                history: 0,
            },
            Request::OpenMenu,
            Request::MenuKeys(vec![]),
            Request::SwitchOutlets {
                words: vec![],
                verb: Verb::On,
                cut_myself: false,
            },
        ];
        assert!(requests.iter().map(number).eq(0..12));
        let number = |value: &Response| postcard::to_stdvec(value).unwrap()[0];
        let responses = [
            Response::State(Box::default()),
            Response::Events(vec![]),
            Response::End,
            Response::Done(Reply::Done),
            Response::Refused(Refusal::Failed(String::new())),
            Response::Denied(String::new()),
            Response::Attached {
                session: 0,
                writer: false,
            },
            Response::Output(Output::Gap { bytes: 0 }),
            Response::Checked {
                file: String::new(),
                problems: vec![],
            },
            Response::Log(vec![]),
            Response::Joined {
                session: 0,
                writer: false,
                keys: Keymap::default(),
            },
            Response::Menu { open: false },
            Response::Switched(vec![]),
        ];
        assert!(responses.iter().map(number).eq(0..13));
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_too_long_ones_end_the_conversation() {
        let (near, far) = tokio::io::duplex(64);
        let (mut near, mut far) = (Wire::new(near), Wire::new(far));
        let long = Request::CheckConfig {
            text: Some("x".repeat(500_000)),
        };
        let (sent, got) = tokio::join!(near.send(&long), far.receive::<Request>());
        sent.unwrap();
        assert_eq!(got.unwrap(), long);
        let too_long = Request::CheckConfig {
            text: Some("x".repeat(LONGEST_FRAME)),
        };
        assert!(matches!(near.send(&too_long).await, Err(Error::Io(_))));
        drop(near);
        assert!(matches!(far.receive::<Request>().await, Err(Error::Closed)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_frame_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = postcard::from_bytes::<Request>(&bytes);
            let _ = postcard::from_bytes::<Response>(&bytes);
        }
    }
}
