//! `oobctl uplink`: ways out for management, and taking them up or down by hand.

use clap::Subcommand;

use crate::clock::Timestamp;
use crate::command::Command;
use crate::state::State;

use super::client::Client;
use super::face::{Face, Failure};
use super::status::{internet, phase};
use super::table::{Cell, columns, reasons};
use super::time::ago;
use super::{Form, give};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// All uplinks and why they are as they are
    List,
    /// Look for the trigger SSID at once
    Scan {
        /// As oobd.toml names it
        name: String,
    },
    /// The networks that its radio hears
    Networks {
        /// As oobd.toml names it
        name: String,
        /// Look at all channels first: some ten seconds, in which what runs over the uplink is slow
        #[arg(long)]
        scan: bool,
    },
    /// Signal and traffic of the last 24 hours
    History {
        /// As oobd.toml names it
        name: String,
    },
    /// Dial now and stay up, whatever the mode says, until `auto`
    Up {
        /// As oobd.toml names it
        name: String,
    },
    /// Hang up and stay down until `auto`
    Down {
        /// As oobd.toml names it
        name: String,
    },
    /// Undo `up` and `down`: it comes and goes as its mode says
    Auto {
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
    let command = match verb {
        Verb::List => return list(form, client, face).await,
        Verb::Scan { name: uplink } => Command::RescanUplink { uplink },
        Verb::Networks { name: uplink, scan } => Command::ListNetworks { uplink, scan },
        Verb::History { name: uplink } => Command::ReadUplinkHistory { uplink },
        Verb::Up { name: uplink } => Command::TakeUplinkUp { uplink },
        Verb::Down { name: uplink } => Command::TakeUplinkDown { uplink },
        Verb::Auto { name: uplink } => Command::ReleaseUplink { uplink },
    };
    give(&mut client, command, form, face).await
}

async fn list(form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let state = client.state().await?;
    let table = |face: &Face| show(&state, Timestamp::now(), face.wrap(), face.color);
    face.list(form, "uplinks", &state.uplinks, table).await
}

pub(super) fn show(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let none = || Cell::plain("-");
    let rows: Vec<Vec<Cell>> = state
        .uplinks
        .values()
        .map(|uplink| {
            vec![
                Cell::plain(&uplink.name),
                phase(&uplink.phase),
                Cell::plain(ago(uplink.since, now)),
                uplink.ssid.as_ref().map_or_else(none, Cell::plain),
                uplink
                    .signal_dbm
                    .map_or_else(none, |dbm| Cell::plain(format!("{dbm} dBm"))),
                uplink.address.as_ref().map_or_else(none, Cell::plain),
                internet(uplink.internet),
            ]
        })
        .collect();
    let head = [
        "NAME", "STATE", "SINCE", "SSID", "SIGNAL", "ADDRESS", "INTERNET",
    ];
    let mut text = columns(&head, &rows, color);
    let all = state.uplinks.values().map(|up| (&up.name, &up.why));
    text += &reasons(all, width, color);
    text
}
