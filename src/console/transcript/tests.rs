//! The transcript on real files: restarts, torn tails at every byte, gaps, quotas, a full disk.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::clock::Timestamp;
use crate::console::ring::Ring;
use crate::console::stream::Stream;
use crate::event::Kind;
use crate::transcript::{Entry, Error, Mark, Page, Reader, Record, Since, index_path, length};

const QUOTA: u64 = 1024 * 1024;

fn sample(from: u64, count: usize) -> Vec<u8> {
    let byte = |offset: u64| u8::try_from(offset.wrapping_mul(31) % 251).unwrap();
    (from..from + length(count)).map(byte).collect()
}

fn fill(store: &mut Store, count: usize) {
    let data = sample(store.end(), count);
    let mut at = 0;
    while at < data.len() {
        at += store.append(store.end(), &data[at..]).unwrap();
    }
}

/// Everything there is, in pages of `limit`, checked against the sample stream.
fn read(dir: &Path, since: Since, limit: usize) -> Vec<Entry> {
    let reader = Reader::new(dir);
    let (mut entries, mut since) = (Vec::new(), since);
    loop {
        let page = reader.read(since, limit).unwrap();
        since = Since::Place(page.next);
        entries.extend(page.entries);
        if page.end {
            break;
        }
    }
    for entry in &entries {
        if let Entry::Bytes { offset, bytes, .. } = entry {
            assert!(*bytes == sample(*offset, bytes.len()), "at {offset}");
        }
    }
    entries
}

/// Bytes and missing ones, as `(offset, length, present)`, neighbours joined.
fn extents(entries: &[Entry]) -> Vec<(u64, u64, bool)> {
    let mut out: Vec<(u64, u64, bool)> = Vec::new();
    for entry in entries {
        let (offset, count, there) = match entry {
            Entry::Bytes { offset, bytes, .. } => (*offset, length(bytes.len()), true),
            Entry::Missing { offset, bytes } => (*offset, *bytes, false),
            Entry::Mark(_) => continue,
        };
        match out.last_mut() {
            Some(last) if last.0 + last.1 == offset && last.2 == there => last.1 += count,
            last => {
                assert!(
                    last.is_none_or(|last| last.0 + last.1 == offset),
                    "a jump unsaid"
                );
                out.push((offset, count, there));
            }
        }
    }
    out
}

fn marks(entries: &[Entry]) -> Vec<Mark> {
    let mark = |entry: &Entry| match entry {
        Entry::Mark(record) => Some(record.mark.clone()),
        _ => None,
    };
    entries.iter().filter_map(mark).collect()
}

fn event(user: &str) -> Kind {
    Kind::BreakSent {
        console: "core".into(),
        user: user.into(),
        millis: 300,
    }
}

#[test]
fn the_stream_goes_on_over_restarts() {
    let dir = TempDir::new().unwrap();
    for round in 0..5_u64 {
        let mut store = Store::open(dir.path(), QUOTA).unwrap();
        assert_eq!(store.end(), round * 1000);
        assert_eq!(
            store.tail(300).unwrap().len(),
            if round == 0 { 0 } else { 300 }
        );
        fill(&mut store, 1000);
        store.mark(Mark::Event(event("alice"))).unwrap();
        store.mark(Mark::Stopped).unwrap();
    }
    for limit in [1, 7, 1000, usize::MAX] {
        let all = read(dir.path(), Since::Offset(0), limit);
        assert_eq!(extents(&all), [(0, 5000, true)]);
        let round = [Mark::Started, Mark::Event(event("alice")), Mark::Stopped];
        assert_eq!(marks(&all), vec![round; 5].concat(), "pages of {limit}");
    }
    let tail = read(dir.path(), Since::Last(1500), 100);
    assert_eq!(extents(&tail), [(3500, 1500, true)]);
    assert!(matches!(
        Reader::new(&dir.path().join("none")).read(Since::Last(5), 10),
        Ok(Page { end: true, .. })
    ));
}

