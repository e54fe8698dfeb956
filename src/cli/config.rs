//! `oobctl config`: checks oobd.toml, shows it, has another one put in its place.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

use crate::command::{Command, Hidden, Reply, Trial};
use crate::config::{self, Problem};
use crate::control::wire::{LONGEST_FRAME, Request, Response};

use super::client::{Client, unexpected};
use super::face::{Face, Failure};
use super::{Form, give};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// Say everything that is wrong with a configuration file; nothing is applied
    Check(Check),
    /// Have oobd read its file again; a bad one changes nothing
    Reload,
    /// Print the file of the board, secrets that stand in it included
    Show,
    /// Show what a file would change; exits 1 when it differs
    Diff(Other),
    /// Put a file in the place of the board's and in force; a bad one changes nothing
    Apply(Apply),
    /// Keep the change that waits
    Confirm,
    /// Go back to the file before: the change that waits comes undone, or else the last one
    Rollback,
}

#[derive(Debug, clap::Args)]
pub(super) struct Other {
    /// The file; `-` is standard input
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    #[command(flatten)]
    other: Other,
    #[command(flatten)]
    wait: Wait,
    /// Refuse unless the board's file is still the one with this hash (`config show --json` has it)
    #[arg(long, value_name = "HASH")]
    base: Option<String>,
}

// What becomes of a change that nobody confirms. No doc comment: clap would take it for the words of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Wait {
    /// Undo the change after this long unless `config confirm` comes; by default 5m where it touches links, doors or users
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    confirm_within: Option<u32>,
    /// Keep the change whatever it touches
    #[arg(long, conflicts_with = "confirm_within")]
    no_confirm: bool,
}

impl Wait {
    pub(super) fn trial(&self) -> Trial {
        match (self.confirm_within, self.no_confirm) {
            (Some(seconds), _) => Trial::Within(seconds),
            (_, true) => Trial::No,
            _ => Trial::AsNeeded,
        }
    }
}

/// A time such as `90s` or `5m`, in seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let time = super::time::period(text)?;
    u32::try_from(time.as_secs()).map_err(|_| "too long".into())
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The file; `-` is standard input. Without it: the file of the board
    file: Option<PathBuf>,
    /// Where the board keeps its state, to look secrets up
    #[arg(long, value_name = "DIR", default_value = "/data/oobd")]
    state: PathBuf,
}

impl Check {
    /// Can be answered without the board.
    pub(super) fn is_of_file(&self) -> bool {
        self.file
            .as_ref()
            .is_some_and(|file| file != Path::new("-"))
    }
}

pub(super) async fn check_file(check: &Check, form: Form, face: &mut Face) -> Result<(), Failure> {
    let file = check.file.clone().unwrap_or_default();
    if !face.local {
        return Err(Failure::Usage(
            "files are on your machine, oobctl is on the board: `config check - < FILE` sends one"
                .into(),
        ));
    }
    let (path, state) = (file.clone(), check.state.clone());
    let outcome = spawn_blocking(move || config::check_file(&path, &state))
        .await
        .map_err(|_| Failure::Other("the check failed".into()))?;
    if let Ok(notes) = &outcome {
        for note in notes {
            face.say(&format!("note: {note}\n")).await;
        }
    }
    let problems = outcome.err().unwrap_or_default();
    tell(&file.display().to_string(), &problems, form, face).await
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let command = match verb {
        Verb::Check(check) => {
            let text = match check.file {
                Some(file) => Some(read_other(&file, face).await?),
                None => None,
            };
            let (file, problems) = check_there(&mut client, text).await?;
            let input = "standard input".to_owned();
            let file = if file.is_empty() { input } else { file };
            return tell(&file, &problems, form, face).await;
        }
        Verb::Diff(other) => return diff(&other, form, &mut client, face).await,
        Verb::Apply(apply) => {
            let text = read_other(&apply.other.file, face).await?;
            let (_, problems) = check_there(&mut client, Some(text.clone())).await?;
            if !problems.is_empty() {
                let file = apply.other.file.display().to_string();
                return tell(&file, &problems, form, face).await;
            }
            let base = match apply.base {
                Some(base) => base,
                None => get(&mut client).await?.1,
            };
            Command::ApplyConfig {
                text: Hidden(text),
                base,
                trial: apply.wait.trial(),
            }
        }
        Verb::Reload => Command::ReloadConfig,
        Verb::Show => Command::GetConfig,
        Verb::Confirm => Command::ConfirmConfig,
        Verb::Rollback => Command::RollbackConfig,
    };
    give(&mut client, command, form, face).await
}

/// What the board says of a text, or of its own file; the name of that one.
async fn check_there(
    client: &mut Client,
    text: Option<String>,
) -> Result<(String, Vec<Problem>), Failure> {
    client.send(&Request::CheckConfig { text }).await?;
    match client.receive().await? {
        Response::Checked { file, problems } => Ok((file, problems)),
        other => Err(unexpected(&other)),
    }
}

/// The board's file and its hash.
async fn get(client: &mut Client) -> Result<(String, String), Failure> {
    match client.command(Command::GetConfig).await? {
        Reply::Config { text, hash } => Ok((text.0, hash)),
        _ => Err(Failure::Other("the board answered something else".into())),
    }
}

async fn diff(
    other: &Other,
    form: Form,
    client: &mut Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let new = read_other(&other.file, face).await?;
    let (old, _) = get(client).await?;
    let text = super::diff::unified(&old, &new, "oobd.toml", &other.file.display().to_string());
    if form != Form::Text {
        let value = serde_json::json!({ "same": text.is_empty(), "diff": text });
        face.json(&value).await?;
    } else if text.is_empty() {
        face.say("nothing differs\n").await;
    } else {
        face.print(&text).await?;
    }
    if text.is_empty() {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}

/// A file of the person's machine, or standard input.
pub(super) async fn read_other(file: &Path, face: &mut Face) -> Result<String, Failure> {
    if file == Path::new("-") {
        return read_input(face).await;
    }
    if !face.local {
        return Err(Failure::Usage(
            "files are on your machine, oobctl is on the board: name `-`, and send one as standard input"
                .into(),
        ));
    }
    let path = file.to_owned();
    let read = spawn_blocking(move || config::store::read_text(&path)).await;
    let read = read.map_err(|_| Failure::Other("reading it failed".into()))?;
    read.map_err(|problems| {
        // Of the file as a whole: what to write into it is of no help.
        let said = problems.into_iter().map(|problem| problem.message);
        let lines: Vec<String> = said.collect();
        Failure::Other(lines.join("\n"))
    })
}

async fn read_input(face: &mut Face) -> Result<String, Failure> {
    let limit = LONGEST_FRAME / 2;
    let mut text = String::new();
    (&mut face.input)
        .take(u64::try_from(limit).unwrap_or(u64::MAX))
        .read_to_string(&mut text)
        .await
        .map_err(|error| Failure::Other(format!("cannot read standard input: {error}")))?;
    if text.len() >= limit {
        return Err(Failure::Other(format!("longer than {limit} bytes")));
    }
    Ok(text)
}

/// The problems are the data; none is said in words.
async fn tell(
    file: &str,
    problems: &[Problem],
    form: Form,
    face: &mut Face,
) -> Result<(), Failure> {
    if form != Form::Text {
        let value =
            serde_json::json!({ "file": file, "good": problems.is_empty(), "problems": problems });
        face.json(&value).await?;
    } else if problems.is_empty() {
        face.say(&format!("{file}: nothing is wrong\n")).await;
    } else {
        face.print(&config::render(problems, file)).await?;
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}
