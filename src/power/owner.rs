//! The owner of one PDU: takes asks, decides what the device is asked next, keeps the state. Never waits for the device.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::act::{Act, Rules, Todo};
use super::book::Book;
use super::driver::{Driver, Fault, OutletReading, Reading, Standing};
use super::health::{Health, Told};
use super::worker::{Done, Job, Worker};
use super::{Error, trust};
use crate::bus::Durable;
use crate::clock::{Instant, Timestamp};
use crate::config::{Pdu, Wired};
use crate::event::Kind;
use crate::fact::{self, DevicePhase, Fact};
use crate::reset::{Action, Outcome, PowerState, Try, Verb};
use crate::supervisor::context::Context;

mod asks;
mod debts;

/// One verb on one outlet, on its way.
struct Run {
    outlet: String,
    action: Action,
    act: Act,
    began: Instant,
    /// The reading that is under way is for it, too.
    reads: bool,
    /// Its intent, until it is known to be on flash. Nothing is asked of the device before.
    intent: Option<Durable>,
}

/// Takes a number of the book, whose page is written by it.
type Numbering = Box<dyn FnOnce(&mut Book) -> u64 + Send + Sync>;

struct Owner {
    context: Context,
    pdu: Pdu,
    word: &'static str,
    address: String,
    worker: Worker,
    /// As it stands in the flash, once `page` is there.
    book: Book,
    /// A page of the book on its way to the flash; [`Owner::book_done`] takes it in.
    page: Option<JoinHandle<(Book, u64)>>,
    /// The next page of it, which a number that was given out needs.
    unwritten: Option<Numbering>,
    health: Health,
    runs: Vec<Run>,
    /// What came of the last verb on each outlet.
    ended: BTreeMap<String, Action>,
    reading: Reading,
    read_at: Option<Timestamp>,
    /// The last state that was known of each outlet, to tell changes by.
    known: BTreeMap<String, PowerState>,
    /// When a debt that was left over is tried again.
    debts_at: Instant,
    debts_pause: Duration,
    /// An outlet was read alone since all were.
    looked: bool,
    /// When it last did what it was asked.
    heard: Option<Instant>,
}

/// A device that answered less than this ago is there: an on or an off needs no proof of it.
const THERE: Duration = Duration::from_secs(5);

/// Serves one PDU until the context is stopped. `open` makes drivers.
pub(super) async fn run(
    context: Context,
    pdu: Pdu,
    open: impl Fn() -> Box<dyn Driver> + Send + Sync + 'static,
) -> Result<(), Error> {
    let worker = Worker::spawn(&context.tracker, context.stop.clone(), open);
    let (state, name) = (context.dirs.state.clone(), pdu.name.clone());
    let book = tokio::task::spawn_blocking(move || Book::open(&state, &name)).await;
    let book = book.map_err(|_| Error::Desk {
        name: context.name.clone(),
    })?;
    let (word, address) = pdu.kind.place();
    let mut owner = Owner {
        worker,
        book,
        page: None,
        unwritten: None,
        health: Health::new(pdu.poll),
        runs: Vec::new(),
        ended: BTreeMap::new(),
        reading: Reading::default(),
        read_at: None,
        known: BTreeMap::new(),
        debts_at: Instant::now(),
        debts_pause: debts::FIRST_PAUSE,
        looked: false,
        heard: None,
        word,
        address,
        pdu,
        context,
    };
    owner.take_up();
    owner.tell();
    let mut pulse = owner.context.pulse.clone();
    let stop = owner.context.stop.clone();
    loop {
        let wake = owner.next_step().await;
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = stop.cancelled() => break,
            // cancel-safe per docs on Pulse::beat()
            () = pulse.beat() => {}
            // cancel-safe as Worker::done() says
            done = owner.worker.done() => owner.done(done).await,
            // cancel-safe per docs on Receiver::recv()
            ask = owner.context.asks.recv() => match ask {
                Some(ask) => owner.ask(ask).await,
                None => return Err(Error::Desk { name: owner.context.name }),
            },
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(wake) => {}
        }
    }
    owner.part().await;
    Ok(())
}

