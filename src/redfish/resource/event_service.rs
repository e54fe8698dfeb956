//! The event service: streams, and subscriptions that events are pushed to.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::access::Right;
use crate::command::Command;
use crate::http::Url;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::message::{Message, OWN};
use super::super::push;
use super::super::record::Filter;
use super::super::service::{Listed, Policy, Push};
use super::super::stream;
use super::super::uri;
use super::super::wrong::Wrong;

const SEVERITIES: [&str; 3] = ["OK", "Warning", "Critical"];
const TEST: &str = "EventService.SubmitTestEvent";
/// Headers that a subscription may have its events sent with, and the length of them and of other texts.
const MOST_HEADERS: usize = 8;
const LONGEST: usize = 1024;

fn prefix() -> &'static str {
    OWN.split('.').next().unwrap_or(OWN)
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn service(_call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "EventService",
        "Name": "Events",
        "ServiceEnabled": true,
        "Status": super::well(),
        "DeliveryRetryAttempts": push::ATTEMPTS,
        "DeliveryRetryIntervalSeconds": push::PAUSE.as_secs(),
        "EventFormatTypes": ["Event"],
        "RegistryPrefixes": [prefix()],
        "Severities": SEVERITIES,
        "SubordinateResourcesSupported": false,
        "IncludeOriginOfConditionSupported": false,
        "ExcludeMessageId": false,
        "ExcludeRegistryPrefix": false,
        "ServerSentEventUri": uri::at(&["EventService", "SSE"]),
        "SSEFilterPropertiesSupported": {
            "EventFormatType": false, "MessageId": false, "MetricReportDefinition": false, "OriginResource": false,
            "RegistryPrefix": false, "ResourceType": false, "SubordinateResources": false,
        },
        "Subscriptions": uri::to(&["EventService", "Subscriptions"]),
        "Actions": {
            "#EventService.SubmitTestEvent": { "target": uri::at(&["EventService", "Actions", TEST]) },
        },
    }))
}

fn address(id: u64) -> String {
    uri::at(&["EventService", "Subscriptions", &id.to_string()])
}

/// An administrator sees everybody's.
fn seen(call: &Call, one: &Listed) -> Result<bool, Wrong> {
    let person = call.person()?;
    Ok(person.may(Right::Administer).is_ok() || one.owner() == person.name)
}

fn found(call: &Call) -> Result<(u64, Listed), Wrong> {
    let id: u64 = call.id(0).parse().map_err(|_| call.missing())?;
    let one = call.house.redfish.get(id).ok_or_else(|| call.missing())?;
    if seen(call, &one)? {
        return Ok((id, one));
    }
    Err(call.missing())
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let mut members = Vec::new();
    for (id, one) in call.house.redfish.list() {
        if seen(call, &one)? {
            members.push(address(id));
        }
    }
    Ok(super::collection("Subscriptions", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let (id, one) = found(call)?;
    let mut value = json!({
        "Id": id.to_string(),
        "Name": format!("Subscription of {}", one.owner()),
        "Protocol": "Redfish",
        "EventFormatType": "Event",
        "Status": super::well(),
    });
    match one {
        Listed::Stream(open) => {
            value["SubscriptionType"] = "SSE".into();
            value["Context"] = stream::context(id).into();
            value["Description"] = format!("A stream to {}", open.from).into();
        }
        Listed::Push(push) => {
            let Push {
                destination,
                context,
                filter,
                policy,
                suspended,
                ..
            } = push;
            value["SubscriptionType"] = "RedfishEvent".into();
            value["Destination"] = destination.into();
            value["Context"] = context.into();
            value["DeliveryRetryPolicy"] = json!(policy);
            value["HttpHeaders"] = json!([]);
            for (name, list) in [
                ("Severities", filter.severities),
                ("RegistryPrefixes", filter.registries),
                ("MessageIds", filter.message_ids),
            ] {
                if !list.is_empty() {
                    value[name] = list.into();
                }
            }
            if suspended {
                value["Status"] = json!({ "State": "Disabled", "Health": "Warning" });
            }
        }
    }
    Ok(value)
}

/// A list of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array()?.iter();
    items.map(|one| one.as_str().map(str::to_owned)).collect()
}

fn policy(text: &str) -> Option<Policy> {
    serde_json::from_value(text.into()).ok()
}

/// Headers that go with each POST.
fn headers(value: &Value) -> Option<Vec<(String, String)>> {
    let mut all = Vec::new();
    for one in value.as_array()? {
        for (name, value) in one.as_object()? {
            let value = value.as_str().filter(|text| text.len() <= LONGEST)?;
            let fits = name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value).is_ok();
            all.push(fits.then(|| (name.clone(), value.to_owned()))?);
        }
    }
    (all.len() <= MOST_HEADERS).then_some(all)
}

