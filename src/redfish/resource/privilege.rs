//! The privilege registry: what each method of each kind of resource needs, from the table.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::table::{Need, TABLE};
use super::super::wrong::Wrong;

const METHODS: [&str; 6] = ["GET", "HEAD", "PATCH", "PUT", "POST", "DELETE"];

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn show(_call: &Call) -> Result<Value, Wrong> {
    let mut entities: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for one in TABLE.iter().filter(|one| !one.kind.is_empty()) {
        let entity = one.kind.split('.').next().unwrap_or(one.kind);
        let operations = entities.entry(entity).or_default();
        for method in METHODS {
            let shown = if method == "HEAD" { "GET" } else { method };
            let mut verbs = one.verbs.iter();
            // What nobody serves needs the most.
            let need = verbs
                .find(|verb| verb.method == shown)
                .map_or(Need::ConfigureManager, |verb| verb.need);
            operations.insert(method.into(), json!([{ "Privilege": [need.privilege()] }]));
        }
    }
    let mappings: Vec<Value> = entities
        .into_iter()
        .map(|(entity, operations)| json!({ "Entity": entity, "OperationMap": operations }))
        .collect();
    Ok(json!({
        "Id": "PrivilegeMap",
        "Name": "Privilege map",
        "PrivilegesUsed": ["Login", "ConfigureManager", "ConfigureUsers", "ConfigureComponents", "ConfigureSelf", "NoAuth"],
        "OEMPrivilegesUsed": [],
        "Mappings": mappings,
    }))
}
