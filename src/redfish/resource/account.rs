//! The account service and the accounts: the users of oobd.toml, or the administrator of first boot. Never shows a password or a
//! key.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::access::{Person, first_boot, limit};
use crate::api;
use crate::command::{Command, Hidden, Trial, UserWords};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::entry::SEED;
use super::super::message::Message;
use super::super::table::{self, Need};
use super::super::uri;
use super::super::wrong::Wrong;
use super::role;

const CHANGE: &str = "ManagerAccount.ChangePassword";
/// Its parameters.
const PROOF: &str = "SessionAccountPassword";
const NEW: &str = "NewPassword";

/// Longest wait for a change to be in force; the file is read again within a second.
const IN_FORCE: Duration = Duration::from_secs(10);

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
        // `PATCH` does it, too.
        "RequireChangePasswordAction": false,
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

/// The account of the address, if the caller may know of it.
fn meant(call: &Call) -> Result<Arc<Person>, Wrong> {
    let name = call.id(0);
    let person = call.house.access.person(name);
    let person = person.ok_or_else(|| call.missing())?;
    if !seen(call, name)? {
        return Err(Wrong::forbidden());
    }
    Ok(person)
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let person = meant(call)?;
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
        // Salted, so that a password changes the ETag even when it is the same again; only a digest of all of it is shown.
        SEED: person.hash().map(|hash| hash.expose()),
        "Id": person.name,
        "Name": format!("Account of {}", person.name),
        "UserName": person.name,
        "Password": null,
        "RoleId": role,
        "Enabled": true,
        "Locked": false,
        "PasswordChangeRequired": must_change,
        "AccountTypes": types,
        "Actions": {
            "#ManagerAccount.ChangePassword": { "target": format!("{}/Actions/{CHANGE}", address(&person.name)) },
        },
        "Links": { "Role": uri::to(&["AccountService", "Roles", role]) },
    })
}

/// The role of oobd.toml that DMTF calls so.
fn role_word(id: &str) -> Option<String> {
    let role = role::ROLES.into_iter().find(|role| role::id(*role) == id);
    role.map(|role| role.to_string())
}

/// What a body says of an account, and what of it cannot be.
#[derive(Default)]
struct Wanted {
    name: Option<String>,
    password: Option<String>,
    role: Option<String>,
    /// Something that is so already.
    idle: bool,
    wrong: Vec<Message>,
}

impl Wanted {
    fn read(call: &Call) -> Self {
        let mut wanted = Self::default();
        for (property, value) in call.body.iter() {
            match (property.as_str(), value) {
                ("UserName", Value::String(text)) => wanted.name = Some(text.clone()),
                ("Password", Value::String(text)) => wanted.password = Some(text.clone()),
                ("RoleId", Value::String(text)) => match role_word(text) {
                    Some(word) => wanted.role = Some(word),
                    None => wanted.no("PropertyValueNotInList", &[text, property], property),
                },
                // There is no account that is there and not enabled, and none is ever locked.
                ("Enabled", Value::Bool(true))
                | ("Locked" | "PasswordChangeRequired", Value::Bool(false)) => {
                    wanted.idle = true;
                }
                ("AccountTypes" | "OEMAccountTypes", Value::Array(_)) | (_, Value::Null) => {
                    wanted.idle = true
                }
                ("Enabled" | "Locked" | "PasswordChangeRequired", Value::Bool(given)) => {
                    wanted.no(
                        "PropertyValueNotInList",
                        &[&given.to_string(), property],
                        property,
                    );
                }
                (
                    "UserName"
                    | "RoleId"
                    | "Enabled"
                    | "Locked"
                    | "PasswordChangeRequired"
                    | "AccountTypes",
                    other,
                ) => {
                    wanted.no(
                        "PropertyValueTypeError",
                        &[&other.to_string(), property],
                        property,
                    );
                }
                ("Password", _) => {
                    wanted.no("PropertyValueTypeError", &["****", property], property)
                }
                ("Id" | "Name" | "Links" | "Description", _) => {
                    wanted.no("PropertyNotWritable", &[property], property);
                }
                _ => wanted.no("PropertyUnknown", &[property], property),
            }
        }
        wanted
    }

    fn no(&mut self, key: &str, args: &[&str], property: &str) {
        self.wrong.push(Message::new(key, args).about(property));
    }

    /// As the commands take it.
    fn words(self, name: &str) -> UserWords {
        UserWords {
            name: name.to_owned(),
            role: self.role,
            password: self.password.map(Hidden),
            ..UserWords::default()
        }
    }
}

fn bad(messages: Vec<Message>) -> Wrong {
    Wrong::of(StatusCode::BAD_REQUEST, messages)
}

/// What the configuration says of a change is about what was asked.
async fn act(call: &Call, command: Command) -> Result<(), Wrong> {
    match call.act(command).await {
        Err(wrong) if wrong.status == StatusCode::CONFLICT => {
            Err(wrong.with_status(StatusCode::BAD_REQUEST))
        }
        other => other.map(drop),
    }
}

/// Waits until the users in force are what was just written; a reload takes a moment.
async fn until(call: &Call, holds: impl Fn(Option<&Person>) -> bool) {
    let mut changes = call.house.access.changes();
    let name = call.body.get("UserName").and_then(Value::as_str);
    let name = name.unwrap_or_else(|| call.id(0));
    let wait = async {
        while !holds(call.house.access.person(name).as_deref()) {
            changes.next().await;
        }
    };
    // Late is no fault: it is in the file.
    let _ = timeout(IN_FORCE, wait).await;
}

