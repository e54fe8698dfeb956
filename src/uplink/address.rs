//! Asks the link owner for addresses, in order, and asks again while it does not answer. Touches no address itself.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command::{Actor, Command, Commands};

/// Asks that may wait while the link owner is being restarted; the newest says it all, see [`serve`].
const WAITING: usize = 16;
/// Pause before a refused or unanswered ask is repeated.
const REPEAT: Duration = Duration::from_millis(500);

/// Cheap handle; asks are carried out by a task of its own, so that a stuck link owner never stops the uplink.
#[derive(Debug)]
pub(super) struct Addresser(mpsc::Sender<bool>);

impl Addresser {
    pub(super) fn spawn(
        tracker: &TaskTracker,
        stop: CancellationToken,
        commands: Commands,
        owner: String,
        interface: String,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tracker.spawn(serve(receiver, stop, commands, owner, interface));
        Self(sender)
    }

    /// Never waits. With the queue full the link owner is stuck; the uplink asks again by itself.
    pub(super) fn ask(&self, wanted: bool) {
        if self.0.try_send(wanted).is_err() {
            tracing::warn!("the link owner does not answer, ask dropped");
        }
    }
}

async fn serve(
    mut asks: mpsc::Receiver<bool>,
    stop: CancellationToken,
    commands: Commands,
    owner: String,
    interface: String,
) {
    // Ends when the uplink owner drops its handle; what was asked before that is still carried out.
    let Some(mut wanted) = asks.recv().await else {
        return;
    };
    loop {
        let command = if wanted {
            Command::AddressLink {
                interface: interface.clone(),
            }
        } else {
            Command::UnaddressLink {
                interface: interface.clone(),
            }
        };
        let done = commands.send(Actor::Owner(owner.clone()), command).await;
        let next = match done {
            Ok(_) => asks.recv().await,
            Err(refusal) => {
                tracing::info!(%refusal, wanted, "the link owner did not take the ask");
                tokio::select! {
                    // cancel-safe per docs on Receiver::recv()
                    next = asks.recv() => next,
                    // cancel-safe: a timer has nothing to lose
                    () = tokio::time::sleep(REPEAT) => Some(wanted),
                    // cancel-safe per docs on CancellationToken::cancelled()
                    () = stop.cancelled() => return,
                }
            }
        };
        match next {
            Some(next) => wanted = next,
            None => return,
        }
    }
}
