//! Events as a stream (`EventService/SSE`): the journal after `Last-Event-ID`, then what happens. A stream is a subscription as long as it
//! is open.

use std::convert::Infallible;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use tokio_util::sync::CancellationToken;

use crate::api::{HEARTBEAT, House, Listener};
use crate::control::wire;
use crate::event::Event;

use super::answer::Answer;
use super::call::Call;
use super::record;
use super::service;
use super::wrong::Wrong;

/// One open stream; dropping it takes the subscription back.
struct Open {
    house: Arc<House>,
    id: u64,
    cut: CancellationToken,
    events: Listener,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.house.redfish.remove(self.id);
    }
}

/// The context of the subscription of a stream.
pub(super) fn context(id: u64) -> String {
    format!("stream {id}")
}

#[allow(clippy::unused_async, reason = "all handlers are alike")]
pub(super) async fn open(call: &Call) -> Result<Answer, Wrong> {
    let caller = call.caller()?.clone();
    let after = match &call.last_event {
        None => None,
        Some(text) => Some(
            text.trim()
                .parse::<u64>()
                .map_err(|_| Wrong::bad("HeaderInvalid", &["Last-Event-ID"]))?,
        ),
    };
    let query = wire::Query {
        after,
        newest: after.is_none().then_some(0),
        follow: true,
        ..wire::Query::default()
    };
    let stream = service::Stream {
        owner: caller.person.name.clone(),
        from: caller.from(),
    };
    let added = call.house.redfish.add_stream(stream);
    let (id, cut) = added.ok_or_else(|| {
        Wrong::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ResourceExhaustion",
            &["streams of events"],
        )
    })?;
    let open = Open {
        house: call.house.clone(),
        id,
        cut,
        events: Listener::new(call.house.clone(), caller, query),
    };
    let stream = futures::stream::unfold(open, |mut open| async move {
        let event = open.next().await?;
        let body = record::body(std::slice::from_ref(&event), &context(open.id));
        let shown = sse::Event::default()
            .id(event.seq.to_string())
            .data(body.to_string());
        Some((Ok::<_, Infallible>(shown), open))
    });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Answer::Raw(
        Sse::new(stream).keep_alive(keep_alive).into_response(),
    ))
}

impl Open {
    /// `None` ends the stream: removed, or as [`Listener::next`] says.
    async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            // cancel-safe as Listener::next() says
            event = self.events.next() => event,
            // cancel-safe: waits for the token only
            () = self.cut.cancelled() => None,
        }
    }
}
