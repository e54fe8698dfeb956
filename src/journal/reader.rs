//! Reads events back from flash, beside a running writer. Never writes.

use std::path::PathBuf;

use super::segment::{self, Segment};
use super::{Error, segment::Content};
use crate::event::Event;

/// Cheap to clone. Calls block on flash: use `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: PathBuf,
}

impl Reader {
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Up to `limit` events with a sequence number greater than `seq`, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory or a segment cannot be read.
    pub fn after(&self, seq: u64, limit: usize) -> Result<Vec<Event>, Error> {
        let segments = segment::list(&self.dir)?;
        // A segment is of no use when the next one still starts at or before what is wanted first.
        let start = segments
            .iter()
            .rposition(|s| s.first <= seq.saturating_add(1))
            .unwrap_or(0);
        let mut found = Vec::new();
        for segment in &segments[start..] {
            found.extend(events(segment)?.into_iter().filter(|event| event.seq > seq));
            if found.len() >= limit {
                found.truncate(limit);
                break;
            }
        }
        Ok(found)
    }

    /// The `limit` newest events, oldest of them first.
    ///
    /// # Errors
    /// As [`Reader::after`].
    pub fn newest(&self, limit: usize) -> Result<Vec<Event>, Error> {
        let mut found: Vec<Event> = Vec::new();
        for segment in segment::list(&self.dir)?.iter().rev() {
            let mut older = events(segment)?;
            older.append(&mut found);
            found = older;
            if found.len() >= limit {
                break;
            }
        }
        Ok(found.split_off(found.len().saturating_sub(limit)))
    }
}

/// Rotation may remove the oldest segment between listing and reading: then it holds nothing.
fn events(segment: &Segment) -> Result<Vec<Event>, Error> {
    match segment::read(&segment.path) {
        Ok(Content { events, .. }) => Ok(events),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
