//! Virtual media: what a slot holds, and the ways to put something in. Pure.

use serde_json::{Value, json};

use super::{action, id, text, texts};
use crate::bmc::redfish::types::MediaSlot;

#[must_use]
pub fn slot(value: &Value, uri: &str) -> MediaSlot {
    MediaSlot {
        uri: uri.to_owned(),
        id: id(value, uri),
        types: texts(value, "MediaTypes"),
        image: text(value, "Image"),
        inserted: value.get("Inserted").and_then(Value::as_bool),
    }
}

/// Is something in the slot? A controller that does not say names the image, or does not.
#[must_use]
pub fn is_full(slot: &MediaSlot) -> bool {
    slot.inserted.unwrap_or(slot.image.is_some())
}

/// One way to change what is in a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An action, with this body; `None` is no body at all.
    Post(String, Option<Value>),
    /// A change of the slot itself.
    Patch(Value),
}

/// Ways to insert an image, in the order they are tried; each is for controllers that refuse the ones before.
///
/// - All there is to say, as the standard has it. Lenovo wants `Inserted` and `WriteProtected`.
/// - The image alone: Supermicro X11 refuses the other two.
/// - With the protocol; with `Stream` besides; with a user that nobody asks for (DGX).
/// - A change of the slot, for those that have no action (Lenovo XCC).
#[must_use]
pub fn insert(slot: &Value, image: &str) -> Vec<Step> {
    let protocol = if image.starts_with("https:") {
        "HTTPS"
    } else {
        "HTTP"
    };
    let whole = json!({"Image": image, "Inserted": true, "WriteProtected": true});
    let mut typed = whole.clone();
    typed["TransferProtocolType"] = json!(protocol);
    let mut stream = typed.clone();
    stream["TransferMethod"] = json!("Stream");
    let mut user = stream.clone();
    user["UserName"] = json!("none");
    user["Password"] = json!("none");
    let mut steps = Vec::new();
    if let Some(action) = action(slot, "#VirtualMedia.InsertMedia", "") {
        let bare = json!({"Image": image});
        for body in [whole.clone(), bare, typed, stream, user] {
            steps.push(Step::Post(action.target.clone(), Some(body)));
        }
    }
    steps.push(Step::Patch(whole));
    steps.push(Step::Patch(json!({"Image": image})));
    steps
}

/// Ways to take the image out: without a body, which some refuse with 400 or 415, with an empty one, or by a change.
#[must_use]
pub fn eject(slot: &Value) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(action) = action(slot, "#VirtualMedia.EjectMedia", "") {
        steps.push(Step::Post(action.target.clone(), None));
        steps.push(Step::Post(action.target, Some(json!({}))));
    }
    steps.push(Step::Patch(json!({"Image": null, "Inserted": false})));
    steps.push(Step::Patch(json!({"Image": null})));
    steps
}
