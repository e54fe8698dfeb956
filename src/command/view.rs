//! Looking at a machine's screen: what a door asks of the screen's owner, and what it gets. Knows no machine.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use super::Refusal;
use crate::rfb::{Input, Picture};

/// A machine that sleeps has to be connected to, signed in at and shown.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);
/// Views that may wait at one owner.
const WAITING: usize = 32;

/// Who types and points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Looks only.
    #[default]
    No,
    /// If nobody else does.
    IfFree,
    /// Whoever did only looks from now on.
    Take,
}

/// Asks to look at the screen of a machine. Rights are checked by the door before it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub machine: String,
    pub user: String,
    pub from: String,
    pub control: Control,
}

/// A view of a screen. Dropping it leaves.
#[derive(Debug)]
pub struct Viewing {
    pub id: u64,
    pub picture: Arc<Picture>,
    /// What is done without control is dropped by the owner.
    pub input: mpsc::Sender<(u64, Input)>,
    /// Changes when the owner ends, which ends the view.
    pub ended: watch::Receiver<()>,
    pub leave: DropGuard,
}

/// One thing asked of the owner of a screen.
pub type Asked = (View, oneshot::Sender<Result<Viewing, Refusal>>);

/// The owners of screens by machine. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Screens(Arc<RwLock<BTreeMap<String, mpsc::Sender<Asked>>>>);

impl Screens {
    /// Opens (or, after a restart, replaces) the desk of this machine's screen. It closes when the receiver is dropped.
    #[must_use]
    pub fn register(&self, machine: &str) -> mpsc::Receiver<Asked> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut desks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        desks.retain(|_, desk| !desk.is_closed());
        desks.insert(machine.to_owned(), sender);
        receiver
    }

    /// Looks at a screen; answered once there is one.
    ///
    /// # Errors
    /// The owner's own [`Refusal`], `Unknown` for a machine without a screen, `NoAnswer` after 45 s.
    pub async fn view(&self, view: View) -> Result<Viewing, Refusal> {
        let machine = view.machine.clone();
        let desk = {
            let desks = self.0.read().unwrap_or_else(PoisonError::into_inner);
            desks.get(&machine).cloned()
        };
        let owner = format!("screen {machine}");
        let Some(desk) = desk else {
            return Err(Refusal::Unknown { what: owner });
        };
        let (reply, answer) = oneshot::channel();
        let no_answer = || Refusal::NoAnswer {
            owner: owner.clone(),
        };
        let exchange = async {
            desk.send((view, reply)).await.map_err(|_| no_answer())?;
            answer.await.map_err(|_| no_answer())?
        };
        timeout(ANSWER_LIMIT, exchange)
            .await
            .map_err(|_| no_answer())?
    }
}
