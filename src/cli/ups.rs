//! `oobctl ups`: what keeps the power on, and how long still.

use std::time::Duration;

use clap::Subcommand;

use crate::clock::Timestamp;
use crate::command::Command;
use crate::fact::Ups;
use crate::state::State;

use super::client::Client;
use super::face::{Face, Failure};
use super::outlet::phase;
use super::table::{Cell, Tone, columns, reasons};
use super::time::{ago, span};
use super::{Form, give};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// All UPSes: on line or on battery, charge, runtime, load
    List,
    /// Trust the certificate that its upsd shows now
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
    match verb {
        Verb::List => {
            let state = client.state().await?;
            let table = |face: &Face| show(&state, Timestamp::now(), face.wrap(), face.color);
            face.list(form, "upses", &state.upses, table).await
        }
        Verb::Trust { name } => {
            let owner = format!("ups.{name}");
            give(&mut client, Command::TrustDevice { owner }, form, face).await
        }
    }
}

pub(super) fn show(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let number = |value: Option<f64>, unit: &str| {
        Cell::plain(value.map_or_else(|| "-".into(), |value| format!("{value:.0}{unit}")))
    };
    let row = |ups: &Ups| {
        let runtime = ups
            .runtime
            .and_then(|s| Duration::try_from_secs_f64(s).ok());
        vec![
            Cell::plain(&ups.name),
            phase(ups.phase),
            status(&ups.status),
            number(ups.charge, "%"),
            Cell::plain(runtime.map_or_else(|| "-".into(), span)),
            number(ups.load, "%"),
            number(ups.input_volts, " V"),
            Cell::plain(
                ups.read_at
                    .map_or_else(|| "never".into(), |at| ago(at, now)),
            ),
            Cell::plain(&ups.model),
        ]
    };
    let rows: Vec<_> = state.upses.values().map(row).collect();
    let head = [
        "NAME", "STATE", "STATUS", "CHARGE", "LASTS", "LOAD", "INPUT", "READ", "MODEL",
    ];
    let mut text = columns(&head, &rows, color);
    let all = state.upses.values().map(|ups| (&ups.name, &ups.why));
    text += &reasons(all, width, color);
    text
}

fn status(tokens: &[String]) -> Cell {
    let has = |token: &str| tokens.iter().any(|word| word == token);
    let tone = match () {
        () if has("FSD") || has("OFF") || (has("OB") && has("LB")) => Tone::Bad,
        () if has("OB") || has("RB") || has("LB") || has("OVER") => Tone::Busy,
        () if has("OL") => Tone::Good,
        () => Tone::Plain,
    };
    match tokens {
        [] => Cell::new("UNKNOWN", Tone::Bad),
        tokens => Cell::new(tokens.join(" "), tone),
    }
}
