//! The message registries and the schemas: where their files are. Ours is served here, DMTF's are where DMTF publishes them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::message::{BASE, OWN, OWNS, TASK};
use super::super::table::TABLE;
use super::super::uri;
use super::super::wrong::Wrong;

/// Our own registry, by its prefix.
const OOBD: &str = "Oobd";

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(_call: &Call) -> Result<Value, Wrong> {
    let members = ["Base", "TaskEvent", OOBD].map(|name| uri::at(&["Registries", name]));
    Ok(super::collection("Message registries", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let (registry, location) = match call.id(0) {
        name @ ("Base" | "TaskEvent") => {
            let registry = if name == "Base" { BASE } else { TASK };
            let published = format!("https://redfish.dmtf.org/registries/{registry}.0.json");
            (
                registry,
                json!({ "Language": "en", "PublicationUri": published }),
            )
        }
        OOBD => {
            let here = uri::at(&["Registries", OOBD, "Messages"]);
            (OWN, json!({ "Language": "en", "Uri": here }))
        }
        _ => return Err(call.missing()),
    };
    Ok(json!({
        "Id": call.id(0),
        "Name": format!("Message registry {}", call.id(0)),
        "Registry": registry,
        "Languages": ["en"],
        "Location": [location],
    }))
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn messages(_call: &Call) -> Result<Value, Wrong> {
    let messages: Map<String, Value> = OWNS
        .iter()
        .map(|one| {
            let count = (1..=9)
                .filter(|at| one.text.contains(&format!("%{at}")))
                .max();
            let count = count.unwrap_or(0);
            let message = json!({
                "Description": one.text,
                "Message": one.text,
                "Severity": one.severity,
                "MessageSeverity": one.severity,
                "NumberOfArgs": count,
                "ParamTypes": vec!["string"; count],
                "Resolution": one.resolution,
            });
            (one.key.to_owned(), message)
        })
        .collect();
    Ok(json!({
        "Id": format!("{OWN}.0"),
        "Name": "Messages of oobd",
        "Language": "en",
        "RegistryPrefix": OOBD,
        "RegistryVersion": "1.0.0",
        "OwningEntity": OOBD,
        "Messages": messages,
    }))
}

/// Every schema that is in use, as in `Session.v1_8_0`.
fn schemas() -> BTreeSet<&'static str> {
    let used = TABLE.iter().map(|one| one.schema());
    used.filter(|schema| !schema.is_empty()).collect()
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn schemas_list(_call: &Call) -> Result<Value, Wrong> {
    let members = schemas()
        .into_iter()
        .map(|schema| uri::at(&["JsonSchemas", schema]));
    Ok(super::collection("Schemas", members))
}

pub(in super::super) fn schema(call: &Call) -> Result<Value, Wrong> {
    let found = schemas().into_iter().find(|schema| *schema == call.id(0));
    let schema = found.ok_or_else(|| call.missing())?;
    let name = schema.split('.').next().unwrap_or(schema);
    Ok(json!({
        "Id": schema,
        "Name": format!("Schema {name}"),
        "Schema": format!("#{schema}.{name}"),
        "Languages": ["en"],
        "Location": [{
            "Language": "en",
            "PublicationUri": format!("https://redfish.dmtf.org/schemas/v1/{schema}.json"),
        }],
    }))
}
