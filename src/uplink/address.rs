//! Asks the link owner for addresses, and asks again while it does not answer. Touches no address itself.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command::{Actor, Command, Commands};

/// Pause before a refused or unanswered ask is repeated.
const REPEAT: Duration = Duration::from_millis(300);

/// What the link owner shall have been told in the end. Counters, because giving addresses back and asking anew is
/// not the same as doing nothing: the network behind the link may be another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wish {
    asked: u64,
    given_back: u64,
    wanted: bool,
}

/// Asks are carried out by a task of its own, so that a stuck link owner never stops the uplink.
#[derive(Debug)]
pub(super) struct Addresser(watch::Sender<Wish>);

impl Addresser {
    pub(super) fn spawn(
        tracker: &TaskTracker,
        stop: CancellationToken,
        commands: Commands,
        owner: String,
        interface: String,
    ) -> Self {
        let (sender, wishes) = watch::channel(Wish::default());
        tracker.spawn(serve(wishes, stop, commands, owner, interface));
        Self(sender)
    }

    /// Never waits.
    pub(super) fn ask(&self, wanted: bool) {
        self.0.send_modify(|wish| {
            let counter = if wanted {
                &mut wish.asked
            } else {
                &mut wish.given_back
            };
            *counter = counter.wrapping_add(1);
            wish.wanted = wanted;
        });
    }
}

/// Ends when the uplink owner drops its handle and what it wished is done, or was tried once after the stop.
async fn serve(
    mut wishes: watch::Receiver<Wish>,
    stop: CancellationToken,
    commands: Commands,
    owner: String,
    interface: String,
) {
    let (mut done, mut told) = (Wish::default(), false);
    loop {
        let wish = *wishes.borrow_and_update();
        let command = if wish.given_back != done.given_back {
            Some(Command::UnaddressLink {
                interface: interface.clone(),
            })
        } else if wish.wanted && wish.asked != done.asked {
            Some(Command::AddressLink {
                interface: interface.clone(),
            })
        } else {
            None
        };
        let Some(command) = command else {
            if wishes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let giving_back = matches!(command, Command::UnaddressLink { .. });
        match commands.send(Actor::Owner(owner.clone()), command).await {
            Ok(_) if giving_back => (done.given_back, told) = (wish.given_back, false),
            Ok(_) => (done.asked, told) = (wish.asked, false),
            Err(refusal) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(%refusal, "the link owner did not take the ask; asked again");
                }
                if stop.is_cancelled() {
                    return;
                }
                tokio::time::sleep(REPEAT).await;
            }
        }
    }
}
