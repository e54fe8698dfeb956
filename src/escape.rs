//! Finds the escape sequences a person types inside a console session (`~.`, `~?` …). Pure: no clock, no I/O.
//!
//! A sequence is what the [`Keymap`] says: by default `~` at the start of a line (after CR or LF, or at the start of the
//! session) and a key. Everything else passes through byte for byte. A door feeds what it reads, and calls [`Escape::flush`] when [`Escape::pending_since`] is older than [`HOLD`].

use std::time::Duration;

use crate::clock::Instant;
use crate::keymap::{Found, Keymap};

pub use crate::keymap::Action;

/// How long the beginning of a sequence is held back while the rest is awaited.
pub const HOLD: Duration = Duration::from_secs(1);
/// Fingers deliver a few bytes per read; more than this in one read is a paste, which never holds a command.
pub const TYPED_MAX: usize = 16;
/// A read this soon after a pasted one is the rest of the same paste, however short it is.
const PASTE_TAIL: Duration = Duration::from_millis(50);

/// A piece of what was typed, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// For the device.
    Bytes(Vec<u8>),
    /// For the door.
    Action(Action),
}

/// The parser of one session.
#[derive(Clone, Debug)]
pub struct Escape {
    keymap: Keymap,
    /// The device stands at the start of a line, as far as what was typed tells.
    line_start: bool,
    /// The beginning of a sequence that waits for the rest, and when its newest byte came.
    held: Vec<u8>,
    held_since: Option<Instant>,
    pasted_at: Option<Instant>,
}

impl Escape {
    /// A parser at the start of a session, which counts as the start of a line.
    #[must_use]
    pub fn new(keymap: Keymap) -> Self {
        Self {
            keymap,
            line_start: true,
            held: Vec::new(),
            held_since: None,
            pasted_at: None,
        }
    }

    /// The keys it knows.
    #[must_use]
    pub fn keymap(&self) -> &Keymap {
        &self.keymap
    }

    /// Takes one read of the door; `now` is when it was read.
    ///
    /// Bytes come back at once but for an escape character at a line start, which is held until its key comes.
    #[must_use]
    pub fn feed(&mut self, input: &[u8], now: Instant) -> Vec<Piece> {
        let tail = |at: Instant| now.saturating_duration_since(at) < PASTE_TAIL;
        if input.len() > TYPED_MAX || self.pasted_at.is_some_and(tail) {
            self.pasted_at = Some(now);
            return self.pass(input);
        }
        let mut pieces = Pieces::default();
        for &byte in input {
            self.take(byte, now, &mut pieces);
        }
        pieces.0
    }

    /// When the last held byte came; `None` when nothing is held.
    #[must_use]
    pub fn pending_since(&self) -> Option<Instant> {
        self.held_since
    }

    /// Lets go of what is held: the bytes belong to the device.
    #[must_use]
    pub fn flush(&mut self) -> Vec<u8> {
        self.held_since = None;
        let held = std::mem::take(&mut self.held);
        if let Some(&last) = held.last() {
            self.line_start = ends_line(last);
        }
        held
    }

    fn take(&mut self, byte: u8, now: Instant, pieces: &mut Pieces) {
        if self.held.is_empty() && self.keymap.line_start() && !self.line_start {
            return self.pass_byte(byte, pieces);
        }
        self.held.push(byte);
        match self.keymap.read(&self.held) {
            Found::More => self.held_since = Some(now),
            Found::Action(action) => {
                // The device saw nothing: it still stands where it stood.
                (self.held, self.held_since) = (Vec::new(), None);
                pieces.0.push(Piece::Action(action));
            }
            Found::Literal => {
                (self.held, self.held_since) = (Vec::new(), None);
                self.pass_byte(byte, pieces);
            }
            Found::Nothing => {
                self.held.pop();
                let before = self.flush();
                let alone = before.is_empty();
                before.iter().for_each(|&byte| pieces.byte(byte));
                if alone {
                    self.pass_byte(byte, pieces);
                } else {
                    // It may begin a sequence itself.
                    self.take(byte, now, pieces);
                }
            }
        }
    }

