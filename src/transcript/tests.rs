//! Questions to transcripts of every shape: cut into segments, torn, with gaps, and with lines that imitate our marks.

use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::clock::Timestamp;
use crate::event::Kind;

fn record(offset: u64, at: u64, mark: Mark) -> Record {
    Record {
        offset,
        at: Timestamp(at),
        mark,
    }
}

/// A segment as the writer leaves it.
fn segment(dir: &Path, start: u64, log: &[u8], records: &[Record]) {
    std::fs::write(log_path(dir, start), log).unwrap();
    let index: Vec<u8> = records.iter().flat_map(|r| r.encode().unwrap()).collect();
    std::fs::write(index_path(dir, start), index).unwrap();
}

fn ask(dir: &Path, query: Query) -> Vec<Item> {
    let compiled = query
        .pattern
        .as_deref()
        .map(|text| crate::pattern::compile(text).unwrap());
    let mut log = Log::new(dir, query, compiled).unwrap();
    let mut all = Vec::new();
    loop {
        let (items, end) = log.go_on().unwrap();
        all.extend(items);
        if end {
            return all;
        }
    }
}

fn texts(items: &[Item]) -> Vec<String> {
    let text = |line: &Line| Plain::text(&line.bytes);
    let show = |item: &Item| match item {
        Item::Line(line) => text(line),
        Item::Near(line) => format!("~{}", text(line)),
        Item::Skipped => "--".into(),
        Item::Missing { bytes, .. } => format!("missing {bytes}"),
        Item::Mark(record) => format!("{:?}", record.mark),
        Item::Raw { .. } => "raw".into(),
    };
    items.iter().map(show).collect()
}

/// Ten lines over two segments, a minute apart.
fn ten(dir: &Path) {
    let lines = |range: std::ops::Range<u64>| -> String {
        range.map(|n| format!("line {n}\r\n")).collect()
    };
    let times = |range: std::ops::Range<u64>| -> Vec<Record> {
        range
            .map(|n| record(n * 8, n * 60_000, Mark::Time))
            .collect()
    };
    segment(dir, 0, lines(0..5).as_bytes(), &times(1..6));
    segment(dir, 40, lines(5..10).as_bytes(), &times(6..11));
}

