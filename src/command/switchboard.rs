//! The switchboard: who is asked, and how the ask gets there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Actor, Ask, Attach, Attachment, Command, Refusal, Reply, Screens};

/// Longest an owner may take to answer; an owner with longer work answers first and publishes the outcome.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Asks that may wait at one owner; past that the asker waits.
const WAITING_ASKS: usize = 32;

/// What an owner is asked, in the order in which it was.
#[derive(Debug)]
pub struct Asks(mpsc::Receiver<Box<Ask>>);

impl Asks {
    /// The next one; `None` once the owner of this name was replaced or removed. Cancel-safe per docs on `Receiver::recv()`.
    pub async fn recv(&mut self) -> Option<Ask> {
        self.0.recv().await.map(|ask| *ask)
    }
}

/// The switchboard: owners register, everybody may ask. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    owners: Arc<RwLock<BTreeMap<String, mpsc::Sender<Box<Ask>>>>>,
    /// Of machines; asked apart, for an answer has no words.
    pub screens: Screens,
}

impl Commands {
    /// Opens (or, after a restart, replaces) the desk of the owner of this name.
    #[must_use]
    pub fn register(&self, owner: &str) -> Asks {
        // Boxed: a channel has room for 32 from its first day, and few owners are ever asked twice at once.
        let (sender, receiver) = mpsc::channel(WAITING_ASKS);
        self.owners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(owner.to_owned(), sender);
        Asks(receiver)
    }

    /// Closes the desk of an owner that ended for good.
    pub fn remove(&self, owner: &str) {
        self.owners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(owner);
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// The owner's own [`Refusal`], `Unknown` when there is no such owner, `NoAnswer` after 20 s (40 s where flash is written).
    pub async fn send(&self, actor: Actor, command: Command) -> Result<Reply, Refusal> {
        let (owner, limit) = (command.owner(), command.limit());
        self.ask(&owner, limit, |reply| Ask::Command {
            actor,
            command,
            reply,
        })
        .await
    }

    /// Joins a console.
    ///
    /// # Errors
    /// As [`Commands::send`].
    pub async fn attach(&self, request: Attach) -> Result<Attachment, Refusal> {
        let owner = format!("console.{}", request.console);
        self.ask(&owner, ANSWER_LIMIT, |reply| Ask::Attach { request, reply })
            .await
    }

    async fn ask<T>(
        &self,
        owner: &str,
        limit: Duration,
        make: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Ask,
    ) -> Result<T, Refusal> {
        let desk = self
            .owners
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(owner)
            .cloned();
        let desk = desk.ok_or_else(|| Refusal::Unknown {
            what: owner.replacen('.', " ", 1),
        })?;
        let (reply, answer) = oneshot::channel();
        let no_answer = || Refusal::NoAnswer {
            owner: owner.to_owned(),
        };
        let exchange = async {
            desk.send(Box::new(make(reply)))
                .await
                .map_err(|_| no_answer())?;
            answer.await.map_err(|_| no_answer())?
        };
        timeout(limit, exchange).await.map_err(|_| no_answer())?
    }
}