/// One property of a new subscription; otherwise the key of what is wrong with it.
fn take(push: &mut Push, name: &str, value: &Value) -> Result<(), &'static str> {
    let text = value.as_str().filter(|text| text.len() <= LONGEST);
    let is = |text: Option<&str>, allowed: &str| match text {
        Some(text) if text == allowed => Ok(()),
        Some(_) => Err("PropertyValueNotInList"),
        None => Err("PropertyValueTypeError"),
    };
    match name {
        "Destination" => {
            push.destination = text.ok_or("PropertyValueTypeError")?.to_owned();
            Url::parse(&push.destination).map_err(|_| "PropertyValueFormatError")?;
        }
        "Context" => push.context = text.ok_or("PropertyValueTypeError")?.to_owned(),
        "Protocol" => is(text, "Redfish")?,
        "SubscriptionType" => is(text, "RedfishEvent")?,
        "EventFormatType" => is(text, "Event")?,
        "DeliveryRetryPolicy" => {
            let text = text.ok_or("PropertyValueTypeError")?;
            // What retries for ever does so here with pauses that grow.
            let text = if text == "RetryForever" {
                "RetryForeverWithBackoff"
            } else {
                text
            };
            push.policy = policy(text).ok_or("PropertyValueNotInList")?;
        }
        "HttpHeaders" => push.headers = headers(value).ok_or("PropertyValueError")?,
        "Severities" => {
            let list = texts(value).ok_or("PropertyValueTypeError")?;
            if !list.iter().all(|one| SEVERITIES.contains(&one.as_str())) {
                return Err("PropertyValueNotInList");
            }
            push.filter.severities = list;
        }
        "RegistryPrefixes" => {
            let list = texts(value).ok_or("PropertyValueTypeError")?;
            push.filter.registries = list;
        }
        "MessageIds" => push.filter.message_ids = texts(value).ok_or("PropertyValueTypeError")?,
        // Every event is of every type of old; nothing is held back for them.
        "EventTypes" => drop(texts(value).ok_or("PropertyValueTypeError")?),
        "VerifyCertificate" => {
            // A key is pinned when it is first seen, whoever signed it.
            if value != &Value::Bool(false) {
                return Err("PropertyValueNotInList");
            }
        }
        "SubordinateResources" | "IncludeOriginOfCondition" if value == &Value::Bool(false) => {}
        "OriginResources" | "ResourceTypes" | "MetricReportDefinitions" if value == &json!([]) => {}
        _ => return Err("PropertyUnknown"),
    }
    Ok(())
}

fn wrong(key: &str, name: &str, value: &Value) -> Message {
    let shown = if name == "HttpHeaders" {
        "****".to_owned()
    } else {
        value.to_string()
    };
    let args: &[&str] = match key {
        "PropertyUnknown" | "PropertyValueError" => &[name],
        _ => &[&shown, name],
    };
    Message::new(key, args).about(name)
}

