//! `oobctl amt ider`: files of this board as CD and floppy of a machine with Intel AMT.

use clap::{Args, Subcommand};

use crate::cli::client::Client;
use crate::cli::face::{Face, Failure};
use crate::cli::table::{Cell, Tone, columns, harmless, reasons};
use crate::cli::time::ago;
use crate::cli::{Form, print_reply};
use crate::clock::Timestamp;
use crate::command::Command;
use crate::fact::{Ider, IderDrive, IderPhase};
use crate::machine::amt::IderStart;
use crate::state::State;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(in crate::cli) enum Verb {
    /// Give a machine a CD or a floppy or both; `machine boot NAME cd` or `usb` then starts it from there
    Insert(Insert),
    /// Take them out
    Eject {
        /// As oobd.toml names it
        name: String,
    },
    /// What is inserted, and what the machines have read and written
    Status {
        /// As oobd.toml names it; otherwise all
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Insert {
    /// As oobd.toml names it
    name: String,
    /// An ISO image of /data/oobd/images
    #[arg(long, value_name = "FILE", required_unless_present = "floppy")]
    cd: Option<String>,
    /// An image of a floppy or a disk, of the same folder
    #[arg(long, value_name = "FILE")]
    floppy: Option<String>,
    /// The machine may write to the floppy
    #[arg(long, requires = "floppy")]
    writable: bool,
    /// When the machine gets to see it: now, graceful (when its own drives are idle) or reboot
    #[arg(long, value_name = "WHEN", default_value = "now")]
    start: IderStart,
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let command = match verb {
        Verb::Status { name } => return status(name, form, client, face).await,
        Verb::Eject { name: machine } => Command::EjectIder { machine },
        Verb::Insert(Insert {
            name: machine,
            cd,
            floppy,
            writable,
            start,
        }) => Command::InsertIder {
            machine,
            cd,
            floppy,
            writable,
            start,
        },
    };
    let reply = client.command(command).await?;
    print_reply(reply, form, face).await
}

async fn status(
    name: Option<String>,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let mut state = client.state().await?;
    if let Some(name) = &name {
        if !state.machines.contains_key(name) {
            let name = harmless(name);
            return Err(Failure::Usage(format!("there is no machine {name}")));
        }
        state.ider.retain(|machine, _| machine == name);
    }
    if form == Form::Text && state.ider.is_empty() {
        face.say("nothing is inserted\n").await;
        return Ok(());
    }
    let table = |face: &Face| show(&state, Timestamp::now(), face.wrap(), face.color);
    face.list(form, "ider", &state.ider, table).await
}

pub(in crate::cli) fn show(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let mut rows = Vec::new();
    for ider in state.ider.values() {
        let drives = [("cd", &ider.cd), ("floppy", &ider.floppy)];
        for (kind, drive) in drives {
            rows.extend(drive.as_ref().map(|drive| row(ider, kind, drive, now)));
        }
    }
    let head = [
        "MACHINE", "DRIVE", "FILE", "SIZE", "STATE", "READ", "WRITTEN", "BLOCK", "SINCE",
    ];
    let mut text = columns(&head, &rows, color);
    let all = state.ider.values().map(|ider| (&ider.machine, &ider.why));
    text += &reasons(all, width, color);
    text
}

fn row(ider: &Ider, kind: &str, drive: &IderDrive, now: Timestamp) -> Vec<Cell> {
    let state = match (ider.phase, drive.out) {
        (IderPhase::Opening, _) => Cell::new("OPENING", Tone::Busy),
        (IderPhase::Lost, _) => Cell::new("LOST", Tone::Bad),
        (IderPhase::Open, true) => Cell::new("EJECTED", Tone::Busy),
        (IderPhase::Open, false) if drive.writable => Cell::new("WRITABLE", Tone::Good),
        (IderPhase::Open, false) => Cell::new("OPEN", Tone::Good),
    };
    let block = drive.last_block.map(|block| block.to_string());
    vec![
        Cell::plain(&ider.machine),
        Cell::plain(kind),
        Cell::plain(&drive.file),
        Cell::plain(size(drive.bytes)),
        state,
        Cell::plain(size(drive.read)),
        Cell::plain(size(drive.written)),
        Cell::plain(block.as_deref().unwrap_or("-")),
        Cell::plain(ago(ider.inserted_at, now)),
    ]
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
