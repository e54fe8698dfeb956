//! The three roles. They are fixed; grants over consoles, outlets and machines come on top and stand in oobd.toml.

use serde_json::{Value, json};

use crate::config::Role;

use super::super::call::Call;
use super::super::table;
use super::super::uri;
use super::super::wrong::Wrong;

pub(super) const ROLES: [Role; 3] = [Role::Administrator, Role::Operator, Role::ReadOnly];

/// As DMTF calls it.
pub(in super::super) fn id(role: Role) -> &'static str {
    match role {
        Role::ReadOnly => "ReadOnly",
        Role::Operator => "Operator",
        Role::Administrator => "Administrator",
    }
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(_call: &Call) -> Result<Value, Wrong> {
    let members = ROLES.map(|role| uri::at(&["AccountService", "Roles", id(role)]));
    Ok(super::collection("Roles", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let role = ROLES.into_iter().find(|role| id(*role) == call.id(0));
    let role = role.ok_or_else(|| call.missing())?;
    let privileges = table::privileges(role).iter().map(|need| need.privilege());
    Ok(json!({
        "Id": id(role),
        "Name": id(role),
        "RoleId": id(role),
        "IsPredefined": true,
        "AssignedPrivileges": privileges.collect::<Vec<_>>(),
    }))
}
