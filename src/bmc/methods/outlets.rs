//! The outlets of a machine as one way to its power: all of them, on as many PDUs as there are. Asks their owners by
//! command and reads their state; knows no PDU.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::bmc::device::{Answer, Asking, Device, Fault, Power, Request, Skill};
use crate::command::{Actor, Command, Commands, Refusal, Reply};
use crate::config::{OURS, OutletRef};
use crate::fact::Outlet;
use crate::reset::{Outcome, PowerState, Verb};
use crate::state::State;

/// Longest a PDU may take for its outlets, readings back and pauses between them included.
const LIMIT: Duration = Duration::from_secs(80);

pub(in crate::bmc) struct Outlets {
    outlets: Vec<OutletRef>,
    commands: Commands,
    state: watch::Receiver<State>,
    actor: Actor,
    cut_myself: bool,
}

impl Outlets {
    #[must_use]
    pub(in crate::bmc) fn new(
        owner: &str,
        outlets: Vec<OutletRef>,
        commands: Commands,
        state: watch::Receiver<State>,
    ) -> Self {
        Self {
            outlets,
            commands,
            state,
            actor: Actor::Owner(owner.to_owned()),
            cut_myself: false,
        }
    }

    async fn switch(&self, verb: Verb) -> Result<Answer, Fault> {
        let mut by_pdu: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for outlet in &self.outlets {
            let keys = by_pdu.entry(&outlet.pdu).or_default();
            keys.push(outlet.outlet.clone());
        }
        let orders = by_pdu
            .into_iter()
            .map(|(pdu, keys)| self.order(pdu, keys, verb));
        let ended = futures::future::join_all(orders).await;
        let mut doubts = Vec::new();
        let mut refusals = Vec::new();
        let mut done = 0_usize;
        for end in ended {
            match end {
                Ok(()) => done += 1,
                Err(Fault::Unsure(why)) => doubts.push(why),
                Err(fault) => refusals.push(fault),
            }
        }
        match refusals.into_iter().next() {
            None if doubts.is_empty() => Ok(match verb {
                Verb::On => Answer::Done,
                _ => Answer::Cut,
            }),
            // Nothing was done by any.
            Some(fault) if done == 0 && doubts.is_empty() => Err(fault),
            fault => {
                doubts.extend(fault.map(|fault| fault.to_string()));
                Err(Fault::Unsure(doubts.join("; ")))
            }
        }
    }

    /// Has the outlets of one PDU switched, and waits for what came of it.
    async fn order(&self, pdu: &str, keys: Vec<String>, verb: Verb) -> Result<(), Fault> {
        let command = Command::SwitchOutlets {
            pdu: pdu.to_owned(),
            outlets: keys.clone(),
            verb,
            cut_myself: self.cut_myself,
        };
        let action = match self.commands.send(self.actor.clone(), command).await {
            Ok(Reply::Started { action }) => action,
            Ok(_) => return Err(Fault::Unsure(format!("PDU {pdu} gave no number"))),
            Err(refusal @ Refusal::NoAnswer { .. }) => {
                return Err(Fault::Unsure(refusal.to_string()));
            }
            Err(refusal) => return Err(Fault::Declined(refusal.to_string())),
        };
        let ended = timeout(LIMIT, self.outcome(pdu, &keys, action)).await;
        let late = || format!("PDU {pdu} is not done after {} s", LIMIT.as_secs());
        ended.unwrap_or_else(|_| Err(Fault::Unsure(late())))
    }

