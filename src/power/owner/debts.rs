//! What an earlier life left: outlets that are owed their power, written down before they are switched off, switched on again
//! after a crash, and again when a device that was dead comes back; and verbs whose outcome was never told.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Act, Owner, Run, millis};
use crate::clock::{Instant, Timestamp};
use crate::event::Kind;
use crate::power::book::{Book, Owed, Underway};
use crate::reset::{Action, Outcome, PowerState, Verb};

/// Pause before an outlet that did not come on is tried again.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// The debt of a run whose off comes next.
pub(super) fn owed(run: &Run) -> Owed {
    Owed {
        verb: Underway {
            outlet: run.outlet.clone(),
            action: run.action.id,
            verb: run.action.verb,
            by: run.action.by.clone(),
            began: run.action.began,
        },
        told: false,
    }
}

impl Owner {
    /// Takes up the cycles that an earlier life left in the middle, and looks what came of its other verbs.
    pub(super) fn take_up(&mut self) {
        let now = Instant::now();
        let owed: Vec<Owed> = self.book.owed().to_vec();
        for (at, Owed { verb, .. }) in owed.into_iter().filter(|owed| !owed.told).enumerate() {
            let gone = verb.began.until(Timestamp::now());
            // Part of the darkness has been; a clock that was set since must not make it longer.
            let left = self.pdu.off_time.saturating_sub(gone);
            let stagger = self.pdu.stagger * u32::try_from(at).unwrap_or(u32::MAX);
            let until = now + left + stagger;
            tracing::warn!(
                "outlet {}/{} is owed its power by an earlier run",
                self.pdu.name,
                verb.outlet
            );
            let act = Act::resume(now, until, self.rules());
            self.runs.push(taken_up(verb, act, now));
        }
        let left: Vec<Underway> = self.book.underway().to_vec();
        for verb in left {
            if self.runs.iter().any(|run| run.outlet == verb.outlet) {
                continue;
            }
            tracing::warn!(
                "{} of outlet {}/{} was interrupted",
                verb.verb,
                self.pdu.name,
                verb.outlet
            );
            let act = Act::recall(now, verb.verb, self.rules());
            self.runs.push(taken_up(verb, act, now));
        }
    }

    /// When a debt that is left over is due.
    pub(super) fn debts_due(&self) -> Instant {
        let left = self.book.owed().iter().any(|owed| owed.told);
        let far = Instant::now() + Duration::from_secs(3600);
        if left { self.debts_at } else { far }
    }

    /// Switches on, in our own name, what still has no power after its action was told failed.
    pub(super) async fn raise_debts(&mut self, now: Instant) {
        if now < self.debts_at || !self.is_up() || self.health.distrust(now).is_some() {
            return;
        }
        let told = self.book.owed().iter().filter(|owed| owed.told);
        let due: Vec<String> = told.map(|owed| owed.verb.outlet.clone()).collect();
        let mut begun = false;
        for outlet in due {
            if self.runs.iter().any(|run| run.outlet == outlet) {
                continue;
            }
            let lit = self.reading.outlets.iter().any(|read| {
                read.key == outlet && read.state == PowerState::On && !read.in_transition
            });
            if lit {
                // Somebody else did it.
                self.book_settle(&outlet).await;
                continue;
            }
            let by = self.context.name.clone();
            let outlets = vec![outlet.clone()];
            let action = self.number(outlets, Verb::On, by.clone()).await;
            self.begin(outlet, Verb::On, by, action, now, false).await;
            begun = true;
        }
        self.debts_at = now + self.debts_pause;
        self.debts_pause = if begun {
            (self.debts_pause * 2).min(LONGEST_PAUSE)
        } else {
            FIRST_PAUSE
        };
    }

    fn is_owed(&self, outlet: &str) -> bool {
        let mut owed = self.book.owed().iter();
        owed.any(|owed| owed.verb.outlet == outlet)
    }

    /// A run is over: is its outlet still owed its power?
    pub(super) async fn settle(&mut self, run: &Run) {
        let outlet = &run.outlet;
        if !self.is_owed(outlet) {
            return;
        }
        if run.act.owes() || (run.action.verb == Verb::On && run.act.still_dark()) {
            let owed = Owed {
                told: true,
                ..owed(run)
            };
            if self.book_owe(owed).await.is_err() {
                tracing::error!("the power that {outlet} is owed cannot be written down");
            }
            self.debts_at = Instant::now() + FIRST_PAUSE;
            return;
        }
        self.book_settle(outlet).await;
    }