impl Owner {
    /// Gives the device its next job, if it is idle and there is one. Returns when to look again at the latest.
    async fn next_step(&mut self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        self.reap().await;
        if self.worker.is_busy() {
            return far;
        }
        let now = Instant::now();
        self.raise_debts(now).await;
        let mut wake = self.health.due().min(far);
        let mut readers = Vec::new();
        let mut switch = None;
        for (at, run) in self.runs.iter().enumerate() {
            match run.act.todo(now) {
                Todo::Switch(verb) => {
                    switch = Some((at, verb));
                    break;
                }
                Todo::Read => readers.push(run.outlet.as_str()),
                Todo::Wait(until) => wake = wake.min(until),
                Todo::Done => {}
            }
        }
        if let Some((at, verb)) = switch {
            self.switch(at, verb).await;
        } else if !readers.is_empty() || self.health.due() <= now {
            let job = self.reading_for(&readers, now);
            for run in &mut self.runs {
                run.reads = run.act.todo(now) == Todo::Read;
            }
            if job == Job::Read {
                self.health.begins();
            }
            self.worker.ask(job);
        } else {
            return wake.min(self.debts_due());
        }
        // An act that failed before it was asked is reaped at once.
        if self.worker.is_busy() { far } else { now }
    }

    /// What to read: one outlet alone where one verb waits for it, at a device that is known to serve us and to have it.
    fn reading_for(&self, readers: &[&str], now: Instant) -> Job {
        match readers {
            [outlet] if self.knows(outlet, now) => Job::Look {
                outlet: (*outlet).to_owned(),
            },
            _ => Job::Read,
        }
    }

    /// Was the device there a moment ago, with this outlet?
    fn is_there(&self, outlet: &str, now: Instant) -> bool {
        let lately = self.heard.is_some_and(|heard| now < heard + THERE);
        lately && self.knows(outlet, now)
    }

    /// Did the device serve us, and have this outlet, when it was last due?
    fn knows(&self, outlet: &str, now: Instant) -> bool {
        let mut outlets = self.reading.outlets.iter();
        self.is_up()
            && self.health.due() > now
            && outlets.any(|read| read.key == outlet && read.state != PowerState::Unknown)
    }

    /// Has the device switch what this run says, unless it must not be.
    async fn switch(&mut self, at: usize, verb: Verb) {
        let off = self.pdu.off_time;
        self.book_done().await;
        let Some(run) = self.runs.get_mut(at) else {
            return;
        };
        if let Some(why) = self.health.distrust(Instant::now()) {
            run.act.fail(why);
            return;
        }
        if let Some(intent) = run.intent.take() {
            // An error means that the board stops, or that the flash refuses, which the journal has said.
            let _ = intent.wait().await;
        }
        if run.act.will_owe() {
            let owed = debts::owed(run);
            if let Err(error) = self.book_owe(owed).await
                && let Some(run) = self.runs.get_mut(at)
            {
                run.act.fail(format!(
                    "it would have to be remembered that its power is owed, and the flash refuses: {error}"
                ));
                return;
            }
        }
        let Some(run) = self.runs.get(at) else {
            return;
        };
        self.worker.ask(Job::Switch {
            outlet: run.outlet.clone(),
            verb,
            off,
        });
    }

