//! One verb on one outlet, step by step: look, ask, read back. Pure: it says what to do next and is told what came of it.
//!
//! A cycle that the device cannot do by itself is off, darkness, on; once its off has been asked, the on is owed
//! ([`Act::owes`]) whatever happens to us. A reply that was lost is never followed by the same ask before the state was
//! read, and a cycle of the device is never asked twice.

use std::time::Duration;

use super::driver::{Fault, OutletReading};
use crate::clock::Instant;
use crate::reset::{Outcome, PowerState, Verb};

/// Pauses between readings while a verb is to show. The first reading comes at once when the device took the verb: one that
/// is quick is told at once. A device that did not answer gets the pause before anything.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After a restart the LAN and the device may be late; until it is read for the first time a verb that is recalled waits so long.
const RECALL_LIMIT: Duration = Duration::from_mins(2);

/// How patient a device has to be met; see `[pdu.NAME]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) confirm: Duration,
    pub(super) off_time: Duration,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// Read the device; any reading that ends after now will do.
    Read,
    Switch(Verb),
    Wait(Instant),
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The state before, which also proves the way there.
    Look,
    Ask(Verb),
    /// Read back until it is so.
    Check {
        wants: PowerState,
        until: Instant,
    },
    /// Power is away until then.
    Dark(Instant),
    Done,
}

#[derive(Debug)]
pub(super) struct Act {
    verb: Verb,
    rules: Rules,
    stage: Stage,
    /// Nothing is done before.
    next: Instant,
    pause: Duration,
    /// The device carries the cycle out itself.
    native: bool,
    /// The off of a cycle was asked and the on is not confirmed.
    owes: bool,
    /// Of a cycle that was taken up again: when its darkness ends.
    dark_until: Option<Instant>,
    /// It was begun in an earlier life and has not been looked at since.
    recalled: bool,
    /// It was seen off, or on its way, since the cycle was asked.
    seen_dark: bool,
    /// The ask had no plain answer.
    lost: Option<String>,
    /// One more ask was made after that.
    again: bool,
    /// Why the last reading told nothing.
    deaf: Option<String>,
    last: PowerState,
    outcome: Outcome,
    why: String,
}

impl Act {
    /// Begins at `from`.
    pub(super) fn new(verb: Verb, from: Instant, rules: Rules) -> Self {
        Self {
            verb,
            rules,
            stage: Stage::Look,
            next: from,
            pause: FIRST_PAUSE,
            native: false,
            owes: false,
            dark_until: None,
            recalled: false,
            seen_dark: false,
            lost: None,
            again: false,
            deaf: None,
            last: PowerState::Unknown,
            outcome: Outcome::Running,
            why: String::new(),
        }
    }

    /// The way there is proven and the outlet known. An on or an off is asked at once: what was before makes no difference to it.
    pub(super) fn needs_no_look(&mut self) {
        if matches!(self.verb, Verb::On | Verb::ForceOff) {
            self.stage = Stage::Ask(self.verb);
        }
    }

    /// Takes up a cycle that was cut short after its off was asked; it stays dark until `until`.
    pub(super) fn resume(now: Instant, until: Instant, rules: Rules) -> Self {
        Self {
            stage: Stage::Check {
                wants: PowerState::Off,
                until,
            },
            owes: true,
            dark_until: Some(until),
            ..Self::new(Verb::PowerCycle, now, rules)
        }
    }

    /// Looks what came of a verb that was cut short, and asks nothing: it may have been done.
    pub(super) fn recall(now: Instant, verb: Verb, rules: Rules) -> Self {
        Self {
            stage: Stage::Check {
                wants: match verb {
                    Verb::ForceOff => PowerState::Off,
                    _ => PowerState::On,
                },
                until: now + RECALL_LIMIT,
            },
            // Whose cycle it was makes no difference now.
            native: true,
            recalled: true,
            lost: Some("oobd was restarted in the middle".into()),
            again: true,
            ..Self::new(verb, now, rules)
        }
    }

