//! Drives against packets as hosts send them and as nobody would, what is said against bytes of other clients, images of odd sizes.

use std::io::Write as _;

use proptest::prelude::*;

use super::scsi::{Act, Drive, Kind, Sense, Span};
use super::{Medium, Start, wire};
use crate::amt::redirect::Service;
use crate::amt::redirect::message::{Bad, Splitter};

fn cd(blocks: u32) -> Drive {
    Drive::new(Kind::Cd, Some(blocks), false)
}

fn packet(bytes: &[u8]) -> [u8; 12] {
    let mut packet = [0; 12];
    packet[..bytes.len()].copy_from_slice(bytes);
    packet
}

fn said(act: Act) -> Vec<u8> {
    match act {
        Act::Say(said) => said,
        other => panic!("{other:?}"),
    }
}

/// READ (10) or WRITE (10).
fn ten(code: u8, block: u32, count: u16) -> [u8; 12] {
    let [a, b, c, d] = block.to_be_bytes();
    let [high, low] = count.to_be_bytes();
    packet(&[code, 0, a, b, c, d, 0, high, low])
}

#[test]
fn what_is_said_has_the_bytes_of_other_clients() {
    let open = [
        0x40, 0, 0, 0, 0, 0, 0, 0, 0x30, 0x75, 0, 0, 0x20, 0x4e, 1, 0, 0, 0,
    ];
    assert_eq!(wire::open(0), open);
    for (start, value) in [
        (Start::Reboot, 0x09),
        (Start::Graceful, 0x11),
        (Start::Now, 0x19),
    ] {
        let enable = [0x48, 0, 0, 0, 1, 0, 0, 0, 3, value, 0, 0, 0];
        assert_eq!(wire::enable(1, start), enable);
    }
    let good = [
        &[0x51, 0, 0, 2, 7, 0, 0, 0][..],
        &[0; 12],
        &[0xc5, 0, 3, 0, 0, 0, 0xb0, 0x50, 0, 0, 0],
    ];
    assert_eq!(wire::good(7, Kind::Cd), good.concat());
    let failed = [
        &[0x51, 0, 0, 2, 7, 0, 0, 0][..],
        &[0; 12],
        &[0x87, 0x20, 3, 0, 0, 0, 0xa0, 0x51, 2, 0x3a, 0],
    ];
    assert_eq!(
        wire::failed(7, Kind::Floppy, Sense::NO_MEDIUM),
        failed.concat()
    );
    // As amtider was seen to say it.
    let last = [
        &[0x54, 0, 0, 2, 1, 0, 0, 0, 0, 3, 0, 0][..],
        &[0xb5, 0, 2, 0, 3, 0, 0xb0, 0x58],
        &[0x85, 0, 3, 0, 0, 0, 0xb0, 0x50],
        &[0; 6],
        b"abc",
    ];
    assert_eq!(wire::data(1, 0xb0, false, true, b"abc"), last.concat());
    let not_last = [
        &[0x54, 0, 0, 1, 1, 0, 0, 0, 0, 3, 0, 0][..],
        &[0xb4, 0, 2, 0, 0, 0, 0xb0, 0x58],
        &[0; 14],
        b"abc",
    ];
    assert_eq!(wire::data(1, 0xb0, true, false, b"abc"), not_last.concat());
    let wants = [
        &[0x52, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0][..],
        &[0xb5, 0, 0, 0, 0, 2, 0xa0, 0x58],
        &[0; 11],
    ];
    assert_eq!(wire::wants(1, Kind::Floppy, 512), wants.concat());
}

/// A reply to the opening, features, a reset, a command, bytes to write, an error, beats: as MeshCommander reads them.
const SAID: &[&[u8]] = &[
    &[
        0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0, 15, 0, 0, 0, 0, 0, 0, 0x20, 0, 0x20, 0, 0, 0, 0, 0, 0x57,
        1, 0, 0, 2, 0xaa, 0xbb,
    ],
    &[0x49, 0, 0, 0, 1, 0, 0, 0, 3, 1, 0, 0, 0],
    &[0x46, 0, 0, 0, 2, 0, 0, 0, 3],
    &[
        0x50, 0, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0x20, 0xb0, 0xa0, 0x28, 0, 0, 0, 0, 16, 0, 0, 1,
        0, 0, 0,
    ],
    &[0x53, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0x50, 0x51],
    &[0x53, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x4a, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0],
    &[0x44, 0, 0, 0, 6, 0, 0, 0],
    &[0x45, 0, 0, 0, 7, 0, 0, 0],
    &[0x4b, 0, 0, 0, 8, 0, 0, 0],
    &[0x43, 0, 0, 0, 9, 0, 0, 0],
];

