//! One request as handlers see it: who asks, what is true now for them, what they gave.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::access::Person;
use crate::api::{Caller, Guest, House};
use crate::command::{Actor, Command, Refusal, Reply};
use crate::control::{self, Outcome};
use crate::state::State;

use super::query::Query;
use super::view::View;
use super::wrong::Wrong;

/// A request that passed the door.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) house: Arc<House>,
    pub(super) guest: Guest,
    /// `None` on what is open to everybody.
    pub(super) caller: Option<Caller>,
    /// The one machine that this is about.
    pub(super) view: Option<View>,
    /// What this person may see.
    pub(super) state: Arc<State>,
    /// Of the resource, without a slash at the end.
    pub(super) path: String,
    /// What stands for the names in braces of the pattern, in order.
    pub(super) ids: Vec<String>,
    pub(super) query: Arc<Query>,
    pub(super) body: Arc<Map<String, Value>>,
    /// `Last-Event-ID`, for streams.
    pub(super) last_event: Option<String>,
    pub(super) socket: Socket,
}

/// A WebSocket that the client wants of this request, until somebody takes it.
#[derive(Clone, Default)]
pub(super) struct Socket(Arc<Mutex<Option<WebSocketUpgrade>>>);

impl Socket {
    pub(super) fn new(upgrade: Option<WebSocketUpgrade>) -> Self {
        Self(Arc::new(Mutex::new(upgrade)))
    }

    pub(super) fn take(&self) -> Option<WebSocketUpgrade> {
        let mut upgrade = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        upgrade.take()
    }
}

impl Call {
    /// The name in the braces of this number; empty where the pattern has none, which no resource is called.
    pub(super) fn id(&self, at: usize) -> &str {
        self.ids.get(at).map_or("", String::as_str)
    }

    /// What is true now, as far as this person may see it.
    ///
    /// # Errors
    /// The machine that this is about is not there.
    pub(super) fn look(&self) -> Result<State, Wrong> {
        let Some(caller) = &self.caller else {
            return Ok(State::default());
        };
        let mut state = self.house.control.state_for(&caller.person);
        match &self.view {
            Some(view) if !view.narrow(&mut state) => Err(self.missing()),
            _ => Ok(state),
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// Nobody is signed in; the entry lets none through that needs somebody.
    pub(super) fn caller(&self) -> Result<&Caller, Wrong> {
        self.caller
            .as_ref()
            .ok_or_else(|| Wrong::new(axum::http::StatusCode::UNAUTHORIZED, "NoValidSession", &[]))
    }

    pub(super) fn person(&self) -> Result<&Person, Wrong> {
        Ok(&self.caller()?.person)
    }

    /// The resource is not there (for this person).
    pub(super) fn missing(&self) -> Wrong {
        Wrong::missing(&self.path)
    }

    /// Has something done, with the rights and in the name of who asks; it is journaled.
    ///
    /// # Errors
    /// The person may not, or the owner would not.
    pub(super) async fn act(&self, command: Command) -> Result<Reply, Wrong> {
        let caller = self.caller()?;
        let from = caller.from();
        let done = self.house.control.carry_out(command, &caller.person, &from);
        match done.await {
            Outcome::Done(reply) => Ok(reply),
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::Denied(_) => Err(Wrong::forbidden()),
        }
    }

    /// Asks a device for something to show, and waits no longer than this. Nothing is journaled: a GET changes nothing.
    /// `None` when it does not say.
    pub(super) async fn ask(&self, command: Command, limit: Duration) -> Option<Reply> {
        self.need(command, limit).await.ok()
    }

    /// As [`Call::ask`], where there is nothing to show without it.
    ///
    /// # Errors
    /// The owner would not, or did not answer in time.
    pub(super) async fn need(&self, command: Command, limit: Duration) -> Result<Reply, Wrong> {
        let caller = self.caller()?;
        let needed = control::needed(&command, &self.state, &caller.person);
        caller.person.may(needed).map_err(|_| Wrong::forbidden())?;
        let actor = Actor::User {
            name: caller.person.name.clone(),
            from: caller.from(),
        };
        let owner = command.owner();
        match timeout(limit, self.house.commands.send(actor, command)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Refusal::NoAnswer { owner }.into()),
        }
    }
}
