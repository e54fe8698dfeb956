//! Power in DMTF's words: the verbs, the states, and what came of a verb. Imports nothing of ours but the clock.
//!
//! Spelling follows `Resource.ResetType`, `Resource.PowerState` and `Outlet.PowerControl` of the Redfish schema.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What may be asked of the power of an outlet or a machine. Outlets know `On`, `ForceOff` and `PowerCycle` only.
/// Append variants only: postcard carries them over the control socket and into the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verb {
    On,
    /// Off at once; of an outlet, plainly off.
    ForceOff,
    /// The operating system is asked to end and to switch off.
    GracefulShutdown,
    /// Reset without asking the operating system.
    ForceRestart,
    GracefulRestart,
    /// Power away, a pause, power back.
    PowerCycle,
    /// A diagnostic interrupt; the power stays as it is.
    Nmi,
}

/// Every verb, the mildest first.
pub const VERBS: [Verb; 7] = [
    Verb::On,
    Verb::GracefulShutdown,
    Verb::GracefulRestart,
    Verb::Nmi,
    Verb::ForceRestart,
    Verb::PowerCycle,
    Verb::ForceOff,
];

impl Verb {
    /// How the power stands once the verb is done; `None` where it stays as it was.
    #[must_use]
    pub fn leads_to(self) -> Option<PowerState> {
        match self {
            Self::On | Self::ForceRestart | Self::GracefulRestart | Self::PowerCycle => {
                Some(PowerState::On)
            }
            Self::ForceOff | Self::GracefulShutdown => Some(PowerState::Off),
            Self::Nmi => None,
        }
    }

    /// Does somebody lose work when it is given by mistake? Then doors ask first.
    #[must_use]
    pub fn is_destructive(self) -> bool {
        self != Self::On
    }

    /// Is the power away at the end or for a while?
    #[must_use]
    pub fn cuts(self) -> bool {
        matches!(
            self,
            Self::ForceOff | Self::PowerCycle | Self::GracefulShutdown
        )
    }

    /// May it be asked of an outlet?
    #[must_use]
    pub fn is_for_outlets(self) -> bool {
        matches!(self, Self::On | Self::ForceOff | Self::PowerCycle)
    }

    /// The word of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::ForceOff => "off",
            Self::GracefulShutdown => "shutdown",
            Self::ForceRestart => "reset",
            Self::GracefulRestart => "restart",
            Self::PowerCycle => "cycle",
            Self::Nmi => "nmi",
        }
    }
}

/// The word of the command line.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The word of the command line, or DMTF's spelling.
impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = VERBS
            .into_iter()
            .find(|verb| verb.word() == text || format!("{verb:?}") == text);
        found.ok_or_else(|| {
            let words: Vec<&str> = VERBS.iter().map(|verb| verb.word()).collect();
            format!("expected one of {}", words.join(", "))
        })
    }
}

/// How the power of an outlet or a machine stands. What cannot be read is unknown, and never off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerState {
    On,
    Off,
    #[default]
    Unknown,
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Unknown => "unknown",
        })
    }
}

/// Where a verb is, or what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not over yet.
    Running,
    /// Read back: it is so.
    Confirmed,
    /// The device took it, and what it says of itself does not show it (or it says nothing).
    Unconfirmed,
    /// The device refused, or was not reached.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
            Self::Failed => "failed",
        })
    }
}

/// One verb on its way, or the last one that was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Grows with each action of the same owner, reboots included; what `Reply::Started` gave.
    pub id: u64,
    pub verb: Verb,
    /// Who asked, e.g. `alice (ssh 172.20.10.1:50122)`.
    pub by: String,
    pub began: Timestamp,
    pub outcome: Outcome,
    /// From the ask to the outcome, in milliseconds; so far, while it runs.
    pub millis: u64,
    /// For a person: why it failed or stayed unconfirmed; empty when there is nothing to say.
    pub why: String,
    /// What was tried, in order; one entry for an outlet.
    pub trail: Vec<Try>,
}

impl Action {
    /// Is this the outcome of the action with this number, or of one that came after it?
    #[must_use]
    pub fn is_outcome_of(&self, number: u64) -> bool {
        self.id >= number && self.outcome != Outcome::Running
    }
}

/// `off confirmed after 1.2 s`, and why it did not end well.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.millis.div_ceil(100);
        let (verb, outcome) = (self.verb, self.outcome);
        write!(
            f,
            "{verb} {outcome} after {}.{} s",
            tenths / 10,
            tenths % 10
        )?;
        if self.why.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.why)
    }
}

/// One way of a machine's power that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// As oobd.toml names it: `ipmi`, `redfish`, `outlets`, `wol` …
    pub method: String,
    pub outcome: Outcome,
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_reads_back_by_both_its_names() {
        for verb in VERBS {
            assert_eq!(verb.word().parse(), Ok(verb));
            assert_eq!(format!("{verb:?}").parse(), Ok(verb));
        }
        assert!("Off".parse::<Verb>().unwrap_err().contains("off"));
    }
}