#[test]
fn messages_are_put_together_however_they_are_cut() {
    let whole = SAID.concat();
    for first in 0..=whole.len() {
        for size in [1, 3, whole.len()] {
            let mut splitter = Splitter::new(Service::Ider);
            let (head, tail) = whole.split_at(first);
            let mut found = Vec::new();
            for piece in std::iter::once(head).chain(tail.chunks(size)) {
                splitter.push(piece);
                while let Some(message) = splitter.next_message().unwrap() {
                    found.push(message.bytes().to_vec());
                }
            }
            assert_eq!(found, SAID, "cut at {first}, then each {size}");
        }
    }
    let mut splitter = Splitter::new(Service::Ider);
    splitter.push(&[0x54]);
    assert_eq!(splitter.next_message(), Err(Bad::Kind(0x54)));
}

#[test]
fn a_new_medium_is_told_once_and_an_empty_drive_says_so() {
    let mut drive = cd(100);
    assert_eq!(drive.answer(&packet(&[0])), Act::Fail(Sense::CHANGED));
    let sense = said(drive.answer(&packet(&[3, 0, 0, 0, 18])));
    assert_eq!((sense[2], sense[12], sense[13]), (6, 0x28, 0));
    assert_eq!(drive.answer(&packet(&[0])), Act::Good);
    // Who reads at once is not stopped by it.
    let mut drive = cd(100);
    let read = Act::Read(Span {
        at: 0,
        length: 2048,
    });
    assert_eq!(drive.answer(&ten(0x28, 0, 1)), read);
    assert_eq!(drive.answer(&packet(&[0])), Act::Good);
    let mut none = Drive::new(Kind::Floppy, None, false);
    for code in [0, 0x28, 0x2a, 0x25, 0x23, 0x1e, 0x35] {
        let act = none.answer(&ten(code, 0, 1));
        assert_eq!(act, Act::Fail(Sense::NO_MEDIUM), "{code:#x}");
    }
    // What tells of the drive itself is told all the same.
    assert_eq!(said(none.answer(&packet(&[0x12, 0, 0, 0, 36]))).len(), 36);
    assert_eq!(said(none.answer(&packet(&[0x1a, 0, 0x3f, 0, 4]))).len(), 4);
}

