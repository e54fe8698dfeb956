//! Who a request comes from: a bearer token, the cookie of a page, HTTP Basic, or a one-time ticket. Rights are looked up
//! for each request, and again while a stream is open.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::{Person, Refused, first_boot, printable};
use crate::event::Kind;
use crate::session::Standing;

use super::answer::Fault;
use super::house::{Guest, House};
use super::layers;
use super::sessions::Hold;

/// `__Host-` makes browsers refuse it from anywhere but this host over TLS (RFC 6265bis §4.1.3.2).
pub(super) const COOKIE: &str = "__Host-oobd";

/// Longest wait for somebody else who brought the same password; a hash takes a third of a second on a small board.
const TURN_LIMIT: Duration = Duration::from_secs(10);

/// Who asks, proven.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) person: Arc<Person>,
    pub(crate) guest: Guest,
    pub(super) proof: Standing,
    pub(crate) session: Option<u64>,
    /// Cancelled when the session ends; never without one.
    cut: CancellationToken,
}

/// As [`Caller`], also while the random password of first boot is still to be changed.
#[derive(Clone, Debug)]
pub(super) struct Newcomer(pub(super) Caller);

impl FromRequestParts<Arc<House>> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Fault> {
        let Newcomer(caller) = Newcomer::from_request_parts(parts, house).await?;
        if must_change(house, &caller.person).await {
            return Err(Fault::forbidden(
                "this is the password of first boot; choose one of your own first (POST /api/password)",
            ));
        }
        Ok(caller)
    }
}

impl FromRequestParts<Arc<House>> for Newcomer {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Fault> {
        let guest = Guest::from_request_parts(parts, house).await?;
        let caller = identify(parts, house, &guest).await?;
        guest.slot.signed_in();
        Ok(Self(caller))
    }
}

impl FromRequestParts<Arc<House>> for Guest {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _house: &Arc<House>) -> Result<Self, Fault> {
        // `connection` puts it there.
        let guest = parts.extensions.get::<Self>().cloned();
        guest.ok_or_else(|| Fault::internal("this request came from nowhere"))
    }
}

async fn identify(parts: &Parts, house: &House, guest: &Guest) -> Result<Caller, Fault> {
    let headers = &parts.headers;
    if let Some(ticket) = ticket(parts) {
        let (proof, session) = house
            .sessions
            .redeem(&ticket)
            .ok_or_else(|| Fault::unauthorized("this ticket is not good (any more)"))?;
        let (id, cut) = session.map_or_else(
            || (None, CancellationToken::new()),
            |found| (Some(found.id), found.cut),
        );
        return seat(house, guest, proof, id, cut);
    }
    let given = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    if let Some(given) = given {
        let (scheme, rest) = given.split_once(' ').unwrap_or((given, ""));
        return match scheme.to_ascii_lowercase().as_str() {
            "bearer" => by_token(house, guest, rest.trim()),
            "basic" => by_basic(house, guest, rest.trim()).await,
            _ => Err(Fault::unauthorized("sign in by Bearer or Basic")),
        };
    }
    if let Some(token) = cookie(headers) {
        // A browser adds the cookie by itself, so the page behind it has to be ours.
        if layers::changes(&parts.method, headers) && !layers::is_own(headers) {
            return Err(Fault::forbidden("with a cookie this needs an Origin"));
        }
        return by_token(house, guest, token);
    }
    Err(Fault::unauthorized("sign in first (POST /api/session)"))
}

pub(crate) fn by_token(house: &House, guest: &Guest, token: &str) -> Result<Caller, Fault> {
    let found = house.sessions.find(token, house.idle());
    let found = found.ok_or_else(|| Fault::unauthorized("this session is over; sign in again"))?;
    seat(house, guest, found.proof, Some(found.id), found.cut)
}

pub(crate) async fn by_basic(house: &House, guest: &Guest, text: &str) -> Result<Caller, Fault> {
    let decoded = STANDARD.decode(text).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let Some((user, password)) = pair else {
        return Err(Fault::unauthorized("this is no HTTP Basic (RFC 7617)"));
    };
    let proof = prove(house, guest, user, password).await?;
    seat(house, guest, proof, None, CancellationToken::new())
}

