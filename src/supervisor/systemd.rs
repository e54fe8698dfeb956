//! What systemd is told. Outside systemd every call does nothing. None waits for it: a service manager that does not read must not
//! hold up who serves people.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Question and watchdog period where no watchdog asks for a shorter one.
const PULSE: Duration = Duration::from_secs(5);

/// Ticks at which owners are asked for their pulse: a quarter of the watchdog's patience or 5 s, the shorter.
pub(super) fn pulse() -> Interval {
    let patience = sd_notify::watchdog_enabled().map_or(PULSE, |patience| patience / 4);
    let mut ticks = interval(patience.clamp(Duration::from_millis(250), PULSE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(super) fn ready() {
    say(NotifyState::Ready);
}

/// Left out while the one before still waits: then systemd does not read, and another one would change nothing.
pub(super) fn pet() {
    static WAITS: AtomicBool = AtomicBool::new(false);
    if WAITS.swap(true, Ordering::AcqRel) {
        return;
    }
    drop(spawn_blocking(|| {
        tell(NotifyState::Watchdog);
        WAITS.store(false, Ordering::Release);
    }));
}

pub(super) fn stopping() {
    say(NotifyState::Stopping);
}

fn say(state: NotifyState<'static>) {
    drop(spawn_blocking(move || tell(state)));
}

/// Blocks as long as the socket is full.
fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
