//! The owner over scripted devices, in paused time: the order of methods, what falls back and what does not, restarts in the
//! middle, and who is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::device::{Fault, Skill};
use super::scripted::{Script, Scripted, Shared};
use super::way::{Setting, Way};
use crate::bus::{Bus, Publish};
use crate::command::{Actor, Command, Commands, Refusal, Reply};
use crate::config::{Machine, Method};
use crate::event::Kind;
use crate::fact::DevicePhase;
use crate::machine::{Health, LogEntry};
use crate::reset::{Outcome, PowerState, Verb};
use crate::state::{State, Store};
use crate::supervisor::context::{Context, Dirs, Pulse, Ready};

const POWER: &[Verb] = &[
    Verb::On,
    Verb::ForceOff,
    Verb::PowerCycle,
    Verb::ForceRestart,
];
const SKILLS: &[Skill] = &[
    Skill::Power,
    Skill::Act,
    Skill::Model,
    Skill::Log,
    Skill::Sensors,
];

/// A machine with an owner that runs.
struct House {
    store: Store,
    commands: Commands,
    events: Arc<Mutex<Vec<Kind>>>,
    stop: CancellationToken,
    tracker: TaskTracker,
    dir: Arc<tempfile::TempDir>,
}

fn machine() -> Machine {
    Machine {
        poll: Duration::from_secs(30),
        confirm: Duration::from_secs(60),
        shutdown: Duration::from_mins(3),
        ..Machine::new("db1", vec![Method::Redfish, Method::Ipmi])
    }
}

