//! The outlets of consoles for the menu inside a session: as one person may see and switch them, journaled as any command.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::command::{Command, Reply};
use crate::reset::{Outcome as Came, Verb};
use crate::session::{Bound, Doing, Power};
use crate::state::State;

use super::Outcome;
use super::serve::{Caller, House};

/// Longest that outcomes are waited for.
const OUTCOME_LIMIT: Duration = Duration::from_mins(15);

/// One person's outlets.
#[derive(Clone, Debug)]
pub struct PersonsPower {
    house: House,
    caller: Caller,
}

impl PersonsPower {
    #[must_use]
    pub fn new(house: House, caller: Caller) -> Self {
        Self { house, caller }
    }
}

impl Power for PersonsPower {
    fn outlets(&self, console: &str) -> Vec<Bound> {
        let Ok(person) = self.caller.person(&self.house) else {
            return Vec::new();
        };
        let state = self.house.state_for(&person);
        let names = state.consoles.get(console).map(|console| &console.outlets);
        let pairs = names
            .into_iter()
            .flatten()
            .filter_map(|n| n.split_once('/'));
        let seen = pairs.filter(|(pdu, outlet)| person.sees_outlet(pdu, outlet));
        seen.map(|(pdu, outlet)| bound(&state, pdu, outlet))
            .collect()
    }

    fn switch(&self, outlets: &[Bound], verb: Verb) -> Doing {
        let power = self.clone();
        let outlets = outlets.to_vec();
        Box::pin(async move { power.carry_out(outlets, verb).await })
    }
}

/// What the state says of it; unknown where it says nothing.
fn bound(state: &State, pdu: &str, key: &str) -> Bound {
    let outlets = state.pdus.get(pdu).map(|pdu| pdu.outlets.iter());
    let found = outlets.into_iter().flatten().find(|o| o.key == key);
    let found = found.cloned().unwrap_or_default();
    Bound {
        pdu: pdu.to_owned(),
        outlet: key.to_owned(),
        label: found.label,
        state: found.state,
        in_transition: found.in_transition,
    }
}

impl PersonsPower {
    async fn carry_out(&self, outlets: Vec<Bound>, verb: Verb) -> Vec<String> {
        let mut lines = Vec::new();
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for bound in outlets {
            groups.entry(bound.pdu).or_default().push(bound.outlet);
        }
        let mut started = Vec::new();
        for (pdu, outlets) in groups {
            let person = match self.caller.person(&self.house) {
                Ok(person) => person,
                Err(_) => return vec!["you may not sign in any more".into()],
            };
            let command = Command::SwitchOutlets {
                pdu: pdu.clone(),
                outlets: outlets.clone(),
                verb,
                cut_myself: false,
            };
            let outcome = self.house.carry_out(command, &person, &self.caller.from);
            match outcome.await {
                Outcome::Done(Reply::Started { action }) => {
                    started.extend(outlets.into_iter().map(|key| (pdu.clone(), key, action)));
                }
                Outcome::Done(_) => {}
                Outcome::Refused(refusal) => lines.push(format!("power: {refusal}")),
                Outcome::Denied(sentence) => lines.push(format!("power: {sentence}")),
            }
        }
        if timeout(OUTCOME_LIMIT, self.outcomes(started, &mut lines))
            .await
            .is_err()
        {
            lines.push("power: the outcome did not come".into());
        }
        lines
    }

    async fn outcomes(&self, mut started: Vec<(String, String, u64)>, lines: &mut Vec<String>) {
        let mut states = self.house.watch();
        while !started.is_empty() {
            {
                let state = states.borrow_and_update();
                started.retain(|(pdu, key, action)| {
                    let outlets = state.pdus.get(pdu).map(|pdu| pdu.outlets.iter());
                    let outlet = outlets.into_iter().flatten().find(|o| o.key == *key);
                    let Some(outlet) = outlet else {
                        lines.push(format!("power: {pdu}/{key} is not there any more"));
                        return false;
                    };
                    let ended = outlet
                        .action
                        .as_ref()
                        .filter(|now| now.id >= *action && now.outcome != Came::Running);
                    if let Some(ended) = ended {
                        lines.push(format!("power: {pdu}/{key}: {ended}"));
                    }
                    ended.is_none()
                });
            }
            if !started.is_empty() && states.changed().await.is_err() {
                return;
            }
        }
    }
}
