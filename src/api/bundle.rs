//! `GET /api/support-bundle`: what a helper elsewhere needs to know of this board.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::control::Outcome;

use super::answer::Fault;
use super::house::House;
use super::sign_in::Caller;

pub(super) async fn get(
    State(house): State<Arc<House>>,
    caller: Caller,
) -> Result<Response, Fault> {
    let from = caller.from();
    let made = house.control.support_bundle(&caller.person, &from);
    match Box::pin(made).await {
        Ok(archive) => {
            let headers = [
                (header::CONTENT_TYPE, "application/gzip"),
                (
                    header::CONTENT_DISPOSITION,
                    "attachment; filename=\"oobd-support.tar.gz\"",
                ),
            ];
            Ok((headers, archive).into_response())
        }
        Err(Outcome::Denied(sentence)) => Err(Fault::forbidden(sentence)),
        Err(Outcome::Refused(refusal)) => Err(refusal.into()),
        Err(Outcome::Done(_)) => Err(Fault::internal("there is no bundle")),
    }
}
