//! The thread that reads the supplicant's events. Never sends a command after ATTACH: a second request would upset their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Error, Event, Report, parse};
use crate::clock::Instant;

/// The crate gives no descriptor to wait on, so it is asked this often while things happen …
const BUSY_PITCH: Duration = Duration::from_millis(8);
/// … and this often after nothing happened for [`BUSY_FOR`].
const QUIET_PITCH: Duration = Duration::from_millis(40);
const BUSY_FOR: Duration = Duration::from_secs(3);

/// One life of the event socket. `ended` is raised by either side and then ends both.
pub(super) struct Reader {
    pub(super) client: wpactrl::ClientAttached,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) ended: Arc<AtomicBool>,
}

impl Reader {
    /// Runs until the session ends; the error is why the reader itself ended it.
    pub(super) fn run(mut self) -> Option<Error> {
        let mut last = Instant::now();
        while !self.ended.load(Ordering::Relaxed) {
            match self.client.recv() {
                Ok(None) => {
                    let quiet = last.elapsed() > BUSY_FOR;
                    #[allow(clippy::disallowed_methods, reason = "this is a thread, no task")]
                    std::thread::sleep(if quiet { QUIET_PITCH } else { BUSY_PITCH });
                }
                Ok(Some(message)) => {
                    last = Instant::now();
                    tracing::trace!(message, "wpa_supplicant says");
                    let Some(event) = parse::event(&message) else {
                        continue;
                    };
                    if event == Event::Terminating {
                        self.ended.store(true, Ordering::Relaxed);
                        return Some(Error::Terminating);
                    }
                    if self.reports.blocking_send(Report::Event(event)).is_err() {
                        self.ended.store(true, Ordering::Relaxed);
                    }
                }
                Err(error) => {
                    self.ended.store(true, Ordering::Relaxed);
                    return Some(Error::Events(super::plain(error)));
                }
            }
        }
        None
    }
}
