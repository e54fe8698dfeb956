//! Who looks at a screen, who waits for it, and who of them types. Moves no pixels.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::command::{Asked, Control, Refusal, View, Viewing};
use crate::event::Kind;
use crate::rfb::{Input, Picture};

/// Viewers of one screen; each costs a copy of the picture's changes on its way.
const MOST: usize = 32;

pub(super) struct Desk {
    machine: String,
    picture: Arc<Picture>,
    input: mpsc::Sender<(u64, Input)>,
    ended: watch::Receiver<()>,
    waiting: Vec<Asked>,
    /// Users by view.
    viewers: BTreeMap<u64, String>,
    leaving: FuturesUnordered<BoxFuture<'static, u64>>,
    holder: Option<u64>,
    last: u64,
}

impl Desk {
    pub(super) fn new(
        machine: String,
        picture: Arc<Picture>,
        input: mpsc::Sender<(u64, Input)>,
        ended: watch::Receiver<()>,
    ) -> Self {
        Self {
            machine,
            picture,
            input,
            ended,
            waiting: Vec::new(),
            viewers: BTreeMap::new(),
            leaving: FuturesUnordered::new(),
            holder: None,
            last: 0,
        }
    }

    /// Does anybody want a session?
    pub(super) fn wants(&self) -> bool {
        !self.waiting.is_empty() || !self.viewers.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.wants()
    }

    /// Lets somebody look, or wait while there is no picture.
    pub(super) fn join(
        &mut self,
        view: View,
        reply: oneshot::Sender<Result<Viewing, Refusal>>,
        is_open: bool,
    ) -> Option<Kind> {
        if self.viewers.len() + self.waiting.len() >= MOST {
            let what = format!("screen {}", self.machine);
            let why = format!("{MOST} look at it already");
            drop(reply.send(Err(Refusal::Busy { what, why })));
            return None;
        }
        if !is_open {
            self.waiting.push((view, reply));
            return None;
        }
        self.seat(view, reply)
    }

    /// There is a picture: who waited looks at it.
    pub(super) fn admit(&mut self) -> Vec<Kind> {
        let waiting = std::mem::take(&mut self.waiting);
        let seats = waiting.into_iter();
        seats
            .filter_map(|(view, reply)| self.seat(view, reply))
            .collect()
    }

    /// There is none: who waited is told why. Who looks keeps what it saw last.
    pub(super) fn turn_away(&mut self, why: &str) {
        for (_, reply) in self.waiting.drain(..) {
            drop(reply.send(Err(Refusal::Failed(why.to_owned()))));
        }
    }

    fn seat(
        &mut self,
        view: View,
        reply: oneshot::Sender<Result<Viewing, Refusal>>,
    ) -> Option<Kind> {
        self.last += 1;
        let id = self.last;
        let token = CancellationToken::new();
        let viewing = Viewing {
            id,
            picture: self.picture.clone(),
            input: self.input.clone(),
            ended: self.ended.clone(),
            leave: token.clone().drop_guard(),
        };
        // Who has left meanwhile has nothing.
        reply.send(Ok(viewing)).ok()?;
        let control = match view.control {
            Control::No => false,
            Control::IfFree => self.holder.is_none(),
            Control::Take => true,
        };
        if control {
            self.holder = Some(id);
        }
        self.viewers.insert(id, view.user.clone());
        self.leaving.push(Box::pin(async move {
            token.cancelled_owned().await;
            id
        }));
        Some(Kind::ScreenOpened {
            machine: self.machine.clone(),
            user: view.user,
            from: view.from,
            control,
        })
    }

    /// Is this the one that types?
    pub(super) fn controls(&self, id: u64) -> bool {
        self.holder == Some(id)
    }

    /// The next one that leaves; never while nobody is here. Cancel-safe: nothing is awaited after it is known.
    pub(super) async fn left(&mut self) -> Kind {
        let Some(id) = self.leaving.next().await else {
            return std::future::pending().await;
        };
        if self.holder == Some(id) {
            self.holder = None;
        }
        let user = self.viewers.remove(&id).unwrap_or_default();
        let machine = self.machine.clone();
        Kind::ScreenClosed { machine, user }
    }
}
