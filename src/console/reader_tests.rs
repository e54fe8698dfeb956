//! Sessions on a stream under random speeds: nothing is reordered, doubled or dropped without a gap that says how much.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::desk::Desk;
use super::pump;
use super::ring::{Ring, length};
use super::session::{self, Typed};
use super::stream::Stream;
use crate::command::{Attach, Attachment, Input, Output, Start};
use crate::config::Sessions;
use crate::line::LineState;

const CAPACITY: usize = 4096;

/// Byte `offset` of the test stream: text, so that nothing looks like a query, with line ends, and of a prime period.
fn sample(offset: u64) -> u8 {
    match u8::try_from(offset.wrapping_mul(31) % 89).unwrap() {
        7 => b'\n',
        other => b' ' + other,
    }
}

fn samples(from: u64, count: usize) -> Vec<u8> {
    (from..from + length(count)).map(sample).collect()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The device says so many bytes.
    Push(usize),
    /// Reader number … takes so many outputs.
    Take(usize, usize),
    /// A line to everybody.
    Tell,
    /// Somebody joins: with history, or from so many bytes back.
    Join {
        verbatim: bool,
        history: bool,
        back: u32,
    },
    /// Reader number … is cut off and comes back with the offset it has reached.
    Resume(usize),
    /// Everybody gets the processor.
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3000_usize).prop_map(Step::Push),
        1 => (0..12_000_usize).prop_map(Step::Push),
        4 => (0..8_usize, 1..6_usize).prop_map(|(who, count)| Step::Take(who, count)),
        1 => Just(Step::Tell),
        1 => (any::<bool>(), any::<bool>(), 0..9000_u32)
            .prop_map(|(verbatim, history, back)| Step::Join { verbatim, history, back }),
        1 => (0..8_usize).prop_map(Step::Resume),
        3 => Just(Step::Run),
    ]
}

/// One session and what it must see next.
struct Reader {
    seat: Attachment,
    cursor: u64,
    /// Before this offset it is replay.
    live: u64,
    verbatim: bool,
    /// The next note it has not seen.
    note: usize,
    /// Where the last gap ended.
    jumped: u64,
}

struct World {
    stream: Arc<Stream>,
    desk: Desk,
    readers: Vec<Reader>,
    /// Where each note was told.
    notes: Vec<u64>,
}