    async fn done(&mut self, done: Done) {
        let now = Instant::now();
        if done.is_well() {
            self.heard = Some(now);
        }
        match done {
            Done::Switched {
                outlet,
                verb,
                answer,
            } => {
                if let Err(fault) = &answer {
                    self.health.refused_verb(now, fault);
                }
                let run = self.runs.iter_mut().find(|run| {
                    run.outlet == outlet && matches!(run.act.todo(now), Todo::Switch(_))
                });
                if let Some(run) = run {
                    run.act.asked(now, verb, answer);
                }
            }
            Done::Looked { outlet, answer } => {
                let answer = answer.map(|standing| self.looked(&outlet, standing));
                if let Err(fault) = &answer {
                    self.read(&Err(fault.clone())).await;
                }
                for run in self.runs.iter_mut().filter(|run| run.reads) {
                    run.reads = false;
                    run.act.read(now, answer.as_ref().map(Option::as_ref));
                }
            }
            Done::Read(answer) => {
                self.read(&answer).await;
                for run in self.runs.iter_mut().filter(|run| run.reads) {
                    run.reads = false;
                    let outlet = answer.as_ref().map(|reading| {
                        let mut outlets = reading.outlets.iter();
                        outlets.find(|outlet| outlet.key == run.outlet)
                    });
                    run.act.read(now, outlet);
                }
            }
        }
        self.reap().await;
        self.tell();
    }

    /// One outlet was read, for a verb on it; what else there is to know of the device is read when the verb is over.
    fn looked(&mut self, outlet: &str, standing: Option<Standing>) -> Option<OutletReading> {
        self.looked = true;
        let mut outlets = self.reading.outlets.iter_mut();
        let place = outlets.find(|read| read.key == outlet)?;
        let Some((state, in_transition)) = standing else {
            (place.state, place.in_transition) = (PowerState::Unknown, false);
            return None;
        };
        (place.state, place.in_transition) = (state, in_transition);
        if state != PowerState::Unknown {
            self.known.insert(outlet.to_owned(), state);
        }
        Some(place.clone())
    }

    /// A reading, or that there was none.
    async fn read(&mut self, answer: &Result<Reading, Fault>) {
        let fault = answer.as_ref().err();
        if self.health.is_news(fault) {
            trust::alarm(&self.context, fault).await;
        }
        let told = self.health.heard(Instant::now(), fault);
        let name = self.pdu.name.clone();
        match told {
            Told::Lost(reason) => {
                self.publish(Kind::PduLost { pdu: name, reason }).await;
            }
            Told::Found => self.publish(Kind::PduFound { pdu: name }).await,
            Told::Nothing => {}
        }
        let Ok(reading) = answer else {
            // What cannot be read is unknown, and never off.
            self.reading.forget();
            return;
        };
        self.looked = false;
        let former = std::mem::replace(&mut self.reading, reading.clone());
        // A speaker whose driver has just died lists none of its outlets: they are unknown then, not gone.
        self.reading.keep(former);
        self.read_at = Some(Timestamp::now());
        let mut changed = Vec::new();
        for outlet in &reading.outlets {
            if outlet.state == PowerState::Unknown {
                continue;
            }
            let before = self.known.insert(outlet.key.clone(), outlet.state);
            let ours = self.runs.iter().any(|run| run.outlet == outlet.key);
            if before.is_some_and(|before| before != outlet.state) && !ours {
                changed.push((outlet.key.clone(), outlet.state));
            }
        }
        for (outlet, state) in changed {
            let pdu = self.pdu.name.clone();
            self.publish(Kind::OutletChanged { pdu, outlet, state })
                .await;
        }
    }

    /// Tells the outcome of acts that are done.
    async fn reap(&mut self) {
        while let Some(at) = self.runs.iter().position(|run| {
            let (outcome, _) = run.act.outcome();
            outcome != Outcome::Running
        }) {
            let mut run = self.runs.swap_remove(at);
            let (outcome, why) = run.act.outcome();
            let why = why.to_owned();
            let action = &mut run.action;
            action.outcome = outcome;
            action.millis = millis(run.began.elapsed());
            action.why.clone_from(&why);
            action.trail = vec![Try {
                method: self.word.to_owned(),
                outcome,
                why: why.clone(),
            }];
            self.settle(&run).await;
            let Run { outlet, action, .. } = run;
            self.ended.insert(outlet.clone(), action.clone());
            let told = self.context.begin(Kind::OutletSwitched {
                pdu: self.pdu.name.clone(),
                outlet: outlet.clone(),
                verb: action.verb,
                by: action.by,
                action: action.id,
                outcome,
                millis: action.millis,
                why,
            });
            let told = told.await;
            if self.looked {
                self.health.refresh();
            }
            // Who waits for it waits for no flash: should the power be cut now, the next life tells it.
            self.tell();
            if let Some(told) = told {
                let _ = told.wait().await;
            }
            // Not before: an outcome that is told twice does less harm than one that is lost.
            self.book_told(&outlet).await;
        }
    }

