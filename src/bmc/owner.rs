//! The owner of one machine: keeps its fact, lets one verb run at a time, answers what is asked. Waits for no device
//! itself; readings, questions and verbs run beside it and tell it what they found.

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::desk;
use super::device::{Fault, Power, Skill};
use super::errand::{Errand, News, Plan, Reading, Verdict, plan};
use super::logbook;
use super::memory::{Memory, Step, Underway};
use super::methods::outlets::{follow, objection};
use super::poll::{Polled, Poller};
use super::way::{Want, Way};
use crate::clock::{Instant, Timestamp};
use crate::command::{Actor, Ask, Command, Refusal, Reply};
use crate::config::Machine;
use crate::event::{Kind, Severity};
use crate::fact::{self, DevicePhase, Fact};
use crate::machine::{Health, Sensor};
use crate::reset::{Action, Outcome, PowerState, VERBS, Verb};
use crate::state::State;
use crate::supervisor::context::Context;

/// Readings and news that may wait for the owner.
const WAITING: usize = 16;
/// Questions of people that may run at once.
const QUESTIONS: usize = 8;
/// Sensors that the state carries; a chassis with more shows the rest when it is asked.
const MOST_SENSORS: usize = 256;
/// Readings without an answer that make a machine silent. One packet may be lost.
const SILENT_AFTER: u32 = 2;

/// Runs until stopped.
pub(super) async fn run(
    mut ctx: Context,
    machine: Machine,
    ways: Vec<Way>,
    state: watch::Receiver<State>,
) {
    let name = machine.name.clone();
    let (state_dir, of) = (ctx.dirs.state.clone(), name.clone());
    let memory = tokio::task::spawn_blocking(move || Memory::open(&state_dir, &of)).await;
    let Ok(memory) = memory else { return };
    let (told, mut polled) = mpsc::channel(WAITING);
    let (news, mut heard) = mpsc::channel(WAITING);
    let (ended, mut verdicts) = mpsc::channel(1);
    let (read, mut sensors) = mpsc::channel(WAITING);
    let kick = Arc::new(Notify::new());
    let poller = Poller {
        ways: ways.clone(),
        every: machine.poll,
        told,
        kick: kick.clone(),
    };
    let stop = ctx.stop.clone();
    ctx.tracker
        .spawn(async move { stop.run_until_cancelled(poller.run()).await });
    if !machine.outlets.is_empty() {
        let follow = follow(state.clone(), machine.outlets.clone(), kick.clone());
        let stop = ctx.stop.clone();
        ctx.tracker
            .spawn(async move { stop.run_until_cancelled(follow).await });
    }
    let mut owner = Owner {
        fact: fact::Machine {
            name: name.clone(),
            methods: ways.iter().map(|way| way.name.to_owned()).collect(),
            since: Timestamp::now(),
            outlets: machine.outlets.iter().map(ToString::to_string).collect(),
            ..fact::Machine::default()
        },
        machine,
        ways,
        memory,
        state,
        kick,
        news,
        ended,
        sensors: read,
        questions: Arc::new(Semaphore::new(QUESTIONS)),
        running: None,
        silences: 0,
        last_known: PowerState::Unknown,
    };
    owner.tell(&ctx);
    owner.resume(&ctx);
    let mut pulse = ctx.pulse.clone();
    loop {
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe per docs on Receiver::recv(); the errand's end comes after all its news
            Some(news) = heard.recv() => owner.hear(&ctx, news).await,
            // cancel-safe per docs on Receiver::recv(); the owner holds a sender, so never None
            Some(verdict) = verdicts.recv() => {
                while let Ok(news) = heard.try_recv() {
                    owner.hear(&ctx, news).await;
                }
                owner.conclude(&ctx, verdict).await;
            }
            // cancel-safe per docs on Receiver::recv()
            Some(polled) = polled.recv() => owner.learn(&ctx, polled).await,
            // cancel-safe per docs on Receiver::recv(); the owner holds a sender, so never None
            Some(sensors) = sensors.recv() => owner.keep_sensors(&ctx, sensors),
            // cancel-safe per docs on Receiver::recv()
            Some(ask) = ctx.asks.recv() => owner.answer(&ctx, ask).await,
        }
    }
    ctx.observe(Fact::MachineGone { name });
}

struct Owner {
    machine: Machine,
    ways: Vec<Way>,
    memory: Memory,
    state: watch::Receiver<State>,
    kick: Arc<Notify>,
    news: mpsc::Sender<News>,
    ended: mpsc::Sender<Verdict>,
    sensors: mpsc::Sender<Vec<Sensor>>,
    questions: Arc<Semaphore>,
    fact: fact::Machine,
    /// Since when a verb runs.
    running: Option<Instant>,
    silences: u32,
    /// What was known last; unknown is no change.
    last_known: PowerState,
}

