//! `GET /api/openapi.json`: the native API for programs. To anybody, as the web page: it says nothing of this board.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// By hand; a test holds it against the list of resources and of commands.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn show() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, DOCUMENT).into_response()
}
