//! Commands that change oobd.toml: checked, written, put in force by a reload, and undone again where nobody confirms in time.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{sleep, sleep_until};

use super::context::Dirs;
use super::{Board, systemd, tell};
use crate::access::{credential, first_boot};
use crate::clock::{Instant, Timestamp, uptime_millis};
use crate::command::{Actor, Command, Hidden, Refusal, Reply, Trial, UserShown, UserWords};
use crate::config::revision::{Found, OnTrial, Place, Revision};
use crate::config::surgery::{self, Word, list, quoted};
use crate::config::{self, Config, Folders, Problem, Role, User};
use crate::event::Kind;
use crate::fact::ConfigTrial;
use crate::state::set;

/// How long a change waits to be confirmed when nobody says.
const TRIAL: u32 = 300;
/// Shortest and longest wait that may be asked for, in seconds.
const TRIALS: std::ops::RangeInclusive<u32> = 10..=86_400;
/// Longest wait for the unit that writes to the boot partition.
const TAKEN_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Problems that a refusal names one by one.
const NAMED: usize = 5;

/// A change that comes undone at its time.
#[derive(Debug)]
pub(super) struct Waiting {
    by: String,
    until: Instant,
}

/// What a command makes of the text.
enum Wish {
    Whole { text: String, base: String },
    AddUser(UserWords),
    ChangeUser(UserWords),
    RemoveUser(String),
    AddMachine(String, String),
    Rollback,
}

/// A checked text that may take the place of the old one.
struct Drafted {
    old: Revision,
    new: Revision,
    what: String,
    /// It touches what people come in by.
    risky: bool,
}

impl Place {
    fn of(dirs: &Dirs) -> Self {
        Self {
            file: dirs.config.clone(),
            state_dir: dirs.state.clone(),
            notes_dir: dirs.notes.clone(),
        }
    }
}

/// Takes up a trial that an earlier run or boot left; before the configuration is read.
pub(super) async fn resume(dirs: &Dirs, boot: &str) -> (Option<Waiting>, Option<Kind>) {
    let (place, boot) = (Place::of(dirs), boot.to_owned());
    let now = uptime_millis();
    let found = spawn_blocking(move || place.resume(&boot, now)).await;
    match found.unwrap_or(Found::Nothing) {
        Found::Nothing => (None, None),
        Found::Waits(OnTrial { by, until, .. }) => {
            let left = Duration::from_millis(until.saturating_sub(now));
            let until = Instant::now() + left;
            (Some(Waiting { by, until }), None)
        }
        Found::Undone(_) => {
            let reason = "nobody confirmed the change before the board started again".into();
            let by = "supervisor".into();
            (None, Some(Kind::ConfigReverted { by, reason }))
        }
    }
}

/// Waits until a change has to come undone; for ever without one. Cancel-safe: a timer has nothing to lose.
pub(super) async fn overdue(waiting: Option<&Waiting>) {
    match waiting {
        Some(waiting) => sleep_until(waiting.until).await,
        None => std::future::pending().await,
    }
}

impl Board {
    /// Carries out what is asked about oobd.toml; `None` for another command.
    pub(super) async fn edit(
        &mut self,
        actor: &Actor,
        command: Command,
    ) -> Option<Result<Reply, Refusal>> {
        let by = actor.to_string();
        let (wish, trial) = match command {
            Command::GetConfig => return Some(self.show().await),
            Command::ConfirmConfig => return Some(self.confirm(by).await),
            Command::RollbackConfig if self.waiting.is_some() => {
                return Some(self.undo(by, "rolled back").await);
            }
            Command::ListUsers => return Some(Ok(Reply::Users(self.users()))),
            Command::RollbackConfig => (Wish::Rollback, Trial::AsNeeded),
            Command::ApplyConfig { text, base, trial } => {
                let text = text.0;
                (Wish::Whole { text, base }, trial)
            }
            Command::AddUser { user, trial } => (Wish::AddUser(user), trial),
            Command::ChangeUser { user, trial } => (Wish::ChangeUser(user), trial),
            Command::RemoveUser { name, trial } => (Wish::RemoveUser(name), trial),
            Command::AddMachine { name, text, trial } => (Wish::AddMachine(name, text.0), trial),
            _ => return None,
        };
        Some(self.apply(by, wish, trial).await)
    }

    fn place(&self) -> Place {
        Place::of(&self.shared.dirs)
    }