    fn pass_byte(&mut self, byte: u8, pieces: &mut Pieces) {
        pieces.byte(byte);
        self.line_start = ends_line(byte);
    }

    /// A paste goes through as it is, together with what was held before it.
    fn pass(&mut self, input: &[u8]) -> Vec<Piece> {
        let mut bytes = self.flush();
        bytes.extend_from_slice(input);
        if let Some(&last) = bytes.last() {
            self.line_start = ends_line(last);
            vec![Piece::Bytes(bytes)]
        } else {
            Vec::new()
        }
    }
}

fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn byte(&mut self, byte: u8) {
        if let Some(Piece::Bytes(bytes)) = self.0.last_mut() {
            bytes.push(byte);
        } else {
            self.0.push(Piece::Bytes(vec![byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keymap::Profile;

    fn bytes(text: &[u8]) -> Piece {
        Piece::Bytes(text.to_vec())
    }

    fn typed(reads: &[&[u8]]) -> Vec<Piece> {
        let mut escape = Escape::new(Keymap::default());
        let mut all = Vec::new();
        for read in reads {
            all.extend(escape.feed(read, Instant::now()));
        }
        joined(all)
    }

    /// Neighbouring byte pieces as one, so that only the order counts.
    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut out = Pieces::default();
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => bytes.iter().for_each(|&byte| out.byte(byte)),
                Piece::Action(_) => out.0.push(piece),
            }
        }
        out.0
    }

    #[test]
    fn sequences_act_at_a_line_start_only() {
        let quit = Piece::Action(Action::Quit);
        for (reads, want) in [
            (vec![&b"~."[..]], vec![quit.clone()]),
            (vec![b"~", b"."], vec![quit.clone()]),
            (vec![b"a~."], vec![bytes(b"a~.")]),
            (vec![b"a\r~."], vec![bytes(b"a\r"), quit.clone()]),
            (vec![b"a\n", b"~", b"."], vec![bytes(b"a\n"), quit.clone()]),
            (vec![b"~~."], vec![bytes(b"~.")]),
            (vec![b"~x~."], vec![bytes(b"~x~.")]),
            (vec![b"~\r~."], vec![bytes(b"~\r"), quit]),
            (
                vec![b"~?~b~w"],
                vec![
                    Piece::Action(Action::Help),
                    Piece::Action(Action::Break),
                    Piece::Action(Action::TakeWriter),
                ],
            ),
        ] {
            assert_eq!(typed(&reads), want, "{reads:?}");
        }
    }

    #[test]
    fn a_paste_never_quits_and_neither_does_its_short_tail() {
        let mut escape = Escape::new(Keymap::default());
        let start = Instant::now();
        let paste = b"interface eth0\r~.\r description x\r";
        assert_eq!(escape.feed(paste, start), [bytes(paste)]);
        assert_eq!(
            escape.feed(b"~.", start + Duration::from_millis(5)),
            [bytes(b"~.")]
        );
        assert_eq!(
            escape.feed(b"\r", start + Duration::from_secs(1)),
            [bytes(b"\r")]
        );
        assert_eq!(
            escape.feed(b"~.", start + Duration::from_secs(2)),
            [Piece::Action(Action::Quit)]
        );
    }

    #[test]
    fn a_held_tilde_comes_out_when_flushed_or_when_a_paste_follows() {
        let mut escape = Escape::new(Keymap::default());
        let start = Instant::now();
        assert_eq!(escape.pending_since(), None);
        assert_eq!(escape.feed(b"~", start), []);
        assert_eq!(escape.pending_since(), Some(start));
        assert_eq!(escape.flush(), b"~");
        assert_eq!(escape.pending_since(), None);
        assert_eq!(escape.flush(), b"");
        assert_eq!(escape.feed(b".\r~", start), [bytes(b".\r")]);
        let paste = [b'x'; TYPED_MAX + 1];
        let mut want = vec![b'~'];
        want.extend_from_slice(&paste);
        assert_eq!(escape.feed(&paste, start), [Piece::Bytes(want)]);
    }

    #[test]
    fn conserver_hands_find_their_keys_anywhere_and_over_any_split() {
        let keymap = || Keymap::of(Profile::CtrlEC);
        let act = |action| Piece::Action(action);
        for (text, want) in [
            (&b"ls\x05c."[..], vec![bytes(b"ls"), act(Action::Quit)]),
            (b"\x05cl0x", vec![act(Action::Break), bytes(b"x")]),
            (b"\x05\x05cf", vec![bytes(b"\x05"), act(Action::TakeWriter)]),
            (b"\x05cl\x05cw", vec![bytes(b"\x05cl"), act(Action::Users)]),
            (b"\x05x~.", vec![bytes(b"\x05x~.")]),
            (b"\x05cZ", vec![bytes(b"\x05cZ")]),
        ] {
            for cut in 1..=text.len() {
                let mut escape = Escape::new(keymap());
                let mut all = Vec::new();
                for read in text.chunks(cut) {
                    all.extend(escape.feed(read, Instant::now()));
                }
                assert_eq!(joined(all), want, "{text:?} by {cut}");
            }
        }
        let mut escape = Escape::new(keymap());
        assert_eq!(escape.feed(b"\x05c", Instant::now()), []);
        assert_eq!(escape.flush(), b"\x05c");
    }

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let key = prop_oneof![
            4 => prop::sample::select(b"~.?bwhlpum\r\nx".to_vec()),
            1 => any::<u8>(),
        ];
        prop::collection::vec(key, 0..200)
    }

    proptest! {
        /// However the network cuts what was typed, the same comes out.
        #[test]
        fn splits_change_nothing(input in keys(), cuts in prop::collection::vec(1..=TYPED_MAX, 1..50)) {
            let mut reads = Vec::new();
            let mut rest = &input[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (read, more) = rest.split_at((*cut).min(rest.len()));
                reads.push(read);
                rest = more;
            }
            let single: Vec<&[u8]> = input.chunks(1).collect();
            prop_assert_eq!(typed(&reads), typed(&single));
        }

        /// Every byte typed is either passed, part of a sequence that acted, or still held; none is made up.
        #[test]
        fn bytes_are_conserved(input in keys()) {
            let mut escape = Escape::new(Keymap::default());
            let keymap = Keymap::default();
            let mut back = Vec::new();
            for chunk in input.chunks(3) {
                for piece in escape.feed(chunk, Instant::now()) {
                    match piece {
                        Piece::Bytes(bytes) => back.extend(bytes),
                        Piece::Action(action) => {
                            back.extend(keymap.sequence(action));
                        }
                    }
                }
            }
            back.extend(escape.flush());
            // `~~` at a line start stands for one `~`: undo that on the input with an independent reading.
            let mut want = Vec::new();
            let mut start = true;
            let mut rest = &input[..];
            while let Some((&byte, more)) = rest.split_first() {
                if start && byte == b'~' && more.first() == Some(&b'~') {
                    want.push(b'~');
                    (start, rest) = (false, &more[1..]);
                } else if start && byte == b'~' && !more.is_empty() {
                    want.extend([byte, more[0]]);
                    let acted = matches!(keymap.read(&[b'~', more[0]]), Found::Action(_));
                    (start, rest) = (acted || matches!(more[0], b'\r' | b'\n'), &more[1..]);
                } else {
                    want.push(byte);
                    (start, rest) = (matches!(byte, b'\r' | b'\n'), more);
                }
            }
            prop_assert_eq!(back, want);
        }

        /// A paste comes out as it went in.
        #[test]
        fn pastes_are_untouched(input in prop::collection::vec(any::<u8>(), TYPED_MAX + 1..4096)) {
            let mut escape = Escape::new(Keymap::default());
            prop_assert_eq!(escape.feed(&input, Instant::now()), vec![Piece::Bytes(input)]);
        }
    }
}