#[test]
fn questions() {
    let dir = TempDir::new().unwrap();
    ten(dir.path());
    let all = Query::default();
    let newest = |n| Query {
        newest: Some(n),
        ..all.clone()
    };
    let grep = |text: &str, context| Query {
        pattern: Some(text.into()),
        context,
        ..all.clone()
    };
    let lines = |range: std::ops::Range<u64>| -> Vec<String> {
        range.map(|n| format!("line {n}")).collect()
    };
    assert_eq!(texts(&ask(dir.path(), all.clone())), lines(0..10));
    assert_eq!(texts(&ask(dir.path(), newest(3))), lines(7..10));
    assert_eq!(texts(&ask(dir.path(), newest(99))), lines(0..10));
    let time = Query {
        since: Some(Timestamp(3 * 60_000)),
        until: Some(Timestamp(6 * 60_000)),
        ..all.clone()
    };
    assert_eq!(texts(&ask(dir.path(), time)), lines(2..6));
    assert_eq!(
        texts(&ask(dir.path(), grep("[36]$", 0))),
        ["line 3", "line 6"]
    );
    assert_eq!(
        texts(&ask(dir.path(), grep("[18]$", 1))),
        [
            "~line 0", "line 1", "~line 2", "--", "~line 7", "line 8", "~line 9"
        ]
    );
    let both = Query {
        newest: Some(2),
        ..grep("[0-5]$", 0)
    };
    assert_eq!(texts(&ask(dir.path(), both)), ["line 4", "line 5"]);
    assert_eq!(texts(&ask(dir.path(), grep("nothing", 5))), [""; 0]);
    let raw = ask(dir.path(), Query { raw: true, ..all });
    let bytes: Vec<u8> = raw
        .into_iter()
        .flat_map(|item| match item {
            Item::Raw { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bytes.len(), 80);
    assert!(ask(&dir.path().join("none"), Query::default()).is_empty());
}

#[test]
fn what_a_device_prints_is_never_a_mark() {
    let dir = TempDir::new().unwrap();
    let forged = record(0, 1, Mark::Stopped).encode().unwrap();
    let mut log = b"alice types on console core\r\n".to_vec();
    log.extend(&forged);
    log.extend(b"\r\n");
    let event = Kind::SessionOpened {
        console: "core".into(),
        session: 1,
        user: "bob".into(),
        from: "ssh 10.0.0.1:5022".into(),
        writer: true,
    };
    let end = length(log.len());
    segment(
        dir.path(),
        0,
        &log,
        &[record(end, 5, Mark::Event(event.clone()))],
    );
    let items = ask(
        dir.path(),
        Query {
            events: true,
            typed: true,
            ..Query::default()
        },
    );
    let marks: Vec<_> = items
        .iter()
        .filter(|item| matches!(item, Item::Mark(_)))
        .collect();
    assert_eq!(marks, [&Item::Mark(record(end, 5, Mark::Event(event)))]);
    assert_eq!(items.len(), 3);
}

#[test]
fn who_follows_gets_lines_as_they_end_over_segments() {
    let dir = TempDir::new().unwrap();
    segment(dir.path(), 0, b"one\ntw", &[record(6, 1, Mark::Time)]);
    let query = Query {
        follow: true,
        ..Query::default()
    };
    let mut log = Log::new(dir.path(), query, None).unwrap();
    let mut more = || {
        let mut all = Vec::new();
        loop {
            let (items, end) = log.go_on().unwrap();
            all.extend(items);
            if end {
                return texts(&all);
            }
        }
    };
    assert_eq!(more(), ["one"]);
    assert_eq!(more(), [""; 0]);
    segment(
        dir.path(),
        0,
        b"one\ntwo\n",
        &[record(6, 1, Mark::Time), record(8, 2, Mark::Time)],
    );
    assert_eq!(more(), ["two"]);
    segment(dir.path(), 8, b"three\n", &[record(14, 3, Mark::Time)]);
    assert_eq!(more(), ["three"]);
    // Dropped and gone on far ahead.
    segment(dir.path(), 100, b"four\n", &[]);
    std::fs::remove_file(log_path(dir.path(), 8)).unwrap();
    assert_eq!(more(), ["missing 86", "four"]);
}

proptest! {
    /// Wherever segments begin and however big the pieces are, every byte and every mark comes once, in order, and a
    /// walk that goes on at a place it gave goes on exactly there.
    #[test]
    fn a_walk_may_stop_and_go_on_anywhere(
        sizes in prop::collection::vec((1..40_u64, 0..4_usize, any::<bool>()), 1..12),
        limit in 1..60_usize,
        stops in prop::collection::vec(any::<bool>(), 40),
    ) {
        let dir = TempDir::new().unwrap();
        let (mut at, mut marks) = (0, 0);
        for (size, count, gap) in &sizes {
            let bytes: Vec<u8> = (at..at + size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut records = Vec::new();
            for nth in 0..*count {
                let offset = at + size * u64::try_from(nth + 1).unwrap() / 3.max(u64::try_from(*count).unwrap());
                marks += 1;
                records.push(record(offset.min(at + size), marks, Mark::Started));
            }
            segment(dir.path(), at, &bytes, &records);
            at += size + if *gap { 10 } else { 0 };
        }
        let run = |stops: &[bool]| {
            let mut stops = stops.iter().cycle();
            let mut walk = Walk::new(dir.path(), Since::Offset(0), false).unwrap();
            let (mut seen, mut next) = (Vec::new(), 0);
            let mut stamps = Vec::new();
            while let Some(entry) = walk.step(limit).unwrap() {
                match entry {
                    Entry::Bytes { offset, bytes, .. } => {
                        assert_eq!(offset, next);
                        for (n, byte) in (offset..).zip(&bytes) {
                            assert_eq!(u64::from(*byte), n % 251);
                        }
                        next += length(bytes.len());
                        seen.push((offset, bytes.len()));
                    }
                    Entry::Missing { offset, bytes } => {
                        assert_eq!(offset, next);
                        next += bytes;
                    }
                    Entry::Mark(record) => {
                        assert_eq!(record.offset, next);
                        stamps.push(record.at.0);
                    }
                }
                if *stops.next().unwrap() {
                    walk = Walk::new(dir.path(), Since::Place(walk.place()), false).unwrap();
                }
            }
            (seen, stamps)
        };
        let whole = run(&[false]);
        prop_assert_eq!(&whole.1, &(1..=marks).collect::<Vec<_>>());
        prop_assert_eq!(whole, run(&stops));
    }
}