    async fn show(&self) -> Result<Reply, Refusal> {
        let place = self.place();
        let current = blocking(move || place.current()).await?;
        let Revision { text, hash } = current.map_err(|problems| failed(&problems))?;
        Ok(Reply::Config {
            text: Hidden(text),
            hash,
        })
    }

    fn users(&self) -> Vec<UserShown> {
        let shown = |user: &User| UserShown {
            name: user.name.clone(),
            role: user.role.to_string(),
            keys: user.keys.clone(),
            has_password: user.password.is_some(),
            consoles: user.consoles.clone(),
            outlets: user.outlets.clone(),
            machines: user.machines.clone(),
            forward: user.forward,
            in_file: !self.first_boot,
        };
        self.config.users.iter().map(shown).collect()
    }

    async fn apply(&mut self, by: String, wish: Wish, trial: Trial) -> Result<Reply, Refusal> {
        if let Some(waiting) = &self.waiting {
            let left = waiting.until.saturating_duration_since(Instant::now());
            return Err(Refusal::Busy {
                what: "oobd.toml".into(),
                why: format!(
                    "a change by {} waits to be confirmed, {} s more; confirm it or roll it back first",
                    waiting.by,
                    left.as_secs()
                ),
            });
        }
        if let Trial::Within(seconds) = trial
            && !TRIALS.contains(&seconds)
        {
            let text = format!(
                "a change may wait {} to {} s to be confirmed",
                TRIALS.start(),
                TRIALS.end()
            );
            return Err(Refusal::Failed(text));
        }
        let (place, in_force) = (self.place(), self.config.clone());
        let first_boot = self.first_boot;
        let drafted = blocking(move || draft(&place, wish, &in_force, first_boot));
        let drafted = self.meanwhile(drafted).await??;
        let confirm_within = match trial {
            Trial::Within(seconds) => Some(seconds),
            Trial::AsNeeded if drafted.risky => Some(TRIAL),
            Trial::AsNeeded | Trial::No => None,
        };
        let hash = drafted.new.hash.clone();
        if drafted.new == drafted.old {
            return Ok(Reply::ConfigApplied {
                hash,
                restarted: Vec::new(),
                confirm_within: None,
            });
        }
        let trial = confirm_within.map(|seconds| {
            let since = uptime_millis();
            OnTrial {
                by: by.clone(),
                since,
                until: since + u64::from(seconds) * 1000,
            }
        });
        let written = write(self.place(), &drafted, trial, self.boot.clone());
        self.meanwhile(written).await?;
        tell(
            &self.shared.bus,
            Kind::ConfigChanged {
                by: by.clone(),
                what: drafted.what,
                confirm_within,
            },
        )
        .await;
        if let Some(seconds) = confirm_within {
            self.wait_for_confirmation(by, Duration::from_secs(seconds.into()));
        }
        match self.reload().await {
            Ok(restarted) => Ok(Reply::ConfigApplied {
                hash,
                restarted,
                confirm_within,
            }),
            // A file that it refers to is gone since, or the medium fails.
            Err(problems) => Err(Refusal::Failed(problems.join("\n"))),
        }
    }

    /// Waits for slow flash, and feeds the watchdog as long as the owners are well.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut pulse = systemd::pulse();
        // The first tick would come at once.
        pulse.reset();
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                // cancel-safe: pinned, it goes on where it was
                done = &mut work => return done,
                // cancel-safe per docs on Interval::tick()
                _ = pulse.tick() => self.beat(),
            }
        }
    }

    /// From now on a change comes undone after so long.
    pub(super) fn wait_for_confirmation(&mut self, by: String, left: Duration) {
        self.waiting = Some(Waiting {
            by,
            until: Instant::now() + left,
        });
        self.show_trial();
    }

    /// Brings the state up to date with what waits.
    pub(super) fn show_trial(&self) {
        let now = Timestamp::now();
        let trial = self.waiting.as_ref().map(|waiting| {
            let left = waiting.until.saturating_duration_since(Instant::now());
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            ConfigTrial {
                by: waiting.by.clone(),
                since: now,
                until: Timestamp(now.0.saturating_add(left)),
            }
        });
        self.store
            .modify(|state| set(&mut state.config_trial, trial));
    }

    async fn confirm(&mut self, by: String) -> Result<Reply, Refusal> {
        if self.waiting.is_none() {
            return Err(nothing_waits());
        }
        let place = self.place();
        let done = blocking(move || place.confirm());
        self.meanwhile(done).await?;
        self.waiting = None;
        self.show_trial();
        tell(&self.shared.bus, Kind::ConfigConfirmed { by }).await;
        Ok(Reply::Done)
    }

    /// Puts the text before back in force.
    pub(super) async fn undo(&mut self, by: String, reason: &str) -> Result<Reply, Refusal> {
        self.waiting = None;
        let place = self.place();
        let done = blocking(move || place.undo());
        self.meanwhile(done).await?;
        tell(
            &self.shared.bus,
            Kind::ConfigReverted {
                by,
                reason: reason.into(),
            },
        )
        .await;
        self.show_trial();
        let restarted = self.reload().await;
        let place = self.place();
        let hash = blocking(move || place.previous()).await?;
        match (restarted, hash) {
            (Ok(restarted), Ok(Revision { hash, .. })) => Ok(Reply::ConfigApplied {
                hash,
                restarted,
                confirm_within: None,
            }),
            (Err(problems), _) => Err(Refusal::Failed(problems.join("\n"))),
            (_, Err(error)) => Err(Refusal::Failed(error.to_string())),
        }
    }

    /// Looks again whether a text that came undone has left the boot partition.
    pub(super) fn settle(&self) {
        let place = self.place();
        drop(spawn_blocking(move || place.settle()));
    }
}

