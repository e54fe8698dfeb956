//! Asks a device at its line: at which settings does it speak plainly, what is it called? Runs beside the owner and
//! uses its commands; never while somebody is attached, and always sets the line back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::plain::{self, CANDIDATES, ENOUGH, GOOD};
use super::stream::Stream;
use crate::clock::Instant;
use crate::command::{Actor, Command, Commands, Refusal, Reply};
use crate::line::{Line, LineState, Order};

/// How long a device may take to answer a RETURN.
const ANSWER: Duration = Duration::from_millis(600);
/// A device that is asleep (getty, a switch's screen lock) takes longer to say its name.
const NAME_ANSWER: Duration = Duration::from_secs(2);
/// Of a device that speaks by itself so much is waited for.
const LISTEN: Duration = Duration::from_millis(1500);
/// Silence after an answer that means it is complete.
const PAUSE: Duration = Duration::from_millis(250);
/// Bytes that are judged at once.
const JUDGED: usize = 2048;

/// What is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Line,
    Name,
    /// The name; the line too when the device cannot be read. Asked by the clock: told only when it is news.
    Scheduled {
        line: bool,
        name: bool,
    },
}

/// What the hunt wants of the owner.
#[derive(Debug)]
pub(super) enum Errand {
    /// To be typed.
    Type(Bytes),
    /// It is over; the line is as before.
    Over(Found),
}

/// What came of it. `None`: it was not looked for.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub line: Option<Result<Line, String>>,
    pub name: Option<Result<String, String>>,
    /// It was asked for by the clock.
    pub scheduled: bool,
}

/// A hunt on one console.
pub(super) struct Hunt {
    pub console: String,
    pub commands: Commands,
    pub stream: Arc<Stream>,
    pub standing: watch::Receiver<LineState>,
    pub errands: mpsc::Sender<Box<Errand>>,
    /// Somebody attached, or the port is gone.
    pub cut: CancellationToken,
    /// The device speaks by itself now: it is only listened to.
    pub chatty: bool,
}

/// Why a hunt ended early.
enum Stop {
    Cut,
    Refused(Refusal),
}

impl Stop {
    fn words(self) -> String {
        match self {
            Self::Cut => "somebody attached, or the port went away".into(),
            Self::Refused(refusal) => refusal.to_string(),
        }
    }
}

impl Hunt {
    /// Finds out, sets the line back, and says what came of it.
    pub(super) async fn run(self, goal: Goal) {
        let mut found = Found::default();
        match goal {
            Goal::Line => found.line = Some(self.line().await),
            Goal::Name => found.name = Some(self.name().await.0),
            Goal::Scheduled { line, name } => {
                found.scheduled = true;
                let (outcome, plain) = self.name().await;
                found.name = name.then_some(outcome);
                if line && !plain && !self.cut.is_cancelled() {
                    found.line = Some(self.line().await);
                }
            }
        }
        // The owner stops: nobody is left to tell.
        let _ = self.errands.send(Box::new(Errand::Over(found))).await;
    }

    async fn line(&self) -> Result<Line, String> {
        let before = self.standing.borrow().line;
        let outcome = self.try_all(before).await;
        // Also after a cut: who attached wants the settings that were there.
        let back = self.set(before).await;
        match (outcome, back) {
            // A port that went away comes back with the settings of oobd.toml.
            (Err(stop), _) => Err(stop.words()),
            (_, Err(stop)) => Err(format!("the line is not as it was: {}", stop.words())),
            (Ok(None), _) => Err("no settings gave plain text; is the device on?".into()),
            (Ok(Some(line)), _) => Ok(line),
        }
    }