#[test]
fn blocks_are_counted_to_the_last_and_not_beyond() {
    let mut drive = cd(100);
    let capacity = said(drive.answer(&packet(&[0x25])));
    assert_eq!(capacity, [0, 0, 0, 99, 0, 0, 8, 0]);
    let span = |at: u64, count: u64| {
        Act::Read(Span {
            at: at * 2048,
            length: count * 2048,
        })
    };
    assert_eq!(drive.answer(&ten(0x28, 99, 1)), span(99, 1));
    assert_eq!(drive.answer(&ten(0x28, 0, 100)), span(0, 100));
    assert_eq!(drive.answer(&ten(0x28, 5, 0)), Act::Good);
    let twelve = packet(&[0xa8, 0, 0, 0, 0, 98, 0, 0, 0, 2]);
    assert_eq!(drive.answer(&twelve), span(98, 2));
    assert_eq!(drive.answer(&packet(&[8, 0, 0, 1, 2])), span(1, 2));
    for (block, count) in [(99, 2), (100, 1), (100, 0), (u32::MAX, u16::MAX), (0, 101)] {
        let act = drive.answer(&ten(0x28, block, count));
        assert_eq!(act, Act::Fail(Sense::OUT_OF_RANGE), "{block} {count}");
    }
    let most = packet(&[0xa8, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(drive.answer(&most), Act::Fail(Sense::OUT_OF_RANGE));
    // 256 of the short command: more than there are.
    assert_eq!(
        drive.answer(&packet(&[8, 0, 0, 0, 0])),
        Act::Fail(Sense::OUT_OF_RANGE)
    );
}

#[test]
fn a_floppy_is_written_to_only_where_it_may_be() {
    let mut drive = Drive::new(Kind::Floppy, Some(2880), true);
    let write = Act::Write(Span {
        at: 2879 * 512,
        length: 512,
    });
    assert_eq!(drive.answer(&ten(0x2a, 2879, 1)), write);
    assert_eq!(drive.answer(&ten(0x2e, 2879, 1)), write);
    let beyond = drive.answer(&ten(0x2a, 2879, 2));
    assert_eq!(beyond, Act::Fail(Sense::OUT_OF_RANGE));
    assert_eq!(said(drive.answer(&packet(&[0x1a, 0, 0x3f, 0, 4])))[2], 0);
    let mut drive = Drive::new(Kind::Floppy, Some(2880), false);
    for code in [0x0a, 0x2a, 0x2e, 0xaa] {
        let act = drive.answer(&ten(code, 0, 1));
        assert_eq!(act, Act::Fail(Sense::PROTECTED), "{code:#x}");
    }
    assert_eq!(said(drive.answer(&packet(&[0x1a, 0, 0x3f, 0, 4])))[2], 0x80);
    // A CD-ROM drive has no such command.
    let act = cd(9).answer(&ten(0x2a, 0, 1));
    assert_eq!(act, Act::Fail(Sense::NO_SUCH_COMMAND));
}

#[test]
fn modes_have_the_lengths_that_they_say() {
    let mut floppy = Drive::new(Kind::Floppy, Some(2880), true);
    let disk = said(floppy.answer(&packet(&[0x5a, 0, 5, 0, 0, 0, 0, 1, 0])));
    // MeshCommander's page of a floppy, but that it may be written to.
    let wanted = [
        &[0, 0x26, 0x24, 0, 0, 0, 0, 0][..],
        &[5, 0x1e, 4, 0xb0, 2, 0x12, 2, 0, 0, 0x50],
        &[0; 10],
        &[0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0xd0, 0, 0],
    ];
    assert_eq!(disk, wanted.concat());
    for page in [1, 5, 8, 0x1a, 0x1d, 0x2a, 0x3f] {
        for drive in [&mut floppy, &mut cd(9)] {
            let long = drive.answer(&packet(&[0x5a, 0, page, 0, 0, 0, 0, 2, 0]));
            let Act::Say(long) = long else {
                assert_eq!(long, Act::Fail(Sense::BAD_FIELD));
                continue;
            };
            assert_eq!(usize::from(long[1]) + 2, long.len(), "{page:#x}");
            let short = said(drive.answer(&packet(&[0x1a, 0, page, 0, 255])));
            assert_eq!(usize::from(short[0]) + 1, short.len(), "{page:#x}");
            assert_eq!(short[4..], long[8..]);
        }
    }
    let saved = floppy.answer(&packet(&[0x5a, 0, 0xc5, 0, 0, 0, 0, 1, 0]));
    assert_eq!(saved, Act::Fail(Sense::NOT_SAVED));
}

#[test]
fn a_disc_tells_its_track_its_features_and_its_news() {
    let mut drive = cd(16 * 60 * 75);
    let toc = said(drive.answer(&packet(&[0x43, 2, 0, 0, 0, 0, 0, 0, 20])));
    let wanted = [
        0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 16, 2, 0,
    ];
    assert_eq!(toc, wanted);
    let toc = said(drive.answer(&packet(&[0x43, 0, 0, 0, 0, 0, 0, 0, 12])));
    assert_eq!(
        toc,
        wanted[..8]
            .iter()
            .chain(&[0; 4])
            .copied()
            .collect::<Vec<_>>()
    );
    let all = said(drive.answer(&packet(&[0x46, 0, 0, 0, 0, 0, 0, 1, 0])));
    assert_eq!(usize::from(all[3]) + 4, all.len());
    assert_eq!(all[6..16], [0, 8, 0, 0, 3, 4, 0, 8, 1, 0]);
    let one = said(drive.answer(&packet(&[0x46, 2, 0, 0x10, 0, 0, 0, 1, 0])));
    assert_eq!(one[8..12], [0, 0x10, 1, 8]);
    let poll = packet(&[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
    assert_eq!(said(drive.answer(&poll)), [0, 6, 4, 0x10, 2, 2, 0, 0]);
    assert_eq!(said(drive.answer(&poll)), [0, 6, 4, 0x10, 0, 2, 0, 0]);
    let waits = packet(&[0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8]);
    assert_eq!(drive.answer(&waits), Act::Fail(Sense::BAD_FIELD));
}

#[test]
fn the_host_ejects_unless_it_has_locked() {
    let mut drive = cd(100);
    assert_eq!(drive.answer(&packet(&[0x1e, 0, 0, 0, 1])), Act::Good);
    let eject = packet(&[0x1b, 0, 0, 0, 2]);
    assert_eq!(drive.answer(&eject), Act::Fail(Sense::LOCKED));
    assert_eq!(drive.answer(&packet(&[0x1e, 0, 0, 0, 0])), Act::Good);
    assert_eq!(drive.answer(&eject), Act::Good);
    assert!(drive.is_out());
    assert_eq!(drive.answer(&packet(&[0])), Act::Fail(Sense::NO_MEDIUM));
    // In again, and that is news.
    assert_eq!(drive.answer(&packet(&[0x1b, 0, 0, 0, 3])), Act::Good);
    assert_eq!(drive.answer(&packet(&[0])), Act::Fail(Sense::CHANGED));
    assert_eq!(drive.answer(&packet(&[0])), Act::Good);
}

proptest! {
    #[test]
    fn whatever_a_host_asks_stays_on_the_medium(
        is_cd: bool,
        writable: bool,
        blocks in prop::option::of(1_u32..),
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..16), 0..40),
    ) {
        let kind = if is_cd { Kind::Cd } else { Kind::Floppy };
        let mut drive = Drive::new(kind, blocks, writable && !is_cd);
        let end = u64::from(blocks.unwrap_or_default()) * u64::from(kind.block());
        for packet in packets {
            match drive.answer(&packet) {
                Act::Read(Span { at, length }) => prop_assert!(length > 0 && at + length <= end),
                Act::Write(Span { at, length }) => {
                    prop_assert!(writable && !is_cd && length > 0 && at + length <= end);
                }
                Act::Say(said) => prop_assert!(!said.is_empty() && said.len() < 256),
                Act::Good | Act::Fail(_) => {}
            }
        }
    }
}

#[test]
fn an_image_is_read_and_written_by_place_and_never_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    let content: Vec<u8> = (0..2048 + 512).map(|n: u32| n.to_le_bytes()[0]).collect();
    std::fs::write(&path, &content).unwrap();
    let medium = Medium::open(&path, Kind::Cd, false).unwrap();
    assert_eq!((medium.blocks(), medium.length()), (2, 2560));
    // The last block is filled up.
    let last = medium.read(2048, 2048).unwrap();
    assert_eq!(last, [&content[2048..], &[0; 1536]].concat());
    assert!(
        medium.write(0, &[0; 512], true).is_err(),
        "not opened for it"
    );
    // Two may read; nobody writes meanwhile.
    let second = Medium::open(&path, Kind::Floppy, false).unwrap();
    let busy = Medium::open(&path, Kind::Floppy, true).unwrap_err();
    assert!(busy.to_string().contains("in use already"), "{busy}");
    drop((medium, second));
    let medium = Medium::open(&path, Kind::Floppy, true).unwrap();
    medium.write(512, &[7; 512], true).unwrap();
    assert!(medium.write(2560 - 511, &[7; 512], true).is_err());
    assert!(medium.write(u64::MAX, &[7], true).is_err());
    let now = std::fs::read(&path).unwrap();
    assert_eq!(now.len(), 2560);
    assert_eq!(now[512..1024], [7; 512]);
    // Somebody makes it shorter: what is gone is no zeros.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1024).unwrap();
    assert!(medium.read(512, 1024).is_err());
}

#[test]
fn what_is_no_image_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let why = |writable| {
        let opened = Medium::open(&path, Kind::Floppy, writable);
        opened.unwrap_err().to_string()
    };
    assert!(why(false).contains("No such file"));
    let mut file = std::fs::File::create(&path).unwrap();
    assert_eq!(why(false), "it is empty");
    file.write_all(&[0; 700]).unwrap();
    assert!(why(false).contains("no multiple of 512"));
    file.set_len(512 * (1 << 32)).unwrap();
    assert!(why(false).contains("larger than a drive"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(why(false), "no plain file");
    std::fs::remove_dir(&path).unwrap();
    // What is written to is no link to elsewhere.
    let real = dir.path().join("real");
    std::fs::write(&real, [0; 512]).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    assert!(Medium::open(&path, Kind::Floppy, false).is_ok());
    assert!(Medium::open(&path, Kind::Floppy, true).is_err());
}
