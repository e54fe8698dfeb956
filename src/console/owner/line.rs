//! The line while it runs: orders one after the other, what the wires and the cable tell, and who hears of it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Link, Owner};
use crate::clock::Instant;
use crate::command::{Actor, Refusal, Reply};
use crate::config::Dtr;
use crate::console::breaks::{Answer, Asked};
use crate::console::cable::{Change, Limit, Watch};
use crate::console::outbox::Then;
use crate::console::port::{self, Place};
use crate::console::session::Typed;
use crate::event::Kind;
use crate::fault;
use crate::line::{Faults, LineState, Order, Signals};

/// Orders that may wait for the one that is being carried out.
const WAITING: usize = 32;

/// How to answer.
pub(super) type Answering = oneshot::Sender<Result<Reply, Refusal>>;

/// An order and who gave it.
struct Ordered {
    order: Order,
    /// A person, whose orders are journaled.
    user: Option<String>,
    reply: Option<Answering>,
}

/// What an order came to.
pub(super) struct Settled {
    /// Which opening of the port it was for.
    opening: u64,
    ordered: Ordered,
    outcome: Result<LineState, port::Error>,
}

/// The owner's book about its line.
pub(super) struct LineBook {
    waiting: VecDeque<Ordered>,
    busy: bool,
    settled: mpsc::Sender<Box<Settled>>,
    /// Orders and breaks reach the port one at a time.
    pub(super) gate: Arc<Semaphore>,
    /// Counts openings, so that an answer about a port that is gone is known as such.
    opening: u64,
    pub(super) cable: Watch,
    limits: [Limit; 4],
    /// As the transport last counted, and as it did when somebody reset the counters.
    counted: Option<Faults>,
    base: Faults,
}

impl LineBook {
    pub(super) fn new(place: &Place) -> (Self, mpsc::Receiver<Box<Settled>>) {
        let (settled, settling) = mpsc::channel(1);
        let wire = place.serial().and_then(|serial| serial.cable);
        let now = Instant::now();
        let book = Self {
            waiting: VecDeque::new(),
            busy: false,
            settled,
            gate: Arc::new(Semaphore::new(1)),
            opening: 0,
            cable: Watch::new(wire),
            limits: std::array::from_fn(|_| Limit::new(now)),
            counted: None,
            base: Faults::default(),
        };
        (book, settling)
    }
}

