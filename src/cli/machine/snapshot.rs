//! `oobctl machine snapshot`: a machine's screen as a PNG file.

use std::path::PathBuf;

use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::cli::client::Client;
use crate::cli::face::{Face, Failure};

pub(super) async fn run(
    machine: String,
    output: Option<PathBuf>,
    client: &mut Client,
    face: &mut Face,
) -> Result<(), Failure> {
    if output.is_some() && !face.local {
        let text =
            "a file here would be one of the board: leave out --output, and redirect the output";
        return Err(Failure::Usage(text.into()));
    }
    if output.is_none() && face.terminal {
        let text = "a picture is nothing for a terminal: say --output FILE, or redirect the output";
        return Err(Failure::Usage(text.into()));
    }
    let png = client.snapshot(machine).await?;
    let Some(path) = output else {
        return face.bytes(&png).await;
    };
    let write = async {
        let mut file = File::create(&path).await?;
        file.write_all(&png).await?;
        file.flush().await
    };
    let why = |error: std::io::Error| Failure::Other(format!("{}: {error}", path.display()));
    write.await.map_err(why)
}
