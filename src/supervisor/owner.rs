//! Keeps one owner running: starts it, restarts it with backoff, and lets nothing it does reach its neighbours.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::context::{Context, Dirs, Pulse, Ready};
use crate::bus::Bus;
use crate::clock::Instant;
use crate::command::Commands;
use crate::event::Kind;
use crate::fact::{Fact, Owner, OwnerPhase};

/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An owner that ran this long has earned a fresh start.
const STEADY: Duration = Duration::from_secs(60);
/// What the tasks that an owner left behind get to end.
const LEFTOVERS: Duration = Duration::from_secs(2);

/// How an owner ended, as its room says it.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;
/// One run of an owner.
pub type Run = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// How to start an owner, as often as needed.
#[derive(Clone)]
pub struct Spec {
    pub name: String,
    /// READY waits until this owner says that it is open.
    pub door: bool,
    pub start: Arc<dyn Fn(Context) -> Run + Send + Sync>,
}

/// What every owner gets a share of.
#[derive(Clone, Debug)]
pub struct Shared {
    pub bus: Bus,
    pub commands: Commands,
    pub dirs: Arc<Dirs>,
    /// The liveness question; see [`Pulse`].
    pub question: watch::Receiver<u64>,
}

/// A kept owner. Dropping it does not stop it: see [`Kept::stop`].
#[derive(Debug)]
pub struct Kept {
    pub name: String,
    pub door: bool,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
    ready: watch::Receiver<bool>,
    /// The question it answered last; `u64::MAX` while it is not running and so owes no answer.
    answered: Arc<AtomicU64>,
}

impl Kept {
    /// Starts and keeps an owner. `changed` is told whenever readiness may have changed.
    #[must_use]
    pub fn spawn(spec: Spec, shared: Shared, changed: Arc<tokio::sync::Notify>) -> Self {
        let stop = CancellationToken::new();
        let (ready, watching) = watch::channel(false);
        let answered = Arc::new(AtomicU64::new(u64::MAX));
        let (name, door) = (spec.name.clone(), spec.door);
        let keeper = Keeper {
            spec,
            shared,
            changed,
            stop: stop.clone(),
            answered: answered.clone(),
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "`Kept` holds it and waits for it"
        )]
        let keeper = tokio::spawn(keeper.keep(ready));
        Self {
            name,
            door,
            stop,
            keeper,
            ready: watching,
            answered,
        }
    }

    /// An owner that is no door is always ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.door || *self.ready.borrow()
    }

    /// Has it answered `question` or a later one (or does it owe no answer)?
    #[must_use]
    pub fn has_answered(&self, question: u64) -> bool {
        self.answered.load(Ordering::Relaxed) >= question
    }

    /// Asks the owner to end and waits for it, at most `limit`. Says whether it ended in time.
    pub async fn stop(self, limit: Duration) -> bool {
        self.stop.cancel();
        let ended = timeout(limit, self.keeper).await.is_ok();
        if !ended {
            // It goes on until the process ends; aborting a task that holds hardware would be worse.
            tracing::error!(owner = self.name, "did not end within {limit:?}");
        }
        ended
    }
}

struct Keeper {
    spec: Spec,
    shared: Shared,
    changed: Arc<tokio::sync::Notify>,
    stop: CancellationToken,
    answered: Arc<AtomicU64>,
}

