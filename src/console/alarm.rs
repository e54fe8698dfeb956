//! A timer that stays armed while its moment stays the same: an owner that turns thousands of times a second does not
//! put one into the clock's wheel and take it out again at each turn. Knows nothing of what it is for.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::clock::Instant;

#[derive(Debug)]
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Option<Instant>,
}

impl Alarm {
    #[must_use]
    pub(super) fn new() -> Self {
        Self {
            sleep: Box::pin(sleep(Duration::ZERO)),
            at: None,
        }
    }

    /// Waits until then; for ever when there is no then. Cancel-safe.
    pub(super) async fn ring(&mut self, at: Option<Instant>) {
        let Some(at) = at else {
            return pending().await;
        };
        if self.at != Some(at) {
            self.at = Some(at);
            self.sleep.as_mut().reset(at);
        }
        self.sleep.as_mut().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rings_when_it_is_due_however_often_it_is_asked() {
        let began = Instant::now();
        let mut alarm = Alarm::new();
        for due in [50, 20, 90] {
            let at = began + Duration::from_millis(due);
            while timeout(Duration::from_millis(7), alarm.ring(Some(at)))
                .await
                .is_err()
            {
                assert!(Instant::now() < at);
            }
            assert!(Instant::now() >= at);
        }
        assert!(began.elapsed() < Duration::from_millis(100));
        let none = timeout(Duration::from_secs(9), alarm.ring(None)).await;
        assert!(none.is_err(), "no moment, no ring");
    }
}
