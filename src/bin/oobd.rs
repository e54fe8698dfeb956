//! `oobd`: arguments → logging → supervisor. `oobd check FILE` says what is wrong with a configuration.

#![allow(
    clippy::disallowed_methods,
    reason = "a program may read its environment"
)]

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use oobd::fault::chain;
use oobd::supervisor::{self, context::Dirs};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A thread that has blocked for somebody ends when nobody needs it for so long: a start needs many, and hours after it none.
const IDLE: Duration = Duration::from_secs(2);

/// Out-of-band management supervisor.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The one configuration file
    #[arg(long, value_name = "FILE", default_value = "/boot/firmware/oobd.toml")]
    config: PathBuf,
    /// What survives a reboot
    #[arg(long, value_name = "DIR", default_value = "/data/oobd")]
    state: PathBuf,
    /// Sockets, and what lives as long as the boot
    #[arg(long, value_name = "DIR", default_value = "/run/oobd")]
    run: PathBuf,
    /// Where first-boot.txt and oobd-errors.txt go [default: beside FILE]
    #[arg(long, value_name = "DIR")]
    notes: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Say everything that is wrong with a configuration file; exits 0 when nothing is, 1 otherwise
    Check { file: PathBuf },
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Action::Check { file }) = args.action {
        return check(&file, &args.state);
    }
    start_log();
    // One worker: nothing here computes for long, and a second one is woken and put to sleep again for every key and every
    // piece of a line, which costs more than it carries. What blocks or computes goes to threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_keep_alive(IDLE)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let dirs = Dirs {
                state: args.state,
                run: args.run,
                notes: args
                    .notes
                    .unwrap_or_else(|| args.config.parent().unwrap_or(Path::new("")).to_owned()),
                config: args.config,
            };
            let outcome = runtime
                .block_on(supervisor::run(dirs))
                .map_err(|e| chain(&e));
            // Whatever still hangs must not keep the process past its 5 s.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(format!("cannot start the runtime: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!("oobd cannot run: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path, state: &Path) -> ExitCode {
    let mut out = std::io::stderr();
    match oobd::config::check_file(file, state) {
        Ok(remarks) => {
            for remark in remarks {
                let _ = writeln!(out, "{remark}");
            }
            let _ = writeln!(out, "{}: nothing is wrong", file.display());
            ExitCode::SUCCESS
        }
        Err(problems) => {
            let name = file.display().to_string();
            let _ = write!(out, "{}", oobd::config::render(&problems, &name));
            ExitCode::FAILURE
        }
    }
}

/// To journald when it is our standard error, else as text to standard error. `OOBD_LOG` filters by target,
/// e.g. `debug` or `info,oobd::power=trace`.
fn start_log() {
    let wanted = std::env::var("OOBD_LOG").ok();
    let wanted = wanted.and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let registry = tracing_subscriber::registry().with(filter);
    let journald = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    if let Some(layer) = journald {
        registry
            .with(layer.with_syslog_identifier("oobd".into()))
            .init();
    } else {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .init();
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}
