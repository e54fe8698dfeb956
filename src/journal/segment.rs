//! Segment files: `<first sequence number, 20 digits>.oobj`, a head of 8 bytes, then frames.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::frame::{Found, decode};
use crate::event::Event;

/// First bytes of every segment; the last one is the layout's version.
pub(super) const MAGIC: &[u8; 8] = b"OOBDJNL\x01";

/// One segment by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Sequence number of its first frame.
    pub(super) first: u64,
}

/// The segments of a directory, oldest first. Other files are left alone.
pub(super) fn list(dir: &Path) -> Result<Vec<Segment>, Error> {
    let entries = fs::read_dir(dir).map_err(|e| Error::io("list", dir, e))?;
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("list", dir, e))?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".oobj"))
            .and_then(|digits| digits.parse().ok());
        if let Some(first) = number {
            segments.push(Segment { path, first });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Makes an empty segment, durable together with its name.
pub(super) fn create(dir: &Path, first: u64) -> Result<(Segment, File), Error> {
    let path = dir.join(format!("{first:020}.oobj"));
    let fail = |e| Error::io("create", &path, e);
    let mut file = File::options()
        .create_new(true)
        .append(true)
        .open(&path)
        .map_err(fail)?;
    file.write_all(MAGIC).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(fail)?;
    Ok((Segment { path, first }, file))
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) events: Vec<Event>,
    /// Bytes up to the end of the last whole frame; what follows is torn.
    pub(super) good: u64,
    pub(super) size: u64,
}

/// Reads a whole segment (they are small). Damaged frames in the middle are passed over, a torn tail ends it.
pub(super) fn read(path: &Path) -> Result<Content, Error> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    file.read_to_end(&mut bytes)
        .map_err(|e| Error::io("read", path, e))?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut content = Content {
        events: Vec::new(),
        good: 0,
        size,
    };
    if !bytes.starts_with(MAGIC) {
        return Ok(content);
    }
    let mut at = MAGIC.len();
    content.good = u64::try_from(at).unwrap_or(0);
    loop {
        match decode(&bytes[at..]) {
            Found::Frame { event, size } => {
                content.events.push(*event);
                at += size;
                content.good = u64::try_from(at).unwrap_or(u64::MAX);
            }
            Found::Foreign { size, .. } => {
                at += size;
                content.good = u64::try_from(at).unwrap_or(u64::MAX);
            }
            // `good` stays: if nothing whole follows, the damage is the torn tail and goes with it.
            Found::Damaged { size } => at += size,
            Found::Torn => return Ok(content),
        }
    }
}
