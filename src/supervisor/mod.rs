//! The life of the board: starts owners in order, tells systemd READY and WATCHDOG, reloads, stops in reverse.
//! Knows which rooms there are ([`house`]) and nothing of what they do.

pub mod context;
mod edit;
pub mod house;
pub mod owner;
mod resident;
mod systemd;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::context::Dirs;
use self::house::{Doors, Part};
use self::owner::{Kept, Shared};
use crate::access::first_boot;
use crate::bus::Bus;
use crate::clock::{Instant, Timestamp};
use crate::command::{Actor, Ask, Asks, Command, Commands, Refusal, Reply};
use crate::config::store::{self, Imported, Source};
use crate::config::{Config, Problem};
use crate::event::Kind;
use crate::fault::chain;
use crate::journal::{self, Limits};
use crate::state::{State, Store, set};

/// SIGTERM to the end of the process takes at most 5 s; owners share this much of it.
const STOP_LIMIT: Duration = Duration::from_secs(4);
/// Longest note a person may journal, in characters.
const LONGEST_NOTE: usize = 1000;

/// Why the supervisor could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("another oobd runs already (it holds {0})")]
    Running(PathBuf),
    #[error("no journal can be kept, neither in {0} nor in memory")]
    Journal(PathBuf, #[source] journal::Error),
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs the board until SIGTERM or SIGINT.
///
/// # Errors
/// [`Error`] when it cannot even start: no run directory, another oobd, no journal, no signals. A bad
/// configuration is none of these: the board runs on the last good one, or on the built-in one.
pub async fn run(dirs: Dirs) -> Result<(), Error> {
    let started = Instant::now();
    resident::cut();
    let _lock = lock(&dirs.run)?;
    let store = Store::new(State {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: Timestamp::now(),
        ..State::default()
    });
    let (bus, intake) = Bus::new(store.clone());
    let (dirs, thread) = open_journal(dirs, intake)?;
    let mut signals = Signals::listen()?;

    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot = boot.trim().to_owned();
    let (waiting, reverted) = edit::resume(&dirs, &boot).await;
    let (imported, first_boot) = import(&dirs).await;
    let version = env!("CARGO_PKG_VERSION").into();
    let boot_id = boot.clone();
    tell(&bus, Kind::SupervisorStarted { version, boot_id }).await;
    if let Some(reverted) = reverted {
        tell(&bus, reverted).await;
    }
    tell_problems(&bus, &store, &dirs, &imported).await;
    let config = imported.config;
    house::seal(&config).await;

    let commands = Commands::default();
    let asks = commands.register("supervisor");
    let (question, asked) = watch::channel(0);
    let dirs = Arc::new(dirs);
    let doors = Doors::new(&config, store.clone(), &dirs);
    let mut board = Board {
        shared: Shared {
            bus,
            commands,
            dirs,
            question: asked,
        },
        store,
        doors,
        kept: Vec::new(),
        changed: Arc::new(Notify::new()),
        question,
        started,
        told_ready: false,
        config,
        first_boot,
        waiting,
        boot,
    };
    board.describe();
    board.show_trial();
    board.start(house::parts(&board.config));
    let reason = board.serve(&mut signals, asks).await;
    board.stop(reason).await;
    // The last bus is gone with the board, so the journal thread ends with everything on flash.
    let joined = tokio::task::spawn_blocking(move || thread.join());
    if timeout(Duration::from_millis(800), joined).await.is_err() {
        tracing::error!("the journal did not end in time");
    }
    Ok(())
}

/// The running house.
struct Board {
    shared: Shared,
    store: Store,
    doors: Doors,
    /// In start order.
    kept: Vec<(Part, Kept)>,
    changed: Arc<Notify>,
    question: watch::Sender<u64>,
    started: Instant,
    told_ready: bool,
    /// In force.
    config: Config,
    /// Its administrator is the one of first boot and stands in no file.
    first_boot: bool,
    /// A change of oobd.toml that comes undone unless it is confirmed.
    waiting: Option<edit::Waiting>,
    /// The kernel's name of this boot.
    boot: String,
}

impl Board {
    fn start(&mut self, parts: Vec<Part>) {
        for part in parts {
            let spec = part.spec(&self.doors);
            let kept = Kept::spawn(spec, self.shared.clone(), self.changed.clone());
            self.kept.push((part, kept));
        }
    }

    fn describe(&self) {
        let config = &self.config;
        self.store.modify(|state| {
            set(&mut state.device, config.device.name.clone())
                | set(&mut state.mode, config.oob.mode.to_string())
        });
    }

    /// Until a signal ends it; returns what did.
    async fn serve(&mut self, signals: &mut Signals, mut asks: Asks) -> &'static str {
        let mut pulse = systemd::pulse();
        loop {
            tokio::select! {
                // cancel-safe per docs on Signal::recv()
                _ = signals.term.recv() => return "SIGTERM",
                // cancel-safe per docs on Signal::recv()
                _ = signals.int.recv() => return "SIGINT",
                // cancel-safe per docs on Signal::recv()
                _ = signals.hup.recv() => {
                    // What came of it is in the journal.
                    let _ = self.reload().await;
                }
                // cancel-safe per docs on Receiver::recv(); the supervisor holds a sender, so never None
                Some(ask) = asks.recv() => self.answer(ask).await,
                // cancel-safe per docs on Notify::notified(): a permit is kept
                () = self.changed.notified() => self.look_at_doors().await,
                // cancel-safe per docs on Interval::tick()
                _ = pulse.tick() => {
                    self.beat();
                    self.settle();
                }
                // cancel-safe as edit::overdue() says
                () = edit::overdue(self.waiting.as_ref()) => {
                    // What came of it is in the journal.
                    let _ = self.undo("supervisor".into(), "nobody confirmed the change in time").await;
                }
            }
        }
    }

    async fn look_at_doors(&mut self) {
        let ready = self.kept.iter().all(|(_, kept)| kept.is_ready());
        self.store.modify(|state| set(&mut state.ready, ready));
        if ready && !self.told_ready {
            self.told_ready = true;
            let after = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            systemd::ready();
            resident::give_back();
            tell(&self.shared.bus, Kind::SupervisorReady { after_ms: after }).await;
        }
    }

    /// Pets systemd's watchdog if every owner answered the last question, then asks the next one.
    fn beat(&mut self) {
        let question = *self.question.borrow();
        let silent: Vec<_> = self
            .kept
            .iter()
            .filter(|(_, kept)| !kept.has_answered(question))
            .map(|(_, kept)| kept.name.as_str())
            .collect();
        if silent.is_empty() {
            systemd::pet();
        } else {
            tracing::error!(
                "no answer from {}: the watchdog is not fed",
                silent.join(", ")
            );
        }
        self.question.send_replace(question + 1);
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Command {
                actor,
                command,
                reply,
            } => {
                let answer = self.carry_out(&actor, command).await;
                // The asker may have gone; the work is done all the same.
                let _ = reply.send(answer);
            }
            Ask::Attach { reply, .. } => {
                let _ = reply.send(Err(Refusal::Unknown {
                    what: "console supervisor".into(),
                }));
            }
        }
    }

    async fn carry_out(&mut self, actor: &Actor, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::WriteNote { text } => {
                let text: String = text.trim().chars().take(LONGEST_NOTE).collect();
                if text.is_empty() {
                    return Err(Refusal::Failed("an empty note says nothing".into()));
                }
                let note = Kind::NoteWritten {
                    actor: actor.to_string(),
                    text,
                };
                let seq = self.shared.bus.publish("supervisor", note).await;
                let seq = seq.map_err(|error| Refusal::Failed(error.to_string()))?;
                Ok(Reply::Journaled { seq })
            }
            Command::ReloadConfig => match self.reload().await {
                Ok(restarted) if restarted.is_empty() => Ok(Reply::Said("nothing changed".into())),
                Ok(restarted) => Ok(Reply::Said(format!("restarted {}", restarted.join(", ")))),
                Err(problems) => Err(Refusal::Failed(problems.join("\n"))),
            },
            other => {
                let what = format!("such command here: {other}");
                let edited = self.edit(actor, other).await;
                edited.unwrap_or(Err(Refusal::Unknown { what }))
            }
        }
    }

    /// Applies oobd.toml as it is now: only what changed restarts, a bad file changes nothing.
    async fn reload(&mut self) -> Result<Vec<String>, Vec<String>> {
        let (imported, first_boot) = import(&self.shared.dirs).await;
        tell_problems(&self.shared.bus, &self.store, &self.shared.dirs, &imported).await;
        if !imported.problems.is_empty() {
            return Err(imported.problems.iter().map(ToString::to_string).collect());
        }
        let config = imported.config;
        let wanted = house::parts(&config);
        self.doors.adopt(&config);
        let (keep, leave): (Vec<_>, Vec<_>) = std::mem::take(&mut self.kept)
            .into_iter()
            .partition(|(part, _)| wanted.contains(part));
        self.kept = keep;
        let mut changed: Vec<_> = leave.iter().map(|(part, _)| part.name()).collect();
        let seal = leave.iter().any(|(part, _)| part.is_link());
        stop_all(leave).await;
        if seal {
            house::seal(&config).await;
        }
        let fresh: Vec<_> = wanted
            .iter()
            .filter(|part| !self.kept.iter().any(|(kept, _)| kept == *part))
            .cloned()
            .collect();
        changed.extend(fresh.iter().map(Part::name));
        changed.sort();
        changed.dedup();
        self.config = config;
        self.first_boot = first_boot;
        self.describe();
        self.start(fresh);
        self.kept
            .sort_by_key(|(part, _)| wanted.iter().position(|w| w == part));
        tell(
            &self.shared.bus,
            Kind::ConfigApplied {
                restarted: changed.clone(),
            },
        )
        .await;
        self.changed.notify_one();
        Ok(changed)
    }

    async fn stop(self, reason: &str) {
        systemd::stopping();
        stop_all(self.kept).await;
        tell(
            &self.shared.bus,
            Kind::SupervisorStopped {
                reason: reason.into(),
            },
        )
        .await;
    }
}

