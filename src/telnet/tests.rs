//! Framing, negotiation and messages, over any split and against hostile peers.

use bytes::Bytes;
use proptest::prelude::*;

use super::comport::{self, Control, Message, Side};
use super::*;

/// Feeds reads and joins neighbouring data, so that only the meaning counts.
fn items(reads: &[&[u8]]) -> Vec<Item> {
    let (mut parser, mut out) = (Parser::default(), Vec::new());
    for read in reads {
        let mut input = Bytes::copy_from_slice(read);
        while let Some(item) = parser.next(&mut input) {
            match (out.last_mut(), item) {
                (Some(Item::Data(before)), Item::Data(more)) => {
                    *before = Bytes::from([&before[..], &more[..]].concat());
                }
                (_, item) => out.push(item),
            }
        }
        assert!(input.is_empty());
    }
    out
}

fn data(bytes: &'static [u8]) -> Item {
    Item::Data(Bytes::from_static(bytes))
}

#[test]
fn framing() {
    for (read, want) in [
        (&b"plain"[..], vec![data(b"plain")]),
        (b"a\xff\xffb\xff\xff", vec![data(b"a\xffb\xff")]),
        (b"\xff\xf3x", vec![Item::Command(BRK), data(b"x")]),
        (b"\xff\xfd\x2c", vec![Item::Negotiate(Verb::Do, COM_PORT)]),
        (
            b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0",
            vec![Item::Sub(NAWS, vec![0, 80, 0, 24])],
        ),
        (
            b"\xff\xfa\x1f\xff\xff\x01\xff\xf0",
            vec![Item::Sub(NAWS, vec![255, 1])],
        ),
        // Broken off by a command: the command counts.
        (
            b"\xff\xfa\x1f\x01\xff\xf3z",
            vec![Item::Command(BRK), data(b"z")],
        ),
        (b"\xff\xfa\xff\xf0x", vec![data(b"x")]),
        (b"\xff\xf0x", vec![data(b"x")]),
        (b"\xff", vec![]),
    ] {
        assert_eq!(items(&[read]), want, "{read:02x?}");
        let single: Vec<&[u8]> = read.chunks(1).collect();
        assert_eq!(items(&single), want, "{read:02x?} byte by byte");
    }
}

#[test]
fn a_subnegotiation_without_end_costs_bounded_memory_and_the_next_one_is_read() {
    let mut long = vec![IAC, SB, NAWS];
    long.resize(100_000, 7);
    long.extend([IAC, SE]);
    subnegotiation(NAWS, &[0, 80, 0, 24], &mut long);
    assert_eq!(items(&[&long]), [Item::Sub(NAWS, vec![0, 80, 0, 24])]);
}

#[test]
fn negotiation_by_the_book() {
    let mut options = Options::new(&[ECHO, SGA], &[NAWS]);
    assert_eq!(options.offer(ECHO, true), Some((Verb::Will, ECHO)));
    // The answer to our offer needs no answer.
    let heard = options.hear(Verb::Do, ECHO);
    assert_eq!(heard.answer, None);
    assert_eq!(heard.change, Some(Change::Ours(ECHO, true)));
    assert_eq!(options.hear(Verb::Do, ECHO), Heard::default());
    // Asked by the peer.
    let heard = options.hear(Verb::Will, NAWS);
    assert_eq!(heard.answer, Some((Verb::Do, NAWS)));
    assert!(options.theirs(NAWS));
    // Refused.
    assert_eq!(
        options.hear(Verb::Do, COM_PORT).answer,
        Some((Verb::Wont, COM_PORT))
    );
    assert_eq!(
        options.hear(Verb::Will, TERMINAL_TYPE).answer,
        Some((Verb::Dont, TERMINAL_TYPE))
    );
    // Off again, asked by the peer.
    let heard = options.hear(Verb::Dont, ECHO);
    assert_eq!(heard.answer, Some((Verb::Wont, ECHO)));
    assert_eq!(heard.change, Some(Change::Ours(ECHO, false)));
    // Each timing mark is answered.
    for _ in 0..3 {
        let heard = options.hear(Verb::Do, TIMING_MARK);
        assert_eq!(heard.answer, Some((Verb::Will, TIMING_MARK)));
    }
    // A mind changed twice before the answer came.
    assert_eq!(options.ask(BINARY, true), Some((Verb::Do, BINARY)));
    assert_eq!(options.ask(BINARY, false), None);
    assert_eq!(options.ask(BINARY, true), None);
    assert_eq!(options.hear(Verb::Will, BINARY).answer, None);
    assert!(options.theirs(BINARY));
}

