//! Holds the line in break for a while, beside the owner. Always ends a break it began.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::tty;
use crate::command::{Refusal, Reply};

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

/// Begins, waits, ends. `cut` ends it early: the port is lost or the console stops.
///
/// The ioctls run on the blocking pool: on a USB adapter each is a transfer that may take seconds.
pub(super) async fn hold(
    control: OwnedFd,
    length: Duration,
    cut: CancellationToken,
    asked: Asked,
) -> Over {
    let control = Arc::new(control);
    let fault = match switch(&control, true).await {
        Err(error) => Some(error.to_string()),
        Ok(()) => {
            tokio::select! {
                // cancel-safe: a timer has nothing to lose
                () = sleep(length) => {}
                // cancel-safe per docs on CancellationToken::cancelled()
                () = cut.cancelled() => {}
            }
            if let Err(error) = switch(&control, false).await {
                // Some bridges answer EPIPE though the line is back; a port that is gone has no break either.
                tracing::warn!(%error, "the driver reports a fault at the end of a break");
            }
            None
        }
    };
    Over {
        asked,
        length,
        fault,
    }
}

async fn switch(control: &Arc<OwnedFd>, on: bool) -> std::io::Result<()> {
    let control = control.clone();
    tokio::task::spawn_blocking(move || tty::hold_break(control.as_fd(), on))
        .await
        .map_err(std::io::Error::other)?
}