/// Stops owners in reverse order of their start, all within [`STOP_LIMIT`].
async fn stop_all(kept: Vec<(Part, Kept)>) {
    let deadline = Instant::now() + STOP_LIMIT;
    for (_, kept) in kept.into_iter().rev() {
        let left = deadline.saturating_duration_since(Instant::now());
        // Doors and consoles end at once; whoever hangs must not eat the time of the uplinks.
        kept.stop(left.mul_f32(0.6).max(Duration::from_millis(50)))
            .await;
    }
}

async fn tell(bus: &Bus, kind: Kind) {
    // An error means that flash refuses; the journal has logged it.
    let _ = bus.publish("supervisor", kind).await;
}

async fn tell_problems(bus: &Bus, store: &Store, dirs: &Dirs, imported: &Imported) {
    let problems: Vec<_> = imported.problems.iter().map(ToString::to_string).collect();
    store.modify(|state| set(&mut state.config_problems, problems.clone()));
    if !problems.is_empty() {
        let file = dirs.config.display().to_string();
        tell(bus, Kind::ConfigRefused { file, problems }).await;
    }
}

/// Also says whether the administrator is the one of first boot.
async fn import(dirs: &Dirs) -> (Imported, bool) {
    let dirs = dirs.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut imported = store::import(&dirs.config, &dirs.state, &dirs.notes);
        let made = first_boot::ensure(&mut imported.config, &dirs).unwrap_or_else(|error| {
            tracing::error!("nobody can sign in: {}", chain(&error));
            first_boot::Outcome::default()
        });
        (imported, made.administrator)
    });
    read.await.unwrap_or_else(|error| {
        let text = format!("reading it failed: {error}");
        let imported = Imported {
            config: Config::built_in(),
            problems: vec![Problem::of_file(text, None)],
            source: Source::BuiltIn,
        };
        (imported, false)
    })
}