#[test]
fn line_ends() {
    let fold = |chunks: &[&'static [u8]]| {
        let mut fold = Fold::default();
        let folded = chunks
            .iter()
            .map(|chunk| fold.fold(Bytes::from_static(chunk)).to_vec());
        folded.collect::<Vec<_>>().concat()
    };
    assert_eq!(fold(&[b"a\r\0b\r\nc\n\0\r\rd"]), b"a\rb\rc\n\0\r\rd");
    assert_eq!(
        fold(&[b"a\r", b"\0b\r", b"\n", b"c\r", b"", b"x"]),
        b"a\rb\rc\rx"
    );
    let mut out = Vec::new();
    let mut unfold = Unfold::default();
    for chunk in [&b"a\r"[..], b"\nb\r", b"c\r\0\r\r\n"] {
        unfold.unfold(chunk, &mut out);
    }
    assert_eq!(out, b"a\r\nb\r\0c\r\0\0\r\0\r\n");
}

#[test]
fn messages_by_the_book() {
    let wire = |from, message: Message| {
        let mut out = Vec::new();
        message.write(from, &mut out);
        out
    };
    // 115200 = 00 01 c2 00
    let baud = wire(Side::Client, Message::Baud(115_200));
    assert_eq!(baud, b"\xff\xfa\x2c\x01\x00\x01\xc2\x00\xff\xf0");
    let control = Message::Control(Control::Dtr(true));
    assert_eq!(wire(Side::Server, control), b"\xff\xfa\x2c\x69\x08\xff\xf0");
    assert_eq!(
        wire(Side::Server, Message::ModemMask(255)),
        b"\xff\xfa\x2c\x6f\xff\xff\xff\xf0"
    );
    assert_eq!(
        Message::parse(Side::Client, &[1, 8]),
        Some(Message::CiscoBaud(8))
    );
    assert_eq!(comport::cisco_baud(8), Some(9600));
    assert_eq!(comport::cisco_baud(14), Some(115_200));
    assert_eq!(comport::cisco_baud(99), None);
    assert_eq!(comport::cisco_index(9600), 8);
    assert_eq!(
        Message::parse(Side::Client, &[7]),
        Some(Message::ModemState(0))
    );
    for (from, bad) in [
        (Side::Client, &[][..]),
        (Side::Client, &[1, 0, 0]),
        (Side::Client, &[1, 0, 0, 0, 0, 0]),
        (Side::Client, &[2]),
        (Side::Client, &[2, 8, 8]),
        (Side::Client, &[102, 8]),
        (Side::Client, &[13, 1]),
        (Side::Server, &[2, 8]),
        (Side::Server, &[107]),
    ] {
        assert_eq!(Message::parse(from, bad), None, "{bad:?}");
    }
}

#[test]
fn modem_and_line_bits() {
    use crate::line::{Faults, Signals};
    let before = Signals {
        ri: true,
        dsr: true,
        ..Signals::default()
    };
    let now = Signals {
        cts: true,
        dcd: true,
        dsr: true,
        ri: false,
    };
    assert_eq!(comport::modem_state(now, before), 128 | 32 | 16 | 8 | 4 | 1);
    assert_eq!(comport::signals(128 | 32 | 16), now);
    let faults = Faults {
        framing: 2,
        breaks: 1,
        ..Faults::default()
    };
    assert_eq!(comport::line_state(faults, Faults::default()), 16 | 8);
    assert_eq!(comport::line_state(faults, faults), 0);
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(vec![IAC, SB, SE, 251, 252, 253, 254, BRK, 0, 1, 3, 31, 44]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..400)
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64).prop_map(|text| Message::Signature(text.into())),
        any::<u32>().prop_map(Message::Baud),
        any::<u8>().prop_map(Message::CiscoBaud),
        any::<u8>().prop_map(Message::DataSize),
        any::<u8>().prop_map(Message::Parity),
        any::<u8>().prop_map(Message::StopSize),
        any::<u8>().prop_map(|byte| Message::Control(Control::from_byte(byte))),
        any::<u8>().prop_map(Message::LineState),
        any::<u8>().prop_map(Message::ModemState),
        Just(Message::Suspend),
        Just(Message::Resume),
        any::<u8>().prop_map(Message::LineMask),
        any::<u8>().prop_map(Message::ModemMask),
        any::<u8>().prop_map(Message::Purge),
    ]
}

