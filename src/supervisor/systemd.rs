//! What systemd is told. Outside systemd every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
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

pub(super) fn pet() {
    say(NotifyState::Watchdog);
}

pub(super) fn stopping() {
    say(NotifyState::Stopping);
}

fn say(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