#[test]
fn two_writers_are_refused() {
    let dir = TempDir::new().unwrap();
    let _first = Store::open(dir.path(), QUOTA).unwrap();
    assert!(matches!(
        Store::open(dir.path(), QUOTA),
        Err(Error::Busy { .. })
    ));
}

/// Makes a transcript, cuts one of its files to `len`, opens it and writes on.
fn torn(extension: &str, len: u64, from: &Path) -> (u64, Vec<Entry>) {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join(format!("{:020}.{extension}", 0));
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(len)
        .unwrap();
    let mut store = Store::open(dir.path(), QUOTA).unwrap();
    let end = store.end();
    fill(&mut store, 50);
    store.mark(Mark::Event(event("after"))).unwrap();
    drop(store);
    (end, read(dir.path(), Since::Offset(0), 64))
}

#[test]
fn a_power_cut_at_any_byte_loses_the_tail_and_says_so() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), QUOTA).unwrap();
    for user in ["a", "b", "c"] {
        fill(&mut store, 100);
        store.mark(Mark::Event(event(user))).unwrap();
    }
    drop(store);
    // The log torn, its index whole: the offsets of the lost bytes are never used again.
    for len in 0..=300 {
        let (end, entries) = torn("log", len, dir.path());
        assert_eq!(end, 300);
        let lost = 300 - len;
        let want: Vec<_> = [(0, len, true), (len, lost, false), (300, 50, true)]
            .into_iter()
            .filter(|extent| extent.1 > 0)
            .collect();
        let whole = [(0, 350, true)];
        assert_eq!(
            extents(&entries),
            if lost == 0 { &whole[..] } else { &want[..] },
            "cut at {len}"
        );
        let said = marks(&entries).contains(&Mark::Damaged { bytes: lost });
        assert_eq!(said, lost > 0);
        assert!(marks(&entries).contains(&Mark::Event(event("after"))));
    }
    // The index torn: every byte is there, marks up to the cut and those written afterwards.
    let index = fs::metadata(index_path(dir.path(), 0)).unwrap().len();
    for len in 0..=index {
        let (end, entries) = torn("idx", len, dir.path());
        assert_eq!(
            (end, extents(&entries)),
            (300, vec![(0, 350, true)]),
            "cut at {len}"
        );
        assert_eq!(marks(&entries).last(), Some(&Mark::Event(event("after"))));
    }
}

#[test]
fn quotas_hold_and_the_oldest_goes() {
    let dir = TempDir::new().unwrap();
    let quota = 128 * 1024;
    let mut store = Store::open(dir.path(), quota).unwrap();
    for _ in 0..100 {
        fill(&mut store, 10_000);
        store.mark(Mark::Time).unwrap();
        let used: u64 = fs::read_dir(dir.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(used <= quota, "{used}");
    }
    let all = read(dir.path(), Since::Offset(0), 5000);
    let extents = extents(&all);
    assert_eq!(extents.len(), 2, "{extents:?}");
    let (start, count, there) = extents[1];
    assert!(
        there && start + count == 1_000_000 && count >= quota / 2,
        "{extents:?}"
    );
    drop(store);
    // Marks alone are bounded too.
    let mut store = Store::open(dir.path(), quota).unwrap();
    for _ in 0..20_000 {
        store.mark(Mark::Event(event("flapping"))).unwrap();
    }
    let used: u64 = fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(used <= quota, "{used}");
}

#[test]
fn time_finds_the_place() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), QUOTA).unwrap();
    let now = Timestamp::now().0;
    for step in 1..=5 {
        fill(&mut store, 100);
        store
            .mark_at(Timestamp(now + step * 60_000), Mark::Time)
            .unwrap();
    }
    let from = |millis| {
        extents(&read(
            dir.path(),
            Since::Time(Timestamp(now + millis)),
            1000,
        ))[0]
            .0
    };
    assert_eq!(
        (from(0), from(60_000), from(60_001), from(299_000)),
        (0, 0, 100, 400)
    );
    assert_eq!(
        read(dir.path(), Since::Time(Timestamp(now + 300_001)), 1000),
        []
    );
}

