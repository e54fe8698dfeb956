//! The journal of the appliance as a log service: the newest events that the person may see, newest first.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::control::{Follow, concerns, wire};
use crate::event::{Event, Severity};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::record;
use super::super::uri;
use super::super::wrong::Wrong;
use super::{OURSELVES, manager};

/// As far back as the list goes; the native API goes further.
const NEWEST: u32 = 1000;
/// Entries of one page, unless `$top` says otherwise.
const PAGE: usize = 100;
const LOG: [&str; 4] = ["Managers", OURSELVES, "LogServices", "Journal"];

pub(in super::super) fn services(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    Ok(super::collection("Logs", [uri::at(&LOG)]))
}

pub(in super::super) fn service(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    Ok(json!({
        "Id": "Journal",
        "Name": "Journal",
        "Description": "What happened on the appliance and on what it manages",
        "ServiceEnabled": true,
        "LogEntryType": "Event",
        "OverWritePolicy": "WrapsWhenFull",
        "MaxNumberOfRecords": NEWEST,
        "DateTime": Timestamp::now(),
        "DateTimeLocalOffset": "+00:00",
        "Status": super::well(),
        "Entries": uri::to(&[&LOG[..], &["Entries"]].concat()),
    }))
}

pub(in super::super) async fn list(call: &Call) -> Result<Answer, Wrong> {
    manager::ours(call)?;
    let events = newest(call).await?;
    let (skip, total) = (call.query.skip, events.len());
    let top = call.query.top.unwrap_or(PAGE).min(PAGE);
    let end = skip.saturating_add(top).min(total);
    // The entry takes `$skip` and `$top` itself, so the list is whole as far as this page goes.
    let shown = events.iter().rev().take(end).map(entry);
    let mut value = json!({
        "Name": "Entries of the journal",
        "Members@odata.count": total,
        "Members": shown.collect::<Vec<Value>>(),
    });
    if end < total {
        let here = uri::at(&[&LOG[..], &["Entries"]].concat());
        let top = call
            .query
            .top
            .map(|top| format!("&$top={top}"))
            .unwrap_or_default();
        value["Members@odata.nextLink"] = format!("{here}?$skip={end}{top}").into();
    }
    Ok(Answer::Shown(value))
}

/// The newest events. As the service of one machine it has what is about that machine alone.
async fn newest(call: &Call) -> Result<VecDeque<Event>, Wrong> {
    let all = call.view.is_none();
    let wanted = wire::Query {
        newest: all.then_some(NEWEST),
        after: (!all).then_some(0),
        ..wire::Query::default()
    };
    let mut follow = Follow::new(&call.house.control, wanted);
    let mut newest = VecDeque::new();
    while let Some(events) = follow.past(call.person()?).await? {
        for event in events {
            if all || concerns(&event, &call.state) {
                newest.push_back(event);
            }
        }
        while newest.len() > NEWEST as usize {
            newest.pop_front();
        }
    }
    Ok(newest)
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    manager::ours(call)?;
    let seq: u64 = call.id(1).parse().map_err(|_| call.missing())?;
    let before = seq.checked_sub(1).ok_or_else(|| call.missing())?;
    let wanted = wire::Query {
        after: Some(before),
        ..wire::Query::default()
    };
    let mut events = Follow::new(&call.house.control, wanted);
    let events = events.past(call.person()?).await?.unwrap_or_default();
    let found = events
        .first()
        .filter(|event| event.seq == seq && (call.view.is_none() || concerns(event, &call.state)));
    found
        .map(|event| Answer::Shown(entry(event)))
        .ok_or_else(|| call.missing())
}

fn entry(event: &Event) -> Value {
    let mut value = record::message(event);
    let id = event.seq.to_string();
    value["@odata.id"] = uri::at(&[&LOG[..], &["Entries", &id]].concat()).into();
    value["@odata.type"] = super::LOG_ENTRY.into();
    value["Id"] = id.into();
    value["Name"] = format!("Event {}", event.seq).into();
    value["EntryType"] = "Event".into();
    value["Created"] = json!(event.at);
    value["Severity"] = severity(event.severity).into();
    value["Originator"] = event.source.clone().into();
    value["OriginatorType"] = "Internal".into();
    value
}

/// `Resource.Health` of a severity.
pub(in super::super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Emergency | Severity::Alert | Severity::Critical => "Critical",
        Severity::Error | Severity::Warning => "Warning",
        Severity::Notice | Severity::Info | Severity::Debug => "OK",
    }
}

/// The name of the kind of event, e.g. `OutletSwitched`.
pub(in super::super) fn kind(event: &Event) -> String {
    match serde_json::to_value(&event.kind) {
        Ok(Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}
