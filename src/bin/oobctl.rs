//! `oobctl`: gives the command line this process's terminal and the control socket.

#![allow(
    clippy::disallowed_methods,
    reason = "a program may read its environment"
)]

use std::process::ExitCode;

use oobd::cli::{self, Face, Link};
use tokio::net::UnixStream;

fn main() -> ExitCode {
    let args = match arguments() {
        Ok(args) => args,
        Err(bad) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "oobctl: {bad} is not UTF-8 text");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "oobctl: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let mut face = face();
        let connect = |path: std::path::PathBuf| async move {
            let stream = UnixStream::connect(path).await?;
            let link: Link = Box::new(stream);
            Ok(link)
        };
        cli::run(args, connect, &mut face).await
    });
    // A thread may still wait for a key; nobody wants what it would read.
    runtime.shutdown_background();
    ExitCode::from(code)
}

fn arguments() -> Result<Vec<String>, String> {
    let args = std::env::args_os().skip(1);
    args.map(|arg| {
        arg.into_string()
            .map_err(|bad| bad.to_string_lossy().into_owned())
    })
    .collect()
}

fn face() -> Face {
    let mut face = Face::new(
        Box::new(tokio::io::stdin()),
        Box::new(tokio::io::stdout()),
        Box::new(tokio::io::stderr()),
    );
    let (_, terminal) = cli::is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    face.terminal = terminal;
    face.color = terminal && !plain;
    if terminal {
        (face.width, face.height) = cli::size();
    }
    face.local = true;
    face
}
