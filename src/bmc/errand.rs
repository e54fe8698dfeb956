//! One verb on its way: the methods in their order, what each came to, and the reading back. Repeats nothing that may
//! have been done: after a lost answer it reads first, and a cycle or reset that may have been done is never given again.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::device::{Answer, Fault, Power, Request, Skill};
use super::memory::{Memory, Step};
use super::way::{Want, Way};
use crate::clock::Instant;
use crate::command::Actor;
use crate::reset::{Outcome, PowerState, Try, Verb};

/// Pauses between two readings: the first, and how they grow. Where a way took the verb, one reading comes before them all.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LAST_LOOK: Duration = Duration::from_secs(2);
/// A cycle may be dark for a second only; readings stay this close as long as it may be.
const QUICK_LOOK: Duration = Duration::from_millis(250);
const QUICK_LOOKS: u32 = 40;
/// Darkness of a cycle that is put together from off and on.
const DARK: Duration = Duration::from_secs(5);
/// Longest wait for a cycle or restart to be seen that the device took.
const SEEN_LIMIT: Duration = Duration::from_secs(30);

/// What the owner hears of it while it runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    Tried(Vec<Try>),
    Read(Power),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) why: String,
    pub(super) trail: Vec<Try>,
}

/// What one way came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    /// Certainly nothing was done.
    Nothing(String),
    Confirmed,
    /// It may have been done, and is not seen.
    Doubtful(String),
}

/// How one verb is put together from what a way does as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Plain(Verb),
    /// Away with this one, and on again.
    AwayAndOn(Verb),
}

/// How a way with these verbs does this one, if it can. Chains as Redfish clients have them: a reset may be a cycle, a
/// cycle may be off and on; nothing that asks the operating system becomes something that does not.
#[must_use]
pub(super) fn plan(verb: Verb, native: &[Verb]) -> Option<Plan> {
    let has = |verb| native.contains(&verb);
    let and_on = |away| (has(away) && has(Verb::On)).then_some(Plan::AwayAndOn(away));
    match verb {
        _ if has(verb) => Some(Plan::Plain(verb)),
        Verb::ForceRestart if has(Verb::PowerCycle) => Some(Plan::Plain(Verb::PowerCycle)),
        Verb::ForceRestart | Verb::PowerCycle => and_on(Verb::ForceOff),
        Verb::GracefulRestart => and_on(Verb::GracefulShutdown),
        _ => None,
    }
}

/// What an errand needs to run.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    pub(super) ways: Vec<Way>,
    pub(super) memory: Memory,
    pub(super) actor: Actor,
    pub(super) cut_myself: bool,
    /// How long a verb may take to show; what the operating system does itself gets `shutdown`.
    pub(super) confirm: Duration,
    pub(super) shutdown: Duration,
    /// Bounded: the errand waits for the owner.
    pub(super) news: mpsc::Sender<News>,
    pub(super) trail: Vec<Try>,
}

impl Errand {
    /// Carries a verb out. Dropping it in the middle leaves what [`Memory`] says; see [`Errand::resume`].
    pub(super) async fn run(mut self, verb: Verb) -> Verdict {
        let ways = self.ways.clone();
        let mut doubt = None;
        for way in &ways {
            let Some(mut planned) = plan(verb, &way.verbs()) else {
                continue;
            };
            let came = loop {
                let came = match planned {
                    Plan::Plain(step) => self.plain(way, verb, step).await,
                    Plan::AwayAndOn(away) => self.away_and_on(way, away).await,
                };
                self.note(way.name, &came).await;
                // A way that refused may have learnt what it cannot do: then it may have another plan.
                match (&came, plan(verb, &way.verbs())) {
                    (Came::Nothing(_), Some(other)) if other != planned => planned = other,
                    _ => break came,
                }
            };
            match came {
                Came::Confirmed => return self.end(Outcome::Confirmed, String::new()),
                Came::Nothing(_) => {}
                Came::Doubtful(why) => {
                    doubt = Some(why);
                    // On and off do no more when they are given twice. Anything else might be done twice.
                    if !matches!(verb, Verb::On | Verb::ForceOff) {
                        break;
                    }
                }
            }
        }
        match doubt {
            Some(why) => self.end(Outcome::Unconfirmed, why),
            None => {
                let why = self.trail.last().map(|last| last.why.clone());
                self.end(Outcome::Failed, why.unwrap_or_default())
            }
        }
    }