/// Checks a pair of HTTP Basic, unless it was checked not long ago. Of those who bring the same at one moment one has it hashed.
async fn prove(
    house: &House,
    guest: &Guest,
    user: &str,
    password: &str,
) -> Result<Standing, Fault> {
    let known = || {
        let proof = house.basic.recall(user, password);
        proof.filter(|proof| proof.holds(&house.access))
    };
    if let Some(proof) = known() {
        return Ok(proof);
    }
    let turn = house.basic.turn(user, password);
    // A turn that comes too late, or is closed because the password was wrong, is none: then its own limits apply.
    let _permit = match &turn {
        Some(turn) => timeout(TURN_LIMIT, turn.acquire()).await.ok(),
        None => None,
    };
    if let Some(proof) = known() {
        return Ok(proof);
    }
    let checked = by_password(house, guest, user, password, "basic password").await;
    match (&checked, &turn) {
        (Ok(proof), _) => house.basic.remember(user, password, proof.clone()),
        (Err(_), Some(turn)) => turn.close(),
        (Err(_), None) => {}
    }
    checked
}

/// Checks a password, with the source's rate limit before any hashing, and journals what came of it.
pub(crate) async fn by_password(
    house: &House,
    guest: &Guest,
    user: &str,
    password: &str,
    method: &str,
) -> Result<Standing, Fault> {
    let checked = house
        .access
        .check_password(user, password, guest.peer.ip())
        .await;
    let refused = match checked {
        Ok(person) => {
            house
                .publish(Kind::SignInAccepted {
                    door: "https".into(),
                    user: person.name.clone(),
                    from: guest.peer.to_string(),
                    method: method.into(),
                })
                .await;
            return Ok(Standing::new(person));
        }
        Err(refused) => refused,
    };
    // A wrong password has cost a hash, so there cannot be many; the others could wear the flash.
    if refused == Refused::Wrong || house.access.reports(guest.peer.ip()) {
        house
            .publish(Kind::SignInRefused {
                door: "https".into(),
                user: printable(user),
                from: guest.peer.to_string(),
                reason: refused.to_string(),
            })
            .await;
    }
    let text = refused.to_string();
    Err(match refused {
        Refused::Wrong => Fault::unauthorized(text),
        Refused::TooMany { wait } => Fault::later(text, wait),
        Refused::Busy => Fault::later(text, Duration::from_secs(1)),
    })
}

fn seat(
    house: &House,
    guest: &Guest,
    proof: Standing,
    session: Option<u64>,
    cut: CancellationToken,
) -> Result<Caller, Fault> {
    let person = house.access.person(&proof.person.name);
    let person = person.filter(|_| proof.holds(&house.access));
    let person = person
        .ok_or_else(|| Fault::unauthorized("your user was changed or removed; sign in again"))?;
    Ok(Caller {
        person,
        guest: guest.clone(),
        proof,
        session,
        cut,
    })
}

impl Caller {
    /// As events and other operators see it.
    pub(crate) fn from(&self) -> String {
        self.guest.from()
    }

    /// The person with the rights of now; `None` once what was proven no longer stands.
    pub(crate) fn now(&self, house: &House) -> Option<Arc<Person>> {
        let stands = !self.cut.is_cancelled() && self.proof.holds(&house.access);
        house.access.person(&self.person.name).filter(|_| stands)
    }

    /// Waits until the session ends, the person is changed or removed, or the board stops; then why. Cancel-safe.
    pub(crate) async fn over(&self, house: &House) -> String {
        tokio::select! {
            // cancel-safe: see Standing::lost
            why = self.proof.lost(&house.access) => why,
            // cancel-safe: waits for the token only
            () = self.cut.cancelled() => {
                // A changed person ends the session, too, and whoever does that may be told of the change before we are:
                // it is the better reason of the two.
                let loss = self.proof.loss(&house.access);
                loss.unwrap_or_else(|| "signed out, or idle for too long".into())
            }
            // cancel-safe: waits for the token only
            () = house.stop.cancelled() => "the board stops or restarts its HTTPS door".into(),
        }
    }

    /// Keeps the session from being idle while this is held.
    pub(crate) fn hold(&self, house: &House) -> Option<Hold> {
        self.session.map(|id| house.sessions.hold(id))
    }
}

/// Is this the administrator of first boot, with the random password still?
pub(crate) async fn must_change(house: &House, person: &Person) -> bool {
    first_boot::has_random_password(&house.dirs, &person.name).await
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        })
}

/// Only a WebSocket is opened by a ticket: a browser cannot give it a header.
fn ticket(parts: &Parts) -> Option<String> {
    if !parts.headers.contains_key(header::UPGRADE) {
        return None;
    }
    let query = parts.uri.query()?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == "ticket")
        .map(|(_, value)| value.to_owned())
}
