//! The account service and the accounts: the users of oobd.toml, or the administrator of first boot. Never shows a password or a
//! key.

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::access::{Person, first_boot, limit};
use crate::api;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::message::Message;
use super::super::table::{self, Need};
use super::super::uri;
use super::super::wrong::Wrong;
use super::role;

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn service(_call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "AccountService",
        "Name": "Accounts",
        "ServiceEnabled": true,
        "Status": super::well(),
        "MinPasswordLength": first_boot::SHORTEST,
        "AuthFailureLoggingThreshold": 1,
        // A source waits, longer each time; an account is never locked for others.
        "AccountLockoutThreshold": limit::FREE_FAILURES,
        "AccountLockoutDuration": limit::LONGEST_WAIT.as_secs(),
        "HTTPBasicAuth": "Enabled",
        "LocalAccountAuth": "Enabled",
        "SupportedAccountTypes": ["Redfish", "WebUI", "ManagerConsole"],
        "Accounts": uri::to(&["AccountService", "Accounts"]),
        "Roles": uri::to(&["AccountService", "Roles"]),
        "PrivilegeMap": uri::to(&["AccountService", "PrivilegeMap"]),
    }))
}

/// Who may configure users sees all of them, anybody else themselves.
fn seen(call: &Call, name: &str) -> Result<bool, Wrong> {
    let person = call.person()?;
    let all = table::privileges(person.role).contains(&Need::ConfigureUsers);
    Ok(all || person.name == name)
}

fn address(name: &str) -> String {
    uri::at(&["AccountService", "Accounts", name])
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let mut members = Vec::new();
    for person in call.house.access.people() {
        if seen(call, &person.name)? {
            members.push(address(&person.name));
        }
    }
    Ok(super::collection("Accounts", members))
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let name = call.id(0);
    let person = call.house.access.person(name);
    let person = person.ok_or_else(|| call.missing())?;
    if !seen(call, name)? {
        return Err(Wrong::forbidden());
    }
    let must_change = api::must_change(&call.house, &person).await;
    Ok(Answer::Shown(value(&person, must_change)))
}

fn value(person: &Person, must_change: bool) -> Value {
    let role = role::id(person.role);
    let mut types = vec!["Redfish", "WebUI"];
    if person.hash().is_none() {
        // Keys only: SSH.
        types.clear();
    }
    types.push("ManagerConsole");
    json!({
        "Id": person.name,
        "Name": format!("Account of {}", person.name),
        "UserName": person.name,
        "Password": null,
        "RoleId": role,
        "Enabled": true,
        "Locked": false,
        "PasswordChangeRequired": must_change,
        "AccountTypes": types,
        "Links": { "Role": uri::to(&["AccountService", "Roles", role]) },
    })
}

/// The random password of first boot is replaced here by its owner. Everything else of an account stands in oobd.toml.
pub(in super::super) async fn change(call: &Call) -> Result<Answer, Wrong> {
    let name = call.id(0);
    let person = call.house.access.person(name);
    let person = person.ok_or_else(|| call.missing())?;
    if !seen(call, name)? {
        return Err(Wrong::forbidden());
    }
    let own = call.person()?.name == name;
    let (mut wrong, mut new) = (Vec::new(), None);
    for (property, value) in call.body.iter() {
        match (property.as_str(), value) {
            ("Password", Value::String(text))
                if own && api::must_change(&call.house, &person).await =>
            {
                new = Some(text.clone());
            }
            ("Password", Value::String(_)) => {
                wrong.push(Message::new("PropertyNotWritable", &["Password"]).about("Password"));
            }
            ("Password", _) => {
                wrong.push(
                    Message::new("PropertyValueTypeError", &["****", "Password"]).about("Password"),
                );
            }
            (other, _) => wrong.push(unwritable(other)),
        }
    }
    let Some(new) = new else {
        return Err(Wrong::of(axum::http::StatusCode::BAD_REQUEST, wrong));
    };
    let (dirs, device) = (call.house.dirs.clone(), call.state.device.clone());
    let work = move || first_boot::change_password(&dirs, &device, &new);
    let changed = spawn_blocking(work).await;
    let changed = changed.map_err(|e| Wrong::internal(&e.to_string()))?;
    let hash = changed.map_err(|e| match e {
        first_boot::Error::TooShort | first_boot::Error::Same => {
            Wrong::bad("PropertyValueError", &["Password"])
        }
        other => Wrong::internal(&crate::fault::chain(&other)),
    })?;
    // This session first, or the new table would end it.
    if let Some(id) = call.caller()?.session {
        call.house.sessions.password_changed(id, &hash);
    }
    call.house.access.set_password(name, &hash);
    Ok(Answer::Done(wrong))
}

/// Why a property is not taken: it cannot be written here, or there is none.
fn unwritable(property: &str) -> Message {
    const KNOWN: &[&str] = &[
        "Id",
        "Name",
        "UserName",
        "RoleId",
        "Enabled",
        "Locked",
        "AccountTypes",
        "PasswordChangeRequired",
        "Links",
    ];
    let key = if KNOWN.contains(&property) {
        "PropertyNotWritable"
    } else {
        "PropertyUnknown"
    };
    Message::new(key, &[property]).about(property)
}