type Ways<'a> = &'a [(&'static str, &'a [Verb], &'a Shared)];

impl House {
    fn start(ways: Ways<'_>) -> Self {
        Self::over(Arc::new(tempfile::tempdir().unwrap()), ways)
    }

    /// An owner over a state directory that another one may have used before.
    fn over(dir: Arc<tempfile::TempDir>, ways: Ways<'_>) -> Self {
        let store = Store::new(State::default());
        let (bus, mut intake) = Bus::new(store.clone());
        let events = Arc::new(Mutex::new(Vec::new()));
        let journal = events.clone();
        tokio::spawn(async move {
            let mut seq = 0;
            while let Some(Publish { kind, done, .. }) = intake.publishes.recv().await {
                journal.lock().unwrap().extend(kind);
                seq += 1;
                let _ = done.send(seq);
            }
        });
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let setting = Setting {
            owner: "machine.db1",
            bus: &bus,
            stop: &stop,
            tracker: &tracker,
        };
        let ways: Vec<Way> = ways
            .iter()
            .map(|(name, verbs, script)| {
                let device = Scripted {
                    script: (*script).clone(),
                    verbs: verbs.to_vec(),
                    skills: SKILLS,
                };
                Way::spawn(name, *name != "outlets", Box::new(device), &setting)
            })
            .collect();
        let commands = Commands::default();
        let (_, asked) = watch::channel(0);
        let ctx = Context {
            name: "machine.db1".into(),
            bus: bus.clone(),
            asks: commands.register("machine.db1"),
            commands: commands.clone(),
            stop: stop.clone(),
            tracker: tracker.clone(),
            pulse: Pulse::new(asked, Arc::default()),
            ready: Ready::new(watch::channel(false).0, Arc::default()),
            dirs: Arc::new(Dirs {
                state: dir.path().into(),
                run: dir.path().into(),
                config: dir.path().into(),
                notes: dir.path().into(),
            }),
        };
        let state = store.watch();
        tracker.spawn(super::owner::run(ctx, machine(), ways, state));
        Self {
            store,
            commands,
            events,
            stop,
            tracker,
            dir,
        }
    }

    async fn stop(self) -> Arc<tempfile::TempDir> {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.dir
    }

    /// Waits until the machine's fact is as wanted.
    async fn until(&self, wanted: impl Fn(&crate::fact::Machine) -> bool) -> crate::fact::Machine {
        let mut state = self.store.watch();
        let seen = state.wait_for(|state| state.machines.get("db1").is_some_and(&wanted));
        let seen = timeout(Duration::from_mins(30), seen).await;
        seen.expect("it does not come to that").unwrap().machines["db1"].clone()
    }

    async fn send(&self, command: Command) -> Result<Reply, Refusal> {
        let actor = Actor::User {
            name: "alice".into(),
            from: "ssh".into(),
        };
        self.commands.send(actor, command).await
    }

    async fn give(&self, verb: Verb) -> Result<Reply, Refusal> {
        self.send(Command::SwitchMachine {
            machine: "db1".into(),
            verb,
            cut_myself: false,
        })
        .await
    }

    /// Gives a verb and waits for what comes of it: the outcome, and the trail as `method outcome`.
    async fn outcome(&self, verb: Verb) -> (Outcome, Vec<String>) {
        self.until(|machine| machine.phase != DevicePhase::Unknown)
            .await;
        let Ok(Reply::Started { action }) = self.give(verb).await else {
            panic!("it was not started");
        };
        self.ended(action).await
    }

    async fn ended(&self, action: u64) -> (Outcome, Vec<String>) {
        let over = |machine: &crate::fact::Machine| {
            let ours = machine.action.as_ref();
            ours.is_some_and(|ours| ours.id == action && ours.outcome != Outcome::Running)
        };
        let ended = self.until(over).await.action.unwrap();
        let trail = ended.trail.iter();
        let trail = trail.map(|tried| format!("{} {}", tried.method, tried.outcome));
        (ended.outcome, trail.collect())
    }

    fn events(&self, wanted: fn(&Kind) -> bool) -> usize {
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter(|kind| wanted(kind))
            .count()
    }
}

fn script(state: PowerState) -> Shared {
    Arc::new(Mutex::new(Script {
        state,
        ..Script::default()
    }))
}

fn gone() -> Fault {
    Fault::Gone("no answer within 5 s".into())
}

#[tokio::test(start_paused = true)]
async fn the_first_way_does_it_and_the_others_are_left_alone() {
    let (redfish, ipmi) = (script(PowerState::Off), script(PowerState::Off));
    let house = House::start(&[("redfish", POWER, &redfish), ("ipmi", POWER, &ipmi)]);
    let (outcome, trail) = house.outcome(Verb::On).await;
    assert_eq!(outcome, Outcome::Confirmed);
    assert_eq!(trail, ["redfish confirmed"]);
    assert_eq!(ipmi.lock().unwrap().verbs(), []);
    let events = house.events.lock().unwrap().clone();
    let at = |wanted: fn(&Kind) -> bool| events.iter().position(wanted).unwrap();
    let intent = at(|kind| matches!(kind, Kind::MachineSwitching { .. }));
    assert!(intent < at(|kind| matches!(kind, Kind::MachineSwitched { .. })));
    let changed = house.events(|kind| matches!(kind, Kind::MachineChanged { .. }));
    assert_eq!(changed, 0, "we asked for it");
}

#[tokio::test(start_paused = true)]
async fn what_did_nothing_falls_back_and_is_on_record() {
    let (redfish, ipmi) = (script(PowerState::On), script(PowerState::On));
    let outlets = script(PowerState::On);
    redfish.lock().unwrap().dead = Some(gone());
    let declined = Fault::Declined("it does not know this command".into());
    ipmi.lock().unwrap().faults.push_back(declined);
    let house = House::start(&[
        ("redfish", POWER, &redfish),
        ("ipmi", POWER, &ipmi),
        ("outlets", POWER, &outlets),
    ]);
    // Only the outlets turn what ipmi reads.
    let (outcome, trail) = house.outcome(Verb::PowerCycle).await;
    assert_eq!(outcome, Outcome::Unconfirmed, "ipmi never saw it away");
    assert_eq!(
        trail,
        ["redfish failed", "ipmi failed", "outlets unconfirmed"]
    );
    assert_eq!(outlets.lock().unwrap().verbs(), [Verb::PowerCycle]);
    let told = house.events.lock().unwrap().clone();
    let trail = told.iter().find_map(|kind| match kind {
        Kind::MachineSwitched { trail, .. } => Some(trail.clone()),
        _ => None,
    });
    assert_eq!(trail.unwrap()[0], "redfish: failed, no answer within 5 s");
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_may_have_been_done_is_never_given_again() {
    for deaf in [true, false] {
        let (redfish, ipmi) = (script(PowerState::On), script(PowerState::On));
        let lost = Fault::Unsure("the connection broke".into());
        {
            let mut script = redfish.lock().unwrap();
            script.faults.push_back(lost);
            script.deaf = deaf;
        }
        let house = House::start(&[("redfish", POWER, &redfish), ("ipmi", POWER, &ipmi)]);
        let (outcome, trail) = house.outcome(Verb::PowerCycle).await;
        let wanted = if deaf {
            Outcome::Confirmed
        } else {
            Outcome::Unconfirmed
        };
        assert_eq!(outcome, wanted);
        assert_eq!(trail, [format!("redfish {wanted}")]);
        assert_eq!(redfish.lock().unwrap().verbs(), [Verb::PowerCycle]);
        assert_eq!(ipmi.lock().unwrap().verbs(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn off_goes_on_to_the_next_way_when_it_is_not_seen() {
    let (redfish, outlets) = (script(PowerState::On), script(PowerState::On));
    redfish.lock().unwrap().stuck = true;
    let house = House::start(&[("redfish", POWER, &redfish), ("outlets", POWER, &outlets)]);
    let given = house.outcome(Verb::ForceOff);
    let watch = async {
        // The outlets take the controller's power, too.
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if outlets.lock().unwrap().verbs() == [Verb::ForceOff] {
                redfish.lock().unwrap().dead = Some(gone());
                break;
            }
        }
    };
    let ((outcome, trail), ()) = tokio::join!(given, watch);
    assert_eq!(outcome, Outcome::Confirmed);
    assert_eq!(trail, ["redfish unconfirmed", "outlets confirmed"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once() {
    let ipmi = script(PowerState::On);
    ipmi.lock().unwrap().dead = Some(Fault::Locked("another password for admin".into()));
    let house = House::start(&[("ipmi", POWER, &ipmi)]);
    let refused = house
        .until(|machine| machine.phase == DevicePhase::Refused)
        .await;
    assert_eq!(refused.why, "ipmi: another password for admin");
    assert_eq!(refused.state, PowerState::Unknown);
    let (outcome, _) = house.outcome(Verb::ForceOff).await;
    assert_eq!(outcome, Outcome::Failed);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(ipmi.lock().unwrap().asked.len(), 1);
    assert_eq!(
        house.events(|kind| matches!(kind, Kind::MachineLost { .. })),
        1
    );
    // A person who says that it is right now is believed at once.
    ipmi.lock().unwrap().dead = None;
    let machine = "db1".to_owned();
    house.send(Command::ReadMachine { machine }).await.unwrap();
    house
        .until(|machine| machine.phase == DevicePhase::Up)
        .await;
    assert_eq!(
        house.events(|kind| matches!(kind, Kind::MachineFound { .. })),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn the_power_that_is_owed_is_given_back_after_a_restart() {
    const OFF_ON: &[Verb] = &[Verb::On, Verb::ForceOff];
    let outlets = script(PowerState::On);
    let house = House::start(&[("outlets", OFF_ON, &outlets)]);
    house.until(|machine| machine.state == PowerState::On).await;
    let Ok(Reply::Started { action }) = house.give(Verb::PowerCycle).await else {
        panic!("it was not started");
    };
    house
        .until(|machine| machine.state == PowerState::Off)
        .await;
    let dir = house.stop().await;
    assert_eq!(outlets.lock().unwrap().verbs(), [Verb::ForceOff]);

    let house = House::over(dir, &[("outlets", OFF_ON, &outlets)]);
    let (outcome, trail) = house.ended(action).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(trail, ["outlets unconfirmed"]);
    assert_eq!(outlets.lock().unwrap().verbs(), [Verb::ForceOff, Verb::On]);
    assert_eq!(house.until(|_| true).await.state, PowerState::On);
    // Numbers go on, and nothing is left to be ended.
    let Ok(Reply::Started { action: next }) = house.give(Verb::On).await else {
        panic!("it was not started");
    };
    assert_eq!(next, action + 1);
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_was_interrupted_is_not_given_again() {
    let ipmi = script(PowerState::On);
    ipmi.lock().unwrap().slow = Duration::from_secs(20);
    let house = House::start(&[("ipmi", POWER, &ipmi)]);
    house.until(|machine| machine.state == PowerState::On).await;
    let Ok(Reply::Started { action }) = house.give(Verb::PowerCycle).await else {
        panic!("it was not started");
    };
    while ipmi.lock().unwrap().verbs().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let dir = house.stop().await;
    let house = House::over(dir, &[("ipmi", POWER, &ipmi)]);
    let (outcome, _) = house.ended(action).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(ipmi.lock().unwrap().verbs(), [Verb::PowerCycle]);
}

#[tokio::test(start_paused = true)]
async fn one_verb_at_a_time_and_only_what_a_way_can() {
    let ipmi = script(PowerState::On);
    let house = House::start(&[("ipmi", POWER, &ipmi)]);
    let up = house
        .until(|machine| machine.phase == DevicePhase::Up)
        .await;
    assert!(!up.verbs.contains(&Verb::Nmi));
    let refused = house.give(Verb::Nmi).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "machine db1 has no way to do this: ipmi cannot nmi"
    );
    house.give(Verb::ForceOff).await.unwrap();
    let busy = house.give(Verb::On).await.unwrap_err();
    assert!(matches!(busy, Refusal::Busy { .. }), "{busy}");
    let machine = "db1".to_owned();
    let media = house.send(Command::ReadMedia { machine }).await;
    assert_eq!(
        media.unwrap_err().to_string(),
        "machine db1 has no way to do this: ipmi cannot play media"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_logs_is_told_once() {
    let entry = |id: u32| LogEntry {
        id: id.to_string(),
        at: None,
        health: Health::Critical,
        part: "PSU 1".into(),
        text: format!("lost {id}"),
    };
    let ipmi = script(PowerState::On);
    ipmi.lock().unwrap().log.push(entry(1));
    let house = House::start(&[("ipmi", POWER, &ipmi)]);
    tokio::time::sleep(Duration::from_mins(3)).await;
    let logged = |kind: &Kind| matches!(kind, Kind::MachineLogged { .. });
    assert_eq!(house.events(logged), 0, "it was there before us");
    ipmi.lock().unwrap().log.push(entry(2));
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(house.events(logged), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_machine_is_told_once_and_unknown() {
    let ipmi = script(PowerState::On);
    let house = House::start(&[("ipmi", POWER, &ipmi)]);
    house.until(|machine| machine.state == PowerState::On).await;
    ipmi.lock().unwrap().dead = Some(gone());
    let silent = house
        .until(|machine| machine.phase == DevicePhase::Silent)
        .await;
    assert_eq!(silent.why, "ipmi: no answer within 5 s");
    house
        .until(|machine| machine.state == PowerState::Unknown)
        .await;
    ipmi.lock().unwrap().dead = None;
    ipmi.lock().unwrap().state = PowerState::Off;
    house
        .until(|machine| machine.state == PowerState::Off)
        .await;
    let count = |wanted| house.events(wanted);
    assert_eq!(count(|kind| matches!(kind, Kind::MachineLost { .. })), 1);
    assert_eq!(count(|kind| matches!(kind, Kind::MachineFound { .. })), 1);
    let off = |kind: &Kind| {
        matches!(
            kind,
            Kind::MachineChanged {
                state: PowerState::Off,
                ..
            }
        )
    };
    assert_eq!(house.events(off), 1);
}