impl Owner {
    /// Shows the fact as it is now.
    fn tell(&mut self, ctx: &Context) {
        let natives: Vec<Vec<Verb>> = self.ways.iter().map(Way::verbs).collect();
        let can = |verb: &Verb| natives.iter().any(|native| plan(*verb, native).is_some());
        self.fact.verbs = VERBS.into_iter().filter(can).collect();
        self.fact.has_bios = self.ways.iter().any(|way| way.can(Skill::Bios));
        if let (Some(since), Some(action)) = (self.running, &mut self.fact.action) {
            action.millis = millis(since);
        }
        ctx.observe(Fact::Machine(self.fact.clone()));
    }

    async fn answer(&mut self, ctx: &Context, ask: Ask) {
        let Some((actor, command, reply)) = ask.command(&ctx.name) else {
            return;
        };
        match command {
            Command::SwitchMachine {
                verb, cut_myself, ..
            } => {
                let answer = self.begin(ctx, &actor, verb, cut_myself).await;
                // The asker may have gone; the work is done all the same.
                let _ = reply.send(answer);
            }
            Command::ReadMachine { .. } => self.read_now(ctx, reply),
            other => self.ask(ctx, other, reply),
        }
    }

    /// Reads by every way that tells, also those that were left alone.
    fn read_now(&self, ctx: &Context, reply: oneshot::Sender<Result<Reply, Refusal>>) {
        let (ways, kick) = (self.ways.clone(), self.kick.clone());
        self.beside(ctx, reply, async move {
            let mut said = Vec::new();
            for way in ways.iter().filter(|way| way.can(Skill::Power)) {
                match way.ask(super::device::Request::Power, Want::Insist).await {
                    Ok(_) => {
                        kick.notify_one();
                        return Ok(Reply::Done);
                    }
                    Err(fault) => said.push(format!("{}: {fault}", way.name)),
                }
            }
            kick.notify_one();
            Err(Refusal::Failed(match said.is_empty() {
                true => "nothing tells how its power stands".into(),
                false => said.join("; "),
            }))
        });
    }

    fn ask(&self, ctx: &Context, command: Command, reply: oneshot::Sender<Result<Reply, Refusal>>) {
        let Some(request) = desk::request(command) else {
            let what = "such command of a machine".into();
            let _ = reply.send(Err(Refusal::Unknown { what }));
            return;
        };
        let (ways, name) = (self.ways.clone(), self.machine.name.clone());
        let (sensors, kick) = (self.sensors.clone(), self.kick.clone());
        let trusts = request == super::device::Request::Trust;
        self.beside(ctx, reply, async move {
            let answer = desk::ask(&name, &ways, request).await?;
            if let super::device::Answer::Sensors(read) = &answer {
                let _ = sensors.send(read.clone()).await;
            }
            if trusts {
                kick.notify_one();
            }
            Ok(desk::reply(answer))
        });
    }

    /// Runs a question beside the owner, and ends it with the owner.
    fn beside(
        &self,
        ctx: &Context,
        reply: oneshot::Sender<Result<Reply, Refusal>>,
        question: impl Future<Output = Result<Reply, Refusal>> + Send + 'static,
    ) {
        let Ok(permit) = self.questions.clone().try_acquire_owned() else {
            let _ = reply.send(Err(Refusal::Busy {
                what: format!("machine {}", self.machine.name),
                why: format!("it answers {QUESTIONS} others"),
            }));
            return;
        };
        let stop = ctx.stop.clone();
        ctx.tracker.spawn(async move {
            let _permit = permit;
            if let Some(answer) = stop.run_until_cancelled(question).await {
                let _ = reply.send(answer);
            }
        });
    }

