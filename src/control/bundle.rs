//! The support bundle for a person who administers the board, journaled as a command is. Knows no wire.

use crate::access::{Person, Right};
use crate::command::{Actor, Refusal};
use crate::event::{Event, Kind};
use crate::support::{self, Board};

use super::Outcome;
use super::follow::Follow;
use super::serve::House;
use super::wire::Query;

/// Events in a bundle: some days of a board that is busy.
const EVENTS: u32 = 2000;

impl House {
    /// Makes one; `from` is where the person comes from.
    ///
    /// # Errors
    /// [`Outcome::Denied`] and [`Outcome::Refused`], never [`Outcome::Done`].
    pub async fn support_bundle(&self, person: &Person, from: &str) -> Result<Vec<u8>, Outcome> {
        person.may(Right::Administer).map_err(Outcome::Denied)?;
        let refused = |why: String| Outcome::Refused(Refusal::Failed(why));
        let events = self.newest(person).await.map_err(Outcome::Refused)?;
        let board = Board {
            config: self.config().to_owned(),
            state_dir: self.state_dir().to_owned(),
            state: self.state_for(person),
            events,
        };
        let bundle = support::bundle(board).await.map_err(refused)?;
        let actor = Actor::User {
            name: person.name.clone(),
            from: from.to_owned(),
        };
        let kind = Kind::CommandGiven {
            actor: actor.to_string(),
            command: "make a support bundle".into(),
            outcome: format!("{} bytes", bundle.len()),
        };
        self.publish(kind).await;
        Ok(bundle)
    }

    async fn newest(&self, person: &Person) -> Result<Vec<Event>, Refusal> {
        let query = Query {
            newest: Some(EVENTS),
            ..Query::default()
        };
        let mut events = Follow::new(self, query);
        let mut all = Vec::new();
        while let Some(some) = events.past(person).await? {
            all.extend(some);
        }
        Ok(all)
    }
}
