//! `oobctl outlet` and `oobctl pdu`: outlets listed and switched, and what came of it.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::command::Command;
use crate::control::{resolve, switches};
use crate::fact::{DevicePhase, Outlet, Pdu};
use crate::reset::{Action, Outcome, PowerState, Verb as Power};
use crate::state::State;
use clap::{Args, Subcommand};

use super::client::Client;
use super::confirm::confirm;
use super::face::{Face, Failure};
use super::table::{Cell, Tone, columns, harmless, reasons};
use super::time::ago;
use super::{Form, give};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// All outlets and how they stand
    List,
    /// Switch on
    On(Switch),
    /// Switch off at once
    Off(Switch),
    /// Switch off, wait, switch on
    Cycle(Switch),
}

#[derive(Debug, Args)]
pub(super) struct Switch {
    /// PDU/OUTLET, or a label that one outlet alone has
    #[arg(required = true, value_name = "OUTLET")]
    names: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Cycle even what feeds this board, its switch or its uplink, where the PDU itself switches on again
    #[arg(long)]
    yes_cut_myself: bool,
    /// Do not wait for the outcome
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum PduVerb {
    /// All PDUs and whether they answer
    List,
    /// Read the outlets of a PDU now, and ask it again what it refused
    Read {
        /// As oobd.toml names it
        name: String,
    },
    /// Trust the certificate or key that a PDU shows now
    Trust {
        /// As oobd.toml names it
        name: String,
    },
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let (verb, switch) = match verb {
        Verb::List => {
            let state = client.state().await?;
            let rows = listed(&state);
            let table = |face: &Face| show(&state, face.wrap(), face.color);
            return face.list(form, "outlets", &rows, table).await;
        }
        Verb::On(switch) => (Power::On, switch),
        Verb::Off(switch) => (Power::ForceOff, switch),
        Verb::Cycle(switch) => (Power::PowerCycle, switch),
    };
    let Switch {
        names: words,
        yes,
        yes_cut_myself: cut_myself,
        no_wait,
    } = switch;
    let asks = verb.is_destructive() && !(yes || cut_myself);
    if asks || no_wait {
        let state = client.state().await?;
        let wanted = resolve(&state, &words).map_err(|why| Failure::Other(harmless(&why)))?;
        if asks {
            let question = format!("{} {}?", said(verb), names(&wanted));
            confirm(face, false, &question).await?;
        }
        if no_wait {
            return begin(&mut client, &wanted, verb, cut_myself, form, face).await;
        }
    }
    let ended = client.switch_outlets(&words, verb, cut_myself).await?;
    tell(&ended, form, face).await
}

/// Has them switched, and does not wait for what comes of it.
async fn begin(
    client: &mut Client,
    wanted: &[(&str, &Outlet)],
    verb: Power,
    cut_myself: bool,
    form: Form,
    face: &mut Face,
) -> Result<(), Failure> {
    for command in switches(wanted, verb, cut_myself) {
        give(client, command, form, face).await?;
    }
    Ok(())
}

/// The action with this number, or one that came after it, if it is over.
pub(super) fn ended_since(action: Option<&Action>, wanted: u64) -> Option<Action> {
    action.filter(|now| now.is_outcome_of(wanted)).cloned()
}

/// Prints outcomes; the worst decides the exit status.
async fn tell(ended: &[(String, Action)], form: Form, face: &mut Face) -> Result<(), Failure> {
    match form {
        Form::Json => {
            let map: BTreeMap<_, _> = ended.iter().cloned().collect();
            face.json(&BTreeMap::from([("outlets", map)])).await?;
        }
        Form::Lines => {
            for (outlet, action) in ended {
                let line = serde_json::json!({ "outlet": outlet, "action": action });
                face.json(&line).await?;
            }
        }
        Form::Text => {
            let mut text = String::new();
            for (outlet, action) in ended {
                text += &format!("{outlet}: {}\n", outcome(action));
            }
            face.print(&text).await?;
        }
    }
    worst(ended.iter().map(|(_, action)| action.outcome))
}

/// The exit status of outcomes that have been told.
pub(super) fn worst(outcomes: impl Iterator<Item = Outcome>) -> Result<(), Failure> {
    let mut worst = Ok(());
    for outcome in outcomes {
        match outcome {
            Outcome::Failed => return Err(Failure::Silent),
            Outcome::Unconfirmed | Outcome::Running => worst = Err(Failure::Unconfirmed),
            Outcome::Confirmed => {}
        }
    }
    worst
}

/// What came of it, as a terminal may show it.
pub(super) fn outcome(action: &Action) -> String {
    harmless(&action.to_string())
}

fn said(verb: Power) -> &'static str {
    match verb {
        Power::On => "Switch on",
        Power::ForceOff => "Switch off",
        _ => "Cycle",
    }
}

