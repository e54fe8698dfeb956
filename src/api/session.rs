//! `/api/session`, `/api/sessions`, `/api/ticket`, `/api/password`: signing in and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::access::{Right, first_boot};

use super::answer::{Body, Fault};
use super::house::{Guest, House};
use super::sessions::TICKET_LIFE;
use super::sign_in::{self, COOKIE, Caller, Newcomer};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    new: String,
}

/// `POST /api/session`: a password for a token, in the answer and as a cookie.
pub(super) async fn sign_in(
    State(house): State<Arc<House>>,
    guest: Guest,
    Body(given): Body<Credentials>,
) -> Result<Response, Fault> {
    let proof =
        sign_in::by_password(&house, &guest, &given.user, &given.password, "password").await?;
    let person = proof.person.clone();
    let must_change = sign_in::must_change(&house, &person).await;
    let begun = house.sessions.begin(proof, guest.from());
    let (token, id) = begun.map_err(Fault::internal)?;
    guest.slot.signed_in();
    let body = json!({
        "token": token,
        "session": id,
        "user": person.name,
        "role": person.role.to_string(),
        "idle_seconds": house.idle().as_secs(),
        "must_change_password": must_change,
    });
    let cookie = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    with_cookie(StatusCode::CREATED, body, &cookie)
}

/// `GET /api/session`: who am I?
pub(super) async fn show(
    State(house): State<Arc<House>>,
    Newcomer(caller): Newcomer,
) -> Json<Value> {
    Json(json!({
        "session": caller.session,
        "user": caller.person.name,
        "role": caller.person.role.to_string(),
        "idle_seconds": house.idle().as_secs(),
        "must_change_password": sign_in::must_change(&house, &caller.person).await,
    }))
}

/// `DELETE /api/session`: signs out.
pub(super) async fn sign_out(
    State(house): State<Arc<House>>,
    Newcomer(caller): Newcomer,
) -> Result<Response, Fault> {
    let Some(id) = caller.session else {
        return Err(Fault::new(
            StatusCode::CONFLICT,
            "HTTP Basic has no session to end",
        ));
    };
    house.sessions.end(id, None);
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    with_cookie(StatusCode::OK, json!({ "ended": id }), &cookie)
}

/// `GET /api/sessions`: the own ones; an administrator sees all.
pub(super) async fn list(State(house): State<Arc<House>>, caller: Caller) -> Json<Value> {
    let of = whose(&caller);
    let sessions = house.sessions.list(of.as_deref());
    Json(json!({ "sessions": sessions, "own": caller.session }))
}

/// `DELETE /api/sessions/{id}`.
pub(super) async fn end(
    State(house): State<Arc<House>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Fault> {
    if house.sessions.end(id, whose(&caller).as_deref()) {
        return Ok(Json(json!({ "ended": id })));
    }
    let text = format!("there is no session {id}");
    Err(Fault::new(StatusCode::NOT_FOUND, text))
}

/// `POST /api/ticket`: opens one WebSocket, as `?ticket=…`.
pub(super) async fn ticket(
    State(house): State<Arc<House>>,
    caller: Caller,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let made = house.sessions.ticket(caller.proof, caller.session);
    let ticket = made.map_err(|why| Fault::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    let body = json!({ "ticket": ticket, "seconds": TICKET_LIFE.as_secs() });
    Ok((StatusCode::CREATED, Json(body)))
}

/// `POST /api/password`: replaces the random password of first boot. Other passwords stand in oobd.toml.
pub(super) async fn change_password(
    State(house): State<Arc<House>>,
    Newcomer(caller): Newcomer,
    Body(change): Body<Change>,
) -> Result<Json<Value>, Fault> {
    if !sign_in::must_change(&house, &caller.person).await {
        let text = "only the password of first boot is changed here; others stand in oobd.toml";
        return Err(Fault::new(StatusCode::CONFLICT, text));
    }
    let (dirs, device) = (house.dirs.clone(), house.store.now().device);
    let work = move || first_boot::change_password(&dirs, &device, &change.new);
    let changed = spawn_blocking(work).await;
    let changed = changed.map_err(|e| Fault::internal(e.to_string()))?;
    let hash = changed.map_err(|e| match e {
        first_boot::Error::TooShort | first_boot::Error::Same => {
            Fault::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string())
        }
        other => Fault::internal(crate::fault::chain(&other)),
    })?;
    // This session first, or the new table would end it.
    if let Some(id) = caller.session {
        house.sessions.password_changed(id, &hash);
    }
    house.access.set_password(&caller.person.name, &hash);
    Ok(Json(json!({ "changed": true })))
}

/// Whose sessions this caller may see and end; `None` for everybody's.
fn whose(caller: &Caller) -> Option<String> {
    let all = caller.person.may(Right::Administer).is_ok();
    (!all).then(|| caller.person.name.clone())
}

fn with_cookie(status: StatusCode, body: Value, cookie: &str) -> Result<Response, Fault> {
    let mut response = (status, Json(body)).into_response();
    let value = HeaderValue::from_str(cookie).map_err(|e| Fault::internal(e.to_string()))?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}