fn recording(dir: &Path, ring: usize) -> (Arc<Stream>, Writer, mpsc::Receiver<Fault>) {
    let store = Store::open(dir, QUOTA).unwrap();
    let stream = Arc::new(Stream::new(Ring::new(ring, store.end())));
    let (faults, faulty) = mpsc::channel(4);
    let writer = Writer::spawn(Ok(store), stream.clone(), faults).unwrap();
    (stream, writer, faulty)
}

#[test]
fn the_thread_stores_bytes_and_marks_in_their_places() {
    let dir = TempDir::new().unwrap();
    let (stream, writer, mut faulty) = recording(dir.path(), 1 << 20);
    for _ in 0..50 {
        let data = sample(stream.end(), 997);
        stream.push(&data);
        writer.received(stream.end());
        writer.mark(event("alice"));
    }
    writer.finish();
    let all = read(dir.path(), Since::Offset(0), usize::MAX);
    assert_eq!(extents(&all), [(0, 50 * 997, true)]);
    let places: Vec<u64> = all
        .iter()
        .filter_map(|entry| match entry {
            Entry::Mark(record) if matches!(record.mark, Mark::Event(_)) => Some(record.offset),
            _ => None,
        })
        .collect();
    assert_eq!(
        places,
        (1..=50).map(|round| round * 997).collect::<Vec<_>>()
    );
    assert_eq!(marks(&all).last(), Some(&Mark::Stopped));
    assert!(faulty.try_recv().is_err());
}

#[test]
fn a_line_faster_than_flash_leaves_a_gap_of_that_size() {
    let dir = TempDir::new().unwrap();
    let (stream, writer, mut faulty) = recording(dir.path(), 64 * 1024);
    stream.push(&sample(0, 200_000));
    writer.received(stream.end());
    let lost = 200_000 - 65_536;
    assert_eq!(faulty.blocking_recv(), Some(Fault::Resumed { lost }));
    writer.finish();
    let all = read(dir.path(), Since::Offset(0), usize::MAX);
    assert_eq!(extents(&all), [(0, lost, false), (lost, 65_536, true)]);
    assert!(marks(&all).contains(&Mark::Gap { bytes: lost }));
}

#[test]
fn what_came_is_stored_without_a_stop() {
    let dir = TempDir::new().unwrap();
    let (stream, writer, _faulty) = recording(dir.path(), 64 * 1024);
    stream.push(&sample(0, 10));
    writer.received(stream.end());
    let start = Instant::now();
    while extents(&read(dir.path(), Since::Offset(0), 100)).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "never stored");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(writer);
}

#[test]
fn what_is_typed_is_a_mark_a_line_with_who_and_never_a_byte_of_the_stream() {
    let dir = TempDir::new().unwrap();
    let (stream, writer, _faulty) = recording(dir.path(), 64 * 1024);
    stream.push(&sample(0, 7));
    writer.received(7);
    for key in ["s", "ho", "w\r", "logout\rx"] {
        writer.typed("alice", key.as_bytes());
    }
    writer.typed("bob", b"y");
    stream.push(&sample(7, 3));
    writer.received(10);
    writer.typed("bob", &[b'z'; 1500]);
    writer.finish();
    let all = read(dir.path(), Since::Offset(0), usize::MAX);
    assert_eq!(extents(&all), [(0, 10, true)]);
    let typed: Vec<(u64, String, usize)> = all
        .iter()
        .filter_map(|entry| match entry {
            Entry::Mark(Record {
                offset,
                mark: Mark::Typed { user, bytes },
                ..
            }) => Some((
                *offset,
                format!("{user}: {}", bytes.escape_ascii()),
                bytes.len(),
            )),
            _ => None,
        })
        .collect();
    let places: Vec<_> = typed
        .iter()
        .map(|(offset, _, size)| (*offset, *size))
        .collect();
    assert_eq!(
        places,
        [(7, 5), (7, 7), (7, 1), (10, 1), (10, 1024), (10, 476)]
    );
    assert_eq!(typed[0].1, "alice: show\\r");
    assert_eq!(typed[3].1, "bob: y");
}

