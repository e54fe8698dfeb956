//! The client's half of the control protocol. Knows no terminal.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::command::{Command, Refusal, Reply};
use crate::control::wire::{Error, Query, Receiving, Request, Response, Sending, Wire};
use crate::event::Event;
use crate::fault::chain;
use crate::reset::{Action, Verb};
use crate::state::State;

use super::face::Failure;
use super::table::harmless;

/// A connection to the board, of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection as [`super::run`] takes it.
pub type Link = Box<dyn Stream>;

pub(super) struct Client {
    wire: Wire<Link>,
}

impl Client {
    pub(super) fn new(link: Link) -> Self {
        Self {
            wire: Wire::new(link),
        }
    }

    pub(super) async fn send(&mut self, request: &Request) -> Result<(), Failure> {
        self.wire
            .send(request)
            .await
            .map_err(|error| broken(&error))
    }

    /// The next answer; a refusal is a failure. Cancel-safe as [`Wire::receive`] is.
    pub(super) async fn receive(&mut self) -> Result<Response, Failure> {
        sort(self.wire.receive().await)
    }

    /// Two halves for a console session: one waits for the port while the other shows what it says.
    pub(super) fn split(self) -> (Asking, Hearing) {
        let (sending, receiving) = self.wire.split();
        (Asking(sending), Hearing(receiving))
    }

    pub(super) async fn state(&mut self) -> Result<State, Failure> {
        self.send(&Request::State).await?;
        self.next_state().await
    }

    pub(super) async fn next_state(&mut self) -> Result<State, Failure> {
        match self.receive().await? {
            Response::State(state) => Ok(*state),
            other => Err(unexpected(&other)),
        }
    }

    /// Follows the state until what is looked for is seen, but not for longer than `limit`.
    pub(super) async fn until<T>(
        &mut self,
        limit: Duration,
        mut seen: impl FnMut(&State) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let follow = async {
            self.send(&Request::WatchState).await?;
            loop {
                if let Some(found) = seen(&self.next_state().await?)? {
                    return Ok(found);
                }
            }
        };
        let late = |_| Failure::Late("the outcome did not come; see event list".into());
        timeout(limit, follow).await.map_err(late)?
    }

    pub(super) async fn command(&mut self, command: Command) -> Result<Reply, Failure> {
        self.send(&Request::Command(command)).await?;
        match self.receive().await? {
            Response::Done(reply) => Ok(reply),
            other => Err(unexpected(&other)),
        }
    }

    /// Has outlets switched; what came of it, by their names.
    pub(super) async fn switch_outlets(
        &mut self,
        words: &[String],
        verb: Verb,
        cut_myself: bool,
    ) -> Result<Vec<(String, Action)>, Failure> {
        let words = words.to_vec();
        self.send(&Request::SwitchOutlets {
            words,
            verb,
            cut_myself,
        })
        .await?;
        match self.receive().await {
            Ok(Response::Switched(outcomes)) => Ok(outcomes),
            Ok(other) => Err(unexpected(&other)),
            // Names of it are as somebody wrote them.
            Err(Failure::Refused(Refusal::Failed(why))) => Err(Failure::Other(harmless(&why))),
            Err(failure) => Err(failure),
        }
    }

    /// The screen of a machine, as PNG.
    pub(super) async fn snapshot(&mut self, machine: String) -> Result<Vec<u8>, Failure> {
        self.send(&Request::Snapshot { machine }).await?;
        let mut png = Vec::new();
        loop {
            match self.receive().await? {
                Response::Picture(piece) => png.extend(piece),
                Response::End => return Ok(png),
                other => return Err(unexpected(&other)),
            }
        }
    }

    pub(super) async fn ask_events(&mut self, query: Query) -> Result<(), Failure> {
        self.send(&Request::Events(query)).await
    }

    /// The next events; `None` when there are no more.
    pub(super) async fn next_events(&mut self) -> Result<Option<Vec<Event>>, Failure> {
        match self.receive().await? {
            Response::Events(events) => Ok(Some(events)),
            Response::End => Ok(None),
            other => Err(unexpected(&other)),
        }
    }
}

/// The half of a [`Client`] that sends.
pub(super) struct Asking(Sending<Link>);

impl Asking {
    pub(super) async fn send(&mut self, request: &Request) -> Result<(), Failure> {
        self.0.send(request).await.map_err(|error| broken(&error))
    }
}

/// The half of a [`Client`] that receives.
pub(super) struct Hearing(Receiving<Link>);

impl Hearing {
    /// As [`Client::receive`].
    pub(super) async fn receive(&mut self) -> Result<Response, Failure> {
        sort(self.0.receive().await)
    }
}

fn sort(answer: Result<Response, Error>) -> Result<Response, Failure> {
    match answer {
        Ok(Response::Denied(sentence)) => Err(Failure::Denied(sentence)),
        Ok(Response::Refused(refusal)) => Err(Failure::Refused(refusal)),
        Ok(response) => Ok(response),
        Err(error) => Err(broken(&error)),
    }
}

pub(super) fn unexpected(response: &Response) -> Failure {
    let kind = format!("{response:?}");
    let kind = kind.split([' ', '(']).next().unwrap_or_default().to_owned();
    Failure::Other(format!(
        "oobd gave an answer that does not fit ({kind}); are oobd and oobctl of the same version?"
    ))
}

fn broken(error: &Error) -> Failure {
    match error {
        Error::Closed => Failure::Unreachable("oobd closed the connection".into()),
        Error::Io(_) => Failure::Unreachable(format!("oobd went away: {}", chain(error))),
        Error::Frame(_) => Failure::Other(chain(error)),
    }
}
