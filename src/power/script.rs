//! A program of the operator's that switches what no driver here can: run with a verb and an outlet, its exit status and first word
//! are the answer. No shell, a scrubbed environment, and an end with all its children at the time limit.
//!
//! `PROGRAM ARGS… status OUTLET` prints `on`, `off` or `unknown`; `PROGRAM ARGS… on|off|cycle OUTLET` ends with 0 when it was done.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::driver::{Doing, Driver, Fault, OutletReading, Reading};
use crate::config::Script;
use crate::reset::{PowerState, Verb};

/// What is read of a program's output; the rest is thrown away.
const MOST_OUTPUT: usize = 4096;
/// Where programs look for others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One program.
#[derive(Debug)]
pub struct Driven {
    settings: Script,
}

/// How it ended.
struct Ended {
    good: bool,
    said: String,
    complaint: String,
}

/// A program that runs; dropping it ends it and all that it started.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group outlives its first process where that left children behind.
        if let Some(group) = self.group {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Driven {
    #[must_use]
    pub fn new(settings: Script) -> Self {
        Self { settings }
    }

    async fn run(&self, verb: &str, outlet: &str) -> Result<Ended, Fault> {
        let program = self.settings.program.display();
        let limit = self.settings.limit;
        let mut command = Command::new(&self.settings.program);
        command
            .args(&self.settings.args)
            .args([verb, outlet])
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that all it starts can be ended with it.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(password) = &self.settings.password {
            command.env("OOBD_PASSWORD", password.expose());
        }
        let started = command.spawn();
        let mut child = started.map_err(|error| Fault::NotPossible(format!("{program}: {error}")))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut running = Running {
            child,
            group: group.map(Pid::from_raw),
        };
        let whole = async {
            let (said, complaint) = tokio::join!(read(out), read(err));
            (running.child.wait().await, said, complaint)
        };
        let Ok((status, said, complaint)) = timeout(limit, whole).await else {
            return Err(Fault::Silent(format!(
                "{program} was not done after {} s and was ended",
                limit.as_secs_f32()
            )));
        };
        let status = status.map_err(|error| Fault::Odd(format!("{program}: {error}")))?;
        Ok(Ended {
            good: status.success(),
            said,
            complaint: match complaint.as_str() {
                "" => status.to_string(),
                text => text.to_owned(),
            },
        })
    }

    async fn read_now(&self) -> Result<Reading, Fault> {
        let mut reading = Reading::default();
        for key in &self.settings.outlets {
            let ended = self.run("status", key).await?;
            if !ended.good {
                return Err(self.odd(&format!("status {key}: {}", ended.complaint)));
            }
            reading.outlets.push(OutletReading {
                key: key.clone(),
                state: match ended.said.split_whitespace().next() {
                    Some("on") => PowerState::On,
                    Some("off") => PowerState::Off,
                    Some("unknown") => PowerState::Unknown,
                    other => {
                        let word = other.unwrap_or_default();
                        return Err(self.odd(&format!(
                            "status {key}: `{}` is neither on nor off nor unknown",
                            word.escape_debug()
                        )));
                    }
                },
                cycles: self.settings.cycles,
                ..OutletReading::default()
            });
        }
        Ok(reading)
    }

    async fn switch_now(&self, key: &str, verb: Verb) -> Result<(), Fault> {
        if !self.settings.outlets.iter().any(|known| known == key) {
            return Err(Fault::NotPossible(format!("there is no outlet {key}")));
        }
        if !verb.is_for_outlets() || (verb == Verb::PowerCycle && !self.settings.cycles) {
            return Err(Fault::NotPossible(format!("it cannot {verb} an outlet")));
        }
        let ended = self.run(verb.word(), key).await?;
        if ended.good {
            return Ok(());
        }
        Err(self.odd(&format!("{verb} {key}: {}", ended.complaint)))
    }

    fn odd(&self, what: &str) -> Fault {
        Fault::Odd(format!("{}: {what}", self.settings.program.display()))
    }
}

/// The beginning of what it says, on one line; all of it is read, so that it never waits for us.
async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let room = MOST_OUTPUT.saturating_sub(kept.len()).min(length);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&kept);
    let shown = text.lines().map(str::trim).find(|line| !line.is_empty());
    let shown = shown.unwrap_or_default().chars();
    shown.filter(|letter| !letter.is_control()).take(200).collect()
}

