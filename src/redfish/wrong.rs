//! Answers that are no success: a status and the messages that say why, as DSP0266 §8.6 has them. Never holds a secret.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::Fault;
use crate::command::{Refusal, Reply};

use super::message::Message;
use super::tasks::End;

/// Why a request is not fulfilled.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) status: StatusCode,
    messages: Vec<Message>,
    /// Seconds.
    retry_after: Option<u64>,
    allow: Option<String>,
}

impl Wrong {
    pub(super) fn new(status: StatusCode, key: &str, args: &[&str]) -> Self {
        Self::of(status, vec![Message::new(key, args)])
    }

    pub(super) fn of(status: StatusCode, messages: Vec<Message>) -> Self {
        Self {
            status,
            messages,
            retry_after: None,
            allow: None,
        }
    }

    /// The request itself is wrong.
    pub(super) fn bad(key: &str, args: &[&str]) -> Self {
        Self::new(StatusCode::BAD_REQUEST, key, args)
    }

    /// There is no such resource, or not for this person.
    pub(super) fn missing(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ResourceMissingAtURI", &[path])
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "InsufficientPrivilege", &[])
    }

    /// The device or its owner would not, and says why.
    pub(super) fn refused(why: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "Refused", &[why])
    }

    pub(super) fn internal(why: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &[why])
    }

    /// An owner answered with something else than was asked for.
    pub(super) fn unfit(reply: &Reply) -> Self {
        Self::internal(&format!("an answer that fits not: {reply:?}"))
    }

    /// The same for another reason.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Not by this method.
    pub(super) fn not_allowed(allow: String) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "OperationNotAllowed", &[])
        }
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Unknown { what } => Self::missing(&what),
            Refusal::NotPermitted { .. } => Self::forbidden(),
            Refusal::NoAnswer { .. } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "NoAnswer", &[&text])
            }
            Refusal::Busy { .. } | Refusal::Failed(_) => Self::refused(&text),
        }
    }
}

/// What the sign-in of the door says.
impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        let Fault {
            status,
            text,
            retry_after,
        } = fault;
        match (status, retry_after) {
            (StatusCode::UNAUTHORIZED, _) => Self::new(status, "NoValidSession", &[]),
            (StatusCode::FORBIDDEN, _) => Self::forbidden(),
            (_, Some(after)) => {
                let seconds = after.as_secs() + 1;
                Self {
                    retry_after: Some(seconds),
                    ..Self::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "ServiceTemporarilyUnavailable",
                        &[&seconds.to_string()],
                    )
                }
            }
            _ => Self::new(status, "Refused", &[&text]),
        }
    }
}

/// What it is at the end of a task.
impl From<Wrong> for End {
    fn from(wrong: Wrong) -> Self {
        Self {
            status: wrong.status,
            messages: wrong.messages,
        }
    }
}

/// The body of an error.
pub(super) fn body(messages: &[Message]) -> Value {
    let (code, text) = match messages {
        [one] => (one.id(), one.text()),
        _ => {
            let general = Message::new("GeneralError", &[]);
            (general.id(), general.text())
        }
    };
    let info: Vec<Value> = messages.iter().map(Message::value).collect();
    json!({ "error": { "code": code, "message": text, "@Message.ExtendedInfo": info } })
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(body(&self.messages))).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"oobd\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, after.into());
        }
        if let Some(allow) = self.allow.and_then(|text| text.parse().ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
