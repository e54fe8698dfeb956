//! `oobctl console`: serial consoles, one file per verb that does more than print a table.

mod attach;
pub(super) mod line;
mod log;
pub(super) mod ports;
pub(super) mod users;

use clap::Subcommand;

use crate::cli::give;
use crate::clock::Timestamp;
use crate::command::Command;
use crate::fact::Console;
use crate::state::State;

use super::Form;
use super::client::Client;
use super::face::{Face, Failure};
use super::status::{people, port};
use super::table::{Cell, columns, cut, harmless};
use super::time::ago;

/// Characters of a device's last line in the table.
const LAST_LINE: usize = 40;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// All consoles and who is on them
    List,
    /// Who is on the consoles, from where, since when
    Users {
        /// Label, number or the start of the label of one console
        name: Option<String>,
    },
    /// End sessions: your own, or anybody's as an administrator
    Kick(users::Kick),
    /// Give the keyboard to a session
    Give {
        /// Label, number or the start of the label
        name: String,
        /// Number of the session, as `console users` shows it
        session: u64,
    },
    /// Join a console; `~.` at the start of a line leaves, `~?` helps
    Attach {
        /// Label, number or the start of the label
        name: String,
        /// Look only, never type
        #[arg(long, short)]
        watch: bool,
        /// Show this many bytes of what it said before
        #[arg(long, value_name = "BYTES", default_value_t = 4096)]
        history: u32,
    },
    /// Accept the new host key of the host behind a console
    Trust {
        /// Label, number or the start of the label
        name: String,
    },
    /// Everything about a console's port: settings, wires, cable, counters
    Show {
        /// Label, number or the start of the label
        name: String,
    },
    /// Set the line until it is restored or plugged in anew
    Set {
        /// Label, number or the start of the label
        name: String,
        /// 115200n8, flow none|rtscts|xonxoff, dtr on|off, rts on|off, break on|off, purge, restore
        #[arg(required = true, value_name = "WHAT")]
        words: Vec<String>,
    },
    /// Try line settings until the device speaks plainly; nobody may be attached
    FindLine {
        /// Label, number or the start of the label
        name: String,
    },
    /// Ask the device what it is called; nobody may be attached
    FindName {
        /// Label, number or the start of the label
        name: String,
    },
    /// Begin counting anew
    ResetCounters {
        /// Label, number or the start of the label
        name: String,
    },
    /// The serial ports that are plugged in, and which console uses which
    Ports,
    /// What it said, from the record on flash; newest last
    Log(log::Args),
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    match verb {
        Verb::List => list(form, client, face).await,
        Verb::Users { name } => users::users(name.as_deref(), form, client, face).await,
        Verb::Kick(kick) => users::kick(&kick, form, client, face).await,
        Verb::Give { name, session } => {
            let command = |console| Command::GiveWriter { console, session };
            order(command, &name, form, client, face).await
        }
        Verb::Attach {
            name,
            watch,
            history,
        } => attach::run(client, face, &name, watch, history).await,
        Verb::Trust { name } => {
            let command = |console| Command::TrustHost { console };
            order(command, &name, form, client, face).await
        }
        Verb::Show { name } => line::show(&name, form, client, face).await,
        Verb::Set { name, words } => line::set(&name, &words, form, client, face).await,
        Verb::FindLine { name } => {
            let command = |console| Command::FindLine { console };
            line::find_out(command, &name, form, client, face).await
        }
        Verb::FindName { name } => {
            let command = |console| Command::FindName { console };
            line::find_out(command, &name, form, client, face).await
        }
        Verb::ResetCounters { name } => {
            let command = |console| Command::ResetCounters { console };
            order(command, &name, form, client, face).await
        }
        Verb::Ports => ports::run(form, client, face).await,
        Verb::Log(args) => log::run(args, form, client, face).await,
    }
}

/// Has the board do something with a console, and prints the reply.
async fn order(
    command: impl FnOnce(String) -> Command,
    name: &str,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let console = users::find(&client.state().await?, name)?.name.clone();
    give(&mut client, command(console), form, face).await
}

async fn list(form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let state = client.state().await?;
    let table = |face: &Face| show(&state, Timestamp::now(), face.wrap(), face.color);
    face.list(form, "consoles", &state.consoles, table).await
}

pub(super) fn show(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let said = |console: &Console| match console.why.as_str() {
        "" => console.last_line.clone(),
        why => why.to_owned(),
    };
    let rows: Vec<Vec<Cell>> = state
        .consoles
        .values()
        .map(|console| {
            vec![
                Cell::plain(&console.name),
                port(console.phase),
                Cell::plain(ago(console.since, now)),
                Cell::plain(&console.line),
                Cell::plain(people(&console.sessions)),
            ]
        })
        .collect();
    let head = ["NAME", "STATE", "SINCE", "LINE", "WHO"];
    // The last line gets what room is left, in a table that is measured first.
    let used = columns(&head, &rows, false)
        .lines()
        .map(|line| line.chars().count())
        .max();
    let room = width.saturating_sub(used.unwrap_or(0) + 2).min(LAST_LINE);
    if room < 12 {
        return columns(&head, &rows, color);
    }
    let rows: Vec<Vec<Cell>> = rows
        .into_iter()
        .zip(state.consoles.values())
        .map(|(mut row, console)| {
            row.push(Cell::plain(cut(&harmless(&said(console)), room)));
            row
        })
        .collect();
    columns(
        &["NAME", "STATE", "SINCE", "LINE", "WHO", "LAST LINE"],
        &rows,
        color,
    )
}
