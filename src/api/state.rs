//! `GET /api/state`: what this person may see of the board now.

use std::sync::Arc;

use axum::Json;
use axum::extract;

use crate::state::State;

use super::house::House;
use super::sign_in::Caller;

pub(super) async fn show(
    extract::State(house): extract::State<Arc<House>>,
    caller: Caller,
) -> Json<State> {
    Json(house.control.state_for(&caller.person))
}
