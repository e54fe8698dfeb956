//! What a machine told, as JSON: lists one object, or a line each.

use serde::Serialize;
use serde_json::json;

use crate::cli::face::{Face, Failure};
use crate::cli::{Form, print_reply};
use crate::command::Reply;

pub(super) async fn json(reply: Reply, form: Form, face: &mut Face) -> Result<(), Failure> {
    match reply {
        Reply::Sensors(sensors) => list("sensors", &sensors, form, face).await,
        Reply::MachineLog(entries) => list("log", &entries, form, face).await,
        Reply::Media(media) => list("media", &media, form, face).await,
        Reply::Bios(bios) => list("bios", &bios, form, face).await,
        Reply::Parts(parts) => list("parts", &parts, form, face).await,
        reply => print_reply(reply, form, face).await,
    }
}

async fn list<T: Serialize>(
    what: &str,
    things: &[T],
    form: Form,
    face: &mut Face,
) -> Result<(), Failure> {
    if form == Form::Json {
        return face.json(&json!({ what: things })).await;
    }
    for thing in things {
        face.json(thing).await?;
    }
    Ok(())
}
