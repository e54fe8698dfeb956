//! A journaled event in Redfish's words.

use serde_json::{Value, json};

use crate::event::Event;

use super::message::{OWN, OWNS};
use super::resource::journal::{kind, severity};
use super::uri;

/// What somebody wants to hear of. Empty lists hold nothing back.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    pub(super) severities: Vec<String>,
    #[serde(default)]
    pub(super) message_ids: Vec<String>,
    #[serde(default)]
    pub(super) registries: Vec<String>,
}

impl Filter {
    pub(super) fn takes(&self, event: &Event) -> bool {
        let any = |list: &[String], fits: &dyn Fn(&String) -> bool| {
            list.is_empty() || list.iter().any(fits)
        };
        let prefix = OWN.split('.').next().unwrap_or(OWN);
        any(&self.severities, &|one| *one == severity(event.severity))
            && any(&self.registries, &|one| one == prefix)
            && any(&self.message_ids, &|one| {
                *one == message_id() || one.rsplit('.').next() == Some("Event")
            })
    }
}

fn message_id() -> String {
    format!("{OWN}.Event")
}

/// The message that all events have, as an entry of a log has it, too.
pub(super) fn message(event: &Event) -> Value {
    let text = event.kind.to_string();
    let template = OWNS.iter().find(|one| one.key == "Event");
    let said = template.map_or_else(
        || text.clone(),
        |one| one.text.replace("%3", &text).replace("%1", &event.source),
    );
    json!({
        "Message": said,
        "MessageId": message_id(),
        "MessageArgs": [event.source, kind(event), text],
    })
}

/// What it is about.
fn origin(event: &Event) -> Value {
    let fields = serde_json::to_value(&event.kind).unwrap_or_default();
    let inner = fields.as_object().and_then(|one| one.values().next());
    let named = |name: &str| inner?.get(name)?.as_str().map(str::to_owned);
    let inner = inner.is_some();
    match (
        inner,
        named("machine"),
        named("pdu"),
        named("outlet"),
        named("ups"),
    ) {
        (true, Some(machine), ..) => uri::to(&["Systems", &machine]),
        (true, _, Some(pdu), Some(outlet), _) => {
            uri::to(&["PowerEquipment", "RackPDUs", &pdu, "Outlets", &outlet])
        }
        (true, _, Some(pdu), ..) => uri::to(&["PowerEquipment", "RackPDUs", &pdu]),
        (true, .., Some(ups)) => uri::to(&["PowerEquipment", "PowerShelves", &ups]),
        _ => uri::to(&["Managers", "oob"]),
    }
}

/// These events as one `Event`.
pub(super) fn body(events: &[Event], context: &str) -> Value {
    let records: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(at, event)| {
            let id = event.seq.to_string();
            let mut record = message(event);
            record["MemberId"] = at.to_string().into();
            record["EventId"] = id.clone().into();
            record["EventType"] = "Other".into();
            record["EventTimestamp"] = json!(event.at);
            record["MessageSeverity"] = severity(event.severity).into();
            record["OriginOfCondition"] = origin(event);
            record["LogEntry"] =
                uri::to(&["Managers", "oob", "LogServices", "Journal", "Entries", &id]);
            record
        })
        .collect();
    let last = events.last().map_or(0, |event| event.seq);
    json!({
        "@odata.type": "#Event.v1_13_0.Event",
        "Id": last.to_string(),
        "Name": "Events",
        "Context": context,
        "Events@odata.count": records.len(),
        "Events": records,
    })
}
