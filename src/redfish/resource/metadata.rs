//! The two documents of OData: `$metadata` names the schemas that are in use, `odata` the resources at the top. Both come from the
//! table.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::future::{Ready, ready};

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::table::TABLE;
use super::super::uri;
use super::super::wrong::Wrong;

/// Schemas that stand in bodies without being a resource of their own.
const INSIDE: &[&str] = &["Message.v1_3_0", "Resource.v1_24_0", "IPAddresses.v1_1_5"];

pub(in super::super) fn metadata(_call: &Call) -> Ready<Result<Answer, Wrong>> {
    let used = TABLE.iter().map(|one| one.schema());
    let schemas: BTreeSet<&str> = used.chain(INSIDE.iter().copied()).collect();
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<edmx:Edmx xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.0\">\n",
    );
    let mut bases = BTreeSet::new();
    for schema in schemas.into_iter().filter(|schema| !schema.is_empty()) {
        let base = schema.split('.').next().unwrap_or(schema);
        let mut include = format!("    <edmx:Include Namespace=\"{schema}\"/>\n");
        if bases.insert(base) && base != schema {
            include = format!("    <edmx:Include Namespace=\"{base}\"/>\n{include}");
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  <edmx:Reference Uri=\"http://redfish.dmtf.org/schemas/v1/{base}_v1.xml\">\n{include}  </edmx:Reference>\n"
        );
    }
    text.push_str(
        "  <edmx:DataServices>\n    <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"Service\">\n      \
         <EntityContainer Name=\"Service\" Extends=\"ServiceRoot.v1_21_0.ServiceContainer\"/>\n    </Schema>\n  \
         </edmx:DataServices>\n</edmx:Edmx>\n",
    );
    let kind = [(header::CONTENT_TYPE, "application/xml")];
    ready(Ok(Answer::Raw((kind, text).into_response())))
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn odata(_call: &Call) -> Result<Value, Wrong> {
    let top = TABLE.iter().filter(|one| {
        let depth = one.pattern.matches('/').count();
        depth <= 1 && !one.kind.is_empty()
    });
    let mut value: Vec<Value> = top
        .map(|one| {
            let name = one.pattern.trim_start_matches('/');
            let name = if name.is_empty() { "Service" } else { name };
            let url = format!("{}{}", uri::ROOT, one.pattern);
            let url = if one.pattern.is_empty() {
                format!("{url}/")
            } else {
                url
            };
            json!({ "name": name, "kind": "Singleton", "url": url })
        })
        .collect();
    let sessions = uri::at(&["SessionService", "Sessions"]);
    value.push(json!({ "name": "Sessions", "kind": "Singleton", "url": sessions }));
    Ok(json!({ "@odata.context": format!("{}/$metadata", uri::ROOT), "value": value }))
}
