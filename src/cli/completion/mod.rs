//! `oobctl completion`: what a shell needs to complete our words. Words that never change stand in the script; at a place
//! where something of a board is named, the script asks `oobctl complete`.

mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Command, CommandFactory, Parser, ValueHint};
use clap_complete::{Shell, generate};
use tokio::time::timeout;

use crate::command::{self, Reply};
use crate::fact;

use super::client::Client;
use super::connect::{Connect, Connected};
use super::face::{Face, Failure};
use super::remote::Board;
use super::table::harmless;
use place::{Named, Place};

/// A person waits for the key to do something; a board that is slower than this offers nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the function that clap makes for bash and for zsh begins.
const BEGIN: &str = "_oobctl() {\n";

/// How fish is told where names are.
const FISH: &str = "complete -c oobctl -n __oobctl_names -f -a '$__oobctl_names'";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For bash: oobctl completion bash > /etc/bash_completion.d/oobctl
    shell: Shell,
}

// No doc comment: clap would take it for the words of the noun.
#[derive(Debug, clap::Args)]
pub(super) struct Typed {
    /// What was typed after `oobctl`, up to the cursor
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<String>,
}

pub(super) async fn run(args: &Args, face: &mut Face) -> Result<(), Failure> {
    face.print(&script(args.shell)).await
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut command = hinted(built());
    generate(shell, &mut command, "oobctl", &mut script);
    let script = String::from_utf8_lossy(&script);
    let first = |call: &str, function: &str| {
        let script = script.replacen(BEGIN, &format!("{BEGIN}    {call} && return\n"), 1);
        // zsh wants its `#compdef` in the first line.
        let (head, body) = script.split_once('\n').unwrap_or((&script, ""));
        match head.strip_prefix('#') {
            Some(_) => format!("{head}\n{function}\n{body}"),
            None => format!("{function}\n{script}"),
        }
    };
    match shell {
        Shell::Bash => first("_oobctl_names \"$2\"", include_str!("names.bash")),
        Shell::Zsh => first("_oobctl_names", include_str!("names.zsh")),
        Shell::Fish => {
            let mut script = format!("{script}\n{}", include_str!("names.fish"));
            // fish completes an option's value by lines for that option alone.
            for option in place::options(&built()) {
                script.push_str(&format!("{FISH} -l {option} -r\n"));
            }
            script
        }
        _ => script.into_owned(),
    }
}

/// All nouns and verbs that a person types, with what stands everywhere in each of them.
fn built() -> Command {
    let all = super::Args::command();
    let shown = all.get_subcommands().filter(|noun| !noun.is_hide_set());
    let mut command = Command::new("oobctl")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(shown);
    command.build();
    command
}

/// A name of oobd.toml is no file: none are offered where one stands.
fn hinted(command: Command) -> Command {
    let hint = |arg: clap::Arg| match arg.get_id().as_str() {
        "name" => arg.value_hint(ValueHint::Other),
        _ => arg,
    };
    command.mut_args(hint).mut_subcommands(hinted)
}

/// `oobctl complete WORDS…`: what may stand at the last of the words, one a line. Exit status 1 where no name of a board
/// stands; nothing, and 0, where one stands and the board does not tell. Never asks a person, never says why.
pub(super) async fn names<C: Connect + Send>(
    typed: &Typed,
    here: (Board, PathBuf),
    connect: C,
    face: &mut Face,
) -> Result<(), Failure> {
    let Some(place) = place::find(&built(), &typed.words) else {
        return Err(Failure::Silent);
    };
    face.terminal = false;
    let asked = timeout(PATIENCE, ask(&place, here, connect, face)).await;
    let names = asked.ok().flatten().unwrap_or_default();
    let lines = names.iter().filter(|name| !name.is_empty());
    let lines: String = lines
        .map(|name| format!("{}{}\n", place.before, harmless(name)))
        .collect();
    face.print(&lines).await
}

async fn ask<C: Connect + Send>(
    place: &Place,
    here: (Board, PathBuf),
    connect: C,
    face: &mut Face,
) -> Option<BTreeSet<String>> {
    let (board, socket) = match place.everywhere.as_slice() {
        [] => here,
        // The line that is being typed says which board it will ask.
        said => {
            let program = std::iter::once("oobctl".to_owned());
            let words = program.chain(said.to_vec()).chain(["status".to_owned()]);
            let args = super::Args::try_parse_from(words).ok()?;
            (args.board, args.socket)
        }
    };
    if board.host.is_some() && !(face.local && board.is_silent(&face.environment)) {
        return None;
    }
    let target = super::target(board, socket);
    let Connected { link, pump } = connect.connect(target, face).await.ok()?;
    let mut client = Client::new(link);
    tokio::select! {
        // Neither is polled again after the other has ended, so nothing needs to be cancel-safe.
        told = told(&place.named, &mut client) => told.ok(),
        never = pump => match never {},
    }
}

async fn told(named: &Named, client: &mut Client) -> Result<BTreeSet<String>, Failure> {
    if *named == Named::User {
        let Reply::Users(users) = client.command(command::Command::ListUsers).await? else {
            return Ok(BTreeSet::new());
        };
        return Ok(users.into_iter().map(|user| user.name).collect());
    }
    let state = client.state().await?;
    Ok(match named {
        Named::Console => state.consoles.into_keys().collect(),
        Named::Machine => state.machines.into_keys().collect(),
        Named::Uplink => state.uplinks.into_keys().collect(),
        Named::Pdu => state.pdus.into_keys().collect(),
        Named::Ups => state.upses.into_keys().collect(),
        Named::Source => state.owners.into_keys().collect(),
        Named::Outlet => {
            let pdus = state.pdus.values();
            let key =
                |pdu: &fact::Pdu, outlet: &fact::Outlet| format!("{}/{}", pdu.name, outlet.key);
            pdus.flat_map(|pdu| pdu.outlets.iter().map(|outlet| key(pdu, outlet)))
                .collect()
        }
        Named::Attached => {
            let sessions = state.consoles.into_values().flat_map(|c| c.sessions);
            sessions.map(|session| session.user).collect()
        }
        Named::User => BTreeSet::new(),
    })
}