impl Owner<'_> {
    /// Carries out an order that somebody asked for, or says why not.
    pub(super) fn set_line(
        &mut self,
        actor: Actor,
        order: Order,
        reply: Answering,
        typing: &mut mpsc::Receiver<Typed>,
    ) {
        if !matches!(self.link, Link::Open(_)) {
            return drop(reply.send(Err(Refusal::Failed(self.away_notice()))));
        }
        let user = match actor {
            Actor::User { name, .. } => Some(name),
            Actor::Owner(_) => None,
        };
        match order {
            Order::Look => return drop(reply.send(Ok(self.line_reply()))),
            Order::Break(true) if self.breaking.is_some() => {
                return drop(reply.send(Ok(self.line_reply())));
            }
            Order::Break(true) => {
                let asked = Asked {
                    user: user.unwrap_or_default(),
                    answer: Answer::Begun(reply),
                };
                if let Err((refusal, asked)) = self.start_break(None, asked, typing) {
                    asked.answer.refuse(refusal);
                }
                return;
            }
            Order::Break(false) => {
                let Some(cut) = &self.breaking else {
                    return drop(reply.send(Ok(self.line_reply())));
                };
                cut.cancel();
                self.break_enders.push(reply);
                return;
            }
            Order::Purge { typed: true, .. } => self.discard(typing),
            _ => {}
        }
        if self.book.waiting.len() >= WAITING {
            let refusal = Refusal::Busy {
                what: format!("console {}", self.name),
                why: format!("{WAITING} settings wait for the port"),
            };
            return drop(reply.send(Err(refusal)));
        }
        self.book.waiting.push_back(Ordered {
            order,
            user,
            reply: Some(reply),
        });
        self.next_order();
    }

    /// An order of our own.
    fn order(&mut self, order: Order) {
        self.book.waiting.push_back(Ordered {
            order,
            user: None,
            reply: None,
        });
        self.next_order();
    }

    fn next_order(&mut self) {
        if self.book.busy {
            return;
        }
        let Link::Open(port) = &self.link else {
            let notice = self.away_notice();
            for ordered in self.book.waiting.drain(..) {
                if let Some(reply) = ordered.reply {
                    drop(reply.send(Err(Refusal::Failed(notice.clone()))));
                }
            }
            return;
        };
        let Some(ordered) = self.book.waiting.pop_front() else {
            return;
        };
        self.book.busy = true;
        let (control, opening) = (port.control(), self.book.opening);
        let (gate, settled) = (self.book.gate.clone(), self.book.settled.clone());
        self.context.tracker.spawn(async move {
            let outcome = match control {
                Ok(control) => {
                    // Never closed.
                    let _turn = gate.acquire().await;
                    control.apply(ordered.order).await
                }
                Err(error) => Err(error),
            };
            // The owner stops: nobody is left to tell.
            let came = Settled {
                opening,
                ordered,
                outcome,
            };
            let _ = settled.send(Box::new(came)).await;
        });
    }

    pub(super) fn settled(&mut self, settled: Settled) {
        self.book.busy = false;
        let Settled {
            opening,
            ordered,
            outcome,
        } = settled;
        let Ordered { order, user, reply } = ordered;
        let outcome = match outcome {
            Err(error) => Err(Refusal::Failed(fault::chain(&error))),
            Ok(_) if opening != self.book.opening || !matches!(self.link, Link::Open(_)) => {
                Err(Refusal::Failed(self.away_notice()))
            }
            Ok(state) => Ok(state),
        };
        match outcome {
            Ok(state) => {
                let before = self.standing.borrow().clone();
                self.told(state);
                let after = self.standing.borrow().clone();
                let news =
                    (before.line, before.dtr, before.rts) != (after.line, after.dtr, after.rts);
                if let Some(user) = user.filter(|_| news) {
                    self.desk.tell_all(&format!("{user}: {order}"));
                    let event = Kind::LineSet {
                        console: self.name.clone(),
                        user,
                        order: order.to_string(),
                    };
                    self.publish(event, Then::Nothing);
                }
                if order == Order::Restore {
                    self.follow_sessions();
                }
                if let Some(reply) = reply {
                    drop(reply.send(Ok(self.line_reply())));
                }
            }
            Err(refusal) => {
                tracing::warn!(console = self.name, %order, %refusal, "the line was not set");
                if let Some(reply) = reply {
                    drop(reply.send(Err(refusal)));
                }
            }
        }
        self.next_order();
    }

    pub(super) fn line_reply(&self) -> Reply {
        Reply::Line(self.standing.borrow().clone())
    }

    /// The port was opened: what was counted and set before is of no more account.
    pub(super) fn line_opened(&mut self, state: LineState) {
        self.book.opening = self.book.opening.wrapping_add(1);
        self.book.base = Faults::default();
        self.book.counted = state.faults;
        self.standing.send_modify(|standing| {
            standing.signals = state.signals;
        });
        self.told(state);
        // Somebody may have come or gone while it was opened.
        self.follow_sessions();
    }

    /// The port is away: its lines say nothing, and what was ordered of it is void.
    pub(super) fn line_lost(&mut self) {
        self.book.opening = self.book.opening.wrapping_add(1);
        let state = LineState {
            signals: None,
            breaking: false,
            ..self.standing.borrow().clone()
        };
        self.told(state);
        self.next_order();
    }

    /// With `dtr = "session"`: DTR is up while somebody is attached.
    pub(super) fn follow_sessions(&mut self) {
        let session = self.place.serial().map(|serial| serial.dtr) == Some(Dtr::Session);
        if !session || !matches!(self.link, Link::Open(_)) {
            return;
        }
        let wanted = !self.desk.is_empty();
        // What was ordered last counts, done or not.
        let ordered = self
            .book
            .waiting
            .iter()
            .rev()
            .find_map(|ordered| match ordered.order {
                Order::Dtr(on) => Some(on),
                _ => None,
            });
        if self.book.busy || ordered.unwrap_or(self.standing.borrow().dtr) != wanted {
            self.order(Order::Dtr(wanted));
        }
    }

    /// How the line stands now, by the word of the transport.
    pub(super) fn told(&mut self, told: LineState) {
        self.book.counted = told.faults;
        let before = self.standing.borrow().signals;
        let faults = told.faults.map(|faults| less(faults, self.book.base));
        let signals = told.signals;
        // Nobody but us breaks, and a bridge that fails at the end of a break has ended it.
        let breaking = self.standing.borrow().breaking;
        let state = LineState {
            faults,
            breaking,
            cable: self.book.cable.cable(),
            ..told
        };
        self.stand(state);
        if let (Some(before), Some(now)) = (before, signals) {
            self.signals_changed(before, now);
        }
        self.look_at_cable();
    }

    fn stand(&mut self, state: LineState) {
        let news = self.standing.send_if_modified(|was| {
            let news = *was != state;
            *was = state;
            news
        });
        if news {
            self.counted();
        }
    }

    fn signals_changed(&mut self, before: Signals, now: Signals) {
        let lines = [
            ("CTS", before.cts, now.cts),
            ("DSR", before.dsr, now.dsr),
            ("DCD", before.dcd, now.dcd),
            ("RI", before.ri, now.ri),
        ];
        let at = Instant::now();
        for (limit, (signal, before, on)) in self.book.limits.iter_mut().zip(lines) {
            if before == on || !limit.allows(at) {
                continue;
            }
            let event = Kind::SignalChanged {
                console: self.name.clone(),
                signal: signal.into(),
                on,
            };
            self.log.mark(&event);
            self.outbox.publish(event, Then::Nothing);
        }
    }

    /// Looks at the cable, because a line has changed or because it has been down for long enough.
    pub(super) fn look_at_cable(&mut self) {
        let signals = self.standing.borrow().signals;
        let change = self.book.cable.step(signals, Instant::now());
        let cable = self.book.cable.cable();
        let state = LineState {
            cable,
            ..self.standing.borrow().clone()
        };
        self.stand(state);
        let Some(change) = change else { return };
        let (console, signal) = (self.name.clone(), self.book.cable.wire());
        let (text, event) = match change {
            Change::Unplugged => (
                format!("{signal} lost: cable or device gone"),
                Kind::CableUnplugged { console, signal },
            ),
            Change::Back => (
                format!("{signal} back"),
                Kind::CableBack { console, signal },
            ),
        };
        self.desk.tell_all(&text);
        self.publish(event, Then::Nothing);
        self.changed();
    }

    pub(super) fn reset_counters(&mut self, reply: Answering) {
        (self.rx_bytes, self.tx_bytes) = (0, 0);
        self.book.base = self.book.counted.unwrap_or_default();
        let faults = self.book.counted.map(|_| Faults::default());
        let state = LineState {
            faults,
            ..self.standing.borrow().clone()
        };
        self.stand(state);
        self.changed();
        drop(reply.send(Ok(Reply::Done)));
    }
}

/// What was counted since `base`.
fn less(faults: Faults, base: Faults) -> Faults {
    Faults {
        framing: faults.framing.saturating_sub(base.framing),
        parity: faults.parity.saturating_sub(base.parity),
        overrun: faults.overrun.saturating_sub(base.overrun),
        breaks: faults.breaks.saturating_sub(base.breaks),
    }
}
