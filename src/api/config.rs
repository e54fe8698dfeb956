//! `POST /api/config/check`: everything that is wrong with a text, at its line. Reading, applying, confirming and rolling back
//! are commands.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::Outcome;

use super::answer::{Body, Fault};
use super::house::House;
use super::sign_in::Caller;

/// Longest body of a request that carries a configuration: half a MiB of text, escaped.
pub(super) const BODY: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    text: String,
}

pub(super) async fn check(
    State(house): State<Arc<House>>,
    caller: Caller,
    Body(draft): Body<Draft>,
) -> Result<Json<Value>, Fault> {
    let checked = house.control.check_config(Some(draft.text), &caller.person);
    match checked.await {
        Ok((_, problems)) => Ok(Json(json!({ "problems": problems }))),
        Err(Outcome::Denied(sentence)) => Err(Fault::forbidden(sentence)),
        Err(Outcome::Refused(refusal)) => Err(refusal.into()),
        Err(Outcome::Done(_)) => Err(Fault::internal("the check ended strangely")),
    }
}