    /// Ends what a restart of oobd interrupted: gives back the power that is owed, and repeats nothing else.
    pub(super) async fn resume(mut self, verb: Verb, step: Step) -> Verdict {
        let restarted = "oobd was restarted in the middle";
        match step {
            Step::Begun => self.end(
                Outcome::Failed,
                format!("{restarted}: nothing was asked yet"),
            ),
            Step::Asked { method } => {
                let leads_to = verb.leads_to();
                let tells = matches!(verb, Verb::On | Verb::ForceOff | Verb::GracefulShutdown);
                let until = Instant::now() + self.limit(verb);
                let mut pause = FIRST_LOOK;
                let confirmed = loop {
                    let read = self.read(Want::Person).await;
                    let stands = read.is_some_and(|power| Some(power.state) == leads_to);
                    if stands || !tells || Instant::now() >= until {
                        break tells && stands;
                    }
                    sleep(pause).await;
                    pause = longer(pause);
                };
                let came = match confirmed {
                    true => Came::Confirmed,
                    false => Came::Doubtful(format!("{restarted}: nothing tells if it was done")),
                };
                self.note(&method, &came).await;
                match came {
                    Came::Confirmed => self.end(Outcome::Confirmed, String::new()),
                    Came::Doubtful(why) | Came::Nothing(why) => self.end(Outcome::Unconfirmed, why),
                }
            }
            Step::OffAsked { method } | Step::Dark { method } => {
                let (on, why) = self.give_back(&method).await;
                let came = match on {
                    true => Came::Doubtful(format!("{restarted}: it was switched on again")),
                    false => Came::Doubtful(format!("{restarted}, and on again: {why}")),
                };
                self.note(&method, &came).await;
                let (Came::Doubtful(why) | Came::Nothing(why)) = came else {
                    return self.end(Outcome::Confirmed, String::new());
                };
                self.end(
                    if on {
                        Outcome::Unconfirmed
                    } else {
                        Outcome::Failed
                    },
                    why,
                )
            }
        }
    }

    /// One verb that the way does as one; `verb` is what it stands for.
    async fn plain(&mut self, way: &Way, verb: Verb, step: Verb) -> Came {
        let before = self.read(Want::Poll).await.unwrap_or_default();
        let method = way.name.to_owned();
        self.memory.step(Step::Asked { method }).await;
        let taken = match way.act(step, &self.actor, self.cut_myself).await {
            Ok(answer) => Some(answer == Answer::Cut),
            Err(Fault::Unsure(why)) => {
                return match self.watch(verb, &before, None).await {
                    Ok(()) => Came::Confirmed,
                    Err(unseen) => Came::Doubtful(format!("{why}; {unseen}")),
                };
            }
            Err(fault) => {
                self.memory.step(Step::Begun).await;
                return Came::Nothing(fault.to_string());
            }
        };
        match self.watch(verb, &before, taken).await {
            Ok(()) => Came::Confirmed,
            Err(why) => Came::Doubtful(why),
        }
    }

    /// Off, a pause, on. Once the off may have been done, the on is owed, whatever happens.
    async fn away_and_on(&mut self, way: &Way, away: Verb) -> Came {
        let before = self.read(Want::Poll).await.unwrap_or_default();
        let method = way.name.to_owned();
        let asks_first = away == Verb::GracefulShutdown;
        self.memory
            .step(Step::OffAsked {
                method: method.clone(),
            })
            .await;
        let taken = match way.act(away, &self.actor, self.cut_myself).await {
            Ok(answer) => Ok(answer == Answer::Cut),
            Err(Fault::Unsure(why)) => Err(why),
            Err(fault) => {
                self.memory.step(Step::Begun).await;
                return Came::Nothing(fault.to_string());
            }
        };
        let seen = match &taken {
            // Outlets have read back themselves; a controller that they feed answers no more.
            Ok(true) => Ok(()),
            Ok(false) => self.watch(away, &before, Some(false)).await,
            Err(_) => self.watch(away, &before, None).await,
        };
        match &seen {
            Ok(()) => self.memory.step(Step::Dark { method }).await,
            // The operating system did not go. On would be lost on it, and off may come yet: a person must see that.
            Err(why) if asks_first => return Came::Doubtful(why.clone()),
            Err(_) => {}
        }
        sleep(DARK).await;
        let (on, why) = self.give_back(way.name).await;
        match (seen, on) {
            (Ok(()), true) => Came::Confirmed,
            (Err(unseen), true) => Came::Doubtful(unseen),
            (_, false) => Came::Doubtful(format!("off, and on again: {why}")),
        }
    }

    /// Switches on by this way first, then by every other. Says if it was seen, and otherwise why not.
    async fn give_back(&mut self, method: &str) -> (bool, String) {
        let mut ways = self.ways.clone();
        ways.sort_by_key(|way| way.name != method);
        let mut said = "no way can".to_owned();
        for way in ways {
            if !way.verbs().contains(&Verb::On) {
                continue;
            }
            let taken = match way.act(Verb::On, &self.actor, self.cut_myself).await {
                Ok(_) => Some(false),
                Err(Fault::Unsure(_)) => None,
                Err(fault) => {
                    said = format!("{}: {fault}", way.name);
                    continue;
                }
            };
            match self.watch(Verb::On, &Power::default(), taken).await {
                Ok(()) => return (true, String::new()),
                Err(why) => said = format!("{}: {why}", way.name),
            }
        }
        (false, said)
    }

