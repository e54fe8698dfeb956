//! Actions that take longer than somebody waits. With `Prefer: respond-async` (RFC 7240) a verb is answered by a task, which ends when its
//! outcome was read back; so is anything that is slow, whether that was asked for or not.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::api::House;
use crate::reset::{Action, Outcome};
use crate::state::State;

use super::answer::Answer;
use super::call::Call;
use super::entry;
use super::message::Message;
use super::table::Verb;
use super::tasks::{Begun, End, Target};
use super::wrong::Wrong;

/// Nobody waits longer for an action than this: clients give up after half a minute.
const SLOW: Duration = Duration::from_secs(20);
/// Of who would rather not wait: long enough to learn that the request itself is wrong.
const SHORT: Duration = Duration::from_secs(2);
/// An outcome comes within this; the owners of devices have limits of their own, and shorter ones.
const OUTCOME: Duration = Duration::from_secs(1800);

/// What `Prefer` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    rather_later: bool,
    wait: Duration,
}

impl Patience {
    /// A preference that is not known, or has a wrong value, counts for nothing.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut rather_later, mut wait) = (false, None);
        let values = headers.get_all("prefer").into_iter();
        for one in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']))
        {
            let one = one.trim().to_ascii_lowercase();
            if one == "respond-async" {
                rather_later = true;
            } else if let Some(seconds) = one.strip_prefix("wait=") {
                wait = seconds.trim_matches('"').parse().ok();
            }
        }
        let usual = if rather_later { SHORT } else { SLOW };
        let wait = wait.map_or(usual, Duration::from_secs).min(SLOW);
        Self { rather_later, wait }
    }
}

/// Runs an action as long as somebody waits for it; then it goes on by itself, and a task tells of it.
pub(super) async fn run(
    call: &Call,
    verb: &'static Verb,
    patience: Patience,
) -> Result<Answer, Wrong> {
    let (tell, mut answer) = oneshot::channel();
    let one = call.clone();
    // A client that goes away does not cut it off.
    call.house.tracker.spawn(async move {
        tokio::select! {
            // cancel-safe: as a request that is cut off
            () = one.house.stop.cancelled() => {}
            // runs to its end otherwise; nobody may be listening any more
            done = entry::run(&one, verb) => drop(tell.send(done)),
        }
    });
    let begun = match timeout(patience.wait, &mut answer).await {
        Ok(done) => match told(done)? {
            Answer::Begun(begun) if patience.rather_later => Some(begun),
            Answer::Begun(_) => return Ok(Answer::done()),
            other => return Ok(other),
        },
        Err(_) => None,
    };
    let (house, owner) = (&call.house, &call.person()?.name);
    let Some(id) = house.redfish.tasks.add(owner, &call.path, begun.clone()) else {
        // Too many are under way: it is not followed, but it is not left without an answer.
        return match begun {
            Some(_) => Ok(Answer::done()),
            None => told(answer.await).map(settled),
        };
    };
    save(house).await;
    let house = house.clone();
    call.house.tracker.spawn(async move {
        let follow = async {
            let begun = match begun {
                Some(begun) => begun,
                None => match told(answer.await) {
                    Ok(Answer::Begun(begun)) => begun,
                    Ok(_) => return End::well(),
                    Err(wrong) => return wrong.into(),
                },
            };
            house.redfish.tasks.begun(id, begun.clone());
            outcome(house.store.watch(), &begun).await
        };
        let end = tokio::select! {
            // cancel-safe: on flash it is under way, which the next start tells as cut off
            () = house.stop.cancelled() => return,
            // cancel-safe: it only waits
            end = follow => end,
        };
        house.redfish.tasks.end(id, end);
        save(&house).await;
    });
    Ok(Answer::Accepted(id))
}

fn told(answer: Result<Result<Answer, Wrong>, RecvError>) -> Result<Answer, Wrong> {
    answer.unwrap_or_else(|_| Err(Wrong::internal("the board stops")))
}

fn settled(answer: Answer) -> Answer {
    match answer {
        Answer::Begun(_) => Answer::done(),
        other => other,
    }
}

async fn save(house: &Arc<House>) {
    let keeper = house.clone();
    if let Ok(Err(error)) = spawn_blocking(move || keeper.redfish.tasks.save()).await {
        tracing::warn!(%error, "which tasks are under way is not on flash");
    }
}

/// The action of this target that the state tells of.
pub(super) fn action<'a>(state: &'a State, target: &Target) -> Option<&'a Action> {
    match target {
        Target::Machine(name) => state.machines.get(name)?.action.as_ref(),
        Target::Outlet { pdu, outlet } => {
            let mut outlets = state.pdus.get(pdu)?.outlets.iter();
            outlets.find(|one| one.key == *outlet)?.action.as_ref()
        }
    }
}

/// What came of a verb, as soon as the state has it.
async fn outcome(mut states: watch::Receiver<State>, begun: &Begun) -> End {
    let over = |state: &State| {
        let now = action(state, &begun.target)?;
        now.is_outcome_of(begun.action).then(|| now.clone())
    };
    let wait = states.wait_for(|state| over(state).is_some());
    // An error of the channel means that the board stops.
    let found = match timeout(OUTCOME, wait).await {
        Ok(Ok(state)) => over(&state),
        _ => None,
    };
    match found {
        Some(action) if action.id == begun.action => end_of(&action),
        // Another verb followed so soon that its predecessor was not seen.
        _ => unsure("another verb followed before its outcome was seen"),
    }
}

fn end_of(action: &Action) -> End {
    match action.outcome {
        Outcome::Confirmed => End::well(),
        Outcome::Failed => Wrong::refused(&action.why).into(),
        Outcome::Unconfirmed | Outcome::Running => unsure(&action.why),
    }
}

/// It was done, and does not show.
fn unsure(why: &str) -> End {
    End {
        status: StatusCode::OK,
        messages: vec![Message::new("Unconfirmed", &[why])],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn preferences_are_read_as_rfc_7240_has_them() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_static(value));
            }
            let Patience { rather_later, wait } = Patience::of(&headers);
            (rather_later, wait.as_secs())
        };
        let (short, slow) = (SHORT.as_secs(), SLOW.as_secs());
        for (values, expected) in [
            (&[][..], (false, slow)),
            (&["respond-async"], (true, short)),
            (&["Respond-Async, wait=7"], (true, 7)),
            (&["return=minimal", "respond-async; wait=\"0\""], (true, 0)),
            (&["wait=99999"], (false, slow)),
            (&["wait=soon"], (false, slow)),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }
}
