//! The outlets of consoles for the menu inside a session: as one person may see and switch them, journaled as any command.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::reset::Verb;
use crate::session::{Bound, Doing, Power};
use crate::state::State;

use super::serve::{Caller, House};
use super::{Outcome, outlets};

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
        let mut all = Vec::new();
        for (pdu, outlets) in groups {
            let person = match self.caller.person(&self.house) {
                Ok(person) => person,
                Err(_) => return vec!["you may not sign in any more".into()],
            };
            let command = Command::SwitchOutlets {
                pdu,
                outlets,
                verb,
                cut_myself: false,
            };
            match outlets::begin(&self.house, &person, &self.caller.from, command).await {
                Ok(begun) => all.extend(begun),
                Err(Outcome::Done(_)) => {}
                Err(Outcome::Refused(refusal)) => lines.push(format!("power: {refusal}")),
                Err(Outcome::Denied(sentence)) => lines.push(format!("power: {sentence}")),
            }
        }
        match outlets::ended(self.house.watch(), all).await {
            Some(ended) => lines.extend(ended.into_iter().map(|(one, action)| match action {
                Some(action) => format!("power: {}: {action}", one.name()),
                None => format!("power: {} is not there any more", one.name()),
            })),
            None => lines.push("power: the outcome did not come".into()),
        }
        lines
    }
}
