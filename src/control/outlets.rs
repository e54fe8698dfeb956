//! Outlets by the words of a person, switched with their rights, and what came of it: one question and one answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::access::Person;
use crate::command::{Command, Refusal, Reply};
use crate::fact::{Outlet, Pdu};
use crate::reset::{Action, Verb};
use crate::state::State;

use super::Outcome;
use super::serve::{Caller, House};
use super::wire::Response;

/// Longest that outcomes are waited for; the slowest device of a big group needs less.
const OUTCOME_LIMIT: Duration = Duration::from_mins(15);

/// A verb on one outlet that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) pdu: String,
    pub(super) outlet: String,
    pub(super) action: u64,
}

impl Begun {
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.pdu, self.outlet)
    }
}

/// Begins a verb on outlets of one PDU.
pub(super) async fn begin(
    house: &House,
    person: &Person,
    from: &str,
    command: Command,
) -> Result<Vec<Begun>, Outcome> {
    let (pdu, outlets) = match &command {
        Command::SwitchOutlets { pdu, outlets, .. } => (pdu.clone(), outlets.clone()),
        _ => (String::new(), Vec::new()),
    };
    match house.carry_out(command, person, from).await {
        Outcome::Done(Reply::Started { action }) => {
            let begun = outlets.into_iter().map(|outlet| Begun {
                pdu: pdu.clone(),
                outlet,
                action,
            });
            Ok(begun.collect())
        }
        other => Err(other),
    }
}

/// What came of them, in their order, once all are over: an outlet that is not there any more has no outcome. `None` when
/// that takes too long.
pub(super) async fn ended(
    mut states: watch::Receiver<State>,
    begun: Vec<Begun>,
) -> Option<Vec<(Begun, Option<Action>)>> {
    let follow = async {
        let mut ended: Vec<(Begun, Option<Option<Action>>)> =
            begun.into_iter().map(|one| (one, None)).collect();
        loop {
            {
                let state = states.borrow_and_update();
                for (one, came) in ended.iter_mut().filter(|(_, came)| came.is_none()) {
                    let outlets = state.pdus.get(&one.pdu).map(|pdu| pdu.outlets.iter());
                    let found = outlets.into_iter().flatten().find(|o| o.key == one.outlet);
                    let over = |now: &&Action| now.is_outcome_of(one.action);
                    *came = match found {
                        None => Some(None),
                        Some(outlet) => outlet.action.as_ref().filter(over).cloned().map(Some),
                    };
                }
            }
            if ended.iter().all(|(_, came)| came.is_some()) {
                let plain = ended.into_iter().map(|(one, came)| (one, came.flatten()));
                return Some(plain.collect());
            }
            // An error means that the board stops.
            states.changed().await.ok()?;
        }
    };
    timeout(OUTCOME_LIMIT, follow).await.ok().flatten()
}

/// Begins a verb on the outlets that these words mean, of whatever PDUs.
pub(super) async fn begin_all(
    house: &House,
    person: &Person,
    caller: &Caller,
    (words, verb, cut_myself): (&[String], Verb, bool),
) -> Result<Vec<Begun>, Response> {
    let state = house.state_for(person);
    let wanted = resolve(&state, words).map_err(|why| Response::Refused(Refusal::Failed(why)))?;
    let mut all = Vec::new();
    for command in switches(&wanted, verb, cut_myself) {
        match begin(house, person, &caller.from, command).await {
            Ok(begun) => all.extend(begun),
            Err(Outcome::Refused(refusal)) => return Err(Response::Refused(refusal)),
            Err(Outcome::Denied(sentence)) => return Err(Response::Denied(sentence)),
            Err(Outcome::Done(reply)) => return Err(Response::Done(reply)),
        }
    }
    Ok(all)
}

/// What each PDU is to do for a verb on these outlets.
pub fn switches(
    wanted: &[(&str, &Outlet)],
    verb: Verb,
    cut_myself: bool,
) -> impl Iterator<Item = Command> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (pdu, outlet) in wanted {
        let group = groups.entry((*pdu).to_owned()).or_default();
        group.push(outlet.key.clone());
    }
    groups
        .into_iter()
        .map(move |(pdu, outlets)| Command::SwitchOutlets {
            pdu,
            outlets,
            verb,
            cut_myself,
        })
}

/// The answer about them, once all are over.
pub(super) async fn answer(house: &House, begun: Vec<Begun>) -> Response {
    let refused = |why: String| Response::Refused(Refusal::Failed(why));
    let Some(ended) = ended(house.watch(), begun).await else {
        return refused("the outcome did not come; see event list".into());
    };
    let mut outcomes = Vec::new();
    for (one, action) in ended {
        match action {
            Some(action) => outcomes.push((one.name(), action)),
            None => return refused(format!("{} is not there any more", one.name())),
        }
    }
    Response::Switched(outcomes)
}

/// The outlets that these words mean, each once: `PDU/OUTLET`, or a label that one outlet alone has.
///
/// # Errors
/// A sentence for the person; it holds what devices and people wrote, as they wrote it.
pub fn resolve<'a>(
    state: &'a State,
    words: &[String],
) -> Result<Vec<(&'a str, &'a Outlet)>, String> {
    let mut wanted: Vec<(&str, &Outlet)> = Vec::new();
    for word in words {
        let all = state.pdus.iter().flat_map(|(name, pdu)| {
            let outlets = pdu.outlets.iter();
            outlets.map(move |outlet| (name.as_str(), outlet))
        });
        let fits = all.filter(|(pdu, outlet)| match word.split_once('/') {
            Some((wanted, key)) => *pdu == wanted && outlet.key == key,
            None => outlet.label.eq_ignore_ascii_case(word),
        });
        let found: Vec<_> = fits.collect();
        match found.as_slice() {
            [one] => {
                let mut before = wanted.iter();
                if !before.any(|(pdu, outlet)| *pdu == one.0 && outlet.key == one.1.key) {
                    wanted.push(*one);
                }
            }
            [] => {
                return Err(match unread(state, word) {
                    Some((name, pdu)) => {
                        format!("PDU {name} has not told its outlets yet: {}", pdu.why)
                    }
                    None => format!("there is no outlet {word}; `outlet list` shows them"),
                });
            }
            many => {
                let names: Vec<_> = many.iter().map(|(p, o)| format!("{p}/{}", o.key)).collect();
                let names = names.join(", ");
                return Err(format!("{word} is the label of several outlets: {names}"));
            }
        }
    }
    Ok(wanted)
}

/// The PDU of `PDU/OUTLET`, if it was never read.
fn unread<'a>(state: &'a State, word: &str) -> Option<(&'a str, &'a Pdu)> {
    let (name, _) = word.split_once('/')?;
    let (name, pdu) = state.pdus.get_key_value(name)?;
    pdu.read_at.is_none().then_some((name.as_str(), pdu))
}
