//! One way to a machine and its queue: one request in flight, patience with who is dead, more of it with who refuses us.
//! Never judges what an answer means for the machine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::device::{Answer, Device, Fault, Request, Skill};
use crate::bus::Bus;
use crate::clock::Instant;
use crate::command::Actor;
use crate::reset::Verb;

/// Requests that may wait at one way.
const WAITING: usize = 16;
/// Pauses between tries at a device that does not answer; the last one stays.
const GONE: [u64; 5] = [2, 5, 15, 30, 60];
/// After a refused sign-in: controllers lock users out after a few.
const LOCKED: Duration = Duration::from_mins(10);
/// What a device gets to give its session back.
const FAREWELL: Duration = Duration::from_secs(1);

/// How much somebody wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// Told at once when the device was silent a moment ago.
    Poll,
    /// Tries although the device was silent, but not with a password that was refused.
    Person,
    /// Tries in any case.
    Insist,
}

/// What a way can do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) verbs: Vec<Verb>,
    pub(super) skills: Vec<Skill>,
}

struct Job {
    request: Request,
    want: Want,
    asked: Instant,
    whose: Option<(Actor, bool)>,
    reply: oneshot::Sender<Result<Answer, Fault>>,
}

/// A handle. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// As oobd.toml names it.
    pub(super) name: &'static str,
    /// Does the machine itself answer there, and not only what feeds it?
    pub(super) is_bmc: bool,
    jobs: mpsc::Sender<Job>,
    abilities: watch::Receiver<Abilities>,
}

/// What a way needs of its owner.
pub(super) struct Setting<'a> {
    pub(super) owner: &'a str,
    pub(super) bus: &'a Bus,
    pub(super) stop: &'a CancellationToken,
    pub(super) tracker: &'a TaskTracker,
}

impl Way {
    /// Starts the queue of a device; it ends with the owner.
    #[must_use]
    pub(super) fn spawn(
        name: &'static str,
        is_bmc: bool,
        device: Box<dyn Device>,
        setting: &Setting<'_>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(WAITING);
        let (told, abilities) = watch::channel(abilities(device.as_ref()));
        let server = Server {
            owner: setting.owner.into(),
            bus: setting.bus.clone(),
            device,
            told,
            patience: Patience::default(),
        };
        let stop = setting.stop.clone();
        setting.tracker.spawn(server.serve(queue, stop));
        Self {
            name,
            is_bmc,
            jobs,
            abilities,
        }
    }

    #[must_use]
    pub(super) fn can(&self, skill: Skill) -> bool {
        self.abilities.borrow().skills.contains(&skill)
    }

    #[must_use]
    pub(super) fn verbs(&self) -> Vec<Verb> {
        self.abilities.borrow().verbs.clone()
    }

    /// Asks, in its turn. Dropping it before the turn came asks nothing.
    pub(super) async fn ask(&self, request: Request, want: Want) -> Result<Answer, Fault> {
        self.send(request, want, None).await
    }

    /// Asks for a verb on somebody's behalf.
    pub(super) async fn act(
        &self,
        verb: Verb,
        actor: &Actor,
        cut_myself: bool,
    ) -> Result<Answer, Fault> {
        let whose = Some((actor.clone(), cut_myself));
        self.send(Request::Act(verb), Want::Person, whose).await
    }

    async fn send(
        &self,
        request: Request,
        want: Want,
        whose: Option<(Actor, bool)>,
    ) -> Result<Answer, Fault> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            request,
            want,
            asked: Instant::now(),
            whose,
            reply,
        };
        if self.jobs.try_send(job).is_err() {
            return Err(Fault::Declined("too much is asked of it at once".into()));
        }
        // It is dropped only when the owner ends, in the middle of who knows what.
        let ended = || Fault::Unsure("oobd is stopping".into());
        answer.await.map_err(|_| ended())?
    }
}

fn abilities(device: &dyn Device) -> Abilities {
    Abilities {
        verbs: device.verbs(),
        skills: device.skills().to_vec(),
    }
}

struct Server {
    owner: Arc<str>,
    bus: Bus,
    device: Box<dyn Device>,
    told: watch::Sender<Abilities>,
    patience: Patience,
}

