//! `oobd`: arguments → logging → supervisor. `oobd check FILE` says what is wrong with a configuration.

#![allow(
    clippy::disallowed_methods,
    reason = "a program may read its environment"
)]

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, ValueExt};
use oobd::fault::chain;
use oobd::supervisor::{self, context::Dirs};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A thread that has blocked for somebody ends when nobody needs it for so long: a start needs many, and hours after it none.
const IDLE: Duration = Duration::from_secs(2);

const HELP: &str = "\
Out-of-band management supervisor

usage: oobd [OPTIONS]
       oobd check FILE      Say everything that is wrong with a configuration file; exits 0 when nothing is, 1 otherwise

  --config FILE  The one configuration file [default: /boot/firmware/oobd.toml]
  --state DIR    What survives a reboot [default: /data/oobd]
  --run DIR      Sockets, and what lives as long as the boot [default: /run/oobd]
  --notes DIR    Where first-boot.txt and oobd-errors.txt go [default: beside the configuration]
  -h, --help     Print this
  -V, --version  Print the version
";
/// What a shell expects of a command that was called wrongly.
const USAGE: u8 = 2;

enum Action {
    Run(Dirs),
    Check { file: PathBuf, state: PathBuf },
    Say(String),
}

/// What the command line asks for. By lexopt: clap, which oobctl has, would be a twentieth of this program.
fn arguments(mut words: lexopt::Parser) -> Result<Action, lexopt::Error> {
    let mut config = PathBuf::from("/boot/firmware/oobd.toml");
    let mut state = PathBuf::from("/data/oobd");
    let mut run = PathBuf::from("/run/oobd");
    let (mut notes, mut check) = (None, false);
    let mut file: Option<PathBuf> = None;
    while let Some(word) = words.next()? {
        match word {
            Arg::Long("config") => config = words.value()?.into(),
            Arg::Long("state") => state = words.value()?.into(),
            Arg::Long("run") => run = words.value()?.into(),
            Arg::Long("notes") => notes = Some(words.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Action::Say(HELP.into())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Action::Say(format!("oobd {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Value(word) if !check => {
                let word = word.string()?;
                if word != "check" {
                    return Err(
                        format!("there is no command {word:?}; there is: check FILE").into(),
                    );
                }
                check = true;
            }
            Arg::Value(word) if file.is_none() => file = Some(word.into()),
            other => return Err(other.unexpected()),
        }
    }
    match (check, file) {
        (true, Some(file)) => Ok(Action::Check { file, state }),
        (true, None) => Err("check: which FILE?".into()),
        (false, _) => {
            let beside = || config.parent().unwrap_or(Path::new("")).to_owned();
            let notes = notes.unwrap_or_else(beside);
            Ok(Action::Run(Dirs {
                config,
                state,
                run,
                notes,
            }))
        }
    }
}

fn main() -> ExitCode {
    let dirs = match arguments(lexopt::Parser::from_env()) {
        Ok(Action::Run(dirs)) => dirs,
        Ok(Action::Check { file, state }) => return check(&file, &state),
        Ok(Action::Say(text)) => {
            // A reader that has left needs no more.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "oobd: {error} (see oobd --help)");
            return ExitCode::from(USAGE);
        }
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<Action, String> {
        arguments(lexopt::Parser::from_args(words)).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_asked_for() {
        let Ok(Action::Run(dirs)) = asked(&["--config", "/a/oobd.toml", "--run=/r"]) else {
            panic!("it runs");
        };
        assert_eq!(dirs.config, Path::new("/a/oobd.toml"));
        assert_eq!(dirs.run, Path::new("/r"));
        assert_eq!(dirs.state, Path::new("/data/oobd"));
        assert_eq!(dirs.notes, Path::new("/a"));
        let Ok(Action::Check { file, state }) = asked(&["check", "x.toml", "--state", "/s"]) else {
            panic!("it checks");
        };
        assert_eq!((file, state), ("x.toml".into(), "/s".into()));
        let Ok(Action::Say(text)) = asked(&["--version"]) else {
            panic!("it says");
        };
        assert!(text.starts_with("oobd "));
    }

    #[test]
    fn a_wrong_word_is_named() {
        for (words, named) in [
            (&["--confg", "x"][..], "--confg"),
            (&["chek", "x"], "chek"),
            (&["check"], "FILE"),
            (&["check", "a", "b"], "\"b\""),
            (&["--config"], "--config"),
        ] {
            let error = asked(words).err().unwrap();
            assert!(error.contains(named), "{words:?}: {error}");
        }
    }
}
