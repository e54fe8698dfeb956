//! Shows the OOB indicator of the state on a lamp of the board. Owns the lamp while it runs, never the state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use super::Error;
use crate::state::State;
use crate::supervisor::context::Context;

/// Where the kernel keeps its lamps.
const LEDS: &str = "/sys/class/leds";
/// A lamp that is not there, or that somebody else changed, is looked after this often.
const AGAIN: Duration = Duration::from_secs(10);

/// Runs the lamp until stopped. Without a configured lamp it only waits.
///
/// # Errors
/// None: a lamp that is missing is logged once and looked for again.
pub async fn run(
    ctx: Context,
    led: Option<String>,
    state: watch::Receiver<State>,
) -> Result<(), Error> {
    run_at(ctx, Path::new(LEDS), led, state).await
}

async fn run_at(
    ctx: Context,
    leds: &Path,
    led: Option<String>,
    mut state: watch::Receiver<State>,
) -> Result<(), Error> {
    let mut pulse = ctx.pulse.clone();
    let mut lamp = led.map(|name| Lamp::new(leds.join(name)));
    loop {
        if let Some(lamp) = &mut lamp {
            let on = state.borrow_and_update().oob;
            lamp.show(on).await;
        }
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe per docs on watch::Receiver::changed(); an error means the board stops, then the token ends us
            changed = state.changed() => if changed.is_err() { ctx.stop.cancelled().await; break },
            // cancel-safe: a timer has nothing to lose
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
    if let Some(lamp) = lamp {
        lamp.restore().await;
    }
    Ok(())
}

struct Lamp {
    dir: PathBuf,
    /// The trigger it had before us, e.g. `mmc0`; `None` until the lamp was ours.
    before: Option<String>,
    missing_told: bool,
}

impl Lamp {
    fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            before: None,
            missing_told: false,
        }
    }

    /// Level, not edge: writes only what differs, so a lamp that came back or was changed is put right.
    async fn show(&mut self, on: bool) {
        match self.try_show(on).await {
            Ok(()) => self.missing_told = false,
            Err(error) if !self.missing_told => {
                tracing::warn!(lamp = %self.dir.display(), %error, "the OOB lamp cannot be used; looked for again");
                self.missing_told = true;
            }
            Err(_) => {}
        }
    }

    async fn try_show(&mut self, on: bool) -> std::io::Result<()> {
        let trigger = chosen(&tokio::fs::read_to_string(self.dir.join("trigger")).await?);
        if trigger != "none" {
            self.before.get_or_insert(trigger);
            tokio::fs::write(self.dir.join("trigger"), "none").await?;
        }
        let brightness = self.dir.join("brightness");
        let lit = tokio::fs::read_to_string(&brightness).await?.trim() != "0";
        if lit != on {
            tokio::fs::write(&brightness, if on { "1" } else { "0" }).await?;
        }
        Ok(())
    }

    async fn restore(self) {
        if let Some(trigger) = self.before {
            let file = self.dir.join("trigger");
            if let Err(error) = tokio::fs::write(&file, trigger).await {
                tracing::warn!(file = %file.display(), %error, "the OOB lamp was not given back");
            }
        }
    }
}

/// The trigger in brackets in the kernel's list, e.g. `none [mmc0] timer`.
fn chosen(list: &str) -> String {
    let inner = list
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or(list.trim(), |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trigger_in_force_stands_in_brackets() {
        assert_eq!(chosen("none rc-feedback [mmc0] timer\n"), "mmc0");
        assert_eq!(chosen("[none] mmc0\n"), "none");
        assert_eq!(chosen("none\n"), "none");
    }

    #[tokio::test]
    async fn a_lamp_follows_and_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join("act").join(name)).unwrap();
        let mut lamp = Lamp::new(dir.path().join("act"));
        lamp.show(true).await; // missing: logged, no panic
        std::fs::create_dir(dir.path().join("act")).unwrap();
        std::fs::write(dir.path().join("act/trigger"), "none [mmc0]\n").unwrap();
        std::fs::write(dir.path().join("act/brightness"), "0\n").unwrap();
        lamp.show(true).await;
        assert_eq!(
            (read("trigger").as_str(), read("brightness").as_str()),
            ("none", "1")
        );
        lamp.show(false).await;
        assert_eq!(read("brightness"), "0");
        lamp.restore().await;
        assert_eq!(read("trigger"), "mmc0");
    }
}
