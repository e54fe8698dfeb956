//! What handlers give back, before headers are put on it.

use axum::response::Response;
use serde_json::Value;

use super::message::Message;
use super::tasks::Begun;

/// The success of a handler.
pub(super) enum Answer {
    /// The resource.
    Shown(Value),
    /// A resource of this address was made; its body is read from there, with these headers and messages besides.
    Created {
        location: String,
        headers: Vec<(&'static str, String)>,
        messages: Vec<Message>,
    },
    /// Done. After a PATCH the resource is shown, with these messages about what was not.
    Done(Vec<Message>),
    /// A verb is under way; its outcome comes to the state.
    Begun(Begun),
    /// A task of this number goes on with it.
    Accepted(u64),
    /// Something that is no resource.
    Raw(Response),
}

impl Answer {
    /// Done, and nothing to say.
    pub(super) fn done() -> Self {
        Self::Done(vec![])
    }
}