    pub(super) fn todo(&self, now: Instant) -> Todo {
        if matches!(self.stage, Stage::Done) {
            return Todo::Done;
        }
        if self.next > now {
            return Todo::Wait(self.next);
        }
        match self.stage {
            Stage::Look | Stage::Check { .. } => Todo::Read,
            Stage::Ask(verb) => Todo::Switch(verb),
            Stage::Dark(until) if until > now => Todo::Wait(until),
            Stage::Dark(_) => Todo::Switch(Verb::On),
            Stage::Done => Todo::Done,
        }
    }

    /// Must the outlet be switched on again, come what may? Write it down before the first `Switch` that makes it so: that
    /// is, when [`Act::will_owe`] says so.
    pub(super) fn owes(&self) -> bool {
        self.owes
    }

    /// Is the next thing to do the off of a cycle?
    pub(super) fn will_owe(&self) -> bool {
        self.verb == Verb::PowerCycle && matches!(self.stage, Stage::Ask(Verb::ForceOff))
    }

    /// What came of it, and why, once it is done.
    pub(super) fn outcome(&self) -> (Outcome, &str) {
        (self.outcome, &self.why)
    }

    /// Ends it without another ask.
    pub(super) fn fail(&mut self, why: impl Into<String>) {
        self.end(Outcome::Failed, why);
    }

    /// Ends it, for nobody is there to see it through.
    pub(super) fn give_up(&mut self, why: &str) {
        match self.stage {
            Stage::Look | Stage::Ask(_) => self.fail(format!("nothing was asked of it: {why}")),
            Stage::Check { .. } | Stage::Dark(_) => self.end(Outcome::Unconfirmed, why),
            Stage::Done => {}
        }
    }

    fn end(&mut self, outcome: Outcome, why: impl Into<String>) {
        (self.outcome, self.why) = (outcome, why.into());
        self.stage = Stage::Done;
        self.owes &= self.still_dark();
    }

    /// It is over, and there is reason to think that the outlet has no power.
    pub(super) fn still_dark(&self) -> bool {
        let doubt = self.outcome == Outcome::Failed || self.lost.is_some();
        match self.last {
            PowerState::On => false,
            PowerState::Off => true,
            PowerState::Unknown => doubt || self.deaf.is_some(),
        }
    }

    fn check(&mut self, now: Instant, wants: PowerState, patience: Duration) {
        let until = now + patience;
        self.stage = Stage::Check { wants, until };
        self.pause = FIRST_PAUSE;
        self.next = match self.lost {
            None => now,
            Some(_) => now + self.pause,
        };
    }

    /// The device has been asked what [`Act::todo`] said.
    pub(super) fn asked(&mut self, now: Instant, verb: Verb, answer: Result<(), Fault>) {
        self.lost = None;
        match answer {
            Ok(()) => {}
            Err(fault @ (Fault::Silent(_) | Fault::Odd(_))) => self.lost = Some(fault.to_string()),
            Err(fault) if self.owes => {
                // The off was done; the on is refused, and stays owed.
                self.end(
                    Outcome::Failed,
                    format!("it is not switched on again: {fault}"),
                );
                return;
            }
            Err(fault) => return self.end(Outcome::Failed, fault.to_string()),
        }
        let emulated = self.verb == Verb::PowerCycle && !self.native;
        match verb {
            Verb::ForceOff => {
                self.owes |= emulated;
                self.check(now, PowerState::Off, self.rules.confirm);
            }
            Verb::PowerCycle => {
                self.check(
                    now,
                    PowerState::On,
                    self.rules.confirm + self.rules.off_time,
                );
            }
            _ => self.check(now, PowerState::On, self.rules.confirm),
        }
    }

