//! The device's side of a session: output, gaps and notices to the client. Never types.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::{Ended, Gone, Screen};
use crate::command::{Output, Outputs};

/// Carries the device's output to the client. A client that does not read lags in the console's ring alone.
/// `heard` is when the device last spoke.
pub(super) async fn show(
    output: &mut Outputs,
    screen: &impl Screen,
    heard: &Mutex<Instant>,
) -> Result<Ended, Gone> {
    while let Some(piece) = output.recv().await {
        set(heard);
        match piece {
            Output::Bytes(bytes) => screen.bytes(bytes).await?,
            Output::Reached { offset } => screen.reached(offset).await?,
            Output::Gap { bytes } => screen.gap(bytes).await?,
            Output::Notice(text) => screen.notice(&text).await?,
            Output::Ended(why) => return Ok(Ended::Port(why)),
        }
        set(heard);
    }
    Ok(Ended::Port("the console ended".into()))
}

pub(super) fn set(heard: &Mutex<Instant>) {
    *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}
