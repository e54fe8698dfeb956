//! Finds the escape sequences a person types inside a console session (`~.`, `~?` …). Pure: no clock, no I/O.
//!
//! A sequence is the escape character at the start of a line (after CR or LF, or at the start of the session)
//! followed by a key of the [`Menu`]. Everything else passes through byte for byte. A door feeds what it reads,
//! and calls [`Escape::flush`] when [`Escape::pending_since`] is older than [`HOLD`].

use std::fmt::Write as _;
use std::time::Duration;

use crate::clock::Instant;

/// How long an escape character is held back while its key is awaited.
pub const HOLD: Duration = Duration::from_secs(1);
/// Fingers deliver a few bytes per read; more than this in one read is a paste, which never holds a command.
pub const TYPED_MAX: usize = 16;
/// A read this soon after a pasted one is the rest of the same paste, however short it is.
const PASTE_TAIL: Duration = Duration::from_millis(50);

/// What an escape sequence asks the door to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    Help,
    Break,
    TakeWriter,
}

/// One line of a [`Menu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: u8,
    pub action: Action,
    /// Shown by `~?`.
    pub help: &'static str,
}

/// The keys a door understands. To add a sequence, add an [`Action`] and a line to the door's menu.
pub type Menu = &'static [Entry];

/// The keys every console session has.
pub const CONSOLE: Menu = &[
    Entry {
        key: b'.',
        action: Action::Quit,
        help: "leave the console",
    },
    Entry {
        key: b'b',
        action: Action::Break,
        help: "send a break",
    },
    Entry {
        key: b'w',
        action: Action::TakeWriter,
        help: "take the keyboard; who had it watches",
    },
    Entry {
        key: b'?',
        action: Action::Help,
        help: "this list",
    },
];

/// A piece of what was typed, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// For the device.
    Bytes(Vec<u8>),
    /// For the door.
    Action(Action),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineStart,
    MidLine,
    /// The escape character came at the start of a line at this moment and waits for its key.
    Held(Instant),
}

/// The parser of one session.
#[derive(Clone, Debug)]
pub struct Escape {
    character: u8,
    menu: Menu,
    place: Place,
    pasted_at: Option<Instant>,
}

impl Escape {
    /// A parser at the start of a session, which counts as the start of a line.
    #[must_use]
    pub fn new(character: u8, menu: Menu) -> Self {
        Self {
            character,
            menu,
            place: Place::LineStart,
            pasted_at: None,
        }
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

    /// When the held escape character came; `None` when nothing is held.
    #[must_use]
    pub fn pending_since(&self) -> Option<Instant> {
        match self.place {
            Place::Held(since) => Some(since),
            Place::LineStart | Place::MidLine => None,
        }
    }

    /// Lets go of the held escape character: the bytes belong to the device.
    #[must_use]
    pub fn flush(&mut self) -> Vec<u8> {
        match self.place {
            Place::Held(_) => {
                self.place = Place::MidLine;
                vec![self.character]
            }
            Place::LineStart | Place::MidLine => Vec::new(),
        }
    }

    /// What `~?` shows: one line per key, CR LF ended.
    #[must_use]
    pub fn help(&self) -> String {
        let escape = char::from(self.character);
        let mut text = String::from("Escape sequences, at the start of a line only:\r\n");
        for entry in self.menu {
            let _ = writeln!(
                text,
                "  {escape}{}  {}\r",
                char::from(entry.key),
                entry.help
            );
        }
        let _ = writeln!(text, "  {escape}{escape}  send {escape} itself\r");
        text
    }

    fn take(&mut self, byte: u8, now: Instant, pieces: &mut Pieces) {
        match self.place {
            Place::LineStart if byte == self.character => self.place = Place::Held(now),
            Place::Held(_) if byte == self.character => {
                pieces.byte(byte);
                self.place = Place::MidLine;
            }
            Place::Held(_) => {
                if let Some(entry) = self.menu.iter().find(|entry| entry.key == byte) {
                    pieces.0.push(Piece::Action(entry.action));
                    // The device saw nothing: it still stands where it stood, at the start of a line.
                    self.place = Place::LineStart;
                } else {
                    pieces.byte(self.character);
                    pieces.byte(byte);
                    self.place = after(byte);
                }
            }
            Place::LineStart | Place::MidLine => {
                pieces.byte(byte);
                self.place = after(byte);
            }
        }
    }

    /// A paste goes through as it is, together with an escape character that was held before it.
    fn pass(&mut self, input: &[u8]) -> Vec<Piece> {
        let mut bytes = self.flush();
        bytes.extend_from_slice(input);
        if let Some(&last) = bytes.last() {
            self.place = after(last);
            vec![Piece::Bytes(bytes)]
        } else {
            Vec::new()
        }
    }
}

fn after(byte: u8) -> Place {
    match byte {
        b'\r' | b'\n' => Place::LineStart,
        _ => Place::MidLine,
    }
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

    fn bytes(text: &[u8]) -> Piece {
        Piece::Bytes(text.to_vec())
    }

    fn typed(reads: &[&[u8]]) -> Vec<Piece> {
        let mut escape = Escape::new(b'~', CONSOLE);
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
        let mut escape = Escape::new(b'~', CONSOLE);
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
        let mut escape = Escape::new(b'~', CONSOLE);
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
    fn help_names_every_key() {
        let help = Escape::new(b'~', CONSOLE).help();
        for entry in CONSOLE {
            assert!(help.contains(&format!("~{}  ", char::from(entry.key))));
        }
        assert!(help.lines().count() == CONSOLE.len() + 2 && help.ends_with("\r\n"));
    }

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let key = prop_oneof![
            4 => prop::sample::select(b"~.?bw\r\nx".to_vec()),
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
            let mut escape = Escape::new(b'~', CONSOLE);
            let mut back = Vec::new();
            for chunk in input.chunks(3) {
                for piece in escape.feed(chunk, Instant::now()) {
                    match piece {
                        Piece::Bytes(bytes) => back.extend(bytes),
                        Piece::Action(action) => {
                            let entry = CONSOLE.iter().find(|entry| entry.action == action).unwrap();
                            back.extend([b'~', entry.key]);
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
                    let acted = CONSOLE.iter().any(|entry| entry.key == more[0]);
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
            let mut escape = Escape::new(b'~', CONSOLE);
            prop_assert_eq!(escape.feed(&input, Instant::now()), vec![Piece::Bytes(input)]);
        }
    }
}
