//! `GET /api/state`: what this person may see of the board now. `GET /api/state/stream`: that, and then whatever changes of it,
//! as server-sent events; with `after` or `newest` the journal, too, so that a page needs one connection. A reader that stalls
//! misses pictures between, holds one, and nobody waits for it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::access::Person;
use crate::clock::Instant;
use crate::control::{Follow, wire};
use crate::state::State;

use super::answer::{Fault, Query};
use super::events::{self, HEARTBEAT, MOST_LISTED};
use super::house::House;
use super::sessions::Hold;
use super::sign_in::Caller;

/// Between two changes that one reader is told: four a second are as many as somebody follows.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn show(
    extract::State(house): extract::State<Arc<House>>,
    caller: Caller,
) -> Json<State> {
    Json(house.control.state_for(&caller.person))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    after: Option<u64>,
    newest: Option<u32>,
}

pub(super) async fn stream(
    extract::State(house): extract::State<Arc<House>>,
    caller: Caller,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    let after = events::resumed(&headers)?.or(wanted.after);
    let newest = wanted.newest.filter(|_| after.is_none());
    let events = (after.is_some() || newest.is_some()).then(|| {
        let query = wire::Query {
            after,
            newest: newest.map(|newest| newest.min(MOST_LISTED)),
            follow: true,
            ..wire::Query::default()
        };
        Follow::new(&house.control, query)
    });
    let open = Open {
        states: house.store.watch(),
        _hold: caller.hold(&house),
        house,
        caller,
        told: None,
        due: Instant::now(),
        news: true,
        events,
        ready: VecDeque::new(),
    };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(open.run()).keep_alive(keep_alive).into_response())
}

/// One open stream.
struct Open {
    house: Arc<House>,
    caller: Caller,
    states: watch::Receiver<State>,
    /// The picture that this reader has.
    told: Option<State>,
    /// When the next change may be told.
    due: Instant,
    /// The state has changed since the picture was made.
    news: bool,
    events: Option<Follow>,
    ready: VecDeque<sse::Event>,
    _hold: Option<Hold>,
}

impl Open {
    fn run(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        futures::stream::unfold(self, |mut open| async move {
            let event = open.next().await?;
            Some((Ok(event), open))
        })
    }

    /// `None` ends the stream: rights taken away, session over, board stopping.
    async fn next(&mut self) -> Option<sse::Event> {
        let mut rights = self.house.access.changes();
        loop {
            let person = self.caller.now(&self.house)?;
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.news
                && Instant::now() >= self.due
                && let Some(event) = self.look(&person)
            {
                return Some(event);
            }
            let follow = async {
                match &mut self.events {
                    Some(events) => events.next(&person).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // cancel-safe as Follow::next() says
                some = follow => match some {
                    Ok(some) => {
                        let shown = some?;
                        self.ready.extend(shown.iter().map(events::shown));
                    }
                    Err(refusal) => {
                        tracing::warn!("a stream of the state ends: {refusal}");
                        return None;
                    }
                },
                // cancel-safe per docs on watch::Receiver::changed(); an error means the board stops
                changed = self.states.changed(), if !self.news => {
                    changed.ok()?;
                    self.news = true;
                }
                // cancel-safe: a timer has nothing to lose
                () = sleep_until(self.due), if self.news => {}
                // cancel-safe as Changes::next() says
                () = rights.next() => self.news = true,
                // cancel-safe: see Caller::over
                _ = self.caller.over(&self.house) => return None,
            }
        }
    }

    /// What this reader has to be told of the state; nothing where only what they may not see has changed.
    fn look(&mut self, person: &Person) -> Option<sse::Event> {
        self.news = false;
        self.states.mark_unchanged();
        let now = self.house.control.state_for(person);
        let event = match &self.told {
            None => named("state", &now),
            Some(told) => {
                let changes = now.since(told);
                if changes.is_empty() {
                    return None;
                }
                named("change", &changes)
            }
        };
        self.told = Some(now);
        self.due = Instant::now() + PAUSE;
        Some(event)
    }
}

fn named(name: &str, value: &impl Serialize) -> sse::Event {
    let text = serde_json::to_string(value).unwrap_or_default();
    // JSON text has no bare line break, so it fits one `data` line.
    sse::Event::default().event(name).data(text)
}
