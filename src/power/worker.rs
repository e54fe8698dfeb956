//! The task that holds a device's driver: one request in flight, each with its time limit. A driver that overran its limit
//! is dropped, and with it its connection.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::driver::{Driver, Fault, Reading, Standing};
use crate::reset::Verb;

/// What the device is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Read,
    /// Read this outlet at least.
    Look {
        outlet: String,
    },
    Switch {
        outlet: String,
        verb: Verb,
        off: Duration,
    },
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Read(Result<Reading, Fault>),
    /// The outlet alone was read.
    Looked {
        outlet: String,
        answer: Result<Option<Standing>, Fault>,
    },
    Switched {
        outlet: String,
        verb: Verb,
        answer: Result<(), Fault>,
    },
}

impl Done {
    /// Did the device do what it was asked?
    pub(super) fn is_well(&self) -> bool {
        match self {
            Self::Read(answer) => answer.is_ok(),
            Self::Looked { answer, .. } => answer.is_ok(),
            Self::Switched { answer, .. } => answer.is_ok(),
        }
    }
}

/// The owner's end.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<Done>,
    busy: bool,
}

impl Worker {
    /// `open` makes a driver without asking anything of the device; it is called again after a limit was overrun.
    pub(super) fn spawn(
        tracker: &TaskTracker,
        stop: CancellationToken,
        open: impl Fn() -> Box<dyn Driver> + Send + Sync + 'static,
    ) -> Self {
        let (jobs, mut asked) = mpsc::channel(1);
        let (told, done) = mpsc::channel(1);
        tracker.spawn(async move {
            let mut driver = open();
            let work = async {
                while let Some(job) = asked.recv().await {
                    let (answer, overran) = carry_out(driver.as_mut(), job).await;
                    if overran {
                        driver = open();
                    }
                    if told.send(answer).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                // cancel-safe: the owner ends too; what it owes the device is written down
                () = stop.cancelled() => {}
                // cancel-safe: polled to its end, or the device's connection is dropped
                () = work => {}
            }
        });
        Self {
            jobs,
            done,
            busy: false,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Asks; only when it is not busy.
    pub(super) fn ask(&mut self, job: Job) {
        // There is room for one, and nothing is in flight; an error means that all ends.
        self.busy = self.jobs.try_send(job).is_ok();
    }

    /// What came of the last ask. Cancel-safe per docs on `Receiver::recv()`.
    pub(super) async fn done(&mut self) -> Done {
        match self.done.recv().await {
            Some(done) => {
                self.busy = false;
                done
            }
            // The task is gone, which only our stop makes it.
            None => std::future::pending().await,
        }
    }
}

async fn carry_out(driver: &mut dyn Driver, job: Job) -> (Done, bool) {
    let limit = driver.limit();
    match job {
        Job::Look { outlet } => {
            let looked = match driver.look(&outlet) {
                Some(looking) => Some(timeout(limit, looking).await),
                None => None,
            };
            if let Some(answer) = looked {
                let overran = answer.is_err();
                let answer = answer.unwrap_or_else(|_| Err(late(limit)));
                return (Done::Looked { outlet, answer }, overran);
            }
            read(driver).await
        }
        Job::Read => read(driver).await,
        Job::Switch { outlet, verb, off } => {
            let answer = timeout(limit, driver.switch(&outlet, verb, off)).await;
            let overran = answer.is_err();
            let answer = answer.unwrap_or_else(|_| Err(late(limit)));
            let done = Done::Switched {
                outlet,
                verb,
                answer,
            };
            (done, overran)
        }
    }
}

async fn read(driver: &mut dyn Driver) -> (Done, bool) {
    let limit = driver.limit();
    let answer = timeout(limit, driver.read()).await;
    let overran = answer.is_err();
    let answer = answer.unwrap_or_else(|_| Err(late(limit)));
    (Done::Read(answer), overran)
}

fn late(limit: Duration) -> Fault {
    Fault::Silent(format!("no answer within {} s", limit.as_secs()))
}
