//! `oobctl completion`: what a shell needs to complete our words. Asks nobody.

use clap::{Command, CommandFactory, ValueHint};
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
    command.build();
    let mut command = hinted(command);
    generate(args.shell, &mut command, "oobctl", &mut script);
    face.print(&String::from_utf8_lossy(&script)).await
}

/// A name of oobd.toml is no file: none are offered where one stands.
fn hinted(command: Command) -> Command {
    let hint = |arg: clap::Arg| match arg.get_id().as_str() {
        "name" => arg.value_hint(ValueHint::Other),
        _ => arg,
    };
    command.mut_args(hint).mut_subcommands(hinted)
}
