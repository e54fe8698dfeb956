//! What people and other owners ask of a PDU.

use super::Owner;
use crate::clock::Instant;
use crate::command::{Actor, Ask, Command, Refusal, Reply};
use crate::config::OURS;
use crate::power::trust;
use crate::power::worker::Job;
use crate::reset::Verb;

impl Owner {
    pub(super) async fn ask(&mut self, ask: Ask) {
        let Some((actor, command, reply)) = ask.command(&self.pdu.name) else {
            return;
        };
        let answer = self.carry_out(&actor, command).await;
        // The asker may have gone; it is done all the same.
        let _ = reply.send(answer);
        self.tell();
    }

    async fn carry_out(&mut self, actor: &Actor, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::SwitchOutlets {
                outlets,
                verb,
                cut_myself,
                ..
            } => self.switch_outlets(actor, outlets, verb, cut_myself).await,
            Command::ReadPdu { .. } => {
                self.health.hurry();
                Ok(Reply::Done)
            }
            Command::TrustDevice { .. } => self.trust().await,
            other => Err(Refusal::Unknown {
                what: format!("such command here: {other:?}"),
            }),
        }
    }

    async fn switch_outlets(
        &mut self,
        actor: &Actor,
        mut outlets: Vec<String>,
        verb: Verb,
        cut_myself: bool,
    ) -> Result<Reply, Refusal> {
        let mut seen = std::collections::BTreeSet::new();
        outlets.retain(|outlet| seen.insert(outlet.clone()));
        if outlets.is_empty() {
            return Err(Refusal::Failed("no outlet is named".into()));
        }
        if !verb.is_for_outlets() {
            return Err(Refusal::Failed(format!("an outlet knows no {verb}")));
        }
        for outlet in &outlets {
            self.may_switch(actor, outlet, verb, cut_myself)?;
        }
        let by = actor.to_string();
        // The device is read while the flash takes the number; nothing is asked of it before.
        let reads = self.look_ahead(&outlets, verb);
        let action = self.number(outlets.clone(), verb, by.clone()).await;
        let now = Instant::now();
        let mut from = now;
        for outlet in outlets {
            // Somebody wants it otherwise than we owe it.
            if verb == Verb::ForceOff {
                self.book_settle(&outlet).await;
            }
            self.begin(outlet, verb, by.clone(), action, from, reads)
                .await;
            from += self.pdu.stagger;
        }
        Ok(Reply::Started { action })
    }

    /// Reads the one outlet of a verb that begins, if the verb needs it and the device is idle. Is it read now?
    fn look_ahead(&mut self, outlets: &[String], verb: Verb) -> bool {
        let keys: Vec<&str> = outlets.iter().map(String::as_str).collect();
        let now = Instant::now();
        let job = self.reading_for(&keys, now);
        let there = || keys.iter().all(|outlet| self.is_there(outlet, now));
        let known = verb != Verb::PowerCycle && there();
        let looks = !known && !self.worker.is_busy() && job != Job::Read;
        if looks {
            self.worker.ask(job);
        }
        looks
    }

    /// Refuses what is not there, what is busy, and what would leave the board in the dark.
    fn may_switch(
        &self,
        actor: &Actor,
        outlet: &str,
        verb: Verb,
        cut_myself: bool,
    ) -> Result<(), Refusal> {
        let name = format!("outlet {}/{outlet}", self.pdu.name);
        let read = self.reading.outlets.iter().find(|read| read.key == outlet);
        let wired = self.wired(outlet);
        let knows_all = self.is_up() && self.read_at.is_some();
        if read.is_none() && (knows_all || outlet.len() > 64) {
            return Err(Refusal::Unknown { what: name });
        }
        if let Some(run) = self.runs.iter().find(|run| run.outlet == outlet) {
            let why = format!("{} by {} is under way", run.action.verb, run.action.by);
            return Err(Refusal::Busy { what: name, why });
        }
        if let Some(why) = self.health.distrust(Instant::now()) {
            return Err(Refusal::Failed(format!("{name}: {why}")));
        }
        let feeds = wired.map(|wired| wired.feeds.as_slice());
        let ours = feeds.into_iter().flatten();
        let ours = ours.clone().find(|feed| OURS.contains(&feed.as_str()));
        let Some(ours) = ours else {
            return Ok(());
        };
        let native = read.is_some_and(|read| read.cycles);
        let refuse = |why: &str| {
            let verb = match verb {
                Verb::PowerCycle => "cycle",
                _ => "switch off",
            };
            let what = format!("{verb} {name}, for it feeds the {ours} of this board: {why}");
            let who = actor.to_string();
            Err(Refusal::NotPermitted { who, what })
        };
        match verb {
            Verb::On => Ok(()),
            Verb::PowerCycle if native && cut_myself => Ok(()),
            Verb::PowerCycle if native => {
                refuse("say so with --yes-cut-myself (cut_myself) if it must be")
            }
            Verb::PowerCycle => {
                refuse("the device does not switch it on again by itself, and nobody else could")
            }
            _ => refuse("nobody could switch it on again"),
        }
    }

    /// Pins what the device showed last, and asks it again.
    async fn trust(&mut self) -> Result<Reply, Refusal> {
        let said = trust::shown(&self.health, &self.context).await?;
        self.health.hurry();
        Ok(said)
    }
}
