//! A device for tests of the order of things: it does what its script says, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::device::{Answer, Asking, Device, Fault, Power, Request, Skill};
use crate::clock::Instant;
use crate::machine::LogEntry;
use crate::reset::{PowerState, Verb};

/// What a machine does that is driven by hand.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) state: PowerState,
    /// The state that comes, and when.
    pub(super) soon: VecDeque<(Instant, PowerState)>,
    /// How each verb ends before anything else is looked at.
    pub(super) faults: VecDeque<Fault>,
    /// Every question ends so.
    pub(super) dead: Option<Fault>,
    /// Verbs are taken and nothing happens.
    pub(super) stuck: bool,
    /// A verb that ends in a fault is carried out all the same.
    pub(super) deaf: bool,
    /// How long a verb takes to show.
    pub(super) slow: Duration,
    pub(super) log: Vec<LogEntry>,
    pub(super) asked: Vec<Request>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            state: PowerState::On,
            soon: VecDeque::new(),
            faults: VecDeque::new(),
            dead: None,
            stuck: false,
            deaf: false,
            slow: Duration::from_secs(1),
            log: Vec::new(),
            asked: Vec::new(),
        }
    }
}

impl Script {
    /// The verbs it was given so far.
    pub(super) fn verbs(&self) -> Vec<Verb> {
        let verb = |request: &Request| match request {
            Request::Act(verb) => Some(*verb),
            _ => None,
        };
        self.asked.iter().filter_map(verb).collect()
    }

    fn now(&mut self) -> PowerState {
        while let Some((at, state)) = self.soon.front().copied()
            && Instant::now() >= at
        {
            self.state = state;
            self.soon.pop_front();
        }
        self.state
    }

    fn act(&mut self, verb: Verb) {
        if self.stuck {
            return;
        }
        let at = Instant::now() + self.slow;
        match verb {
            Verb::On => self.soon.push_back((at, PowerState::On)),
            Verb::ForceOff | Verb::GracefulShutdown => {
                self.soon.push_back((at, PowerState::Off));
            }
            Verb::PowerCycle => {
                self.soon.push_back((at, PowerState::Off));
                let back = at + Duration::from_secs(1);
                self.soon.push_back((back, PowerState::On));
            }
            Verb::ForceRestart | Verb::GracefulRestart | Verb::Nmi => {}
        }
    }
}

pub(super) type Shared = Arc<Mutex<Script>>;

pub(super) struct Scripted {
    pub(super) script: Shared,
    pub(super) verbs: Vec<Verb>,
    pub(super) skills: &'static [Skill],
}

impl Device for Scripted {
    fn skills(&self) -> &'static [Skill] {
        self.skills
    }

    fn verbs(&self) -> Vec<Verb> {
        self.verbs.clone()
    }

    fn ask(&mut self, request: Request) -> Asking<'_> {
        Box::pin(async move {
            let dead = self.script.lock().unwrap().dead.clone();
            if dead.is_some() {
                // A device that is away costs time.
                sleep(Duration::from_secs(5)).await;
            }
            let mut script = self.script.lock().unwrap();
            script.asked.push(request.clone());
            if let Some(fault) = dead {
                return Err(fault);
            }
            match request {
                Request::Power => Ok(Answer::Power(Power {
                    state: script.now(),
                    ..Power::default()
                })),
                Request::Act(verb) => {
                    if let Some(fault) = script.faults.pop_front() {
                        if script.deaf {
                            script.act(verb);
                        }
                        return Err(fault);
                    }
                    script.act(verb);
                    Ok(Answer::Done)
                }
                Request::Log { .. } => Ok(Answer::Log(script.log.clone())),
                Request::Model => Ok(Answer::Model("Scripted 1".into())),
                Request::Sensors => Ok(Answer::Sensors(Vec::new())),
                _ => Ok(Answer::Done),
            }
        })
    }
}