    /// Waits until no outlet of the action runs any more.
    async fn outcome(&self, pdu: &str, keys: &[String], action: u64) -> Result<(), Fault> {
        let mut state = self.state.clone();
        let over = |state: &State| {
            let outlets = &state.pdus.get(pdu)?.outlets;
            let mut faults = Vec::new();
            let mut maybe = false;
            for key in keys {
                let outlet = outlets.iter().find(|outlet| outlet.key == *key)?;
                let ours = outlet.action.as_ref()?;
                if ours.id < action || ours.outcome == Outcome::Running {
                    return None;
                }
                maybe |= ours.outcome != Outcome::Failed;
                if ours.id > action {
                    faults.push(format!("{pdu}/{key}: another verb came after ours"));
                } else if ours.outcome != Outcome::Confirmed {
                    faults.push(format!("{pdu}/{key}: {} {}", ours.outcome, ours.why));
                }
            }
            Some((faults, maybe))
        };
        let seen = state.wait_for(|state| over(state).is_some()).await;
        let (faults, maybe) = match seen {
            Ok(state) => over(&state).unwrap_or_default(),
            Err(_) => return Err(Fault::Unsure("oobd is stopping".into())),
        };
        match (faults.is_empty(), maybe) {
            (true, _) => Ok(()),
            (false, true) => Err(Fault::Unsure(faults.join("; "))),
            // A PDU that failed may have been reached all the same.
            (false, false) => Err(Fault::Gone(faults.join("; "))),
        }
    }

    fn power(&self) -> Result<Power, Fault> {
        let state = self.state.borrow();
        let mut found = Vec::new();
        for named in &self.outlets {
            let outlet = outlet(&state, named).filter(|outlet| outlet.state != PowerState::Unknown);
            let outlet =
                outlet.ok_or_else(|| Fault::Gone(format!("outlet {named} is not known")))?;
            found.push((outlet.state, outlet.in_transition));
        }
        let all_off = found.iter().all(|(state, _)| *state == PowerState::Off);
        Ok(Power {
            // One live feed is enough for a machine to run.
            state: if all_off {
                PowerState::Off
            } else {
                PowerState::On
            },
            changing: found.iter().any(|(_, changing)| *changing),
            mark: None,
        })
    }
}

fn outlet<'a>(state: &'a State, named: &OutletRef) -> Option<&'a Outlet> {
    let pdu = state.pdus.get(&named.pdu)?;
    pdu.outlets.iter().find(|outlet| outlet.key == named.outlet)
}

/// Why this verb on these outlets would cut the board off, if it would.
#[must_use]
pub(in crate::bmc) fn objection(
    state: &State,
    outlets: &[OutletRef],
    verb: Verb,
    cut_myself: bool,
) -> Option<String> {
    if !verb.cuts() {
        return None;
    }
    for named in outlets {
        let Some(found) = outlet(state, named) else {
            continue;
        };
        let Some(ours) = found.feeds.iter().find(|fed| OURS.contains(&fed.as_str())) else {
            continue;
        };
        let alone = outlets.len() == 1 && found.cycles && verb == Verb::PowerCycle;
        if !alone {
            return Some(format!(
                "outlet {named} feeds the board's {ours}: it would stay without power"
            ));
        }
        if !cut_myself {
            return Some(format!(
                "outlet {named} feeds the board's {ours}: say that you mean it (--yes-cut-myself)"
            ));
        }
    }
    None
}

impl Device for Outlets {
    fn skills(&self) -> &'static [Skill] {
        &[Skill::Power, Skill::Act]
    }

    /// Several outlets are never cycled one by one: the machine would go on living on the others.
    fn verbs(&self) -> Vec<Verb> {
        let mut verbs = vec![Verb::On, Verb::ForceOff];
        if self.outlets.len() == 1 {
            verbs.push(Verb::PowerCycle);
        }
        verbs
    }

    fn ask(&mut self, request: Request) -> Asking<'_> {
        Box::pin(async move {
            match request {
                Request::Power => self.power().map(Answer::Power),
                Request::Act(verb) => self.switch(verb).await,
                other => Err(Fault::Declined(format!(
                    "outlets cannot {}",
                    other.skill().word()
                ))),
            }
        })
    }

    fn objection(&self, verb: Verb, cut_myself: bool) -> Option<String> {
        objection(&self.state.borrow(), &self.outlets, verb, cut_myself)
    }

    fn act_for(&mut self, actor: &Actor, cut_myself: bool) {
        self.actor = actor.clone();
        self.cut_myself = cut_myself;
    }
}
