//! `POST /api/command`: the words of the inner language as JSON, with the rights of who asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::command::Command;
use crate::control::Outcome;

use super::answer::{Body, Fault};
use super::house::House;
use super::sign_in::Caller;

pub(super) async fn give(
    State(house): State<Arc<House>>,
    caller: Caller,
    Body(command): Body<Command>,
) -> Result<Json<Value>, Fault> {
    let from = caller.from();
    match house
        .control
        .carry_out(command, &caller.person, &from)
        .await
    {
        Outcome::Done(reply) => Ok(Json(json!({ "reply": reply }))),
        Outcome::Refused(refusal) => Err(refusal.into()),
        Outcome::Denied(sentence) => Err(Fault::forbidden(sentence)),
    }
}
