//! `oobctl support-bundle`: has the board make an archive for a helper elsewhere, and keeps it in a file.

use std::path::PathBuf;

use tokio::io::AsyncWriteExt;

use crate::control::wire::{Request, Response};

use super::Form;
use super::client::{Client, unexpected};
use super::face::{Face, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to; `-` is standard output, as without it when that is no terminal
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(
    args: &Args,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let file = args.output.as_ref().filter(|file| file.as_os_str() != "-");
    if file.is_some() && !face.local {
        let text = "files are on your machine, oobctl is on the board: `support-bundle > FILE` makes one there";
        return Err(Failure::Usage(text.into()));
    }
    if file.is_none() && face.terminal {
        let text = "this is no text for a terminal: say -o FILE";
        return Err(Failure::Usage(text.into()));
    }
    client.send(&Request::SupportBundle).await?;
    let mut archive = Vec::new();
    loop {
        match client.receive().await? {
            Response::Piece(piece) => archive.extend_from_slice(&piece),
            Response::End => break,
            other => return Err(unexpected(&other)),
        }
    }
    let Some(file) = file else {
        face.out
            .write_all(&archive)
            .await
            .map_err(Failure::Output)?;
        return face.out.flush().await.map_err(Failure::Output);
    };
    let written = tokio::fs::write(file, &archive).await;
    written.map_err(|error| Failure::Other(format!("cannot write {}: {error}", file.display())))?;
    if form != Form::Text {
        let value = serde_json::json!({ "file": file, "bytes": archive.len() });
        return face.json(&value).await;
    }
    let text = format!("{}: {} bytes, no secrets\n", file.display(), archive.len());
    face.say(&text).await;
    Ok(())
}
