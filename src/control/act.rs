//! A person's command carried out and journaled with its actor: what every door does with one. Knows no wire.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::access::{Person, Right};
use crate::command::{Actor, Command, Refusal, Reply};
use crate::config::{self, Folders, Problem};
use crate::event::Kind;

use super::follow::Follow;
use super::rights;
use super::serve::House;
use super::wire::Query;

/// Longest note or name that is carried on; the owners have limits of their own.
const LONGEST_TEXT: usize = 64 * 1024;
/// Longest a check of a file may take.
const FLASH_LIMIT: Duration = Duration::from_secs(20);

/// What came of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done(Reply),
    /// The owner would not.
    Refused(Refusal),
    /// The person may not; the sentence is for them.
    Denied(String),
}

impl House {
    /// Has a command carried out with this person's rights and journals it. `from` is where the person comes from, as in
    /// `ssh 172.20.10.1:50122`.
    pub async fn carry_out(&self, command: Command, person: &Person, from: &str) -> Outcome {
        if let Err(sentence) = person.may(rights::needed(&command, &self.state(), person)) {
            return Outcome::Denied(sentence);
        }
        if let Command::WriteNote { text } = &command
            && text.len() > LONGEST_TEXT
        {
            return Outcome::Refused(Refusal::Failed("the note is too long".into()));
        }
        if let Command::AcknowledgeEvent { seq, .. } = &command
            && !self.has_event(*seq, person).await
        {
            let what = format!("event {seq}");
            return Outcome::Refused(Refusal::Unknown { what });
        }
        let actor = Actor::User {
            name: person.name.clone(),
            from: from.to_owned(),
        };
        let said = command.to_string();
        // A note or an acknowledgement is an event with its actor itself; a look at what holds no secret is none.
        let told = !matches!(
            command,
            Command::WriteNote { .. }
                | Command::AcknowledgeEvent { .. }
                | Command::ListUsers
                | Command::ShowCertificate
                | Command::ListNetworks { scan: false, .. }
                | Command::ReadUplinkHistory { .. }
                | Command::ReadSensorHistory { .. }
        );
        let who = actor.to_string();
        let answer = self.commands().send(actor, command).await;
        if told {
            let outcome = match &answer {
                Ok(Reply::Said(text)) => text.clone(),
                Ok(_) => "done".to_owned(),
                Err(refusal) => refusal.to_string(),
            };
            let kind = Kind::CommandGiven {
                actor: who,
                command: said,
                outcome,
            };
            match &answer {
                // Its intent is in the journal with the person before it is done, and who asks for its outcome waits for no flash.
                Ok(Reply::Started { .. }) => self.begin(kind).await,
                _ => self.publish(kind).await,
            }
        }
        match answer {
            Ok(reply) => Outcome::Done(reply),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Is there this event in the journal, and does this person hear of it?
    async fn has_event(&self, seq: u64, person: &Person) -> bool {
        let Some(before) = seq.checked_sub(1) else {
            return false;
        };
        let after = Some(before);
        let query = Query {
            after,
            ..Query::default()
        };
        let found = Follow::new(self, query).past(person).await;
        found.is_ok_and(|some| some.iter().flatten().any(|event| event.seq == seq))
    }

    /// Everything that is wrong with this text, or with the board's own file and its name. Changes nothing.
    ///
    /// # Errors
    /// The person may not, or the check did not end: never [`Outcome::Done`].
    pub async fn check_config(
        &self,
        text: Option<String>,
        person: &Person,
    ) -> Result<(String, Vec<Problem>), Outcome> {
        person.may(Right::Administer).map_err(Outcome::Denied)?;
        let dirs = self.dirs();
        let check = move || match text {
            Some(text) => {
                let folders = Folders::of(&dirs.config, &dirs.state);
                let problems = config::load(&text, &folders).err().unwrap_or_default();
                (String::new(), problems)
            }
            None => {
                let problems = config::check_file(&dirs.config, &dirs.state).err();
                let file = dirs.config.display().to_string();
                (file, problems.unwrap_or_default())
            }
        };
        let Ok(Ok(checked)) = timeout(FLASH_LIMIT, spawn_blocking(check)).await else {
            let refusal = Refusal::Failed("the check did not end".into());
            return Err(Outcome::Refused(refusal));
        };
        Ok(checked)
    }
}