#[test]
fn a_store_that_cannot_be_had_is_tried_again_and_nothing_of_the_ring_is_lost() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().join("core");
    let mut before = Store::open(&place, QUOTA).unwrap();
    fill(&mut before, 1000);
    before.mark(Mark::Stopped).unwrap();
    // Still held: the next one cannot have it.
    let stream = Arc::new(Stream::new(Ring::new(64 * 1024, 0)));
    let (faults, mut faulty) = mpsc::channel(4);
    let wanted = Place {
        dir: place.clone(),
        quota: QUOTA,
    };
    let writer = Writer::spawn(Err(wanted), stream.clone(), faults).unwrap();
    stream.push(&sample(1000, 500));
    writer.received(stream.end());
    writer.mark(event("alice"));
    drop(before);
    assert_eq!(faulty.blocking_recv(), Some(Fault::Resumed { lost: 0 }));
    writer.finish();
    let all = read(&place, Since::Offset(0), usize::MAX);
    assert_eq!(extents(&all), [(0, 1500, true)]);
    assert!(marks(&all).contains(&Mark::Event(event("alice"))));
}

#[test]
fn the_clock_is_marked_at_the_start() {
    let dir = TempDir::new().unwrap();
    let (stream, writer, _faulty) = recording(dir.path(), 64 * 1024);
    stream.push(&sample(0, 7));
    writer.received(7);
    writer.finish();
    let all = read(dir.path(), Since::Offset(0), usize::MAX);
    let uptime = crate::clock::uptime_millis();
    let clocks: Vec<_> = marks(&all)
        .into_iter()
        .filter(|mark| matches!(mark, Mark::Clock { uptime_ms, step_ms: 0 } if *uptime_ms <= uptime && *uptime_ms + 60_000 > uptime))
        .collect();
    assert_eq!(clocks.len(), 1, "{:?}", marks(&all));
}

/// Runs itself again in a mount namespace of its own, with a tiny file system to fill.
#[test]
fn a_full_disk_drops_the_oldest_and_recording_goes_on() {
    if let Some(disk) = std::env::var_os("OOBD_TEST_DISK") {
        return fill_disk(Path::new(&disk));
    }
    let dir = TempDir::new().unwrap();
    let this = "console::transcript::tests::a_full_disk_drops_the_oldest_and_recording_goes_on";
    let script =
        "mount -t tmpfs -o size=512k tmpfs \"$OOBD_TEST_DISK\" && exec \"$0\" --exact \"$1\"";
    let mut run = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        run.args(["--user", "--map-root-user"]);
    }
    let run = run
        .args(["--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(this)
        .env("OOBD_TEST_DISK", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success() && text.contains("1 passed"),
        "{text}{errors}"
    );
}

fn fill_disk(disk: &Path) {
    let dir = disk.join("core");
    let mut store = Store::open(&dir, QUOTA).unwrap();
    // The quota allows twice what the disk holds.
    for _ in 0..200 {
        fill(&mut store, 10_000);
        store.mark(Mark::Time).unwrap();
    }
    let (offset, count, there) = *extents(&read(&dir, Since::Offset(0), 5000)).last().unwrap();
    assert!(there && offset + count == 2_000_000 && count > 100_000);
    drop(store);

    // Somebody else fills the disk to the last byte: an error, and nothing breaks.
    let mut store = Store::open(&dir, QUOTA).unwrap();
    let hog = disk.join("hog");
    let squeeze = || {
        let mut hog = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&hog)
            .unwrap();
        while hog.write_all(&[0; 4096]).is_ok() {}
    };
    let failed = loop {
        squeeze();
        let data = sample(store.end(), 10_000);
        if let Err(error) = store
            .append(store.end(), &data)
            .map(drop)
            .and_then(|()| store.mark(Mark::Time))
        {
            break error;
        }
    };
    assert!(failed.is_full(), "{failed:?}");
    let end = store.end();
    fs::remove_file(&hog).unwrap();
    fill(&mut store, 10_000);
    store.mark(Mark::Time).unwrap();
    drop(store);
    let last = *extents(&read(&dir, Since::Offset(0), 5000)).last().unwrap();
    assert_eq!((last.0 + last.1, last.2), (end + 10_000, true));
}
