//! `oobctl machine power`: asks before, waits for the outcome by following the state, tells what was tried.

use std::time::Duration;

use tokio::time::timeout;

use super::{Switch, find};
use crate::cli::client::Client;
use crate::cli::confirm::confirm;
use crate::cli::face::{Face, Failure};
use crate::cli::outlet::{outcome, worst};
use crate::cli::table::harmless;
use crate::cli::{Form, print_reply};
use crate::command::{Command, Reply};
use crate::control::wire::Request;
use crate::reset::{Action, Outcome, Verb};

/// Longest that an outcome is waited for: three ways, an hour of shutdown each, is what oobd.toml may ask for.
const OUTCOME_LIMIT: Duration = Duration::from_hours(4);

pub(super) async fn run(
    switch: &Switch,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let state = client.state().await?;
    let machine = find(&state, &switch.name)?;
    if switch.verb.is_destructive() {
        let stands = format!("it is {}", machine.state);
        let question = format!("{} {} ({stands})?", said(switch.verb), machine.name);
        confirm(face, switch.yes || switch.yes_cut_myself, &question).await?;
    }
    let command = Command::SwitchMachine {
        machine: switch.name.clone(),
        verb: switch.verb,
        cut_myself: switch.yes_cut_myself,
    };
    let reply = client.command(command).await?;
    let Reply::Started { action } = reply else {
        return print_reply(reply, form, face).await;
    };
    if switch.no_wait {
        return print_reply(reply, form, face).await;
    }
    let waited = timeout(OUTCOME_LIMIT, ended(&mut client, &switch.name, action)).await;
    let late = |_| Failure::Other("the outcome did not come; see event list".into());
    let action = waited.map_err(late)??;
    match form {
        Form::Text => face.print(&told(&switch.name, &action)).await?,
        Form::Json | Form::Lines => {
            let line = serde_json::json!({ "machine": switch.name, "action": action });
            face.json(&line).await?;
        }
    }
    worst(std::iter::once(action.outcome))
}

/// Follows the state until the action is over.
async fn ended(client: &mut Client, name: &str, wanted: u64) -> Result<Action, Failure> {
    client.send(&Request::WatchState).await?;
    loop {
        let state = client.next_state().await?;
        let action = find(&state, name)?.action.as_ref();
        if let Some(now) = action
            && now.id >= wanted
            && now.outcome != Outcome::Running
        {
            return Ok(now.clone());
        }
    }
}

/// The outcome, and a line for each way that was tried when there was more than one.
pub(super) fn told(name: &str, action: &Action) -> String {
    let mut text = format!("{name}: {}\n", outcome(action));
    if action.trail.len() > 1 || action.outcome != Outcome::Confirmed {
        for tried in &action.trail {
            text += &format!("  {}: {}", tried.method, tried.outcome);
            if !tried.why.is_empty() {
                text += &format!(", {}", harmless(&tried.why));
            }
            text.push('\n');
        }
    }
    text
}

fn said(verb: Verb) -> &'static str {
    match verb {
        Verb::On => "Switch on",
        Verb::ForceOff => "Switch off at once",
        Verb::GracefulShutdown => "Shut down",
        Verb::ForceRestart => "Reset at once",
        Verb::GracefulRestart => "Restart",
        Verb::PowerCycle => "Take the power away from, and give it back to,",
        Verb::Nmi => "Send a diagnostic interrupt to",
    }
}