fn names(wanted: &[(&str, &Outlet)]) -> String {
    let name = |(pdu, outlet): &(&str, &Outlet)| {
        let label = if outlet.label.is_empty() {
            String::new()
        } else {
            format!(" ({})", harmless(&outlet.label))
        };
        format!("{pdu}/{}{label}", outlet.key)
    };
    wanted.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The outlets by their full names.
fn listed(state: &State) -> BTreeMap<String, serde_json::Value> {
    let mut rows = BTreeMap::new();
    for (name, pdu) in &state.pdus {
        for outlet in &pdu.outlets {
            let full = format!("{name}/{}", outlet.key);
            let mut value = serde_json::to_value(outlet).unwrap_or_default();
            if let Some(map) = value.as_object_mut() {
                map.insert("outlet".into(), full.clone().into());
                map.insert("read_at".into(), serde_json::json!(pdu.read_at));
            }
            rows.insert(full, value);
        }
    }
    rows
}

/// In the order of the devices.
pub(super) fn show(state: &State, width: usize, color: bool) -> String {
    let mut rows = Vec::new();
    for (name, pdu) in &state.pdus {
        for outlet in &pdu.outlets {
            let number = |value: Option<f64>, unit: &str| {
                Cell::plain(value.map_or_else(|| "-".into(), |value| format!("{value:.1} {unit}")))
            };
            rows.push(vec![
                Cell::plain(format!("{name}/{}", outlet.key)),
                power(outlet.state, outlet.in_transition),
                number(outlet.watts, "W"),
                number(outlet.amps, "A"),
                Cell::plain(&outlet.label),
                Cell::plain(outlet.feeds.join(", ")),
            ]);
        }
    }
    let head = ["OUTLET", "POWER", "WATTS", "AMPS", "LABEL", "FEEDS"];
    let mut text = columns(&head, &rows, color);
    text += &troubles(state, width, color);
    text
}

/// A line for each PDU that does not serve us as it should.
fn troubles(state: &State, width: usize, color: bool) -> String {
    let all = state.pdus.values().map(|pdu| (&pdu.name, &pdu.why));
    reasons(all, width, color)
}

/// How power stands, in a word.
pub(super) fn power(state: PowerState, in_transition: bool) -> Cell {
    let word = match (state, in_transition) {
        (state, true) => format!("{state} …"),
        (PowerState::Unknown, _) => "UNKNOWN".into(),
        (state, _) => state.to_string(),
    };
    let tone = match state {
        _ if in_transition => Tone::Busy,
        PowerState::On => Tone::Good,
        PowerState::Off => Tone::Plain,
        PowerState::Unknown => Tone::Bad,
    };
    Cell::new(word, tone)
}

/// Whether a device answers, in a word.
pub(super) fn phase(phase: DevicePhase) -> Cell {
    let (word, tone) = match phase {
        DevicePhase::Unknown => ("unknown", Tone::Busy),
        DevicePhase::Up => ("up", Tone::Good),
        DevicePhase::Silent => ("SILENT", Tone::Bad),
        DevicePhase::Refused => ("REFUSED", Tone::Bad),
    };
    Cell::new(word, tone)
}

pub(super) async fn pdu(
    verb: PduVerb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let command = match verb {
        PduVerb::List => {
            let state = client.state().await?;
            let table = |face: &Face| pdus(&state, Timestamp::now(), face.wrap(), face.color);
            return face.list(form, "pdus", &state.pdus, table).await;
        }
        PduVerb::Read { name: pdu } => Command::ReadPdu { pdu },
        PduVerb::Trust { name } => Command::TrustDevice {
            owner: format!("pdu.{name}"),
        },
    };
    give(&mut client, command, form, face).await
}

pub(super) fn pdus(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let row = |pdu: &Pdu| {
        let read = pdu
            .read_at
            .map_or_else(|| "never".into(), |at| ago(at, now));
        vec![
            Cell::plain(&pdu.name),
            phase(pdu.phase),
            Cell::plain(ago(pdu.since, now)),
            Cell::plain(&pdu.kind),
            Cell::plain(&pdu.address),
            Cell::plain(pdu.outlets.len().to_string()),
            Cell::plain(read),
        ]
    };
    let rows: Vec<_> = state.pdus.values().map(row).collect();
    let head = [
        "NAME", "STATE", "SINCE", "KIND", "ADDRESS", "OUTLETS", "READ",
    ];
    columns(&head, &rows, color) + &troubles(state, width, color)
}
