//! The session service: signing in for a token (`X-Auth-Token`), the sessions, signing out. The sessions are those of the HTTPS
//! door, whichever way they began.

use serde_json::{Value, json};

use crate::access::Right;
use crate::api;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::message::Message;
use super::super::uri;
use super::super::wrong::Wrong;

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn service(call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "SessionService",
        "Name": "Sessions",
        "ServiceEnabled": true,
        // The schema knows 30 s to a day, as oobd.toml does nearly.
        "SessionTimeout": call.house.idle().as_secs().clamp(30, 86_400),
        "Status": super::well(),
        "Sessions": uri::to(&["SessionService", "Sessions"]),
    }))
}

/// An administrator sees everybody's.
fn whose(call: &Call) -> Result<Option<String>, Wrong> {
    let person = call.person()?;
    let all = person.may(Right::Administer).is_ok();
    Ok((!all).then(|| person.name.clone()))
}

fn address(id: u64) -> String {
    uri::at(&["SessionService", "Sessions", &id.to_string()])
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let sessions = call.house.sessions.list(whose(call)?.as_deref());
    let members = sessions.into_iter().map(|one| address(one.id));
    Ok(super::collection("Sessions", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    // Whoever has just made one reads it before the token is theirs.
    let whose = match &call.caller {
        Some(_) => whose(call)?,
        None => None,
    };
    let sessions = call.house.sessions.list(whose.as_deref());
    let mut found = sessions.into_iter();
    let one = found.find(|one| one.id.to_string() == call.id(0));
    let one = one.ok_or_else(|| call.missing())?;
    let address = one.from.rsplit(' ').next().unwrap_or_default();
    let address = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Ok(json!({
        "Id": call.id(0),
        "Name": format!("Session of {}", one.user),
        "UserName": one.user,
        "Password": null,
        "ClientOriginIPAddress": address,
        "CreatedTime": one.since,
    }))
}

pub(in super::super) async fn begin(call: &Call) -> Result<Answer, Wrong> {
    let text = |name: &str| match call.body.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(Wrong::bad(
            "PropertyValueTypeError",
            // What was given as a password is nobody's to read.
            &[
                if name == "Password" {
                    "****"
                } else {
                    other.as_str().unwrap_or("(no text)")
                },
                name,
            ],
        )),
        None => Err(Wrong::bad("CreateFailedMissingReqProperties", &[name])),
    };
    let (user, password) = (text("UserName")?, text("Password")?);
    let unknown = call
        .body
        .keys()
        .find(|name| !["UserName", "Password", "Context", "SessionType"].contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(Wrong::bad("PropertyUnknown", &[name]));
    }
    let proof =
        api::by_password(&call.house, &call.guest, user, password, "redfish password").await?;
    let person = proof.person.clone();
    let begun = call.house.sessions.begin(proof, call.guest.from());
    let (token, id) = begun.map_err(|why| Wrong::internal(&why))?;
    call.guest.slot.signed_in();
    let mut messages = vec![];
    if api::must_change(&call.house, &person).await {
        let account = uri::at(&["AccountService", "Accounts", &person.name]);
        messages.push(Message::new("PasswordChangeRequired", &[&account]));
    }
    Ok(Answer::Created {
        location: address(id),
        headers: vec![("x-auth-token", token)],
        messages,
    })
}

#[allow(clippy::unused_async, reason = "all handlers are alike")]
pub(in super::super) async fn end(call: &Call) -> Result<Answer, Wrong> {
    let id: u64 = call.id(0).parse().map_err(|_| call.missing())?;
    if call.house.sessions.end(id, whose(call)?.as_deref()) {
        return Ok(Answer::done());
    }
    Err(call.missing())
}
