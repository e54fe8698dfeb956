//! Journals a console's events in order, beside its owner: a stalled flash must not keep the owner from the line.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::bus::Bus;
use crate::command::{Attachment, Refusal, Reply};
use crate::event::Kind;
use crate::supervisor::context::Context;

/// Events that may wait; past that they are reported in the log only.
const WAITING: usize = 128;
/// Longest the answer to a person waits for the journal: a board with dead flash must still give a console.
const DURABLE_LIMIT: Duration = Duration::from_secs(2);

/// What is answered once the event is durable.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// Hands the session over.
    Attach(
        oneshot::Sender<Result<Attachment, Refusal>>,
        Box<Attachment>,
    ),
    Reply(oneshot::Sender<Result<Reply, Refusal>>),
}

impl Then {
    fn answer(self, seq: Option<u64>) {
        // An asker that has left gets nothing; an attachment that nobody takes detaches as it is dropped.
        match self {
            Self::Nothing => {}
            Self::Attach(reply, attachment) => drop(reply.send(Ok(*attachment))),
            Self::Reply(reply) => {
                let said = seq.map_or(Reply::Done, |seq| Reply::Journaled { seq });
                drop(reply.send(Ok(said)));
            }
        }
    }
}

/// The owner's end. The task ends when it is dropped and everything is journaled.
#[derive(Debug)]
pub(super) struct Outbox(mpsc::Sender<Box<(Kind, Then)>>);

impl Outbox {
    #[must_use]
    pub(super) fn spawn(context: &Context) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Box<(Kind, Then)>>(WAITING);
        let (bus, source) = (context.bus.clone(), context.name.clone());
        context.tracker.spawn(async move {
            while let Some(event) = receiver.recv().await {
                let (kind, then) = *event;
                deliver(&bus, &source, kind, then).await;
            }
        });
        Self(sender)
    }

    /// Never waits.
    pub(super) fn publish(&self, kind: Kind, then: Then) {
        if let Err(refused) = self.0.try_send(Box::new((kind, then))) {
            let (kind, then) = *refused.into_inner();
            tracing::error!(
                ?kind,
                "the journal is too slow: this event is only in the log"
            );
            then.answer(None);
        }
    }
}

async fn deliver(bus: &Bus, source: &str, kind: Kind, then: Then) {
    let publish = bus.publish(source, kind);
    tokio::pin!(publish);
    match timeout(DURABLE_LIMIT, &mut publish).await {
        Ok(done) => then.answer(done.ok()),
        Err(_) => {
            then.answer(None);
            // It is in the journal's hands; waiting keeps the order. It ends when the journal does.
            let _ = publish.await;
        }
    }
}
