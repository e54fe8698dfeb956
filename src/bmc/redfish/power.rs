//! Power: the state, and resets by what they are for rather than by what a controller calls them.

use serde_json::{Value, json};

use super::read::{self, action, action_info};
use super::types::Power;
use super::{Bmc, Error};

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
    /// Reset types that get there at once, best first. What takes two of them is for who remembers, over a crash, that the machine
    /// is owed its power.
    #[must_use]
    pub fn ways(self) -> &'static [&'static str] {
        match self {
            Self::On => &["On", "ForceOn", "PushPowerButton"],
            Self::Off => &["ForceOff"],
            Self::GracefulOff => &["GracefulShutdown", "PushPowerButton"],
            Self::GracefulRestart => &["GracefulRestart"],
            Self::Restart => &["ForceRestart", "PowerCycle"],
            Self::Cycle => &["PowerCycle"],
            Self::Nmi => &["Nmi"],
        }
    }

    /// The ways that fit what the controller says it takes; all when it says nothing. The power button does what is wanted in
    /// one state only.
    #[must_use]
    pub fn possible(self, allowed: &[String], power: Power) -> Vec<&'static str> {
        let takes = |kind: &str| allowed.is_empty() || allowed.iter().any(|had| had == kind);
        let fits = |kind: &str| {
            kind != "PushPowerButton"
                || match self {
                    Self::On => power == Power::Off,
                    _ => power == Power::On,
                }
        };
        let ways = self.ways().iter().copied();
        ways.filter(|kind| takes(kind) && fits(kind)).collect()
    }
}

/// What came of a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The reset type that was taken.
    pub kind: &'static str,
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
        for kind in intent.possible(&allowed, read::power(&machine)) {
            let what = format!("the reset {kind}");
            let body = json!({ KIND: kind });
            match self.post(&what, &target, Some(&body)).await {
                Ok(_) => return Ok(Used { kind, refused }),
                Err(error) if is_untaken(&error) => {
                    refused.push((kind.to_owned(), error.to_string()));
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let has = allowed.join(", ");
            self.unsupported(&format!("way to do {intent:?}; it takes {has}"))
        }))
    }
}

/// Did the controller refuse this kind of reset, rather than any?
#[must_use]
pub fn is_untaken(error: &Error) -> bool {
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
            (Intent::Restart, &["On", "ForceOff"][..], Power::On, None),
            (
                Intent::Restart,
                &["PowerCycle", "ForceRestart"],
                Power::On,
                Some("ForceRestart"),
            ),
            (Intent::Cycle, &["ForceRestart"], Power::On, None),
            (
                Intent::GracefulOff,
                &["PushPowerButton"],
                Power::On,
                Some("PushPowerButton"),
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
                Some("PushPowerButton"),
            ),
            (Intent::On, &["PushPowerButton"], Power::On, None),
            (Intent::Nmi, &[], Power::Unknown, Some("Nmi")),
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