proptest! {
    /// However the network cuts a stream, the same comes out, and nothing panics.
    #[test]
    fn splits_change_nothing(stream in noise(), cuts in prop::collection::vec(1..50_usize, 1..20)) {
        let mut reads = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (read, more) = rest.split_at((*cut).min(rest.len()));
            reads.push(read);
            rest = more;
        }
        prop_assert_eq!(items(&reads), items(&[&stream]));
    }

    /// All 256 values pass as data.
    #[test]
    fn data_is_transparent(payload in prop::collection::vec(prop_oneof![Just(IAC), any::<u8>()], 1..2000)) {
        let mut wire = Vec::new();
        escape(&payload, &mut wire);
        prop_assert_eq!(items(&[&wire]), vec![Item::Data(payload.into())]);
    }

    /// What one end writes the other one reads.
    #[test]
    fn messages_come_back(message in message(), server in any::<bool>()) {
        let side = if server { Side::Server } else { Side::Client };
        let mut wire = Vec::new();
        message.write(side, &mut wire);
        let got = items(&[&wire]);
        let [Item::Sub(COM_PORT, payload)] = got.as_slice() else {
            panic!("{got:?}");
        };
        prop_assert_eq!(Message::parse(side, payload), Some(message));
    }

    #[test]
    fn payloads_of_any_kind_are_survived(payload in prop::collection::vec(any::<u8>(), 0..20)) {
        let _ = Message::parse(Side::Client, &payload);
        let _ = Message::parse(Side::Server, &payload);
        let _ = window_size(&payload);
    }

    /// Device bytes reach a client that is not BINARY unharmed: it undoes CR NUL.
    #[test]
    fn line_ends_come_back(chunks in prop::collection::vec(
        prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..20), 0..20,
    )) {
        let (mut unfold, mut wire) = (Unfold::default(), Vec::new());
        for chunk in &chunks { unfold.unfold(chunk, &mut wire) }
        let mut got = Vec::new();
        let mut after_cr = false;
        for byte in wire {
            if !(after_cr && byte == 0) { got.push(byte) }
            after_cr = byte == b'\r';
        }
        prop_assert_eq!(got, chunks.concat());
    }

    /// Two ends that want anything at any time agree, and fall silent.
    #[test]
    fn negotiation_ends(
        wishes in prop::collection::vec((any::<bool>(), any::<bool>(), 0..4_u8, any::<bool>()), 0..40),
        welcome in prop::collection::vec(any::<bool>(), 16),
    ) {
        let list = |from: usize| (0..4_u8).filter(|o| welcome[from + usize::from(*o)]).collect::<Vec<_>>();
        let mut ends = [Options::new(&list(0), &list(4)), Options::new(&list(8), &list(12))];
        let mut wires = [std::collections::VecDeque::new(), std::collections::VecDeque::new()];
        for (end, ours, option, on) in wishes {
            let at = usize::from(end);
            let said = if ours { ends[at].offer(option, on) } else { ends[at].ask(option, on) };
            wires[at].extend(said);
            // Sometimes an answer is on its way meanwhile.
            if on && let Some((verb, option)) = wires[1 - at].pop_front() {
                let heard = ends[at].hear(verb, option);
                wires[at].extend(heard.answer);
            }
        }
        let mut turns = 0;
        while let Some(at) = (0..2).find(|at| !wires[*at].is_empty()) {
            let (verb, option) = wires[at].pop_front().unwrap();
            let heard = ends[1 - at].hear(verb, option);
            wires[1 - at].extend(heard.answer);
            turns += 1;
            prop_assert!(turns < 1000, "they never stop");
        }
        for option in 0..4 {
            prop_assert_eq!(ends[0].ours(option), ends[1].theirs(option));
            prop_assert_eq!(ends[1].ours(option), ends[0].theirs(option));
        }
    }

    /// Each word of a hostile peer gets one answer at most, and repeating it gets none.
    #[test]
    fn a_hostile_peer_gets_no_flood(words in prop::collection::vec((0..4_u8, any::<u8>()), 0..200)) {
        let mut options = Options::new(&[ECHO, SGA, BINARY], &[SGA, BINARY, NAWS]);
        for (verb, option) in words {
            let verb = Verb::from_byte(251 + verb).unwrap();
            options.hear(verb, option);
            let again = options.hear(verb, option);
            if option != TIMING_MARK && again.answer.is_some() {
                // Only a refusal is said again, for the peer asks again.
                prop_assert!(matches!(again.answer, Some((Verb::Wont | Verb::Dont, _))));
            }
        }
    }
}
