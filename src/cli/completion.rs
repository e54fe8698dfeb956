//! `oobctl completion`: what a shell needs to complete our words. Asks nobody.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::face::{Face, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For bash: oobctl completion bash > /etc/bash_completion.d/oobctl
    shell: Shell,
}

pub(super) async fn run(args: &Args, face: &mut Face) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = super::Args::command();
    generate(args.shell, &mut command, "oobctl", &mut script);
    face.print(&String::from_utf8_lossy(&script)).await
}
