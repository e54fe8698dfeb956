//! Power: the state, and resets by what they are for rather than by what a controller calls them.

use serde_json::{Value, json};
use tokio::time::sleep;

use super::read::{self, action, action_info};
use super::types::Power;
use super::{Bmc, Error};
use crate::clock::Instant;

const RESET: &str = "#ComputerSystem.Reset";
const KIND: &str = "ResetType";

/// What somebody wants of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    On,
    /// At once, whatever runs.
    Off,
    /// By asking the operating system.
    GracefulOff,
    /// By asking the operating system.
    GracefulRestart,
    /// At once, whatever runs.
    Restart,
    /// Off for a moment.
    Cycle,
    /// A diagnostic interrupt.
    Nmi,
}

impl Intent {
    /// Ways to get there by reset types, best first; several in one way are done one after the other.
    #[must_use]
    pub fn ways(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::On => &[&["On"], &["ForceOn"], &["PushPowerButton"]],
            Self::Off => &[&["ForceOff"]],
            Self::GracefulOff => &[&["GracefulShutdown"], &["PushPowerButton"]],
            Self::GracefulRestart => &[&["GracefulRestart"]],
            Self::Restart => &[&["ForceRestart"], &["PowerCycle"], &["ForceOff", "On"]],
            Self::Cycle => &[&["PowerCycle"], &["ForceOff", "On"]],
            Self::Nmi => &[&["Nmi"]],
        }
    }

    /// The ways that fit what the controller says it takes; all when it says nothing. The power button does what is wanted in
    /// one state only.
    #[must_use]
    pub fn possible(self, allowed: &[String], power: Power) -> Vec<&'static [&'static str]> {
        let takes = |kind: &str| allowed.is_empty() || allowed.iter().any(|had| had == kind);
        let fits = |kind: &str| {
            kind != "PushPowerButton"
                || match self {
                    Self::On => power == Power::Off,
                    _ => power == Power::On,
                }
        };
        let ways = self.ways().iter().copied();
        ways.filter(|way| way.iter().all(|kind| takes(kind) && fits(kind)))
            .collect()
    }
}

/// What came of a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The reset types that were taken, in order.
    pub kinds: Vec<String>,
    /// Those before them, and why they were not.
    pub refused: Vec<(String, String)>,
}

impl Bmc {
    /// The state of the machine.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn power(&mut self) -> Result<Power, Error> {
        let (_, machine) = self.machine().await?;
        Ok(read::power(&machine))
    }

    /// The reset types that the controller says it takes; none when it does not say.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn reset_types(&mut self) -> Result<Vec<String>, Error> {
        let (_, machine) = self.machine().await?;
        Ok(self.reset_action(&machine).await?.1)
    }

    async fn reset_action(&mut self, machine: &Value) -> Result<(String, Vec<String>), Error> {
        let Some(action) = action(machine, RESET, KIND) else {
            return Err(self.unsupported("reset"));
        };
        let allowed = match action.info {
            Some(info) if action.allowed.is_empty() => {
                let info = self.get(&info).await;
                info.map(|info| action_info(&info, KIND))
                    .unwrap_or_default()
            }
            _ => action.allowed,
        };
        Ok((action.target, allowed))
    }

    /// Resets the machine, by the first way that the controller takes. What it advertises and then refuses is passed over. It has
    /// begun when this is back: read the state to see it done.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when there is no way; any other [`Error`], after which [`Error::maybe_done`] tells whether to look.
    pub async fn reset(&mut self, intent: Intent) -> Result<Used, Error> {
        let (_, machine) = self.machine().await?;
        let (target, allowed) = self.reset_action(&machine).await?;
        let mut refused = Vec::new();
        let mut last = None;
        for way in intent.possible(&allowed, read::power(&machine)) {
            match self.reset_so(&target, way).await {
                Ok(()) => {
                    let kinds = way.iter().map(ToString::to_string).collect();
                    return Ok(Used { kinds, refused });
                }
                Err((first, error)) if first && is_untaken(&error) => {
                    refused.push((way.join("+"), error.to_string()));
                    last = Some(error);
                }
                Err((_, error)) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let has = allowed.join(", ");
            self.unsupported(&format!("way to do {intent:?}; it takes {has}"))
        }))
    }

    /// Says with an error whether it was the first step: then nothing has happened.
    async fn reset_so(&mut self, target: &str, way: &[&str]) -> Result<(), (bool, Error)> {
        for (at, kind) in way.iter().enumerate() {
            if at > 0 {
                self.wait_off().await.map_err(|error| (false, error))?;
            }
            let body = json!({ KIND: kind });
            let what = format!("the reset {kind}");
            let done = self.post(&what, target, Some(&body)).await;
            done.map_err(|error| (at == 0, error))?;
        }
        Ok(())
    }

    /// Waits until the machine is off.
    async fn wait_off(&mut self) -> Result<(), Error> {
        let limit = self.access.patience.task;
        let end = Instant::now() + limit;
        while self.power().await? != Power::Off {
            if Instant::now() > end {
                return Err(Error::Unfinished {
                    host: self.host.clone(),
                    what: "the machine's way off".to_owned(),
                    limit,
                });
            }
            sleep(self.access.patience.step).await;
        }
        Ok(())
    }
}

/// Did the controller refuse this kind of reset, rather than any?
fn is_untaken(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused {
            status: 400 | 404 | 405 | 501,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_fit_what_is_taken_and_the_state() {
        let all = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (intent, allowed, power, first) in [
            (
                Intent::Restart,
                &["On", "ForceOff"][..],
                Power::On,
                Some(&["ForceOff", "On"][..]),
            ),
            (
                Intent::Restart,
                &["PowerCycle", "ForceRestart"],
                Power::On,
                Some(&["ForceRestart"]),
            ),
            (Intent::Cycle, &["ForceRestart"], Power::On, None),
            (
                Intent::GracefulOff,
                &["PushPowerButton"],
                Power::On,
                Some(&["PushPowerButton"]),
            ),
            (Intent::GracefulOff, &["PushPowerButton"], Power::Off, None),
            (
                Intent::GracefulOff,
                &["PushPowerButton"],
                Power::Unknown,
                None,
            ),
            (
                Intent::On,
                &["PushPowerButton"],
                Power::Off,
                Some(&["PushPowerButton"]),
            ),
            (Intent::On, &["PushPowerButton"], Power::On, None),
            (Intent::Nmi, &[], Power::Unknown, Some(&["Nmi"])),
        ] {
            let ways = intent.possible(&all(allowed), power);
            assert_eq!(
                ways.first().copied(),
                first,
                "{intent:?} {allowed:?} {power:?}"
            );
        }
    }
}
