//! The owner's part in asking a device for its line settings and its name: when, what of it is told, and what stops it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::line::Answering;
use super::{Link, Owner};
use crate::clock::Instant;
use crate::command::{Refusal, Reply};
use crate::config::Discover;
use crate::console::hunt::{Errand, Found, Goal, Hunt};
use crate::console::outbox::Then;
use crate::event::Kind;

/// A device that wrote within this long is in the middle of something.
const QUIET: Duration = Duration::from_secs(5);
/// The first time after a start, and when the last try found somebody at work.
const SOON: Duration = Duration::from_mins(1);

/// The owner's book about what it finds out.
pub(super) struct HuntBook {
    config: Option<Discover>,
    /// Set while a hunt runs; ends it.
    running: Option<CancellationToken>,
    errands: mpsc::Sender<Box<Errand>>,
    pub(super) due: Option<Instant>,
    heard_at: Option<Instant>,
    /// What the device calls itself.
    pub(super) device: Option<String>,
}

impl HuntBook {
    pub(super) fn new(config: Option<Discover>) -> (Self, mpsc::Receiver<Box<Errand>>) {
        let (errands, errand) = mpsc::channel(1);
        let book = Self {
            config,
            running: None,
            errands,
            due: config.map(|config| Instant::now() + SOON.min(config.every)),
            heard_at: None,
            device: None,
        };
        (book, errand)
    }

    /// The device wrote something.
    pub(super) fn heard(&mut self) {
        self.heard_at = Some(Instant::now());
    }

    /// Somebody attached, or the port is gone.
    pub(super) fn cut(&self) {
        if let Some(cut) = &self.running {
            cut.cancel();
        }
    }
}

impl Owner<'_> {
    pub(super) fn find(&mut self, goal: Goal, reply: Answering) {
        let answer = self.hunt(goal).map(|()| {
            let what = match goal {
                Goal::Line => "trying line settings, for half a minute at most: events LineFound and LineNotFound tell",
                Goal::Name | Goal::Scheduled { .. } => {
                    "asking the device, for 5 s at most: events NameFound and NameNotFound tell"
                }
            };
            Reply::Said(what.into())
        });
        // The asker may have left.
        drop(reply.send(answer));
    }

    fn hunt(&mut self, goal: Goal) -> Result<(), Refusal> {
        let busy = |why: &str| Refusal::Busy {
            what: format!("console {}", self.name),
            why: why.into(),
        };
        if !matches!(self.link, Link::Open(_)) {
            return Err(Refusal::Failed(self.away_notice()));
        }
        if !self.desk.is_empty() {
            return Err(busy("somebody is attached"));
        }
        if self.hunts.running.is_some() {
            return Err(busy("the device is being asked already"));
        }
        if self.breaking.is_some() || !self.output.is_empty() {
            return Err(busy("something is being sent"));
        }
        if goal == Goal::Line && self.place.line().is_none() {
            let why = format!("{} has no line settings", self.place);
            return Err(Refusal::Failed(why));
        }
        let heard = self.hunts.heard_at.map(|at| at.elapsed());
        let chatty = heard.is_some_and(|ago| ago < QUIET);
        if chatty && goal != Goal::Line {
            return Err(busy("the device wrote within the last 5 s"));
        }
        let cut = CancellationToken::new();
        self.hunts.running = Some(cut.clone());
        let hunt = Hunt {
            console: self.name.clone(),
            commands: self.context.commands.clone(),
            stream: self.stream.clone(),
            standing: self.standing.subscribe(),
            errands: self.hunts.errands.clone(),
            cut,
            chatty,
        };
        self.context.tracker.spawn(hunt.run(goal));
        Ok(())
    }

    /// The clock says that it is time to ask.
    pub(super) fn discover(&mut self) {
        let Some(config) = self.hunts.config else {
            self.hunts.due = None;
            return;
        };
        let goal = Goal::Scheduled {
            line: config.line && self.place.line().is_some(),
            name: config.name,
        };
        let wait = match self.hunt(goal) {
            Ok(()) => config.every,
            Err(_) => SOON.min(config.every),
        };
        self.hunts.due = Some(Instant::now() + wait);
    }

    pub(super) fn errand(&mut self, errand: Errand) {
        match errand {
            Errand::Type(bytes) => {
                // Never between what a person typed.
                let free = self.desk.is_empty() && self.output.is_empty();
                if free && matches!(self.link, Link::Open(_)) {
                    self.output = bytes;
                    self.gather_until = None;
                }
            }
            Errand::Over(found) => self.found(found),
        }
    }

    fn found(&mut self, found: Found) {
        self.hunts.running = None;
        let console = || self.name.clone();
        let mut events = Vec::new();
        match found.line {
            // By the clock only what a person should act on: other settings than those of the file.
            Some(Ok(line)) if !found.scheduled || self.place.line() != Some(line) => {
                let line = line.to_string();
                events.push(Kind::LineFound {
                    console: console(),
                    line,
                });
            }
            Some(Err(reason)) if !found.scheduled => {
                events.push(Kind::LineNotFound {
                    console: console(),
                    reason,
                });
            }
            Some(Ok(_) | Err(_)) | None => {}
        }
        match found.name {
            Some(Ok(name)) => {
                if !found.scheduled || self.hunts.device.as_ref() != Some(&name) {
                    let (console, name) = (console(), name.clone());
                    events.push(Kind::NameFound { console, name });
                }
                self.hunts.device = Some(name);
            }
            Some(Err(reason)) if !found.scheduled => {
                events.push(Kind::NameNotFound {
                    console: console(),
                    reason,
                });
            }
            Some(Err(_)) | None => {}
        }
        for event in events {
            self.publish(event, Then::Nothing);
        }
        self.changed();
    }
}
