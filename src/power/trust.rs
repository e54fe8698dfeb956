//! A device that is not who it was: pinned anew when a person says so.

use super::driver::Fault;
use super::health::Health;
use crate::command::{Refusal, Reply};
use crate::event::Kind;
use crate::fact::DevicePhase;
use crate::pin::Pins;
use crate::supervisor::context::Context;

/// Pins what the device showed last.
///
/// # Errors
/// It has shown nothing else, or the pin cannot be written.
pub(super) async fn shown(health: &Health, context: &Context) -> Result<Reply, Refusal> {
    let failed = |why: &str| Refusal::Failed(format!("{}: {why}", context.name));
    let Some((what, found)) = health.shown().cloned() else {
        return Err(failed(match health.standing().0 {
            DevicePhase::Up => "it is trusted already",
            _ => "it has not shown another certificate or key",
        }));
    };
    let pins = Pins::new(&context.dirs.state);
    let (fingerprint, pinned) = (found.clone(), what.clone());
    let set = tokio::task::spawn_blocking(move || pins.set(&what, &fingerprint));
    match set.await {
        Ok(Ok(())) => {
            let fingerprint = found.clone();
            let what = pinned;
            context.publish(Kind::Pinned { what, fingerprint }).await;
            Ok(Reply::Said(format!("trusts {found} from now on")))
        }
        Ok(Err(error)) => Err(failed(&format!("it cannot be pinned: {error}"))),
        Err(error) => Err(failed(&format!("it cannot be pinned: {error}"))),
    }
}

/// Tells that a device is not who it was.
pub(super) async fn alarm(context: &Context, fault: Option<&Fault>) {
    if let Some(Fault::Changed {
        what,
        pinned,
        found,
    }) = fault
    {
        let (what, pinned, found) = (what.clone(), pinned.clone(), found.clone());
        let kind = Kind::PinMismatch {
            what,
            pinned,
            found,
        };
        context.publish(kind).await;
    }
}