    async fn begin(
        &mut self,
        ctx: &Context,
        actor: &Actor,
        verb: Verb,
        cut_myself: bool,
    ) -> Result<Reply, Refusal> {
        let name = &self.machine.name;
        if let Some(running) = self.fact.action.as_ref().filter(|_| self.running.is_some()) {
            return Err(Refusal::Busy {
                what: format!("machine {name}"),
                why: format!("{} of {} is under way", running.verb, running.by),
            });
        }
        let able: Vec<&Way> = self
            .ways
            .iter()
            .filter(|way| plan(verb, &way.verbs()).is_some())
            .collect();
        if able.is_empty() {
            let names: Vec<&str> = self.ways.iter().map(|way| way.name).collect();
            let names = names.join(" and ");
            return Err(Refusal::Failed(format!(
                "machine {name} has no way to do this: {names} cannot {verb}"
            )));
        }
        if let Some(why) = self.would_cut(&able, verb, cut_myself) {
            return Err(Refusal::Failed(why));
        }
        let (by, began) = (actor.to_string(), Timestamp::now());
        let mut action = 0;
        self.memory
            .change(|now| {
                now.last_action += 1;
                action = now.last_action;
                now.underway = Some(Underway {
                    action,
                    verb,
                    by: by.clone(),
                    began,
                    trail: Vec::new(),
                    step: Step::Begun,
                });
            })
            .await;
        // The intent is durable before anything is asked of any device.
        ctx.publish(Kind::MachineSwitching {
            machine: self.machine.name.clone(),
            verb,
            by: by.clone(),
            action,
        })
        .await;
        self.start(ctx, underway(action, verb, by, began), Instant::now());
        let errand = self.errand(actor.clone(), cut_myself, Vec::new());
        self.spawn(ctx, errand.run(verb));
        Ok(Reply::Started { action })
    }

    /// Why no way would do the verb without leaving the board in the dark, if that is so.
    fn would_cut(&self, able: &[&Way], verb: Verb, cut_myself: bool) -> Option<String> {
        let only = able.first().filter(|way| way.name == "outlets")?;
        let step = match plan(verb, &only.verbs()) {
            Some(Plan::Plain(step)) => step,
            _ => Verb::ForceOff,
        };
        let state = self.state.borrow();
        let why = objection(&state, &self.machine.outlets, step, cut_myself);
        why.filter(|_| able.len() == 1)
    }

    /// Ends what the last run of the owner left in the middle.
    fn resume(&mut self, ctx: &Context) {
        let Some(left) = self.memory.get().underway else {
            return;
        };
        tracing::warn!(
            machine = self.machine.name,
            "{} of {} was interrupted",
            left.verb,
            left.by
        );
        self.start(
            ctx,
            Action {
                trail: left.trail.clone(),
                ..underway(left.action, left.verb, left.by, left.began)
            },
            Instant::now(),
        );
        let errand = self.errand(Actor::Owner(ctx.name.clone()), false, left.trail);
        self.spawn(ctx, errand.resume(left.verb, left.step));
    }

    fn errand(&self, actor: Actor, cut_myself: bool, trail: Vec<crate::reset::Try>) -> Errand {
        Errand {
            ways: self.ways.clone(),
            memory: self.memory.clone(),
            actor,
            cut_myself,
            confirm: self.machine.confirm,
            shutdown: self.machine.shutdown,
            news: self.news.clone(),
            trail,
        }
    }

    fn start(&mut self, ctx: &Context, action: Action, since: Instant) {
        self.fact.action = Some(action);
        self.fact.in_transition = true;
        self.running = Some(since);
        self.tell(ctx);
    }

    /// Runs an errand beside the owner. What stops it in the middle is ended by the next run: see `resume`.
    fn spawn(&self, ctx: &Context, errand: impl Future<Output = Verdict> + Send + 'static) {
        let (stop, ended) = (ctx.stop.clone(), self.ended.clone());
        ctx.tracker.spawn(async move {
            if let Some(verdict) = stop.run_until_cancelled(errand).await {
                let _ = ended.send(verdict).await;
            }
        });
    }

    async fn hear(&mut self, ctx: &Context, news: News) {
        match news {
            News::Tried(trail) => {
                if let Some(action) = &mut self.fact.action {
                    action.trail = trail;
                }
            }
            News::Read(power) => self.stand(ctx, &power).await,
        }
        self.tell(ctx);
    }

    async fn conclude(&mut self, ctx: &Context, verdict: Verdict) {
        let Some(action) = &mut self.fact.action else {
            return;
        };
        let since = self.running.take();
        action.outcome = verdict.outcome;
        action.why = verdict.why;
        action.trail = verdict.trail;
        action.millis = since.map(millis).unwrap_or_default();
        let sentence = |tried: &crate::reset::Try| match tried.why.as_str() {
            "" => format!("{}: {}", tried.method, tried.outcome),
            why => format!("{}: {}, {why}", tried.method, tried.outcome),
        };
        let mut trail: Vec<String> = action.trail.iter().map(sentence).collect();
        if trail.is_empty() && !action.why.is_empty() {
            trail.push(action.why.clone());
        }
        let switched = Kind::MachineSwitched {
            machine: self.machine.name.clone(),
            verb: action.verb,
            by: action.by.clone(),
            action: action.id,
            outcome: action.outcome,
            millis: action.millis,
            trail,
        };
        self.fact.in_transition = false;
        ctx.publish(switched).await;
        self.memory.change(|now| now.underway = None).await;
        self.tell(ctx);
        self.kick.notify_one();
    }

