//! Alarms, which are events of severity `error` or worse, and who has seen them: the newest of the journal, kept in the state.
//! Acknowledgements are events themselves, so that a restart forgets none. Never judges what an event means.

use std::collections::BTreeMap;
use std::convert::Infallible;

use tokio::sync::broadcast::error::RecvError;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::command::{Actor, Command, Refusal, Reply};
use crate::event::{Event, Kind, Severity};
use crate::fact::{Acknowledged, Alarm, Fact};
use crate::journal::Reader;
use crate::supervisor::context::Context;

/// Alarms in the state, half a KiB each.
const KEPT: usize = 50;
/// So many events of the journal are looked through after a start, a second's work for a slow board.
const LOOK_BACK: u64 = 20_000;
/// Events per read of the journal.
const CHUNK: usize = 1024;
/// Longest note, in characters.
const LONGEST_NOTE: usize = 200;

/// Keeps alarms until stopped, and takes acknowledgements. Whether there is such an event is known to who asks.
///
/// # Errors
/// None.
pub async fn run(mut ctx: Context, journal: Reader) -> Result<(), Infallible> {
    let mut pulse = ctx.pulse.clone();
    // Before the journal is read: what happens meanwhile waits here.
    let mut live = ctx.bus.subscribe();
    let mut book = Book::default();
    let mut reading = Some(read(journal.clone(), None));
    loop {
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = ctx.stop.cancelled() => return Ok(()),
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: a handle that is not ready is waited for again
            Some(past) = next(&mut reading) => {
                for event in past {
                    book.take(&event, &ctx);
                }
            }
            // cancel-safe per docs on broadcast::Receiver::recv()
            event = live.recv(), if reading.is_none() => match event {
                Ok(event) => book.take(&event, &ctx),
                // Too many at once: the journal has them.
                Err(RecvError::Lagged(_)) => reading = Some(read(journal.clone(), Some(book.seen))),
                Err(RecvError::Closed) => return Ok(()),
            },
            // cancel-safe per docs on mpsc::Receiver::recv()
            Some(ask) = ctx.asks.recv() => {
                if let Some((actor, command, reply)) = ask.command("alarm") {
                    // The asker may have gone.
                    let _ = reply.send(acknowledge(&actor, command, &book, &ctx).await);
                }
            }
        }
    }
}

/// Alarms and acknowledgements of the journal after an event, or of its newest part. Flash that cannot be read has none.
fn read(journal: Reader, after: Option<u64>) -> JoinHandle<Vec<Event>> {
    spawn_blocking(move || {
        let newest = || {
            Some(
                journal
                    .newest(1)
                    .ok()?
                    .last()?
                    .seq
                    .saturating_sub(LOOK_BACK),
            )
        };
        let mut after = after.or_else(newest).unwrap_or_default();
        let mut found = Vec::new();
        while let Ok(events) = journal.after(after, CHUNK)
            && let Some(last) = events.last()
        {
            after = last.seq;
            found.extend(events.into_iter().filter(matters));
        }
        found
    })
}

/// What was read, once; never ends when nothing is being read.
async fn next(reading: &mut Option<JoinHandle<Vec<Event>>>) -> Option<Vec<Event>> {
    let read = match reading.as_mut() {
        Some(handle) => handle.await.unwrap_or_default(),
        None => std::future::pending().await,
    };
    *reading = None;
    Some(read)
}

fn matters(event: &Event) -> bool {
    event.severity <= Severity::Error || matches!(event.kind, Kind::EventAcknowledged { .. })
}

async fn acknowledge(
    actor: &Actor,
    command: Command,
    book: &Book,
    ctx: &Context,
) -> Result<Reply, Refusal> {
    let Command::AcknowledgeEvent { seq, note } = command else {
        let what = format!("such command here: {command}");
        return Err(Refusal::Unknown { what });
    };
    if let Some(alarm) = book.alarms.get(&seq)
        && let Some(seen) = &alarm.acknowledged
    {
        let why = format!("{} has acknowledged event {seq} already", seen.by);
        return Err(Refusal::Failed(why));
    }
    let kind = Kind::EventAcknowledged {
        event: seq,
        by: actor.to_string(),
        note: note.trim().chars().take(LONGEST_NOTE).collect(),
    };
    let seq = ctx.bus.publish(&ctx.name, kind).await;
    let seq = seq.map_err(|error| Refusal::Failed(error.to_string()))?;
    Ok(Reply::Journaled { seq })
}

