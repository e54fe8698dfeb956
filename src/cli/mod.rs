//! The command line, `oobctl` and in-process behind SSH. One file per noun. Knows the control protocol and no room.

mod amt;
mod certificate;
mod client;
mod completion;
mod config;
mod confirm;
mod connect;
mod console;
mod diff;
mod event;
mod face;
#[cfg(test)]
mod golden;
mod machine;
mod man;
mod outlet;
mod password;
mod past;
mod remote;
mod status;
mod support;
mod table;
mod terminal;
mod time;
mod uplink;
mod ups;
mod user;
mod verbs;

use std::future::ready;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use futures::future::{BoxFuture, FutureExt};

pub use client::{Link, Stream};
pub use connect::{Connect, Connected, Outside, Target};
pub use face::{Face, Failure};
pub use man::manual;
pub use remote::{Board, Environment};
pub use terminal::{is_terminal, size};

use client::Client;
use verbs::Verbs;

/// Ask and steer an oobd board.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 3 oobd is not reachable, 4 refused,
/// 5 done but not confirmed, 124 no outcome in time.
#[derive(Debug, Parser)]
#[command(
    name = "oobctl",
    version,
    max_term_width = 100,
    propagate_version = false
)]
struct Args {
    /// Control socket of oobd
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        default_value = "/run/oobd/control.sock",
        help_heading = "Everywhere"
    )]
    socket: PathBuf,
    #[command(flatten)]
    board: Board,
    /// Print one JSON object instead of text
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// Print one JSON object per line, for things that come one after the other
    #[arg(
        long,
        global = true,
        conflicts_with = "json",
        help_heading = "Everywhere"
    )]
    jsonl: bool,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Noun {
    /// The board at a glance
    Status(status::Args),
    /// Ways out for management
    Uplink(Verbs<uplink::Verb>),
    /// Serial consoles
    Console(Verbs<console::Verb>),
    /// Managed computers: power, sensors, logs, boot, media, BIOS
    Machine(Verbs<machine::Verb>),
    /// What machines with Intel AMT have besides: features, consent, logs, alarms
    Amt(Verbs<amt::Verb>),
    /// Outlets of PDUs, and their power
    Outlet(Verbs<outlet::Verb>),
    /// Power distribution units
    Pdu(Verbs<outlet::PduVerb>),
    /// Uninterruptible power supplies
    Ups(Verbs<ups::Verb>),
    /// What happened
    Event(Verbs<event::Verb>),
    /// The configuration file
    Config(Verbs<config::Verb>),
    /// What the HTTPS door shows to browsers
    Certificate(Verbs<certificate::Verb>),
    /// Who may sign in, and to what
    User(Verbs<user::Verb>),
    /// Make an archive of all that a helper needs to know, without secrets
    SupportBundle(support::Args),
    /// Make the hash of a password for oobd.toml
    Password,
    /// Print completions for a shell
    Completion(completion::Args),
    #[command(hide = true)]
    Complete(completion::Typed),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// One object.
    Json,
    /// One object per line.
    Lines,
}

/// Is this the first word of a command?
#[must_use]
pub fn knows(word: &str) -> bool {
    use clap::CommandFactory;
    word == "help" || Args::command().find_subcommand(word).is_some()
}

/// Runs one command line and returns its exit status. `args` has no program name in it. `connect` is asked by commands that
/// need the board only.
pub async fn run<C: Connect + Send>(args: Vec<String>, connect: C, face: &mut Face) -> u8 {
    let program = std::iter::once("oobctl".to_owned());
    let args = match Args::try_parse_from(program.chain(args)) {
        Ok(args) => args,
        Err(error) => return explain(&error, face).await,
    };
    match carry_out(args, connect, face).await {
        Ok(()) => 0,
        Err(failure) => {
            if let Some(sentence) = failure.sentence() {
                let lines: Vec<String> = sentence.lines().map(table::harmless).collect();
                // Set in, for a text of somebody else's must not look like a line of ours.
                face.say(&format!("oobctl: {}\n", lines.join("\n  "))).await;
            }
            failure.code()
        }
    }
}