    /// Reads until what the verb leads to is seen. `taken` tells that the way took it, and if it saw the power away itself.
    async fn watch(
        &mut self,
        verb: Verb,
        before: &Power,
        taken: Option<bool>,
    ) -> Result<(), String> {
        if verb == Verb::Nmi {
            return Err("nothing tells if an interrupt came".into());
        }
        let until = Instant::now() + self.limit(verb);
        let mut sight = Sight::new(verb, before, taken);
        let (mut looks, mut pause) = (0, FIRST_LOOK);
        let mut at_once = taken.is_some();
        loop {
            if !std::mem::take(&mut at_once) {
                let quick = sight.restarts() && looks < QUICK_LOOKS;
                sleep(if quick { QUICK_LOOK } else { pause }).await;
                (looks, pause) = (looks + 1, if quick { pause } else { longer(pause) });
            }
            let read = self.read(Want::Poll).await;
            if sight.shows(read.as_ref()) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(sight.missing());
            }
        }
    }

    fn limit(&self, verb: Verb) -> Duration {
        match verb {
            Verb::GracefulShutdown | Verb::GracefulRestart => self.shutdown,
            Verb::PowerCycle | Verb::ForceRestart => self.confirm.min(SEEN_LIMIT),
            _ => self.confirm,
        }
    }

    /// The power by the first way that tells.
    async fn read(&mut self, want: Want) -> Option<Power> {
        let read = read(&self.ways, want).await.power;
        if let Some(power) = &read {
            // The owner that is gone needs to hear nothing.
            let _ = self.news.send(News::Read(power.clone())).await;
        }
        read
    }

    async fn note(&mut self, method: &str, came: &Came) {
        let (outcome, why) = match came {
            Came::Nothing(why) => (Outcome::Failed, why.clone()),
            Came::Confirmed => (Outcome::Confirmed, String::new()),
            Came::Doubtful(why) => (Outcome::Unconfirmed, why.clone()),
        };
        self.trail.push(Try {
            method: method.to_owned(),
            outcome,
            why,
        });
        let trail = self.trail.clone();
        self.memory
            .change(|now| {
                if let Some(underway) = &mut now.underway {
                    underway.trail.clone_from(&trail);
                }
            })
            .await;
        let _ = self.news.send(News::Tried(trail)).await;
    }

    fn end(self, outcome: Outcome, why: String) -> Verdict {
        Verdict {
            outcome,
            why,
            trail: self.trail,
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 3 / 2).min(LAST_LOOK)
}

/// What a reading by all ways gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) power: Option<Power>,
    /// The ways that were asked, in order, and what kept each from telling.
    pub(super) asked: Vec<(Way, Option<Fault>)>,
}

/// Asks one way after the other until one tells how the power stands.
pub(super) async fn read(ways: &[Way], want: Want) -> Reading {
    let mut reading = Reading::default();
    for way in ways.iter().filter(|way| way.can(Skill::Power)) {
        let answer = way.ask(Request::Power, want).await;
        match answer {
            Ok(Answer::Power(power)) => {
                reading.asked.push((way.clone(), None));
                // One that does not know is no answer as long as another may.
                if power.state != PowerState::Unknown || power.changing {
                    reading.power = Some(power);
                    break;
                }
                reading.power = reading.power.or(Some(power));
            }
            Ok(_) => {
                let fault = Fault::Declined("it answers something else".into());
                reading.asked.push((way.clone(), Some(fault)));
            }
            Err(fault) => reading.asked.push((way.clone(), Some(fault))),
        }
    }
    reading
}

/// What is to be seen of a verb, and what was.
#[derive(Debug)]
struct Sight {
    verb: Verb,
    mark: Option<String>,
    taken: bool,
    /// The power was away, or the device says that it has started anew.
    turned: bool,
    last: PowerState,
    read: bool,
}

impl Sight {
    fn new(verb: Verb, before: &Power, taken: Option<bool>) -> Self {
        Self {
            verb,
            mark: before.mark.clone(),
            taken: taken.is_some(),
            turned: taken == Some(true),
            last: PowerState::Unknown,
            read: false,
        }
    }

    fn restarts(&self) -> bool {
        matches!(
            self.verb,
            Verb::PowerCycle | Verb::ForceRestart | Verb::GracefulRestart
        )
    }

    /// Is it done, as this reading and those before it show?
    fn shows(&mut self, read: Option<&Power>) -> bool {
        let Some(power) = read else {
            return false;
        };
        (self.read, self.last) = (true, power.state);
        if power.state == PowerState::Off {
            self.turned = true;
        }
        if let (Some(before), Some(now)) = (&self.mark, &power.mark)
            && before != now
        {
            self.turned = true;
        }
        if power.changing || Some(power.state) != self.verb.leads_to() {
            return false;
        }
        match self.verb {
            // A reset leaves the power where it is: that the device took it, and that it is on, is all there is to see.
            Verb::ForceRestart => self.taken || self.turned,
            Verb::PowerCycle | Verb::GracefulRestart => self.turned,
            _ => true,
        }
    }

    fn missing(&self) -> String {
        if !self.read {
            return "nothing tells how the power stands".into();
        }
        match (self.verb, self.last) {
            (Verb::PowerCycle | Verb::GracefulRestart | Verb::ForceRestart, PowerState::On) => {
                "it is on, and was not seen away".into()
            }
            (_, state) => format!("it says {state}"),
        }
    }
}