impl Server {
    async fn serve(mut self, mut queue: mpsc::Receiver<Job>, stop: CancellationToken) {
        loop {
            let job = tokio::select! {
                biased;
                // cancel-safe per docs on CancellationToken::cancelled()
                () = stop.cancelled() => break,
                // cancel-safe per docs on Receiver::recv()
                job = queue.recv() => job,
            };
            let Some(job) = job else { break };
            tokio::select! {
                biased;
                // cancel-safe per docs on CancellationToken::cancelled()
                () = stop.cancelled() => break,
                // Cut off when the owner ends: the asker then knows that it may have been done.
                () = self.carry_out(job) => {}
            }
        }
        let _ = timeout(FAREWELL, self.device.close()).await;
    }

    async fn carry_out(&mut self, job: Job) {
        if job.reply.is_closed() {
            return;
        }
        if let Some(fault) = self.patience.refuses(job.want, job.asked) {
            let _ = job.reply.send(Err(fault));
            return;
        }
        if let Some((actor, cut_myself)) = &job.whose {
            self.device.act_for(actor, *cut_myself);
        }
        if let Request::Act(verb) = job.request
            && let Some((_, cut_myself)) = job.whose
            && let Some(why) = self.device.objection(verb, cut_myself)
        {
            let _ = job.reply.send(Err(Fault::Declined(why)));
            return;
        }
        let limit = job.request.limit();
        let answer = timeout(limit, self.device.ask(job.request)).await;
        let late = || Fault::Unsure(format!("no answer within {} s", limit.as_secs()));
        let answer = answer.unwrap_or_else(|_| Err(late()));
        self.patience.learn(answer.as_ref().err());
        let now = abilities(self.device.as_ref());
        self.told.send_if_modified(|told| {
            let changed = *told != now;
            *told = now;
            changed
        });
        for kind in self.device.events() {
            let _ = self.bus.publish(&self.owner, kind).await;
        }
        let _ = job.reply.send(answer);
    }
}

/// What the last tries teach about the next one.
#[derive(Debug, Default)]
struct Patience {
    failures: usize,
    /// The fault of the last try, when it was seen, and until when it stands for all others.
    last: Option<(Fault, Instant, Instant)>,
}

impl Patience {
    fn refuses(&self, want: Want, asked: Instant) -> Option<Fault> {
        let (fault, seen, until) = self.last.as_ref()?;
        // Asked while the last try was under way: that try was for this one, too.
        let shared = asked <= *seen;
        let tries = match fault {
            Fault::Locked(_) => want == Want::Insist,
            _ => want >= Want::Person && !shared,
        };
        (!tries && Instant::now() < *until).then(|| fault.clone())
    }

    fn learn(&mut self, fault: Option<&Fault>) {
        let pause = match fault {
            // It may be busy with just that: who reads back what came of it must not be kept waiting.
            Some(Fault::Unsure(_)) => return,
            Some(Fault::Gone(_)) => {
                let pause = GONE.get(self.failures.min(GONE.len() - 1)).copied();
                self.failures += 1;
                Duration::from_secs(pause.unwrap_or_default())
            }
            Some(Fault::Locked(_)) => LOCKED,
            // It answers.
            Some(Fault::Declined(_)) | None => {
                *self = Self::default();
                return;
            }
        };
        let now = Instant::now();
        self.last = fault.map(|fault| (fault.clone(), now, now + pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_dead_are_left_alone_and_the_locked_even_more() {
        let mut patience = Patience::default();
        let gone = Fault::Gone("no answer".into());
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        patience.learn(Some(&gone));
        let now = Instant::now();
        assert_eq!(patience.refuses(Want::Poll, now), Some(gone.clone()));
        assert_eq!(
            patience.refuses(Want::Person, asked),
            Some(gone.clone()),
            "asked while the try was under way"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(patience.refuses(Want::Person, Instant::now()), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(patience.refuses(Want::Poll, Instant::now()), None);

        let locked = Fault::Locked("wrong password".into());
        patience.learn(Some(&locked));
        tokio::time::advance(Duration::from_secs(599)).await;
        let now = Instant::now();
        assert_eq!(patience.refuses(Want::Person, now), Some(locked));
        assert_eq!(patience.refuses(Want::Insist, now), None);
        patience.learn(None);
        assert_eq!(patience.refuses(Want::Poll, now), None);
    }
}