/// Usage, help and version, as clap words them.
async fn explain(error: &clap::Error, face: &mut Face) -> u8 {
    let styled = error.render();
    let text = if face.color {
        styled.ansi().to_string()
    } else {
        styled.to_string()
    };
    if error.use_stderr() {
        face.say(&text).await;
        return 2;
    }
    match face.print(&text).await {
        Ok(()) => 0,
        Err(failure) => failure.code(),
    }
}

/// Work for a shell; elsewhere a refusal. Settled before there is a future, so that a program without a shell has none of its code.
fn for_a_shell<'a, C: Connect, F>(work: impl FnOnce() -> F) -> BoxFuture<'a, Result<(), Failure>>
where
    F: Future<Output = Result<(), Failure>> + Send + 'a,
{
    if C::OF_A_SHELL {
        return work().boxed();
    }
    let why = "completions are for a shell: install oobctl where it runs";
    ready(Err(Failure::Usage(why.into()))).boxed()
}

async fn carry_out<C: Connect + Send>(
    args: Args,
    connect: C,
    face: &mut Face,
) -> Result<(), Failure> {
    let form = match (args.json, args.jsonl) {
        (true, _) => Form::Json,
        (_, true) => Form::Lines,
        _ => Form::Text,
    };
    match args.noun {
        Noun::Password => return password::run(form, face).await,
        Noun::Completion(shell) => {
            return for_a_shell::<C, _>(|| completion::run(&shell, face)).await;
        }
        Noun::Complete(typed) => {
            let here = (args.board, args.socket);
            let work = || completion::names(&typed, here, connect, face);
            return for_a_shell::<C, _>(work).await;
        }
        Noun::Config(Verbs(config::Verb::Check(check)))
            if check.is_of_file() && args.board.host.is_none() =>
        {
            return config::check_file(&check, form, face).await;
        }
        _ => {}
    }
    if args.board.host.is_some() && !face.local {
        // A board is no stepping stone for passwords.
        return Err(Failure::Usage(
            "--host is for oobctl on a computer of yours".into(),
        ));
    }
    let target = target(args.board, args.socket);
    let Connected { link, pump } = connect.connect(target, face).await?;
    let client = Client::new(link);
    tokio::select! {
        // Neither is polled again after the other has ended, so nothing needs to be cancel-safe.
        done = ask(args.noun, form, client, face) => done,
        never = pump => match never {},
    }
}

fn target(board: Board, socket: PathBuf) -> Target {
    match board.host {
        Some(_) => Target::Board(board),
        None => Target::Socket(socket),
    }
}

/// What needs the board.
async fn ask(noun: Noun, form: Form, client: Client, face: &mut Face) -> Result<(), Failure> {
    match noun {
        Noun::Status(args) => status::run(&args, form, client, face).await,
        Noun::Uplink(Verbs(verb)) => uplink::run(verb, form, client, face).await,
        Noun::Console(Verbs(verb)) => console::run(verb, form, client, face).await,
        Noun::Machine(Verbs(verb)) => machine::run(verb, form, client, face).await,
        Noun::Amt(Verbs(verb)) => amt::run(verb, form, client, face).await,
        Noun::Outlet(Verbs(verb)) => outlet::run(verb, form, client, face).await,
        Noun::Pdu(Verbs(verb)) => outlet::pdu(verb, form, client, face).await,
        Noun::Ups(Verbs(verb)) => ups::run(verb, form, client, face).await,
        Noun::Event(Verbs(verb)) => event::run(verb, form, client, face).await,
        Noun::Config(Verbs(verb)) => config::run(verb, form, client, face).await,
        Noun::Certificate(Verbs(verb)) => certificate::run(verb, form, client, face).await,
        Noun::User(Verbs(verb)) => user::run(verb, form, client, face).await,
        Noun::SupportBundle(args) => support::run(&args, form, client, face).await,
        Noun::Password | Noun::Completion(_) | Noun::Complete(_) => Ok(()),
    }
}