    /// Verbs that nobody follows any more are told so; a cycle whose on is owed is taken up by the next life.
    async fn part(mut self) {
        self.book_done().await;
        for run in &mut self.runs {
            if !run.act.owes() {
                run.act
                    .give_up("oobd stopped serving this PDU before it showed");
            }
        }
        self.reap().await;
        let name = self.pdu.name.clone();
        self.context.observe(Fact::PduGone { name });
    }

    async fn publish(&self, kind: Kind) {
        self.context.publish(kind).await;
    }

    fn rules(&self) -> Rules {
        Rules {
            confirm: self.pdu.confirm,
            off_time: self.pdu.off_time,
        }
    }

    fn wired(&self, outlet: &str) -> Option<&Wired> {
        self.pdu.outlets.iter().find(|wired| wired.key == outlet)
    }

    /// Puts all that is known into the state.
    fn tell(&self) {
        let outlets = self.reading.outlets.iter().map(|outlet| {
            let wired = self.wired(&outlet.key);
            let label = wired.map(|wired| wired.label.clone()).unwrap_or_default();
            let run = self.runs.iter().find(|run| run.outlet == outlet.key);
            let action = match run {
                Some(run) => Some(Action {
                    millis: millis(run.began.elapsed()),
                    ..run.action.clone()
                }),
                None => self.ended.get(&outlet.key).cloned(),
            };
            fact::Outlet {
                key: outlet.key.clone(),
                label: if label.is_empty() {
                    outlet.label.clone()
                } else {
                    label
                },
                state: outlet.state,
                in_transition: outlet.in_transition || run.is_some(),
                cycles: outlet.cycles,
                watts: outlet.watts,
                amps: outlet.amps,
                feeds: wired.map(|wired| wired.feeds.clone()).unwrap_or_default(),
                action,
            }
        });
        let mut outlets: Vec<fact::Outlet> = outlets.collect();
        self.add_unread(&mut outlets);
        let (phase, since, why) = self.health.standing();
        self.context.observe(Fact::Pdu(fact::Pdu {
            name: self.pdu.name.clone(),
            kind: self.word.to_owned(),
            address: self.address.clone(),
            phase,
            since,
            why,
            read_at: self.read_at,
            outlets,
        }));
    }

    /// Outlets that the file or a verb names and the device does not (or was never read).
    fn add_unread(&self, outlets: &mut Vec<fact::Outlet>) {
        let named = self.pdu.outlets.iter().map(|wired| &wired.key);
        let acted = self.runs.iter().map(|run| &run.outlet);
        for key in named.chain(acted).chain(self.ended.keys()) {
            if outlets.iter().any(|outlet| outlet.key == *key) {
                continue;
            }
            let wired = self.wired(key);
            let run = self.runs.iter().find(|run| run.outlet == *key);
            outlets.push(fact::Outlet {
                key: key.clone(),
                label: wired.map(|wired| wired.label.clone()).unwrap_or_default(),
                in_transition: run.is_some(),
                feeds: wired.map(|wired| wired.feeds.clone()).unwrap_or_default(),
                action: run
                    .map(|run| run.action.clone())
                    .or_else(|| self.ended.get(key).cloned()),
                ..fact::Outlet::default()
            });
        }
    }

    /// Is it known that the device serves us?
    fn is_up(&self) -> bool {
        self.health.standing().0 == DevicePhase::Up
    }
}

/// Whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