impl World {
    fn new(base: u64) -> Self {
        let stream = Arc::new(Stream::new(Ring::new(CAPACITY, base)));
        let desk = Desk::new(
            stream.clone(),
            mpsc::channel(2).0,
            mpsc::channel(64).0,
            watch::channel(LineState::default()).1,
            Sessions::default(),
        );
        Self {
            stream,
            desk,
            readers: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn join(&mut self, start: Start, verbatim: bool) {
        let live = self.stream.end();
        let cursor = match start {
            Start::History(bytes) => self.stream.replay_from(bytes),
            Start::Offset(offset) => offset.min(live),
        };
        let (seat, wire) = self.desk.attach(Attach {
            user: format!("reader {}", self.readers.len()),
            // The first one types, so that its stream passes as it is; it stays.
            write: self.readers.is_empty(),
            start,
            verbatim,
            offsets: true,
            ..Attach::default()
        });
        tokio::spawn(session::run(wire));
        self.readers.push(Reader {
            seat,
            cursor,
            live,
            verbatim,
            note: self.notes.len(),
            jumped: 0,
        });
    }

    async fn act(&mut self, step: Step) {
        let count = self.readers.len();
        match step {
            Step::Push(count) => self.stream.push(&samples(self.stream.end(), count)),
            Step::Take(who, outputs) => {
                for _ in 0..outputs {
                    let output = &mut self.readers[who % count].seat.output;
                    let Some(Some(output)) = output.recv().now_or_never() else {
                        break;
                    };
                    self.check(who % count, output);
                    yield_now().await;
                }
            }
            // A session that reads nothing misses what does not fit.
            Step::Tell if self.notes.len() < pump::NOTES => {
                let text = self.notes.len().to_string();
                self.notes.push(self.stream.end());
                self.desk.tell_all(&text);
            }
            Step::Join {
                verbatim,
                history,
                back,
            } if count < 8 => {
                let offset = self.stream.end().saturating_sub(u64::from(back));
                let start = if history {
                    Start::History(back)
                } else {
                    Start::Offset(offset)
                };
                self.join(start, verbatim);
            }
            Step::Resume(who) if who % count > 0 => {
                let gone = self.readers.remove(who % count);
                self.desk.remove(gone.seat.session);
                self.join(Start::Offset(gone.cursor), gone.verbatim);
            }
            Step::Run => {
                for _ in 0..20 {
                    yield_now().await;
                }
            }
            _ => {}
        }
    }

    fn check(&mut self, who: usize, output: Output) {
        let (start, end) = (self.stream.read(0, 0).at, self.stream.end());
        let reader = &mut self.readers[who];
        match output {
            Output::Bytes(bytes) => {
                assert!(!bytes.is_empty(), "an empty output");
                assert_eq!(bytes, samples(reader.cursor, bytes.len()));
                let next = reader.cursor + length(bytes.len());
                assert!(next <= end, "bytes that were never said");
                let replay = reader.cursor < reader.live;
                assert!(!replay || next <= reader.live, "replay and live in one");
                reader.cursor = next;
            }
            Output::Gap { bytes } => {
                assert!(bytes > 0, "a gap of nothing");
                reader.cursor += bytes;
                reader.jumped = reader.cursor;
                assert!(
                    reader.cursor <= start,
                    "a gap over bytes that are still held"
                );
            }
            Output::Reached { offset } => assert_eq!(offset, reader.cursor),
            Output::Notice(text) => {
                let number = text.trim_start_matches("[-- ").trim_end_matches(" --]");
                let number: usize = number.parse().unwrap();
                assert_eq!(number, reader.note, "notes out of order");
                reader.note += 1;
                let at = self.notes[number];
                assert!(
                    reader.cursor == at || (reader.cursor > at && reader.jumped > at),
                    "the note of {at} is shown at {}",
                    reader.cursor
                );
            }
            Output::Ended(why) => panic!("ended: {why}"),
        }
    }

    /// Everybody reads on to the end.
    async fn finish(&mut self) {
        let end = self.stream.end();
        for who in 0..self.readers.len() {
            while self.readers[who].cursor < end || self.readers[who].note < self.notes.len() {
                let output = timeout(Duration::from_secs(5), self.readers[who].seat.output.recv());
                let output = output.await.expect("the rest comes").unwrap();
                self.check(who, output);
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_session_sees_the_stream_once_in_order_or_a_gap(
        base in 0..u64::from(u32::MAX),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        runtime().block_on(async {
            let mut world = World::new(base);
            world.join(Start::History(0), true);
            for step in steps {
                world.act(step).await;
            }
            world.finish().await;
        });
    }

    /// What the writer types reaches the line in order and whole, whatever it comes in; what a watcher types never does.
    #[test]
    fn what_is_typed_arrives_in_order_and_only_from_the_writer(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..2000)), 1..40),
    ) {
        runtime().block_on(async {
            let (typed, mut typing) = mpsc::channel::<Typed>(2);
            let stream = Arc::new(Stream::new(Ring::new(CAPACITY, 0)));
            let line = watch::channel(LineState::default()).1;
            let mut desk = Desk::new(stream, typed, mpsc::channel(64).0, line, Sessions::default());
            let mut seats = Vec::new();
            for user in ["writer", "watcher"] {
                let (seat, wire) = desk.attach(Attach { user: user.into(), write: true, ..Attach::default() });
                tokio::spawn(session::run(wire));
                seats.push(seat);
            }
            assert!(seats[0].writer && !seats[1].writer);
            let wanted: Vec<u8> = pieces.iter().filter(|(watcher, _)| !watcher).flat_map(|(_, bytes)| bytes.clone()).collect();
            let inputs = [seats[0].input.clone(), seats[1].input.clone()];
            let fingers = tokio::spawn(async move {
                for (watcher, bytes) in pieces {
                    let input = Input::Bytes(Bytes::from(bytes));
                    inputs[usize::from(watcher)].send(input).await.unwrap();
                }
            });
            let mut got = Vec::new();
            while let Ok(Some(piece)) = timeout(Duration::from_secs(1), typing.recv()).await {
                assert_eq!(piece.session, seats[0].session);
                got.extend_from_slice(&piece.bytes);
            }
            fingers.await.unwrap();
            assert_eq!(got, wanted);
        });
    }
}

/// A fast line waits a quarter of a second for those who stand still, once and not for each of them.
#[test]
fn many_who_stand_still_hold_the_line_no_longer_than_one() {
    let waits = |readers: usize| {
        runtime().block_on(async {
            let mut world = World::new(0);
            for _ in 0..readers {
                world.join(Start::History(0), true);
            }
            (0..20_000).filter(|_| world.desk.waits(u64::MAX)).count()
        })
    };
    assert!(waits(1) > 0);
    assert_eq!(waits(32), waits(1));
}