/// Gives a command and prints the reply.
async fn give(
    client: &mut Client,
    command: crate::command::Command,
    form: Form,
    face: &mut Face,
) -> Result<(), Failure> {
    let reply = client.command(command).await?;
    print_reply(reply, form, face).await
}

/// Prints the reply to a command.
async fn print_reply(
    reply: crate::command::Reply,
    form: Form,
    face: &mut Face,
) -> Result<(), Failure> {
    use crate::command::Reply;
    if form != Form::Text {
        let value = match &reply {
            Reply::Done => serde_json::json!({ "done": true }),
            Reply::Journaled { seq } => serde_json::json!({ "done": true, "seq": seq }),
            Reply::Said(text) => serde_json::json!({ "done": true, "said": text }),
            Reply::Line(line) => serde_json::json!({ "done": true, "line": line }),
            Reply::Started { action } => serde_json::json!({ "started": action }),
            Reply::Sensors(sensors) => serde_json::json!({ "sensors": sensors }),
            Reply::MachineLog(log) => serde_json::json!({ "log": log }),
            Reply::Boot(boot) => serde_json::json!({ "boot": boot }),
            Reply::Media(media) => serde_json::json!({ "media": media }),
            Reply::Bios(bios) => serde_json::json!({ "bios": bios }),
            Reply::Parts(parts) => serde_json::json!({ "parts": parts }),
            Reply::Amt(told) => serde_json::json!(told),
            Reply::AmtFound(found) => serde_json::json!({ "devices": found }),
            Reply::Config { text, hash } => serde_json::json!({ "text": text, "hash": hash }),
            Reply::ConfigApplied {
                hash,
                restarted,
                confirm_within,
            } => serde_json::json!({
                "done": true,
                "hash": hash,
                "restarted": restarted,
                "confirm_within": confirm_within,
            }),
            Reply::Users(users) => serde_json::json!({ "users": users }),
            Reply::Certificate(certificate) => serde_json::json!({ "certificate": certificate }),
            Reply::CertificateRequest { pem } => serde_json::json!({ "request": pem }),
            Reply::Networks(networks) => serde_json::json!({ "networks": networks }),
            Reply::Past(past) => serde_json::json!(past),
        };
        return face.json(&value).await;
    }
    match reply {
        Reply::Done => {
            face.say("done\n").await;
            Ok(())
        }
        Reply::Journaled { seq } => face.print(&format!("{seq}\n")).await,
        Reply::Line(line) => face.print(&format!("{}\n", line.line)).await,
        Reply::Started { action } => face.print(&format!("started ({action})\n")).await,
        // The nouns show these in tables of their own.
        Reply::Sensors(_)
        | Reply::MachineLog(_)
        | Reply::Boot(_)
        | Reply::Media(_)
        | Reply::Bios(_)
        | Reply::Parts(_)
        | Reply::Amt(_)
        | Reply::AmtFound(_)
        | Reply::Users(_) => face.json(&reply).await,
        Reply::Config { text, .. } => face.print(&text.0).await,
        Reply::Certificate(shown) => face.print(&certificate::show(&shown)).await,
        Reply::CertificateRequest { pem } => face.print(&pem).await,
        Reply::Networks(all) => {
            let text = past::networks(&all, face.color);
            face.table(&text, "no network is heard").await
        }
        Reply::Past(past) => {
            let text = past::history(&past, face.color);
            face.table(&text, "nothing was measured yet").await
        }
        Reply::ConfigApplied {
            restarted,
            confirm_within,
            ..
        } => {
            let restarted = match restarted.as_slice() {
                [] => "nothing had to restart".to_owned(),
                names => format!("restarted {}", names.join(", ")),
            };
            face.print(&format!("in force; {restarted}\n")).await?;
            if let Some(seconds) = confirm_within {
                let text = format!(
                    "Comes undone in {seconds} s unless you keep it: oobctl config confirm\n"
                );
                face.say(&text).await;
            }
            Ok(())
        }
        Reply::Said(text) => {
            let text: Vec<String> = text.lines().map(table::harmless).collect();
            face.print(&(text.join("\n") + "\n")).await
        }
    }
}
