//! The owner's hand on its transcript: opens it beside the reactor, and does without when it cannot be had.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::ring::{Ring, length};
use super::stream::Stream;
use super::transcript::{Fault, Place, Store, Writer};
use crate::event::Kind;
use crate::fault;
use crate::transcript;

/// Longest the opening of a port waits for the flash.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// Longest a stopping console waits for the flash.
const FINISH_LIMIT: Duration = Duration::from_millis(1500);
/// An owner that failed leaves the lock as soon as its thread has stored the rest.
const LOCK_RETRY: Duration = Duration::from_millis(200);

/// The stream of a console, and the transcript that follows it, if any.
#[derive(Debug)]
pub(super) struct Log(Option<Writer>);

/// Opens the transcript; the ring begins with its tail and the stream goes on where it ended.
///
/// A quota of 0 means no transcript. A fault is sent to `faults`, and the console works without until the storage can
/// be had: that is tried again and again.
pub(super) async fn open(
    name: &str,
    dir: PathBuf,
    quota: u64,
    ring: usize,
    faults: mpsc::Sender<Fault>,
) -> (Arc<Stream>, Log) {
    let bare = || Arc::new(Stream::new(Ring::new(ring, 0)));
    if quota == 0 {
        return (bare(), Log(None));
    }
    let place = Place {
        dir: dir.clone(),
        quota,
    };
    let opened = timeout(OPEN_LIMIT, store(dir, quota, ring / 2)).await;
    let fault = match opened.unwrap_or_else(|_| Err("the storage does not answer".into())) {
        Ok((store, tail)) => {
            let base = store.end() - length(tail.len());
            let mut ring = Ring::new(ring, base);
            ring.push(&tail);
            let stream = Arc::new(Stream::new(ring));
            return (stream.clone(), log(Ok(store), stream, faults));
        }
        Err(fault) => fault,
    };
    tracing::error!(console = name, fault, "no transcript yet");
    // The queue is empty: the owner has not begun.
    let _ = faults.try_send(Fault::Failed(fault));
    let stream = bare();
    (stream.clone(), log(Err(place), stream, faults))
}

fn log(store: Result<Store, Place>, stream: Arc<Stream>, faults: mpsc::Sender<Fault>) -> Log {
    match Writer::spawn(store, stream, faults.clone()) {
        Ok(writer) => Log(Some(writer)),
        Err(error) => {
            let _ = faults.try_send(Fault::Failed(error.to_string()));
            Log(None)
        }
    }
}

async fn store(dir: PathBuf, quota: u64, tail: usize) -> Result<(Store, Vec<u8>), String> {
    loop {
        let dir = dir.clone();
        let work = move || {
            let store = Store::open(&dir, quota)?;
            let tail = store.tail(tail)?;
            Ok((store, tail))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(transcript::Error::Busy { .. })) => sleep(LOCK_RETRY).await,
            Ok(Err(error)) => return Err(fault::chain(&error)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

impl Log {
    /// The stream has grown.
    pub(super) fn received(&self, end: u64) {
        if let Some(writer) = &self.0 {
            writer.received(end);
        }
    }

    /// Is the transcript about to be overtaken, and does it deserve a moment?
    pub(crate) fn waits(&mut self, floor: u64) -> bool {
        self.0.as_mut().is_some_and(|writer| writer.waits(floor))
    }

    /// Marks the place where the stream is now.
    pub(super) fn mark(&self, event: &Kind) {
        if let Some(writer) = &self.0 {
            writer.mark(event.clone());
        }
    }

    /// Keeps what was sent to the port.
    pub(super) fn typed(&self, user: &str, bytes: &[u8]) {
        if let Some(writer) = &self.0 {
            writer.typed(user, bytes);
        }
    }

    /// Stores what is left; gives up waiting on storage that hangs.
    pub(super) async fn finish(self) {
        let Some(writer) = self.0 else { return };
        let finish = tokio::task::spawn_blocking(move || writer.finish());
        if timeout(FINISH_LIMIT, finish).await.is_err() {
            tracing::warn!("the transcript's storage hangs");
        }
    }
}
