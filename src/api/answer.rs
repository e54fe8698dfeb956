//! Answers that are no success, as JSON that a person can read: `{"error": "…"}`. Never holds a secret.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::command::Refusal;

/// Why a request is not fulfilled.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            retry_after: None,
        }
    }

    /// Nobody is signed in.
    pub(super) fn unauthorized(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    pub(super) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// The same, where somebody is signed in all the same: a page would take a 401 for the end of its session.
    pub(super) fn forbidding(self) -> Self {
        let status = match self.status {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            other => other,
        };
        Self { status, ..self }
    }

    /// The caller may come back after this.
    pub(super) fn later(text: impl Into<String>, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, text)
        }
    }

    /// Something of ours failed.
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Unknown { .. } => StatusCode::NOT_FOUND,
            Refusal::NotPermitted { .. } => StatusCode::FORBIDDEN,
            Refusal::Busy { .. } | Refusal::Failed(_) => StatusCode::CONFLICT,
            Refusal::NoAnswer { .. } => StatusCode::GATEWAY_TIMEOUT,
        };
        Self::new(status, refusal.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.text }))).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            // Not `Basic`: a browser would open a window of its own over the page.
            let challenge = HeaderValue::from_static("Bearer realm=\"oobd\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, (after.as_secs() + 1).into());
        }
        response
    }
}

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let read = Json::<T>::from_request(request, state).await;
        let Json(value) = read.map_err(|e: JsonRejection| Fault::new(e.status(), e.body_text()))?;
        Ok(Self(value))
    }
}

/// What stands in the address.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let read = extract::Path::<T>::from_request_parts(parts, state).await;
        let extract::Path(value) =
            read.map_err(|e: PathRejection| Fault::new(e.status(), e.body_text()))?;
        Ok(Self(value))
    }
}

/// The query of the address.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let read = extract::Query::<T>::from_request_parts(parts, state).await;
        let extract::Query(value) =
            read.map_err(|e: QueryRejection| Fault::new(e.status(), e.body_text()))?;
        Ok(Self(value))
    }
}