pub(in super::super) async fn subscribe(call: &Call) -> Result<Answer, Wrong> {
    let newest = crate::control::wire::Query {
        newest: Some(1),
        ..crate::control::wire::Query::default()
    };
    let person = call.person()?;
    let mut events = crate::control::Follow::new(&call.house.control, newest);
    let last = events.past(person).await?.unwrap_or_default();
    let mut push = Push {
        owner: person.name.clone(),
        destination: String::new(),
        context: String::new(),
        headers: vec![],
        filter: Filter::default(),
        policy: Policy::default(),
        cursor: last.last().map_or(0, |event| event.seq),
        suspended: false,
    };
    let mut problems = Vec::new();
    for (name, value) in call.body.iter().filter(|(_, value)| !value.is_null()) {
        if let Err(key) = take(&mut push, name, value) {
            problems.push(wrong(key, name, value));
        }
    }
    if !problems.is_empty() {
        return Err(Wrong::of(StatusCode::BAD_REQUEST, problems));
    }
    for needed in ["Destination", "Protocol"] {
        if !call.body.contains_key(needed) {
            return Err(Wrong::bad("CreateFailedMissingReqProperties", &[needed]));
        }
    }
    let added = call.house.redfish.add_push(push);
    let (id, cut) = added.ok_or_else(|| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Wrong::new(status, "ResourceExhaustion", &["subscriptions"])
    })?;
    if !push::save(&call.house).await {
        call.house.redfish.remove(id);
        return Err(Wrong::internal("the subscription cannot be kept"));
    }
    push::serve(&call.house, id, cut);
    Ok(Answer::Created {
        location: address(id),
        headers: vec![],
        messages: vec![],
    })
}

/// What is told to the receiver, and how long it is tried. One that was given up is tried again.
pub(in super::super) async fn change(call: &Call) -> Result<Answer, Wrong> {
    let (id, one) = found(call)?;
    let Listed::Push(mut push) = one else {
        return Err(Wrong::bad("PropertyNotWritable", &["Context"]));
    };
    let (mut taken, mut problems) = (false, Vec::new());
    for (name, value) in call.body.iter() {
        let outcome = match name.as_str() {
            "Context" | "DeliveryRetryPolicy" | "VerifyCertificate" => take(&mut push, name, value),
            "Destination" | "Protocol" | "SubscriptionType" | "EventFormatType" | "HttpHeaders"
            | "Severities" | "RegistryPrefixes" | "MessageIds" => Err("PropertyNotWritable"),
            _ => Err("PropertyUnknown"),
        };
        match outcome {
            Ok(()) => taken = true,
            Err("PropertyNotWritable") => {
                problems.push(Message::new("PropertyNotWritable", &[name]).about(name));
            }
            Err(key) => problems.push(wrong(key, name, value)),
        }
    }
    if !taken {
        return Err(Wrong::of(StatusCode::BAD_REQUEST, problems));
    }
    let mut again = false;
    call.house.redfish.change(id, |now| {
        again = std::mem::take(&mut now.suspended);
        now.context = push.context;
        now.policy = push.policy;
    });
    push::save(&call.house).await;
    if again
        && let Some((_, cut)) = call
            .house
            .redfish
            .pushes()
            .into_iter()
            .find(|(one, _)| *one == id)
    {
        push::serve(&Arc::clone(&call.house), id, cut);
    }
    Ok(Answer::Done(problems))
}

pub(in super::super) async fn unsubscribe(call: &Call) -> Result<Answer, Wrong> {
    let (id, one) = found(call)?;
    if !call.house.redfish.remove(id) {
        return Err(call.missing());
    }
    if matches!(one, Listed::Push(_)) {
        push::save(&call.house).await;
    }
    Ok(Answer::done())
}

/// A test event is a note in the journal, so that it takes the way that every event takes.
pub(in super::super) async fn test(call: &Call) -> Result<Answer, Wrong> {
    let wanted = match call.body.get("MessageId") {
        Some(Value::String(text)) => text.chars().take(LONGEST).collect(),
        Some(other) => {
            let key = "ActionParameterValueTypeError";
            return Err(Wrong::bad(key, &[&other.to_string(), "MessageId", TEST]));
        }
        None => String::new(),
    };
    let text = format!("test event {wanted}").trim_end().to_owned();
    call.act(Command::WriteNote { text }).await?;
    Ok(Answer::done())
}
