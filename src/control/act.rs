//! A person's command carried out and journaled with its actor: what every door does with one. Knows no wire.

use crate::access::Person;
use crate::command::{Actor, Command, Refusal, Reply};
use crate::event::Kind;

use super::rights;
use super::serve::House;

/// Longest note or name that is carried on; the owners have limits of their own.
const LONGEST_TEXT: usize = 64 * 1024;

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
        let actor = Actor::User {
            name: person.name.clone(),
            from: from.to_owned(),
        };
        let said = command.to_string();
        // A note is an event with its actor itself.
        let told = !matches!(command, Command::WriteNote { .. });
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
}