/// The alarms that are kept, by sequence number.
#[derive(Debug, Default)]
struct Book {
    alarms: BTreeMap<u64, Alarm>,
    /// The newest event that was taken in.
    seen: u64,
}

impl Book {
    /// Takes an event in and tells the state.
    fn take(&mut self, event: &Event, ctx: &Context) {
        for fact in self.step(event) {
            ctx.observe(fact);
        }
    }

    /// Pure. An event that was taken in before changes nothing.
    fn step(&mut self, event: &Event) -> Vec<Fact> {
        if event.seq <= self.seen {
            return Vec::new();
        }
        self.seen = event.seq;
        if let Kind::EventAcknowledged {
            event: seq,
            by,
            note,
        } = &event.kind
        {
            let Some(alarm) = self.alarms.get_mut(seq) else {
                return Vec::new();
            };
            // Who came first has seen it.
            alarm.acknowledged.get_or_insert_with(|| Acknowledged {
                by: by.clone(),
                at: event.at,
                note: note.clone(),
            });
            return vec![Fact::Alarm(alarm.clone())];
        }
        if !matters(event) {
            return Vec::new();
        }
        let alarm = Alarm {
            event: event.clone(),
            text: event.kind.to_string(),
            acknowledged: None,
        };
        self.alarms.insert(event.seq, alarm.clone());
        let mut facts = vec![Fact::Alarm(alarm)];
        if self.alarms.len() > KEPT {
            let mut all = self.alarms.iter();
            let done = all.find(|(_, alarm)| alarm.acknowledged.is_some());
            let gone = done.or_else(|| self.alarms.first_key_value());
            if let Some(seq) = gone.map(|(seq, _)| *seq) {
                self.alarms.remove(&seq);
                facts.push(Fact::AlarmGone { seq });
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn event(seq: u64, kind: Kind) -> Event {
        Event {
            seq,
            at: Timestamp(seq * 1000),
            severity: kind.severity(),
            source: "supervisor".into(),
            kind,
        }
    }

    fn failed(seq: u64) -> Event {
        event(
            seq,
            Kind::OwnerFailed {
                owner: "ssh".into(),
                reason: "no port".into(),
                restart_in_ms: 1000,
            },
        )
    }

    fn seen(seq: u64, of: u64, by: &str) -> Event {
        let (by, note) = (by.to_owned(), String::new());
        event(
            seq,
            Kind::EventAcknowledged {
                event: of,
                by,
                note,
            },
        )
    }

    #[test]
    fn alarms_stay_until_there_are_too_many_and_the_first_to_see_one_counts() {
        let mut book = Book::default();
        assert!(book.step(&event(1, Kind::GuardRestored)).is_empty());
        assert!(matches!(book.step(&failed(2))[..], [Fact::Alarm(_)]));
        assert!(book.step(&failed(2)).is_empty(), "it was taken in before");
        assert!(book.step(&seen(3, 1, "alice")).is_empty(), "no alarm");
        book.step(&seen(4, 2, "alice"));
        book.step(&seen(5, 2, "bob"));
        let first = book.alarms[&2].acknowledged.clone().unwrap();
        assert_eq!((first.by.as_str(), first.at), ("alice", Timestamp(4000)));
        for seq in 6..6 + KEPT as u64 - 1 {
            assert_eq!(book.step(&failed(seq)).len(), 1);
        }
        book.step(&seen(100, 30, "alice"));
        for (seq, goes) in [(101, 2), (102, 30), (103, 6)] {
            let facts = book.step(&failed(seq));
            assert_eq!(facts.last(), Some(&Fact::AlarmGone { seq: goes }));
        }
        assert_eq!(book.alarms.len(), KEPT);
    }
}
