//! The journal's own thread: the only writer. Flash that stalls stalls nobody but publishers.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::segment::{self, MAGIC, Segment};
use super::{Error, encode};
use crate::bus::{Intake, Publish};
use crate::clock::Timestamp;
use crate::event::{Event, Kind, Severity};
use crate::fault::chain;

/// Events made durable by one flush at most; bounds what a burst can delay.
const BATCH: usize = 64;

/// How much flash the journal may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment is closed when it has grown past this.
    pub segment_bytes: u64,
    /// The oldest segments go when there are more than this.
    pub segments: usize,
}

impl Default for Limits {
    /// 16 MiB in 64 segments: months of an appliance's events, and one segment is read in no time.
    fn default() -> Self {
        Self {
            segment_bytes: 256 * 1024,
            segments: 64,
        }
    }
}

/// The running thread. It ends by itself when every [`crate::bus::Bus`] is dropped, all events durable.
#[derive(Debug)]
pub struct Thread(JoinHandle<()>);

impl Thread {
    /// Waits for the end; call after the last bus is gone.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the journal thread had panicked");
        }
    }
}

/// Opens the journal of `dir` (made if absent), repairs a torn tail and serves the bus.
///
/// # Errors
/// [`Error::Io`] when the directory cannot be made, read or written.
pub fn spawn(dir: &Path, limits: Limits, intake: Intake) -> Result<Thread, Error> {
    let (mut writer, recovered) = Writer::open(dir, limits)?;
    let thread = std::thread::Builder::new()
        .name("journal".into())
        .spawn(move || {
            if let Some(kind) = recovered {
                let (done, _) = oneshot::channel();
                writer.take(
                    vec![Publish {
                        source: "journal".into(),
                        kind: Some(kind),
                        done,
                    }],
                    &intake.live,
                );
            }
            let Intake {
                mut publishes,
                live,
            } = intake;
            while let Some(first) = publishes.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < BATCH
                    && let Ok(next) = publishes.try_recv()
                {
                    batch.push(next);
                }
                writer.take(batch, &live);
            }
        });
    Ok(Thread(
        thread.map_err(|e| Error::io("start the thread of", dir, e))?,
    ))
}

struct Writer {
    dir: PathBuf,
    limits: Limits,
    segments: Vec<Segment>,
    file: File,
    /// Length of the open segment up to its last durable frame.
    good: u64,
    next: u64,
}

impl Writer {
    fn open(dir: &Path, limits: Limits) -> Result<(Self, Option<Kind>), Error> {
        fs::create_dir_all(dir).map_err(|e| Error::io("make", dir, e))?;
        let mut segments = segment::list(dir)?;
        let mut recovered = None;
        let mut next = 1;
        while let Some(last) = segments.last() {
            let content = segment::read(&last.path)?;
            let lost = content.size - content.good;
            if lost > 0 {
                let segment = last.path.file_name().unwrap_or_default().to_string_lossy();
                recovered = Some(Kind::JournalRecovered {
                    segment: segment.into(),
                    lost_bytes: lost,
                });
            }
            next = content
                .events
                .last()
                .map_or(last.first, |event| event.seq + 1);
            let fail = |e| Error::io("repair", &last.path, e);
            if content.good < u64::try_from(MAGIC.len()).unwrap_or(8) {
                // The cut came while the segment was made: nothing in it was ever durable.
                fs::remove_file(&last.path).map_err(fail)?;
                segments.pop();
                continue;
            }
            let file = File::options()
                .append(true)
                .open(&last.path)
                .map_err(fail)?;
            if lost > 0 {
                file.set_len(content.good).map_err(fail)?;
                file.sync_all().map_err(fail)?;
            }
            let good = content.good;
            let writer = Self {
                dir: dir.to_owned(),
                limits,
                segments,
                file,
                good,
                next,
            };
            return Ok((writer, recovered));
        }
        let (segment, file) = segment::create(dir, next)?;
        let good = u64::try_from(MAGIC.len()).unwrap_or(8);
        let writer = Self {
            dir: dir.to_owned(),
            limits,
            segments: vec![segment],
            file,
            good,
            next,
        };
        Ok((writer, recovered))
    }

    /// Makes a batch durable, then tells everybody. On flash errors the events are still told live, but
    /// nobody gets a sequence number as proof.
    fn take(&mut self, batch: Vec<Publish>, live: &tokio::sync::broadcast::Sender<Arc<Event>>) {
        let mut events = Vec::with_capacity(batch.len());
        let mut bytes = Vec::new();
        let mut settled = Vec::new();
        for publish in batch {
            let Some(kind) = publish.kind else {
                settled.push(publish.done);
                continue;
            };
            let event = Event {
                seq: self.next,
                at: Timestamp::now(),
                severity: kind.severity(),
                source: publish.source,
                kind,
            };
            match encode(&event) {
                Ok(frame) => {
                    self.next += 1;
                    bytes.extend_from_slice(&frame);
                    events.push((event, publish.done));
                }
                Err(error) => tracing::error!(source = event.source, "{error}"),
            }
        }
        let durable = self.append(&bytes).or_else(|error| {
            tracing::warn!(
                "{}; dropping the oldest segment and trying again",
                chain(&error)
            );
            self.drop_oldest(1);
            self.append(&bytes)
        });
        if let Err(error) = &durable {
            tracing::error!("{}; {} events are not on flash", chain(error), events.len());
        }
        let mut told = Vec::with_capacity(events.len());
        for (event, done) in events {
            let (seq, event) = (event.seq, Arc::new(event));
            told.push(event.clone());
            // Nobody listening is fine: the journal is the record.
            let _ = live.send(event);
            if durable.is_ok() {
                let _ = done.send(seq);
            }
        }
        for done in settled {
            let _ = done.send(0);
        }
        // Last: a log that is slow delays nobody who waits for an event.
        told.iter().for_each(|event| log(event));
        if durable.is_ok()
            && self.good > self.limits.segment_bytes
            && let Err(error) = self.rotate()
        {
            tracing::error!("{}; the segment goes on growing", chain(&error));
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let path = self
            .segments
            .last()
            .map_or_else(|| self.dir.clone(), |s| s.path.clone());
        let done = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = done {
            // Half a batch must not stand before the next one.
            let _ = self.file.set_len(self.good);
            return Err(Error::io("write", &path, error));
        }
        self.good += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        let (segment, file) = segment::create(&self.dir, self.next)?;
        self.file = file;
        self.good = u64::try_from(MAGIC.len()).unwrap_or(8);
        self.segments.push(segment);
        self.drop_oldest(self.segments.len().saturating_sub(self.limits.segments));
        Ok(())
    }

    /// Never drops the open segment.
    fn drop_oldest(&mut self, count: usize) {
        for _ in 0..count.min(self.segments.len() - 1) {
            let oldest = self.segments.remove(0);
            if let Err(error) = fs::remove_file(&oldest.path) {
                tracing::warn!(%error, "cannot remove {}", oldest.path.display());
            }
        }
    }
}

/// The same event for people reading the log.
fn log(event: &Event) {
    let (source, seq) = (event.source.as_str(), event.seq);
    match event.severity {
        Severity::Emergency | Severity::Alert | Severity::Critical | Severity::Error => {
            tracing::error!(seq, source, "{}", event.kind);
        }
        Severity::Warning => tracing::warn!(seq, source, "{}", event.kind),
        Severity::Notice | Severity::Info => tracing::info!(seq, source, "{}", event.kind),
        Severity::Debug => tracing::debug!(seq, source, "{}", event.kind),
    }
}