    /// Begins a verb: its intent is in the journal before anything is asked of the device, which is read meanwhile; `reads` says
    /// that it is read for this verb already.
    pub(super) async fn begin(
        &mut self,
        outlet: String,
        verb: Verb,
        by: String,
        action: u64,
        from: Instant,
        reads: bool,
    ) {
        let intent = self.context.begin(Kind::OutletSwitching {
            pdu: self.pdu.name.clone(),
            outlet: outlet.clone(),
            verb,
            by: by.clone(),
            action,
        });
        let intent = intent.await;
        self.write_down();
        let mut act = Act::new(verb, from, self.rules());
        if !reads && self.is_there(&outlet, Instant::now()) {
            act.needs_no_look();
        }
        self.runs.push(Run {
            outlet,
            action: Action {
                id: action,
                verb,
                by,
                began: Timestamp::now(),
                outcome: Outcome::Running,
                millis: 0,
                why: String::new(),
                trail: Vec::new(),
            },
            act,
            began: Instant::now(),
            reads,
            intent,
        });
    }

    /// A number for a new action, whose outcome is owed from now on. Without flash it is good for this boot. It may be there before
    /// the page is: [`Owner::begin`] has that written beside the intent, [`Owner::book_done`] waits for it, and comes before
    /// anything is asked of the device.
    pub(super) async fn number(&mut self, outlets: Vec<String>, verb: Verb, by: String) -> u64 {
        self.book_done().await;
        let begin = move |book: &mut Book| {
            let (number, stored) = book.begin(&outlets, verb, &by);
            if let Err(error) = stored {
                tracing::error!("the number of an action cannot be kept: {error}");
            }
            number
        };
        if let Some(number) = self.book.spare() {
            self.unwritten = Some(Box::new(begin));
            return number;
        }
        self.with_book(begin).await
    }

    /// Puts a number that was given out on its way to the flash. The journal has its intent before: both are awaited, and it is
    /// the thread that is woken last that begins last.
    fn write_down(&mut self) {
        if let Some(begin) = self.unwritten.take() {
            self.page = Some(self.spawn(begin));
        }
    }

    /// Nothing of the book is on its way to the flash any more.
    pub(super) async fn book_done(&mut self) {
        self.write_down();
        if let Some(page) = self.page.take() {
            self.taken_in(page).await;
        }
    }

    pub(super) async fn book_owe(&mut self, owed: Owed) -> io::Result<()> {
        self.with_book(move |book| book.owe(owed)).await
    }

    pub(super) async fn book_settle(&mut self, outlet: &str) {
        if !self.is_owed(outlet) {
            return;
        }
        let outlet = outlet.to_owned();
        if let Err(error) = self.with_book(move |book| book.settle(&outlet)).await {
            tracing::error!("a settled debt cannot be struck out: {error}");
        }
    }

    /// The outcome of a verb has been told.
    pub(super) async fn book_told(&mut self, outlet: &str) {
        let outlet = outlet.to_owned();
        if let Err(error) = self.with_book(move |book| book.told(&outlet)).await {
            tracing::error!("an outcome that was told cannot be struck out: {error}");
        }
    }

    async fn with_book<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Book) -> T + Send + 'static,
    ) -> T {
        let page = self.on_book(work).await;
        self.taken_in(page).await
    }

    /// Begins to work on a copy of the book, where waiting for flash holds nobody up.
    async fn on_book<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Book) -> T + Send + 'static,
    ) -> JoinHandle<(Book, T)> {
        self.book_done().await;
        self.spawn(work)
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Book) -> T + Send + 'static,
    ) -> JoinHandle<(Book, T)> {
        let mut book = self.book.clone();
        tokio::task::spawn_blocking(move || {
            let answer = work(&mut book);
            (book, answer)
        })
    }

    async fn taken_in<T>(&mut self, page: JoinHandle<(Book, T)>) -> T {
        match page.await {
            Ok((book, answer)) => {
                self.book = book;
                answer
            }
            // The thread pool is gone with the process.
            Err(_) => std::future::pending().await,
        }
    }
}

/// A verb of an earlier life, under its number.
fn taken_up(verb: Underway, act: Act, now: Instant) -> Run {
    let gone = verb.began.until(Timestamp::now());
    Run {
        action: Action {
            id: verb.action,
            verb: verb.verb,
            by: verb.by,
            began: verb.began,
            outcome: Outcome::Running,
            millis: millis(gone),
            why: String::new(),
            trail: Vec::new(),
        },
        outlet: verb.outlet,
        act,
        began: now.checked_sub(gone).unwrap_or(now),
        reads: false,
        intent: None,
    }
}
