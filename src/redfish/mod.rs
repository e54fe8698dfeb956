//! DMTF Redfish under `/redfish/v1`: the same state and commands as every door, in the words of DSP0266, behind the HTTPS
//! door and its sign-in. Knows no device and opens no port; docs/redfish.md has it for clients.

mod answer;
mod call;
mod entry;
mod etag;
mod later;
mod message;
mod push;
mod query;
mod record;
mod resource;
mod service;
mod stream;
mod table;
mod tasks;
mod uri;
mod view;
mod wrong;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use crate::api::House;

pub(crate) use push::start;
pub(crate) use service::Service;

/// The routes below `/redfish`, for the HTTPS door.
pub(crate) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/redfish", any(entry::serve))
        .route("/redfish/{*path}", any(entry::serve))
        .route("/machine/{machine}/redfish", any(entry::serve))
        .route("/machine/{machine}/redfish/{*path}", any(entry::serve))
}
