//! Task monitors: 202 as long as a task is under way, and then the answer that its request would have had.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::uri;
use super::super::wrong::{self, Wrong};
use super::task;

/// Seconds after which it is worth while to ask again.
pub(in super::super) const RETRY: &str = "1";

pub(in super::super) fn address(id: u64) -> String {
    uri::at(&["TaskService", "TaskMonitors", &id.to_string()])
}

#[allow(clippy::unused_async, reason = "all handlers are alike")]
pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let (id, task) = task::found(call)?;
    Ok(match task.end {
        None => Answer::Accepted(id),
        Some(end) if end.status == StatusCode::NO_CONTENT => {
            Answer::Raw(StatusCode::NO_CONTENT.into_response())
        }
        Some(end) => {
            let body = Json(wrong::body(&end.messages));
            Answer::Raw((end.status, body).into_response())
        }
    })
}
