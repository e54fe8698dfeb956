//! `oobctl`: gives the command line this process's terminal and the control socket.

#![allow(
    clippy::disallowed_methods,
    reason = "a program may read its environment"
)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use oobd::cli::{self, Environment, Face, Outside};
use oobd::config::Secret;
use tokio::io::AsyncWrite;

fn main() -> ExitCode {
    let args = match arguments() {
        Ok(args) => args,
        Err(bad) => {
            let _ = writeln!(io::stderr(), "oobctl: {bad} is not UTF-8 text");
            return ExitCode::from(2);
        }
    };
    if let [word, folder] = args.as_slice()
        && word == "man"
    {
        return manual(folder);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "oobctl: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let mut face = face();
        cli::run(args, Outside, &mut face).await
    });
    // A thread may still wait for a key; nobody wants what it would read.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// For packagers; no help tells of it.
fn manual(folder: &str) -> ExitCode {
    match cli::manual(Path::new(folder)) {
        Ok(pages) => {
            let _ = writeln!(io::stdout(), "{} pages in {folder}", pages.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "oobctl: no manual in {folder}: {error}");
            ExitCode::FAILURE
        }
    }
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
        Box::new(AtOnce(io::stdout())),
        Box::new(AtOnce(io::stderr())),
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
    face.environment = environment();
    face
}

fn environment() -> Environment {
    let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let folder = |name| text(name).map(PathBuf::from);
    Environment {
        config: folder("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(folder("HOME")?.join(".config"))),
        user: text("USER").or_else(|| text("LOGNAME")),
        password: text("OOBD_PASSWORD").map(Secret::new),
    }
}

/// Writes where it stands: whoever prints waits for that anyway, and a thread for it would cost a command more than the rest.
struct AtOnce<W>(W);

impl<W: Write + Unpin> AsyncWrite for AtOnce<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