impl Keeper {
    async fn keep(self, ready: watch::Sender<bool>) {
        let mut pause = FIRST_PAUSE;
        let mut restarts = 0;
        let mut last_fault = None;
        loop {
            self.observe(OwnerPhase::Running, restarts, last_fault.clone());
            let started = Instant::now();
            let ended = self.run_once(&ready).await;
            ready.send_replace(false);
            self.changed.notify_one();
            if self.stop.is_cancelled() {
                if let Err(reason) = ended {
                    tracing::warn!(owner = self.spec.name, "ended badly: {reason}");
                }
                break;
            }
            let Err(reason) = ended else {
                self.observe(OwnerPhase::Stopped, restarts, last_fault);
                // It said that it is done for good; wait here so that a reload can replace it.
                self.stop.cancelled().await;
                break;
            };
            if started.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            restarts += 1;
            last_fault = Some(reason.clone());
            self.observe(OwnerPhase::Restarting, restarts, last_fault.clone());
            let restart_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            let owner = self.spec.name.clone();
            let failed = Kind::OwnerFailed {
                owner,
                reason,
                restart_in_ms,
            };
            let _ = self.shared.bus.publish("supervisor", failed).await;
            tokio::select! {
                // cancel-safe: a token has nothing to lose
                () = self.stop.cancelled() => break,
                // cancel-safe: a timer has nothing to lose
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.shared.commands.remove(&self.spec.name);
        self.shared.bus.observe(Fact::OwnerGone {
            name: self.spec.name.clone(),
        });
    }

    /// One life. A panic is a fault like any other.
    async fn run_once(&self, ready: &watch::Sender<bool>) -> Result<(), String> {
        let stop = self.stop.child_token();
        let tracker = TaskTracker::new();
        let pulse = Pulse::new(self.shared.question.clone(), self.answered.clone());
        let context = Context {
            name: self.spec.name.clone(),
            bus: self.shared.bus.clone(),
            commands: self.shared.commands.clone(),
            asks: self.shared.commands.register(&self.spec.name),
            stop: stop.clone(),
            tracker: tracker.clone(),
            pulse,
            ready: Ready::new(ready.clone(), self.changed.clone()),
            dirs: self.shared.dirs.clone(),
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "a task of its own contains a panic; waited for below"
        )]
        let life = tokio::spawn((self.spec.start)(context));
        let joined = life.await;
        self.answered.store(u64::MAX, Ordering::Relaxed);
        stop.cancel();
        tracker.close();
        if timeout(LEFTOVERS, tracker.wait()).await.is_err() {
            tracing::warn!(
                owner = self.spec.name,
                "left {} tasks behind",
                tracker.len()
            );
        }
        match joined {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(crate::fault::chain(fault.as_ref())),
            Err(error) => Err(panic_text(error)),
        }
    }

    fn observe(&self, phase: OwnerPhase, restarts: u64, last_fault: Option<String>) {
        let name = self.spec.name.clone();
        self.shared.bus.observe(Fact::Owner(Owner {
            name,
            phase,
            restarts,
            last_fault,
        }));
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else {
        return "was cancelled".into();
    };
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("panicked: {text}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;
    use crate::event::Event;
    use crate::journal::{self, Limits};
    use crate::state::{State, Store};

    struct House {
        shared: Shared,
        store: Store,
        question: watch::Sender<u64>,
        _dir: tempfile::TempDir,
    }

    fn house() -> House {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(State::default());
        let (bus, intake) = Bus::new(store.clone());
        journal::spawn(&dir.path().join("journal"), Limits::default(), intake).unwrap();
        let (question, asked) = watch::channel(0);
        let dirs = Dirs {
            state: dir.path().into(),
            run: dir.path().into(),
            config: dir.path().join("oobd.toml"),
            notes: dir.path().into(),
        };
        let shared = Shared {
            bus,
            commands: Commands::default(),
            dirs: Arc::new(dirs),
            question: asked,
        };
        House {
            shared,
            store,
            question,
            _dir: dir,
        }
    }

    fn spec<F, R>(name: &str, door: bool, run: F) -> Spec
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        Spec {
            name: name.into(),
            door,
            start: Arc::new(move |ctx| Box::pin(run(ctx))),
        }
    }

    async fn failure(live: &mut tokio::sync::broadcast::Receiver<Arc<Event>>) -> (String, u64) {
        loop {
            if let Kind::OwnerFailed {
                reason,
                restart_in_ms,
                ..
            } = &live.recv().await.unwrap().kind
            {
                return (reason.clone(), *restart_in_ms);
            }
        }
    }

    #[tokio::test]
    async fn a_panicking_owner_is_restarted_with_backoff_and_its_neighbour_lives_on() {
        let house = house();
        let changed = Arc::new(Notify::new());
        let mut live = house.shared.bus.subscribe();
        let lives = Arc::new(AtomicUsize::new(0));
        let counted = lives.clone();
        let bad = spec("bad", false, move |_| {
            let life = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match life {
                    0 => panic!("first life"),
                    1 => Err("second life".into()),
                    _ => std::future::pending().await,
                }
            }
        });
        let good = spec("good", false, |ctx| async move {
            ctx.stop.cancelled().await;
            Ok(())
        });
        let bad = Kept::spawn(bad, house.shared.clone(), changed.clone());
        let good = Kept::spawn(good, house.shared.clone(), changed);
        assert_eq!(
            failure(&mut live).await,
            ("panicked: first life".into(), 500)
        );
        assert_eq!(failure(&mut live).await, ("second life".into(), 1000));
        let mut state = house.store.watch();
        state
            .wait_for(|s| {
                s.owners["bad"].restarts == 2 && s.owners["bad"].phase == OwnerPhase::Running
            })
            .await
            .unwrap();
        assert_eq!(house.store.now().owners["good"].restarts, 0);
        assert!(good.stop(Duration::from_secs(1)).await);
        // The third life never looks at its stop token.
        assert!(!bad.stop(Duration::from_millis(50)).await);
    }

    #[tokio::test]
    async fn a_hanging_owner_owes_an_answer_and_a_failed_one_does_not() {
        let house = house();
        let changed = Arc::new(Notify::new());
        let answers = spec("answers", false, |mut ctx| async move {
            loop {
                tokio::select! {
                    () = ctx.stop.cancelled() => return Ok(()),
                    () = ctx.pulse.beat() => {}
                }
            }
        });
        let hangs = spec("hangs", false, |ctx| async move {
            ctx.stop.cancelled().await;
            Ok(())
        });
        let fails = spec("fails", false, |_| async { Err("no such port".into()) });
        let kept: Vec<_> = [answers, hangs, fails]
            .into_iter()
            .map(|spec| Kept::spawn(spec, house.shared.clone(), changed.clone()))
            .collect();
        let mut state = house.store.watch();
        state
            .wait_for(|s| {
                s.owners
                    .get("fails")
                    .is_some_and(|o| o.phase == OwnerPhase::Restarting)
            })
            .await
            .unwrap();
        house.question.send_replace(1);
        while !kept[0].has_answered(1) {
            tokio::task::yield_now().await;
        }
        let late: Vec<_> = kept
            .iter()
            .filter(|k| !k.has_answered(1))
            .map(|k| k.name.as_str())
            .collect();
        assert_eq!(late, ["hangs"]);
    }

    #[tokio::test]
    async fn a_door_is_ready_only_while_it_says_so() {
        let house = house();
        let changed = Arc::new(Notify::new());
        let (go, gone) = watch::channel(false);
        let door = spec("door", true, move |ctx| {
            let mut gone = gone.clone();
            async move {
                ctx.ready.open();
                gone.wait_for(|gone| *gone).await?;
                Err("port taken".into())
            }
        });
        let kept = Kept::spawn(door, house.shared.clone(), changed.clone());
        while !kept.is_ready() {
            changed.notified().await;
        }
        go.send_replace(true);
        while kept.is_ready() {
            changed.notified().await;
        }
    }
}