    /// The device was read after [`Act::todo`] asked for it. `None`: it has no such outlet.
    pub(super) fn read(&mut self, now: Instant, reading: Result<Option<&OutletReading>, &Fault>) {
        match reading {
            Ok(Some(outlet)) => {
                self.deaf = None;
                self.last = outlet.state;
                if std::mem::take(&mut self.recalled)
                    && let Stage::Check { until, .. } = &mut self.stage
                {
                    *until = now + self.rules.confirm + self.rules.off_time;
                }
                self.seen(now, outlet);
            }
            Ok(None) => {
                self.last = PowerState::Unknown;
                self.deaf = Some("it says nothing of this outlet".into());
                if matches!(self.stage, Stage::Look) {
                    self.fail("the device has no such outlet; nothing was asked of it");
                }
            }
            Err(fault) => {
                self.last = PowerState::Unknown;
                self.deaf = Some(fault.to_string());
                match (self.stage, fault) {
                    (Stage::Look, _) => self.fail(format!("nothing was asked of it: {fault}")),
                    // Asking on would lock accounts.
                    (Stage::Check { .. }, Fault::Refused(_) | Fault::Changed { .. }) => {
                        self.end(Outcome::Unconfirmed, fault.to_string());
                    }
                    _ => {}
                }
            }
        }
        if let Stage::Check { wants, until } = self.stage {
            self.next = now + self.pause;
            self.pause = self.pause.mul_f32(1.5).min(LONGEST_PAUSE);
            if now >= until {
                self.overdue(now, wants);
            }
        }
    }

    fn seen(&mut self, now: Instant, outlet: &OutletReading) {
        match self.stage {
            Stage::Look => {
                self.native = outlet.cycles;
                self.stage = match self.verb {
                    Verb::PowerCycle if !self.native => Stage::Ask(Verb::ForceOff),
                    verb => Stage::Ask(verb),
                };
                self.next = now;
            }
            Stage::Check { wants, .. } => {
                self.seen_dark |= outlet.in_transition || outlet.state == PowerState::Off;
                let settled = outlet.state == wants && !outlet.in_transition;
                let cycled = self.verb != Verb::PowerCycle || self.seen_dark;
                match wants {
                    PowerState::Off if settled && self.owes => {
                        let until = self.dark_until.unwrap_or(now + self.rules.off_time);
                        self.stage = Stage::Dark(until);
                        self.next = now;
                    }
                    PowerState::Off | PowerState::Unknown if settled => {
                        self.end(Outcome::Confirmed, "");
                    }
                    PowerState::On if settled && cycled => self.end(Outcome::Confirmed, ""),
                    PowerState::On if settled && self.owes => {
                        // It is on and never was off: more reading shows no more.
                        self.end(Outcome::Unconfirmed, self.never_dark());
                    }
                    _ if self.may_ask_again(outlet) => {
                        self.again = true;
                        self.stage = Stage::Ask(match wants {
                            PowerState::Off => Verb::ForceOff,
                            _ => Verb::On,
                        });
                        self.next = now;
                    }
                    _ => {}
                }
            }
            Stage::Ask(_) | Stage::Dark(_) | Stage::Done => {}
        }
    }

    /// The answer was lost, and the state shows that nothing was done: on and off may be said once more. A cycle may not.
    fn may_ask_again(&self, outlet: &OutletReading) -> bool {
        let plain = !self.native || self.verb != Verb::PowerCycle;
        let still = outlet.state != PowerState::Unknown && !outlet.in_transition;
        self.lost.is_some() && !self.again && plain && still
    }

    fn never_dark(&self) -> String {
        match &self.lost {
            Some(lost) => format!("{lost}; it is on, and was never seen off"),
            None => "it is on, and was never seen off".into(),
        }
    }

    /// The deadline has passed and it is not as it should be.
    fn overdue(&mut self, now: Instant, wants: PowerState) {
        if wants == PowerState::Off && self.owes {
            // Whatever it was that it did not show: it ends in on.
            self.again = false;
            self.stage = Stage::Ask(Verb::On);
            self.next = now;
            return;
        }
        let (last, lost) = (self.last, self.lost.clone());
        let why = match (&self.deaf, last) {
            (Some(deaf), _) => deaf.clone(),
            (None, PowerState::Unknown) => "the device does not say how it stands".into(),
            (None, PowerState::On) if wants == PowerState::On => "it was never seen off".into(),
            (None, state) => format!("it still says {state}"),
        };
        match lost {
            // Read, and it shows the contrary: it was not done.
            Some(lost) if self.deaf.is_none() && last != PowerState::Unknown && last != wants => {
                self.end(Outcome::Failed, format!("{lost}; {why}"));
            }
            Some(lost) if lost != why => self.end(Outcome::Unconfirmed, format!("{lost}; {why}")),
            _ => self.end(Outcome::Unconfirmed, why),
        }
    }
}

#[cfg(test)]
#[path = "act_tests.rs"]
mod tests;
