//! Holds the line in break for a while, beside the owner. Always ends a break it began.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::port::Control;
use crate::command::{Refusal, Reply};
use crate::fault;
use crate::line::Order;

/// Used when a break of 0 ms is asked for; long enough for Cisco ROMMON and Linux SysRq.
const USUAL: Duration = Duration::from_millis(300);
/// A longer break is a mistake: the device sees a dead line.
const LONGEST: Duration = Duration::from_secs(5);

/// Who asked, and how to answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub user: String,
    /// Set when it came as a command; a session gets a notice instead.
    pub reply: Option<oneshot::Sender<Result<Reply, Refusal>>>,
}

/// A break that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub asked: Asked,
    pub length: Duration,
    /// Why the line never went into break.
    pub fault: Option<String>,
}

/// The length that will be held for so many milliseconds asked.
#[must_use]
pub(super) fn length(millis: u64) -> Duration {
    match millis {
        0 => USUAL,
        _ => Duration::from_millis(millis).min(LONGEST),
    }
}

/// Begins, waits, ends; or has the far side do so. `cut` ends it early: the port is lost or the console stops.
pub(super) async fn hold(
    control: Arc<dyn Control>,
    length: Duration,
    cut: CancellationToken,
    asked: Asked,
) -> Over {
    let fault = match control.timed_break(length) {
        Some(sending) => sending.await.err(),
        None => match control.apply(Order::Break(true)).await {
            Err(error) => Some(error),
            Ok(_) => {
                wait(length, cut).await;
                if let Err(error) = control.apply(Order::Break(false)).await {
                    // Some bridges answer EPIPE though the line is back; a port that is gone has no break either.
                    let error = fault::chain(&error);
                    tracing::warn!(error, "the port reports a fault at the end of a break");
                }
                None
            }
        },
    };
    Over {
        asked,
        length,
        fault: fault.map(|error| fault::chain(&error)),
    }
}

async fn wait(length: Duration, cut: CancellationToken) {
    tokio::select! {
        // cancel-safe: a timer has nothing to lose
        () = sleep(length) => {}
        // cancel-safe per docs on CancellationToken::cancelled()
        () = cut.cancelled() => {}
    }
}