/// A user more. It may sign in everywhere and is granted everything; grants are made narrower in oobd.toml.
pub(in super::super) async fn create(call: &Call) -> Result<Answer, Wrong> {
    let mut wanted = Wanted::read(call);
    for (property, there) in [
        ("UserName", wanted.name.is_some()),
        ("Password", wanted.password.is_some()),
        ("RoleId", wanted.role.is_some()),
    ] {
        if !there && wanted.wrong.is_empty() {
            return Err(Wrong::bad("CreateFailedMissingReqProperties", &[property]));
        }
    }
    let (Some(name), true) = (wanted.name.take(), wanted.wrong.is_empty()) else {
        return Err(bad(wanted.wrong));
    };
    let user = wanted.words(&name);
    act(
        call,
        Command::AddUser {
            user,
            trial: Trial::No,
        },
    )
    .await?;
    until(call, |person| person.is_some()).await;
    Ok(Answer::Created {
        location: address(&name),
        headers: vec![],
        messages: vec![],
    })
}

/// An administrator changes role and password of anybody, everybody else their own password.
pub(in super::super) async fn change(call: &Call) -> Result<Answer, Wrong> {
    let name = call.id(0);
    let before = meant(call)?;
    let caller = call.caller()?;
    let all = table::privileges(caller.person.role).contains(&Need::ConfigureUsers);
    let mut wanted = Wanted::read(call);
    if wanted.name.take_if(|name| *name != before.name).is_some() {
        wanted.no("PropertyNotWritable", &["UserName"], "UserName");
    }
    if !all && wanted.role.take().is_some() {
        wanted.no("PropertyNotWritable", &["RoleId"], "RoleId");
    }
    let wrong = std::mem::take(&mut wanted.wrong);
    if wanted.password.is_none() && wanted.role.is_none() {
        return match (wrong.is_empty(), wanted.idle) {
            (true, true) => Ok(Answer::done()),
            (true, false) => Err(Wrong::bad("NoOperation", &[])),
            (false, _) => Err(bad(wrong)),
        };
    }
    if caller.person.name == name
        && let Some(new) = wanted.password.take()
    {
        let about = Message::new("PropertyValueError", &["Password"]).about("Password");
        replace_own(call, new, about).await?;
    }
    if wanted.password.is_some() || wanted.role.is_some() {
        write(call, &before, wanted.words(name)).await?;
    }
    Ok(Answer::Done(wrong))
}

/// The caller's own password; the session goes on under it. `about` tells where the new one stood.
async fn replace_own(call: &Call, new: String, about: Message) -> Result<(), Wrong> {
    let replaced = api::replace_password(&call.house, call.caller()?, new).await;
    replaced.map_err(|fault| match fault.status {
        StatusCode::UNPROCESSABLE_ENTITY => {
            bad(vec![about, Message::new("Refused", &[&fault.text])])
        }
        _ => fault.into(),
    })
}

/// Writes what is new of this user, and waits for it to be in force.
async fn write(call: &Call, before: &Person, user: UserWords) -> Result<(), Wrong> {
    let role = user.role.clone();
    let new = user.password.is_some();
    let trial = Trial::No;
    act(call, Command::ChangeUser { user, trial }).await?;
    let changed = |now: &Person| !new || now.hash() != before.hash();
    let has_role = |now: &Person| {
        role.as_ref()
            .is_none_or(|role| now.role.to_string() == *role)
    };
    until(call, |now| {
        now.is_none_or(|now| changed(now) && has_role(now))
    })
    .await;
    Ok(())
}

/// `ManagerAccount.ChangePassword`: as a PATCH of `Password`, but who asks proves to be there by the own password, which a stolen
/// session does not have. Wrong ones count as at a sign-in.
pub(in super::super) async fn change_password(call: &Call) -> Result<Answer, Wrong> {
    let name = call.id(0);
    let before = meant(call)?;
    let given = [PROOF, NEW];
    if let Some(other) = call.body.keys().find(|key| !given.contains(&key.as_str())) {
        return Err(Wrong::bad("ActionParameterUnknown", &[CHANGE, other]));
    }
    let text = |parameter: &str| match call.body.get(parameter) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => {
            let key = "ActionParameterValueTypeError";
            Err(Wrong::bad(key, &["****", parameter, CHANGE]))
        }
        None => Err(Wrong::bad("ActionParameterMissing", &[CHANGE, parameter])),
    };
    let (proof, new) = (text(PROOF)?, text(NEW)?);
    let unfit = |parameter| Message::new("ActionParameterValueError", &[parameter, CHANGE]);
    let me = &call.caller()?.person.name;
    let known = api::by_password(&call.house, &call.guest, me, &proof, "session password").await;
    known.map_err(|fault| match fault.status {
        StatusCode::UNAUTHORIZED => bad(vec![unfit(PROOF)]),
        _ => fault.into(),
    })?;
    if me == name {
        replace_own(call, new, unfit(NEW)).await?;
    } else {
        let wanted = Wanted {
            password: Some(new),
            ..Wanted::default()
        };
        write(call, &before, wanted.words(name)).await?;
    }
    Ok(Answer::done())
}

pub(in super::super) async fn remove(call: &Call) -> Result<Answer, Wrong> {
    let name = call.id(0).to_owned();
    if call.house.access.person(&name).is_none() {
        return Err(call.missing());
    }
    act(
        call,
        Command::RemoveUser {
            name,
            trial: Trial::No,
        },
    )
    .await?;
    until(call, |person| person.is_none()).await;
    Ok(Answer::done())
}
