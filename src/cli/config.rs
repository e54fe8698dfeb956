//! `oobctl config`: checks oobd.toml, has it read again. Never writes it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

use crate::command::Command;
use crate::config::{self, Problem};
use crate::control::wire::{LONGEST_FRAME, Request, Response};

use super::client::{Client, unexpected};
use super::face::{Face, Failure};
use super::{Form, give};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Say everything that is wrong with a configuration file; nothing is applied
    Check(Check),
    /// Have oobd read its file again; a bad one changes nothing
    Reload,
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
    let check = match verb {
        Verb::Reload => {
            return give(&mut client, Command::ReloadConfig, form, face).await;
        }
        Verb::Check(check) => check,
    };
    let text = match check.file {
        Some(_) => Some(read_input(face).await?),
        None => None,
    };
    client.send(&Request::CheckConfig { text }).await?;
    match client.receive().await? {
        Response::Checked { file, problems } => {
            let file = if file.is_empty() {
                "standard input".to_owned()
            } else {
                file
            };
            tell(&file, &problems, form, face).await
        }
        other => Err(unexpected(&other)),
    }
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
