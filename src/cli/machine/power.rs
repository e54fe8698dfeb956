//! `oobctl machine power`: asks before, waits for the outcome by following the state, tells what was tried.

use std::time::Duration;

use super::{Switch, find};
use crate::cli::client::Client;
use crate::cli::confirm::confirm;
use crate::cli::face::{Face, Failure};
use crate::cli::outlet::{ended_since, outcome, worst};
use crate::cli::table::harmless;
use crate::cli::{Form, print_reply};
use crate::command::{Command, Reply};
use crate::reset::{Action, Outcome, Verb};
use crate::state::State;

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
    let over = |state: &State| {
        let machine = find(state, &switch.name)?;
        Ok(ended_since(machine.action.as_ref(), action))
    };
    let action = client.until(OUTCOME_LIMIT, over).await?;
    match form {
        Form::Text => face.print(&told(&switch.name, &action)).await?,
        Form::Json | Form::Lines => {
            let line = serde_json::json!({ "machine": switch.name, "action": action });
            face.json(&line).await?;
        }
    }
    worst(std::iter::once(action.outcome))
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