    async fn try_all(&self, before: Line) -> Result<Option<Line>, Stop> {
        let others = CANDIDATES.map(|settings| plain::candidate(before, settings));
        let others = others.into_iter().filter(|line| *line != before);
        for line in std::iter::once(before).chain(others) {
            match self.set(line).await {
                Ok(()) => {}
                // A driver that does not do this one may do the next.
                Err(Stop::Refused(_)) => continue,
                Err(Stop::Cut) => return Err(Stop::Cut),
            }
            let mut good = 0;
            // Twice, for a few bytes may look plain by chance.
            while good < 2 && self.sounds_plain().await? {
                good += 1;
            }
            if good == 2 {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    async fn sounds_plain(&self) -> Result<bool, Stop> {
        let damaged = self.damaged();
        let mut said = Vec::new();
        // A prompt alone may be short: a second RETURN brings it again.
        for _ in 0..3 {
            said.extend(self.ask(ANSWER).await?);
            if said.len() >= ENOUGH || said.is_empty() {
                break;
            }
        }
        let damaged = self.damaged().saturating_sub(damaged);
        Ok(plain::score(&said, damaged).is_some_and(|score| score >= GOOD))
    }

    /// The name, and whether the device can be read at all.
    async fn name(&self) -> (Result<String, String>, bool) {
        let mut said = Vec::new();
        let damaged = self.damaged();
        for _ in 0..2 {
            match self.ask(NAME_ANSWER).await {
                Ok(bytes) => said.extend(bytes),
                Err(stop) => return (Err(stop.words()), true),
            }
            if let Some(name) = plain::name(&said) {
                return (Ok(name), true);
            }
        }
        let damaged = self.damaged().saturating_sub(damaged);
        match plain::score(&said, damaged) {
            _ if said.is_empty() => (Err("the device does not answer".into()), false),
            Some(score) if score < GOOD => {
                let why = "what it says is no plain text; are the line settings right?";
                (Err(why.into()), false)
            }
            _ => (Err("its prompt tells no name".into()), true),
        }
    }

    fn damaged(&self) -> u64 {
        let faults = self.standing.borrow().faults.unwrap_or_default();
        faults.framing + faults.parity + faults.breaks
    }

    /// Types RETURN, unless the device speaks by itself, and gives what comes then.
    async fn ask(&self, limit: Duration) -> Result<Vec<u8>, Stop> {
        let mut heard = self.stream.watch();
        let from = *heard.borrow_and_update();
        if !self.chatty {
            let typed = Box::new(Errand::Type(Bytes::from_static(b"\r")));
            // A closed channel: the owner stops.
            self.errands.send(typed).await.map_err(|_| Stop::Cut)?;
        }
        let limit = if self.chatty { LISTEN } else { limit };
        let end = Instant::now() + limit;
        let mut until = end;
        loop {
            tokio::select! {
                // cancel-safe per docs on CancellationToken::cancelled()
                () = self.cut.cancelled() => return Err(Stop::Cut),
                // cancel-safe: a timer has nothing to lose
                () = sleep_until(until) => break,
                // cancel-safe per docs on watch::Receiver::changed()
                changed = heard.changed() => match changed {
                    Ok(()) => until = end.min(Instant::now() + PAUSE),
                    Err(_) => return Err(Stop::Cut),
                },
            }
        }
        Ok(self.stream.read(from, JUDGED).bytes.to_vec())
    }

    /// Sets the line by way of the owner, as everybody does.
    async fn set(&self, wanted: Line) -> Result<(), Stop> {
        let now = self.standing.borrow().line;
        // Data bits and parity together make a frame: both of 7e and 8n are known to drivers, 7n to few.
        let orders = [
            (now.baud != wanted.baud, Order::Baud(wanted.baud)),
            (now.parity != wanted.parity, Order::Parity(wanted.parity)),
            (
                now.data_bits != wanted.data_bits,
                Order::DataBits(wanted.data_bits),
            ),
        ];
        for (needed, order) in orders {
            if !needed {
                continue;
            }
            let command = Command::SetLine {
                console: self.console.clone(),
                order,
            };
            let actor = Actor::Owner(format!("console.{}", self.console));
            match timeout(Duration::from_secs(10), self.commands.send(actor, command)).await {
                Ok(Ok(Reply::Line(_))) => {}
                Ok(Ok(_)) | Err(_) => {
                    return Err(Stop::Refused(Refusal::Failed(
                        "the port does not answer".into(),
                    )));
                }
                Ok(Err(refusal)) => return Err(Stop::Refused(refusal)),
            }
        }
        Ok(())
    }
}
