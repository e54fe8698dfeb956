//! `/api/session`, `/api/sessions`, `/api/ticket`, `/api/password`: signing in and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::access::{Right, credential, first_boot};
use crate::command::{Actor, Command, Hidden, Refusal, Trial, UserWords};

use super::answer::{Body, Fault, Path};
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
    /// Not asked for while it is the one of first boot.
    old: Option<String>,
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

/// `POST /api/password`: the own one. Who has the random password of first boot need not say it again.
pub(super) async fn change_password(
    State(house): State<Arc<House>>,
    Newcomer(caller): Newcomer,
    Body(change): Body<Change>,
) -> Result<Json<Value>, Fault> {
    let name = &caller.person.name;
    if !sign_in::must_change(&house, &caller.person).await {
        let old = change.old.as_deref();
        let old = old.ok_or_else(|| unfit("the old password is needed, too"))?;
        // As a sign-in is: rate-limited, and journaled.
        sign_in::by_password(&house, &caller.guest, name, old, "old password")
            .await
            .map_err(Fault::forbidding)?;
    }
    replace_password(&house, &caller, change.new).await?;
    Ok(Json(json!({ "changed": true })))
}

/// Gives this caller another password; the session of the caller goes on under it.
///
/// # Errors
/// The password does not fit, or cannot be kept.
pub(crate) async fn replace_password(
    house: &House,
    caller: &Caller,
    new: String,
) -> Result<(), Fault> {
    let name = &caller.person.name;
    if name == first_boot::USER
        && let Some(hash) = change_of_first_boot(house, new.clone()).await?
    {
        // This session first, or the new table would end it.
        if let Some(id) = caller.session {
            house.sessions.password_changed(id, &hash);
        }
        house.access.set_password(name, &hash);
        return Ok(());
    }
    change_in_file(house, caller, new).await
}

fn unfit(text: impl Into<String>) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// Gives the administrator of first boot another password; `None` where oobd.toml names the users.
async fn change_of_first_boot(house: &House, new: String) -> Result<Option<String>, Fault> {
    let (dirs, device) = (house.dirs.clone(), house.store.now().device);
    let work = move || first_boot::change_password(&dirs, &device, &new);
    let changed = spawn_blocking(work).await;
    match changed.map_err(|e| Fault::internal(e.to_string()))? {
        Ok(hash) => Ok(Some(hash)),
        Err(first_boot::Error::Over) => Ok(None),
        Err(error @ (first_boot::Error::TooShort | first_boot::Error::Same)) => {
            Err(unfit(error.to_string()))
        }
        Err(other) => Err(Fault::internal(crate::fault::chain(&other))),
    }
}

/// Changes a password in oobd.toml. Never on trial: who makes it has proven the old one, and may not be one who could confirm it.
async fn change_in_file(house: &House, caller: &Caller, new: String) -> Result<(), Fault> {
    if new.chars().count() < first_boot::SHORTEST {
        return Err(unfit(first_boot::Error::TooShort.to_string()));
    }
    let made = spawn_blocking(move || credential::make(&new)).await;
    let made = made.map_err(|e| Fault::internal(e.to_string()))?;
    let hash = made.map_err(|e| unfit(e.to_string()))?;
    // This session first, as above.
    if let Some(id) = caller.session {
        house.sessions.password_changed(id, &hash);
    }
    let name = &caller.person.name;
    let command = Command::ChangeUser {
        user: UserWords {
            name: name.clone(),
            password: Some(Hidden(hash)),
            ..UserWords::default()
        },
        trial: Trial::No,
    };
    let actor = Actor::User {
        name: name.clone(),
        from: caller.from(),
    };
    let Err(refusal) = house.commands.send(actor, command).await else {
        return Ok(());
    };
    // What got no answer may be done all the same.
    if !matches!(refusal, Refusal::NoAnswer { .. })
        && let (Some(id), Some(hash)) = (caller.session, caller.person.hash())
    {
        house.sessions.password_changed(id, hash.expose());
    }
    Err(refusal.into())
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
