//! What a way to a machine is asked and what it answers. Every protocol has one [`Device`]; it holds the session and
//! nothing of the machine's state.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::event::Kind;
use crate::machine::amt::{AmtAsk, AmtTold};
use crate::machine::{BiosAttribute, Boot, LogEntry, Medium, Part, Sensor};
use crate::reset::{PowerState, Verb};

/// One thing asked of a way. Verbs are plain here: what a way cannot do as one is put together in [`super::errand`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Power,
    Act(Verb),
    /// Maker and model.
    Model,
    Sensors,
    /// The newest entries, oldest first.
    Log {
        limit: u32,
    },
    ClearLog,
    Boot,
    SetBoot(Boot),
    /// Start once from what this URL gives.
    BootFrom(String),
    Identify {
        seconds: u8,
    },
    Media,
    Insert {
        slot: Option<String>,
        image: String,
    },
    Eject {
        slot: Option<String>,
    },
    Bios,
    Stage(BTreeMap<String, String>),
    Parts,
    /// Trust the certificate that was shown last.
    Trust,
    /// What only Intel AMT has.
    Amt(AmtAsk),
}

/// What a way can do besides the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skill {
    /// Tell how the power stands.
    Power,
    Act,
    Model,
    Sensors,
    Log,
    Boot,
    Identify,
    Media,
    Bios,
    Parts,
    Trust,
    Amt,
    BootFrom,
}

impl Request {
    /// What a way must be able to do for it.
    #[must_use]
    pub(super) fn skill(&self) -> Skill {
        match self {
            Self::Power => Skill::Power,
            Self::Act(_) => Skill::Act,
            Self::Model => Skill::Model,
            Self::Sensors => Skill::Sensors,
            Self::Log { .. } | Self::ClearLog => Skill::Log,
            Self::Boot | Self::SetBoot(_) => Skill::Boot,
            Self::BootFrom(_) => Skill::BootFrom,
            Self::Identify { .. } => Skill::Identify,
            Self::Media | Self::Insert { .. } | Self::Eject { .. } => Skill::Media,
            Self::Bios | Self::Stage(_) => Skill::Bios,
            Self::Parts => Skill::Parts,
            Self::Trust => Skill::Trust,
            Self::Amt(_) => Skill::Amt,
        }
    }

    /// May it be asked twice without harm, and of another way after one that did not answer?
    #[must_use]
    pub(super) fn is_read(&self) -> bool {
        if let Self::Amt(ask) = self {
            return ask.is_read();
        }
        matches!(
            self,
            Self::Power
                | Self::Model
                | Self::Sensors
                | Self::Log { .. }
                | Self::Boot
                | Self::Media
                | Self::Bios
                | Self::Parts
        )
    }

    /// Longest it may take. Whoever asks by a command waits 20 s.
    #[must_use]
    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Power => 12,
            // Outlets answer when they have read it back.
            Self::Act(_) => 90,
            _ => 18,
        })
    }
}

impl Skill {
    /// After `cannot`.
    #[must_use]
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Power => "tell how the power stands",
            Self::Act => "switch the power",
            Self::Model => "tell the model",
            Self::Sensors => "read sensors",
            Self::Log => "read the machine's log",
            Self::Boot => "steer what it starts from",
            Self::Identify => "light the lamp",
            Self::Media => "play media",
            Self::Bios => "change BIOS settings",
            Self::Parts => "list parts",
            Self::Trust => "have its certificate trusted anew",
            Self::Amt => "do what Intel AMT does",
            Self::BootFrom => "start from a URL",
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    /// Done, and seen: the power was away meanwhile, or is away now.
    Cut,
    Power(Power),
    Model(String),
    Sensors(Vec<Sensor>),
    Log(Vec<LogEntry>),
    Boot(Boot),
    Media(Vec<Medium>),
    Bios(Vec<BiosAttribute>),
    Parts(Vec<Part>),
    Amt(AmtTold),
}

/// The power, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Power {
    pub(super) state: PowerState,
    /// The device says that it is on its way to another state.
    pub(super) changing: bool,
    /// Another text after each start of the machine, where the device tells such a thing.
    pub(super) mark: Option<String>,
}

/// Why a way did not do it. The text is for a person and names no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Not reached: certainly nothing was done.
    #[error("{0}")]
    Gone(String),
    /// The password, the user or the certificate is wrong: nothing was done, and asking again locks us out.
    #[error("{0}")]
    Locked(String),
    /// It answered, and will not do this: nothing was done.
    #[error("{0}")]
    Declined(String),
    /// No answer that tells: it may have been done.
    #[error("{0}")]
    Unsure(String),
}

/// An answer on its way. Dropping it gives up; what was asked may have been done.
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send + 'a>>;

/// One way to a machine, with whatever session it has. One request at a time.
pub(super) trait Device: Send {
    /// What it can do as far as it is known now; of a device that was not heard yet, what such devices usually can.
    fn skills(&self) -> &'static [Skill];

    /// The verbs that it does as one.
    fn verbs(&self) -> Vec<Verb>;

    /// Asks once. Has limits of its own, below [`Request::limit`].
    fn ask(&mut self, request: Request) -> Asking<'_>;

    /// What is to be journaled since the last call.
    fn events(&mut self) -> Vec<Kind> {
        Vec::new()
    }

    /// Gives sessions back; what it takes longer than a second is cut off.
    fn close(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }

    /// Why this verb would cut the board itself off, if it would.
    fn objection(&self, _verb: Verb, _cut_myself: bool) -> Option<String> {
        None
    }

    /// On whose behalf the next verb is, and whether it may cut the board off.
    fn act_for(&mut self, _actor: &crate::command::Actor, _cut_myself: bool) {}
}
