//! The one thread that serves the scribes of all consoles, each when it is due: a thread for each would cost more memory
//! than what it carries, and the flash does one thing at a time anyway. Begun with the first transcript, it stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::writer::Scribe;
use crate::clock::Instant;

/// It needs little.
const STACK: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Flusher {
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    /// Those that it does not serve yet.
    fresh: Vec<Scribe>,
    /// Some scribe is due earlier than it said.
    rung: bool,
}

impl Flusher {
    /// Serves this scribe until it is done. Who knows that it is due earlier than it said, rings.
    pub(super) fn serve(&self, scribe: Scribe) {
        self.inbox().fresh.push(scribe);
        self.wake.notify_one();
    }

    /// The one of this process.
    ///
    /// # Errors
    /// No thread can be made.
    pub(super) fn get() -> std::io::Result<Arc<Self>> {
        static FLUSHER: Mutex<Option<Arc<Flusher>>> = Mutex::new(None);
        let mut known = FLUSHER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flusher) = &*known {
            return Ok(flusher.clone());
        }
        let flusher = Arc::new(Self::default());
        let works = flusher.clone();
        std::thread::Builder::new()
            .name("transcripts".into())
            .stack_size(STACK)
            .spawn(move || works.run())?;
        *known = Some(flusher.clone());
        Ok(flusher)
    }

    /// Has it look at all scribes again. Never waits.
    pub(super) fn ring(&self) {
        self.inbox().rung = true;
        self.wake.notify_one();
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Nothing panics while it holds the lock.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut scribes: Vec<Scribe> = Vec::new();
        loop {
            let mut worked = false;
            let mut next: Option<Instant> = None;
            scribes.retain_mut(|scribe| {
                let now = Instant::now();
                match scribe.due(now) {
                    Some(at) if at <= now => {
                        worked = true;
                        turn(scribe)
                    }
                    at => {
                        next = next.into_iter().chain(at).min();
                        true
                    }
                }
            });
            let mut inbox = self.inbox();
            if !worked {
                inbox = self.sleep(inbox, next);
            }
            inbox.rung = false;
            scribes.append(&mut inbox.fresh);
        }
    }

    /// Waits until then, or for a ring.
    fn sleep<'a>(
        &'a self,
        inbox: MutexGuard<'a, Inbox>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, Inbox> {
        let idle = |inbox: &mut Inbox| !inbox.rung && inbox.fresh.is_empty();
        let Some(until) = until else {
            let woken = self.wake.wait_while(inbox, idle);
            return woken.unwrap_or_else(PoisonError::into_inner);
        };
        let limit = until.saturating_duration_since(Instant::now());
        let woken = self.wake.wait_timeout_while(inbox, limit, idle);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// One piece of work. Says whether there will be more; a scribe that panics takes nobody with it.
fn turn(scribe: &mut Scribe) -> bool {
    catch_unwind(AssertUnwindSafe(|| scribe.work())).unwrap_or_else(|_| {
        tracing::error!("the transcript of a console panicked");
        false
    })
}