impl Driver for Driven {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(self.read_now())
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, _off: Duration) -> Doing<'a, ()> {
        Box::pin(self.switch_now(outlet, verb))
    }

    /// One run for each outlet.
    fn limit(&self) -> Duration {
        let runs = u32::try_from(self.settings.outlets.len()).unwrap_or(u32::MAX);
        self.settings.limit.saturating_mul(runs.max(1)) + Duration::from_secs(5)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Secret;

    fn driven(dir: &Path, text: &str, limit: Duration) -> Driven {
        let script = dir.join("switch");
        std::fs::write(&script, format!("{text}\n")).unwrap();
        // Not run itself: a fork elsewhere in this process may hold it open for writing.
        let args = [script.to_str().unwrap(), "first", "a b; $HOME"];
        Driven::new(Script {
            program: "/bin/sh".into(),
            args: args.map(str::to_owned).to_vec(),
            outlets: vec!["3".into()],
            password: Some(Secret::new("hunter2")),
            cycles: false,
            limit,
        })
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn it_gets_its_words_and_a_clean_environment() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let text = format!(
            "for word; do echo \"<$word>\"; done > {0}; env | sort >> {0}; pwd >> {0}; echo on",
            seen.display()
        );
        let mut driven = driven(dir.path(), &text, LONG);
        let reading = driven.read().await.unwrap();
        assert_eq!(reading.outlets[0].state, PowerState::On);
        let seen = std::fs::read_to_string(seen).unwrap();
        assert!(seen.starts_with("<first>\n<a b; $HOME>\n<status>\n<3>\n"), "{seen}");
        assert!(seen.contains("OOBD_PASSWORD=hunter2\n"), "{seen}");
        assert!(!seen.contains("CARGO") && !seen.contains("HOME=") && seen.ends_with("/\n"), "{seen}");
    }

    #[tokio::test]
    async fn what_it_complains_of_is_told_without_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let mut failing = driven(dir.path(), "echo relay stuck >&2; exit 3", LONG);
        let fault = failing.switch("3", Verb::On, LONG).await.unwrap_err();
        assert!(fault.to_string().ends_with("on 3: relay stuck"), "{fault}");
        let fault = failing.switch("4", Verb::On, LONG).await.unwrap_err();
        assert!(matches!(fault, Fault::NotPossible(_)), "{fault}");
        let fault = failing.switch("3", Verb::PowerCycle, LONG).await.unwrap_err();
        assert!(matches!(fault, Fault::NotPossible(_)), "{fault}");
        assert!(!format!("{failing:?}").contains("hunter2"));
        let mut odd = driven(dir.path(), "echo maybe", LONG);
        assert!(matches!(odd.read().await, Err(Fault::Odd(_))));
    }

    #[tokio::test]
    async fn a_flood_of_output_is_read_and_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut flood = driven(dir.path(), "echo off; head -c 2000000 /dev/zero; echo", LONG);
        assert_eq!(flood.read().await.unwrap().outlets[0].state, PowerState::Off);
    }

    #[tokio::test]
    async fn at_the_limit_its_children_end_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("pid");
        let text = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", seen.display());
        let mut hanging = driven(dir.path(), &text, Duration::from_secs(2));
        let fault = hanging.switch("3", Verb::On, LONG).await.unwrap_err();
        assert!(matches!(fault, Fault::Silent(_)), "{fault}");
        let pid = std::fs::read_to_string(&seen).unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        let end = crate::clock::Instant::now() + LONG;
        while !gone() {
            assert!(crate::clock::Instant::now() < end, "{pid} runs on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
