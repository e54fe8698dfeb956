//! A small record that is rewritten often and survives a power cut: two slots of one file, written in turns. A write is one
//! flush and touches neither the record before it nor the file system's own tables, where [`super::write_atomically`] costs
//! several times that. Keeps bytes, and does not know what they mean.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::write_atomically;

/// Slots begin on a block of the medium, so that a torn write harms the one that is written alone.
const BLOCK: usize = 4096;
/// First bytes of a slot; the last one is the layout's version.
const MAGIC: [u8; 4] = *b"OBS\x01";
/// Magic, number, length, checksum of all three and the record.
const HEAD: usize = 4 + 8 + 4 + 4;
/// A file longer than this is none of ours.
const LONGEST: u64 = 8 << 20;

/// One record and its file. Every call blocks for the medium; two writers of one file must not be at it at once.
#[derive(Clone, Debug)]
pub struct Slots {
    path: PathBuf,
    /// The number of the record that was written last.
    number: u64,
    /// Bytes of a slot; none before there is a file.
    size: usize,
}

impl Slots {
    /// The file of this path, which need not be there, and the last record that was written whole.
    ///
    /// # Errors
    /// It cannot be read, or holds no record. The slots are good for writing all the same.
    pub fn open(path: &Path) -> (Self, io::Result<Option<Vec<u8>>>) {
        let mut slots = Self {
            path: path.to_owned(),
            number: 0,
            size: 0,
        };
        let last = match slots.load() {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        (slots, last)
    }

    fn load(&mut self) -> io::Result<Vec<u8>> {
        let length = std::fs::metadata(&self.path)?.len();
        if length > LONGEST {
            return Err(io::Error::other(format!("{length} bytes are too many")));
        }
        let bytes = std::fs::read(&self.path)?;
        let size = bytes.len() / 2;
        let halves = bytes.split_at_checked(size);
        let found = halves.and_then(|(one, other)| {
            let read = [decode(one), decode(other)];
            read.into_iter().flatten().max_by_key(|(number, _)| *number)
        });
        let (number, record) =
            found.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "it holds no record"))?;
        let record = record.to_vec();
        (self.number, self.size) = (number, size);
        Ok(record)
    }

    /// Writes the record in place of the older one of the two. It is on the medium when this is back.
    ///
    /// # Errors
    /// The first failing call. The record before stands; whether this one is found after a crash is open.
    pub fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let number = self.number + 1;
        let bytes = encode(number, record)?;
        if bytes.len() > self.size {
            return self.begin(number, &bytes);
        }
        let file = match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.begin(number, &bytes),
            Err(error) => return Err(error),
        };
        self.put(&file, number, &bytes)?;
        self.number = number;
        Ok(())
    }

    fn put(&self, file: &File, number: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, wide(place(number, self.size)))?;
        // The length stays, so there is nothing but the bytes to flush.
        file.sync_data()
    }

    /// A new file with room for this record and somewhat longer ones.
    fn begin(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let size = (bytes.len() * 2).next_multiple_of(BLOCK);
        let mut whole = vec![0; 2 * size];
        for (old, new) in whole.iter_mut().skip(place(number, size)).zip(bytes) {
            *old = *new;
        }
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        write_atomically(&self.path, &whole, 0o600)?;
        (self.number, self.size) = (number, size);
        Ok(())
    }
}

/// Where the slot of this record begins.
fn place(number: u64, size: usize) -> usize {
    if number.is_multiple_of(2) { 0 } else { size }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn encode(number: u64, record: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(record.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEAD + record.len());
    bytes.extend(MAGIC);
    bytes.extend(number.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum(&bytes, record).to_le_bytes());
    bytes.extend(record);
    Ok(bytes)
}

fn checksum(head: &[u8], record: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(record);
    sum.finalize()
}

/// The number and the record of a slot that was written whole.
fn decode(slot: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = slot.split_at_checked(HEAD)?;
    let (told, sum) = head.split_at_checked(HEAD - 4)?;
    let (magic, told_rest) = told.split_at_checked(MAGIC.len())?;
    let (number, length) = told_rest.split_at_checked(8)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let record = rest.get(..usize::try_from(length).ok()?)?;
    let sum = u32::from_le_bytes(sum.try_into().ok()?);
    let whole = magic == MAGIC && checksum(told, record) == sum;
    whole.then_some((u64::from_le_bytes(number.try_into().ok()?), record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(path: &Path) -> Vec<u8> {
        Slots::open(path).1.unwrap().unwrap()
    }

    #[test]
    fn the_last_record_is_found_however_long_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("power/rack.book");
        let (mut slots, nothing) = Slots::open(&path);
        assert!(nothing.unwrap().is_none());
        for length in [1, 0, 3000, 10, 9000, 20, 30] {
            let record = vec![b'x'; length];
            slots.write(&record).unwrap();
            assert_eq!(last(&path), record);
        }
        // It grows when it must, and never shrinks; nothing else is left in the folder.
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1);
        let (mut slots, _) = Slots::open(&path);
        std::fs::remove_file(&path).unwrap();
        slots.write(b"after it was removed").unwrap();
        assert_eq!(last(&path), b"after it was removed");
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_record_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book");
        let (mut slots, _) = Slots::open(&path);
        for record in ["one", "two", "three"] {
            slots.write(record.as_bytes()).unwrap();
        }
        let before = std::fs::read(&path).unwrap();
        slots.write(b"four").unwrap();
        let after = std::fs::read(&path).unwrap();
        let changed: Vec<usize> = (0..after.len())
            .filter(|at| before[*at] != after[*at])
            .collect();
        // All in the blocks of the other slot.
        let slot = after.len() / 2;
        assert!(slot.is_multiple_of(BLOCK) && changed.iter().all(|at| *at < slot));
        for cut in changed {
            let mut torn = before.clone();
            torn[..cut].copy_from_slice(&after[..cut]);
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(last(&path), b"three", "cut at {cut}");
        }
        std::fs::write(&path, &after).unwrap();
        assert_eq!(last(&path), b"four");
    }

    #[test]
    fn what_is_no_record_is_an_error_and_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book");
        for bytes in [
            vec![],
            vec![0; 8192],
            b"{\"next\":1}".to_vec(),
            vec![0xff; 9001],
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let (mut slots, read) = Slots::open(&path);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidData);
            slots.write(b"anew").unwrap();
            assert_eq!(last(&path), b"anew");
        }
    }
}
