//! Holds the line in break for a while, beside the owner. Always ends a break it began.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::port::{self, Control};
use crate::clock::Instant;
use crate::command::{Refusal, Reply};
use crate::fault;
use crate::line::{LineState, Order};

/// Used when a break of 0 ms is asked for; long enough for Cisco ROMMON and Linux SysRq.
const USUAL: Duration = Duration::from_millis(300);
/// A longer break is a mistake: the device sees a dead line.
const LONGEST: Duration = Duration::from_secs(5);

/// Who asked, and how to answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub user: String,
    pub answer: Answer,
}

/// When who asked is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// A session gets a notice instead.
    Never,
    /// Once the break has begun.
    Begun(oneshot::Sender<Result<Reply, Refusal>>),
    /// Once it is over.
    Over(oneshot::Sender<Result<Reply, Refusal>>),
}

impl Answer {
    pub(super) fn refuse(self, refusal: Refusal) {
        match self {
            Self::Never => {}
            // The asker may have left.
            Self::Begun(reply) | Self::Over(reply) => drop(reply.send(Err(refusal))),
        }
    }
}

/// How far a break is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The line is in break. Who waits for that is answered.
    Begun(Option<oneshot::Sender<Result<Reply, Refusal>>>),
    Over(Over),
}

/// A break that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub asked: Asked,
    /// How long it was held.
    pub length: Duration,
    /// Why the line never went into break.
    pub fault: Option<String>,
}

/// The length that will be held for so many milliseconds asked.
#[must_use]
pub(super) fn length(millis: u64) -> Duration {
    match millis {
        0 => USUAL,
        _ => Duration::from_millis(millis).min(LONGEST),
    }
}

/// Begins, waits, ends; or has the far side do so. `cut` ends it early: it is told to, the port is lost, the console stops.
///
/// Without a `length` whoever asked ends it, and it is ended after 5 s in any case. `gate`: the port takes one order
/// at a time. The caller keeps the receiver of `stages` until [`Stage::Over`].
pub(super) async fn hold(
    control: Arc<dyn Control>,
    gate: Arc<Semaphore>,
    length: Option<Duration>,
    cut: CancellationToken,
    mut asked: Asked,
    stages: mpsc::Sender<Box<Stage>>,
) {
    let timed = length.and_then(|length| control.timed_break(length));
    let (fault, length) = match timed {
        Some(sending) => {
            let _turn = gate.acquire().await;
            (sending.await.err(), length.unwrap_or(USUAL))
        }
        None => match apply(&control, &gate, true).await {
            Err(error) => (Some(error), Duration::ZERO),
            Ok(_) => {
                let begun = Instant::now();
                let answer = match std::mem::replace(&mut asked.answer, Answer::Never) {
                    Answer::Begun(reply) => Some(reply),
                    other => {
                        asked.answer = other;
                        None
                    }
                };
                // The owner stops: nobody is left to tell.
                let _ = stages.send(Box::new(Stage::Begun(answer))).await;
                let limit = length.unwrap_or(LONGEST);
                wait(limit, cut).await;
                let held = begun.elapsed().min(limit);
                if let Err(error) = apply(&control, &gate, false).await {
                    // Some bridges answer EPIPE though the line is back; a port that is gone has no break either.
                    let error = fault::chain(&error);
                    tracing::warn!(error, "the port reports a fault at the end of a break");
                }
                (None, held)
            }
        },
    };
    let over = Over {
        asked,
        length,
        fault: fault.map(|error| fault::chain(&error)),
    };
    let _ = stages.send(Box::new(Stage::Over(over))).await;
}

async fn apply(
    control: &Arc<dyn Control>,
    gate: &Semaphore,
    on: bool,
) -> Result<LineState, port::Error> {
    // Never closed.
    let _turn = gate.acquire().await;
    control.apply(Order::Break(on)).await
}

async fn wait(length: Duration, cut: CancellationToken) {
    tokio::select! {
        // cancel-safe: a timer has nothing to lose
        () = sleep(length) => {}
        // cancel-safe per docs on CancellationToken::cancelled()
        () = cut.cancelled() => {}
    }
}