    async fn learn(&mut self, ctx: &Context, polled: Polled) {
        match polled {
            Polled::Power(reading) => self.judge(ctx, &reading).await,
            Polled::Model(model) => self.fact.model = model,
            Polled::Sensors(sensors) => return self.keep_sensors(ctx, sensors),
            Polled::Log(entries) => {
                let last = self.memory.get().log;
                let (fresh, end) = logbook::news(last.as_deref(), &entries);
                for entry in fresh {
                    ctx.publish(Kind::MachineLogged {
                        machine: self.machine.name.clone(),
                        part: entry.part.clone(),
                        text: entry.text.clone(),
                        severity: severity(entry.health),
                    })
                    .await;
                }
                self.memory.change(|now| now.log = Some(end)).await;
            }
        }
        self.tell(ctx);
    }

    fn keep_sensors(&mut self, ctx: &Context, mut sensors: Vec<Sensor>) {
        sensors.truncate(MOST_SENSORS);
        self.fact.sensors = sensors;
        self.tell(ctx);
    }

    /// Whether it answers, and how its power stands.
    async fn judge(&mut self, ctx: &Context, reading: &Reading) {
        let (phase, why) = phase(reading, self.ways.iter().any(|way| way.is_bmc));
        self.silences = if phase == DevicePhase::Silent {
            self.silences.saturating_add(1)
        } else {
            0
        };
        let doubtful = phase == DevicePhase::Silent && self.silences < SILENT_AFTER;
        if !doubtful {
            self.turn(ctx, phase, why).await;
        }
        match &reading.power {
            Some(power) => self.stand(ctx, power).await,
            // What cannot be read is unknown, and never what it was.
            None if !doubtful => self.fact.state = PowerState::Unknown,
            None => {}
        }
    }

    async fn turn(&mut self, ctx: &Context, phase: DevicePhase, why: String) {
        let before = self.fact.phase;
        self.fact.why.clone_from(&why);
        if phase == before {
            return;
        }
        self.fact.phase = phase;
        self.fact.since = Timestamp::now();
        let machine = self.machine.name.clone();
        let was_lost = matches!(before, DevicePhase::Silent | DevicePhase::Refused);
        match phase {
            DevicePhase::Up if was_lost => ctx.publish(Kind::MachineFound { machine }).await,
            DevicePhase::Silent | DevicePhase::Refused => {
                let reason = why;
                ctx.publish(Kind::MachineLost { machine, reason }).await;
            }
            DevicePhase::Up | DevicePhase::Unknown => {}
        }
    }

    async fn stand(&mut self, ctx: &Context, power: &Power) {
        self.fact.state = power.state;
        self.fact.in_transition = power.changing || self.running.is_some();
        self.fact.read_at = Some(Timestamp::now());
        if power.state == PowerState::Unknown {
            return;
        }
        let before = std::mem::replace(&mut self.last_known, power.state);
        let ours = self.running.is_some();
        if before != PowerState::Unknown && before != power.state && !ours {
            ctx.publish(Kind::MachineChanged {
                machine: self.machine.name.clone(),
                state: power.state,
            })
            .await;
        }
    }
}

fn underway(id: u64, verb: Verb, by: String, began: Timestamp) -> Action {
    Action {
        id,
        verb,
        by,
        began,
        outcome: Outcome::Running,
        millis: 0,
        why: String::new(),
        trail: Vec::new(),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Whether the machine answers: its controllers if it has any, otherwise whatever tells of its power. And why not.
fn phase(reading: &Reading, has_bmc: bool) -> (DevicePhase, String) {
    let asked = reading
        .asked
        .iter()
        .filter(|(way, _)| way.is_bmc == has_bmc);
    let faults = || {
        let told = |(way, fault): &(Way, Option<Fault>)| {
            fault.as_ref().map(|fault| format!("{}: {fault}", way.name))
        };
        let told: Vec<String> = reading.asked.iter().filter_map(told).collect();
        told.join("; ")
    };
    let mut phase = DevicePhase::Unknown;
    for (_, fault) in asked {
        phase = match fault {
            None | Some(Fault::Declined(_)) => return (DevicePhase::Up, faults()),
            Some(Fault::Locked(_)) => DevicePhase::Refused,
            Some(_) if phase == DevicePhase::Refused => phase,
            Some(_) => DevicePhase::Silent,
        };
    }
    let why = match phase {
        DevicePhase::Unknown => "nothing tells how its power stands".into(),
        _ => faults(),
    };
    (phase, why)
}

fn severity(health: Health) -> Severity {
    match health {
        Health::Ok => Severity::Info,
        Health::Unknown => Severity::Notice,
        Health::Warning => Severity::Warning,
        Health::Critical => Severity::Critical,
    }
}