/// Has the text written, and waits until it is where the next start looks for it.
async fn write(
    place: Place,
    drafted: &Drafted,
    trial: Option<OnTrial>,
    boot: String,
) -> Result<(), Refusal> {
    let (old, new) = (drafted.old.clone(), drafted.new.clone());
    let there = place.clone();
    let written = blocking(move || {
        let trial = trial.as_ref().map(|trial| (trial, boot.as_str()));
        there.replace(&old, &new, trial)
    });
    written
        .await?
        .map_err(|error| Refusal::Failed(error.to_string()))?;
    let begun = Instant::now();
    loop {
        let (there, new) = (place.clone(), drafted.new.clone());
        if blocking(move || there.holds(&new)).await? {
            return Ok(());
        }
        if begun.elapsed() > TAKEN_LIMIT {
            blocking(move || place.abandon()).await?;
            let text = "the boot partition did not take oobd.toml in time; nothing has changed";
            return Err(Refusal::Failed(text.into()));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Refusal::Failed(format!("the change broke off: {error}")))
}

fn nothing_waits() -> Refusal {
    Refusal::Failed("no change waits to be confirmed".into())
}

fn failed(problems: &[Problem]) -> Refusal {
    let mut lines: Vec<String> = problems
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if problems.len() > NAMED {
        lines.push(format!("and {} more", problems.len() - NAMED));
    }
    Refusal::Failed(lines.join("\n"))
}

/// Makes the new text and checks it. Blocks; hashes a password that is given in clear.
fn draft(
    place: &Place,
    wish: Wish,
    in_force: &Config,
    first_boot: bool,
) -> Result<Drafted, Refusal> {
    let old = place.current().map_err(|problems| failed(&problems))?;
    let cannot = |error: surgery::Error| Refusal::Failed(error.to_string());
    let (text, what) = match &wish {
        Wish::Whole { text, base } => {
            if *base != old.hash {
                let why = "it was changed since it was read; read it again";
                return Err(Refusal::Busy {
                    what: "oobd.toml".into(),
                    why: why.into(),
                });
            }
            (text.clone(), told_lines(&old.text, text))
        }
        Wish::Rollback => {
            let before = place.previous();
            let before = before.map_err(|error| Refusal::Failed(error.to_string()))?;
            (before.text, "back to the text before".to_owned())
        }
        Wish::AddUser(user) => {
            let lines: Vec<String> = words(user)?
                .into_iter()
                .filter_map(|(key, value)| Some(format!("{key} = {}", value?)))
                .collect();
            let text = surgery::add(&old.text, "user", &user.name, &lines.join("\n"));
            (text.map_err(cannot)?, format!("user {} added", user.name))
        }
        Wish::ChangeUser(user) => {
            let text = surgery::change(&old.text, "user", &user.name, &words(user)?);
            (text.map_err(cannot)?, format!("user {} changed", user.name))
        }
        Wish::RemoveUser(name) => {
            let text = surgery::remove(&old.text, "user", name);
            (text.map_err(cannot)?, format!("user {name} removed"))
        }
        Wish::AddMachine(name, lines) => {
            let text = surgery::add(&old.text, "machine", name, lines);
            (text.map_err(cannot)?, format!("machine {name} added"))
        }
    };
    let folders = Folders::of(&place.file, &place.state_dir);
    let new = config::load(&text, &folders).map_err(|problems| failed(&problems))?;
    let before = if let Ok(before) = config::load(&old.text, &folders) {
        keeps_the_rest(&wish, &before, &new)?;
        before
    } else {
        let mut before = in_force.clone();
        if first_boot {
            // Its administrator stands in no file.
            before.users.clear();
        }
        before
    };
    keeps_an_administrator(&before, &new)?;
    Ok(Drafted {
        risky: is_risky(&before, &new),
        old,
        new: Revision::new(text),
        what,
    })
}

/// A change of one section changes no other: a text in a form that is read wrongly is left to a person.
fn keeps_the_rest(wish: &Wish, old: &Config, new: &Config) -> Result<(), Refusal> {
    let (mut old, mut new) = (old.clone(), new.clone());
    match wish {
        Wish::Whole { .. } | Wish::Rollback => return Ok(()),
        Wish::AddUser(UserWords { name, .. })
        | Wish::ChangeUser(UserWords { name, .. })
        | Wish::RemoveUser(name) => {
            for users in [&mut old.users, &mut new.users] {
                users.retain(|user| user.name != *name);
            }
        }
        Wish::AddMachine(name, _) => {
            for machines in [&mut old.machines, &mut new.machines] {
                machines.retain(|machine| machine.name != *name);
            }
        }
    }
    if old == new {
        return Ok(());
    }
    let text = "this would change more than was asked for; edit oobd.toml as text";
    Err(Refusal::Failed(text.into()))
}

/// Who may change the configuration must be able to sign in after it, too. Every user has a key or a password.
fn keeps_an_administrator(old: &Config, new: &Config) -> Result<(), Refusal> {
    let has_one = |users: &[User]| users.iter().any(|user| user.role == Role::Administrator);
    if has_one(&new.users) || (new.users.is_empty() && old.users.is_empty()) {
        return Ok(());
    }
    let text = "no administrator would be left; name another one first";
    Err(Refusal::Failed(text.into()))
}

/// Could somebody lose the board by this? An additional user takes nothing from anybody.
fn is_risky(old: &Config, new: &Config) -> bool {
    let fewer = old.users.iter().any(|user| !new.users.contains(user));
    let first = old.users.is_empty() && !new.users.is_empty();
    fewer
        || first
        || old.lan != new.lan
        || old.oob != new.oob
        || old.uplinks != new.uplinks
        || old.ssh != new.ssh
        || old.https != new.https
}

/// A user's keys and values as they stand in oobd.toml.
fn words(user: &UserWords) -> Result<Vec<Word>, Refusal> {
    let texts = |key, value: &Option<Vec<String>>| value.as_ref().map(|v| (key, Some(list(v))));
    let role = user.role.as_ref().map(|role| ("role", Some(quoted(role))));
    let keys = user.keys.as_ref().map(|keys| {
        let value = (!keys.is_empty()).then(|| list(keys));
        ("keys", value)
    });
    let password = match &user.password {
        Some(Hidden(text)) if text.is_empty() => Some(("password", None)),
        Some(Hidden(text)) => Some(("password", Some(quoted(&hashed(text)?)))),
        None => None,
    };
    let forward = user.forward.map(|on| ("forward", Some(on.to_string())));
    let all = [
        role,
        keys,
        password,
        texts("consoles", &user.consoles),
        texts("outlets", &user.outlets),
        texts("machines", &user.machines),
        forward,
    ];
    Ok(all.into_iter().flatten().collect())
}

/// The argon2id hash of a password, unless it is one already.
fn hashed(text: &str) -> Result<String, Refusal> {
    if credential::check(text).is_ok() {
        return Ok(text.to_owned());
    }
    if text.chars().count() < first_boot::SHORTEST {
        return Err(Refusal::Failed(first_boot::Error::TooShort.to_string()));
    }
    credential::make(text).map_err(|error| Refusal::Failed(error.to_string()))
}

/// How much of the text is another.
fn told_lines(old: &str, new: &str) -> String {
    let count = |one: &str, other: &str| {
        let other: std::collections::HashSet<&str> = other.lines().collect();
        one.lines().filter(|line| !other.contains(line)).count()
    };
    format!("{} lines came, {} went", count(new, old), count(old, new))
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