/// One oobd a run directory: two would fight over every link.
fn lock(run: &Path) -> Result<Flock<File>, Error> {
    let io = |what, source| Error::Io {
        what,
        path: run.to_owned(),
        source,
    };
    std::fs::create_dir_all(run).map_err(|e| io("make", e))?;
    let path = run.join("oobd.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|e| io("write in", e))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::Running(path))
}

/// On a board whose data partition is gone the journal lives in memory: degraded and said so, but up.
fn open_journal(
    mut dirs: Dirs,
    intake: crate::bus::Intake,
) -> Result<(Dirs, journal::Thread), Error> {
    let usable = writable(&dirs.state);
    if let Err(error) = usable {
        let memory = dirs.run.join("state");
        tracing::error!(
            "{} cannot be written ({error}); nothing will survive a reboot",
            dirs.state.display()
        );
        dirs.state = memory;
    }
    let path = dirs.state.join("journal");
    let thread = journal::spawn(&path, Limits::default(), intake);
    let thread = thread.map_err(|error| {
        tracing::error!("{}", chain(&error));
        Error::Journal(path, error)
    })?;
    Ok((dirs, thread))
}

fn writable(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let probe = dir.join(".writable");
    File::create(&probe)?.sync_all()?;
    std::fs::remove_file(probe)
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(Error::Signals);
        Ok(Self {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            hup: on(SignalKind::hangup())?,
        })
    }
}
