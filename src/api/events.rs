//! `GET /api/events`: the journal and what happens, as server-sent events (WHATWG HTML §9.2) or as a list. A reader that
//! stalls holds a chunk and no more; it resumes from the journal by `Last-Event-ID`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::control::{Follow, wire};
use crate::event::{Event, Severity};

use super::answer::{Fault, Query};
use super::house::House;
use super::sessions::Hold;
use super::sign_in::Caller;

/// A comment after so much silence keeps middle boxes and phones from forgetting the connection.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events of a list without any limit given.
const LISTED: u32 = 50;
/// Most events of a list; more come by `after`.
pub(super) const MOST_LISTED: u32 = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    after: Option<u64>,
    since: Option<Timestamp>,
    newest: Option<u32>,
    /// Of a list: only this many, the first that fit.
    first: Option<u32>,
    severity: Option<Severity>,
    source: Option<String>,
    /// `false`: a list of what there is, and no stream.
    follow: Option<bool>,
}

pub(super) async fn get(
    State(house): State<Arc<House>>,
    caller: Caller,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    let resumed = resumed(&headers)?;
    let follow = wanted.follow.unwrap_or(true);
    if follow && wanted.first.is_some() {
        let text = "first is for lists: follow=false";
        return Err(Fault::new(StatusCode::BAD_REQUEST, text));
    }
    let ranged = resumed.is_some()
        || wanted.first.is_some()
        || wanted.after.is_some()
        || wanted.since.is_some();
    let few = if follow { 0 } else { LISTED };
    let mut query = wire::Query {
        after: resumed.or(wanted.after),
        since: wanted.since,
        newest: wanted.newest.or((!ranged).then_some(few)),
        severity: wanted.severity,
        source: wanted.source,
        follow,
    };
    if resumed.is_some() {
        // What the page asked for at first is behind it.
        query.newest = None;
    }
    if !follow {
        query.newest = query.newest.map(|newest| newest.min(MOST_LISTED));
        let most = wanted.first.unwrap_or(MOST_LISTED).min(MOST_LISTED);
        return list(&house, &caller, query, most).await;
    }
    let listener = Listener::new(house, caller, query);
    let stream = futures::stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(shown(&event)), listener))
    });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
}

/// What a browser that comes back has had last.
pub(super) fn resumed(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let last_id = headers.get("last-event-id");
    let resumed = last_id.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    if let (Some(value), None) = (last_id, resumed) {
        let text = format!("{value:?} is no Last-Event-ID of this board");
        return Err(Fault::new(StatusCode::BAD_REQUEST, text));
    }
    Ok(resumed)
}

async fn list(
    house: &House,
    caller: &Caller,
    query: wire::Query,
    most: u32,
) -> Result<Response, Fault> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut events = Follow::new(&house.control, query);
    let mut listed: Vec<Value> = Vec::new();
    while listed.len() < most
        && let Some(some) = events.past(&caller.person).await?
    {
        listed.extend(some.iter().take(most - listed.len()).map(value));
    }
    Ok(Json(json!({ "events": listed })).into_response())
}

/// One open stream of what its caller may hear of. Its session is not idle as long as it lives.
pub(crate) struct Listener {
    house: Arc<House>,
    caller: Caller,
    events: Follow,
    ready: VecDeque<Event>,
    _hold: Option<Hold>,
}

impl Listener {
    pub(crate) fn new(house: Arc<House>, caller: Caller, query: wire::Query) -> Self {
        Self {
            events: Follow::new(&house.control, query),
            _hold: caller.hold(&house),
            house,
            caller,
            ready: VecDeque::new(),
        }
    }

    /// The next event; `None` ends the stream: rights taken away, session over, board stopping. Cancel-safe: what came is kept.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let mut changes = self.house.access.changes();
        loop {
            let person = self.caller.now(&self.house)?;
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                // cancel-safe as Follow::next() says
                some = self.events.next(&person) => match some {
                    Ok(some) => self.ready.extend(some?),
                    Err(refusal) => {
                        tracing::warn!("an event stream ends: {refusal}");
                        return None;
                    }
                },
                // cancel-safe as Changes::next() says
                () = changes.next() => {}
                // cancel-safe: see Caller::over
                _ = self.caller.over(&self.house) => return None,
            }
        }
    }
}

/// The event with its sentence, as `oobctl event list --json` has it.
fn value(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        fields.insert("text".into(), event.kind.to_string().into());
    }
    value
}

pub(super) fn shown(event: &Event) -> sse::Event {
    // JSON text has no bare line break, so it fits one `data` line.
    sse::Event::default()
        .id(event.seq.to_string())
        .data(value(event).to_string())
}
