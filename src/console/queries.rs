//! Takes out of a byte stream what a terminal would answer by itself. Pure.
//!
//! A terminal answers a query by typing into the console. Shown to a watcher, or replayed from the ring hours
//! later, the same query makes more terminals type into a live shell. Only the writer sees queries, live.
//! Recognised in the 7-bit form (ECMA-48, DEC VT510 manual, xterm ctlseqs), and with C1 controls for introducers, as the
//! two bytes that UTF-8 makes of them and as single bytes outside of UTF-8 characters, which 8-bit terminals obey.

/// Longer than any query; a sequence that grows past it is let through as it is.
const LONGEST: usize = 256;
/// ENQ makes a terminal send its answerback text.
const ENQ: u8 = 0x05;
const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
/// CAN and SUB abort a sequence.
const ABORT: [u8; 2] = [0x18, 0x1a];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Ground,
    /// After the first byte of U+0080 to U+00BF.
    Wide,
    /// After ESC.
    Escape,
    /// After `ESC [`, until a byte of `@` to `~`.
    Control,
    /// After `ESC ]`, `ESC P`, `ESC _` …, until BEL or ST.
    Text,
    /// ESC inside a text: a `\` ends it.
    TextEscape,
}

/// The filter of one reader.
#[derive(Clone, Debug, Default)]
pub(super) struct Queries {
    place: Place,
    /// The sequence so far, its introducer included; comes out or vanishes as a whole.
    held: Vec<u8>,
    /// Bytes of a UTF-8 character that are still to come: none of them is a C1 control.
    rest: u8,
}

/// What stands for ESC and this letter in C1 (ECMA-48 section 5.3).
fn c1(byte: u8) -> Option<u8> {
    match byte {
        0x90 => Some(b'P'),
        0x98 => Some(b'X'),
        0x9a => Some(b'Z'),
        0x9b => Some(b'['),
        0x9d => Some(b']'),
        0x9e => Some(b'^'),
        0x9f => Some(b'_'),
        _ => None,
    }
}

/// A sequence with its introducer as ESC and a letter, for [`is_query`].
fn seven_bit(sequence: &[u8]) -> Vec<u8> {
    let (letter, rest) = match sequence {
        [0xc2, byte, rest @ ..] => (c1(*byte), rest),
        [byte, rest @ ..] => (c1(*byte), rest),
        [] => (None, sequence),
    };
    match letter {
        Some(letter) => [&[ESC, letter], rest].concat(),
        None => sequence.to_vec(),
    }
}

/// How many bytes follow this one in a UTF-8 character.
fn follow(byte: u8) -> u8 {
    match byte {
        0xc3..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf4 => 3,
        _ => 0,
    }
}

impl Queries {
    /// Passes `input` on but for queries; a sequence cut at the end of `input` waits for its rest.
    pub(super) fn strip(&mut self, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(input.len() + self.held.len());
        for &byte in input {
            self.take(byte, &mut output);
        }
        output
    }

    /// Gives back a sequence that was cut, and starts anew.
    pub(super) fn flush(&mut self) -> Vec<u8> {
        self.place = Place::Ground;
        self.rest = 0;
        std::mem::take(&mut self.held)
    }

    fn take(&mut self, byte: u8, output: &mut Vec<u8>) {
        if self.place == Place::Ground && byte != ESC {
            return self.plain(byte, output);
        }
        if self.place == Place::Wide {
            return self.wide(byte, output);
        }
        if ABORT.contains(&byte) || (byte == ESC && self.place != Place::Text) {
            output.append(&mut self.held);
            self.place = Place::Ground;
            if byte != ESC {
                output.push(byte);
                return;
            }
        }
        self.rest = 0;
        self.held.push(byte);
        self.place = match (self.place, byte) {
            (Place::Ground | Place::Wide, _) => Place::Escape,
            (Place::Escape, b'[') => Place::Control,
            (Place::Escape, b']' | b'P' | b'_' | b'^' | b'X') => Place::Text,
            // Intermediates of an escape such as `ESC ( B`.
            (Place::Escape, 0x20..=0x2f) => Place::Escape,
            (Place::Control, 0x00..=0x3f) => Place::Control,
            (Place::Text, ESC) => Place::TextEscape,
            // ST as a single byte; in UTF-8 it is the second of two, and then a byte more or less ends it all the same.
            (Place::Text, BEL | 0x9c) | (Place::Escape | Place::Control | Place::TextEscape, _) => {
                return self.end(output);
            }
            (Place::Text, _) => Place::Text,
        };
        if self.held.len() > LONGEST {
            let long = self.flush();
            output.extend(long);
        }
    }

    /// A byte outside of all sequences.
    fn plain(&mut self, byte: u8, output: &mut Vec<u8>) {
        if self.rest > 0 && (0x80..0xc0).contains(&byte) {
            self.rest -= 1;
            return output.push(byte);
        }
        self.rest = follow(byte);
        match byte {
            ENQ => {}
            0xc2 => {
                self.place = Place::Wide;
                self.held.push(byte);
            }
            _ => self.introduce(byte, output),
        }
    }

    /// The byte after 0xc2.
    fn wide(&mut self, byte: u8, output: &mut Vec<u8>) {
        self.place = Place::Ground;
        if (0x80..0xc0).contains(&byte) {
            return self.introduce(byte, output);
        }
        output.append(&mut self.held);
        self.take(byte, output);
    }

    /// Begins a sequence if this byte is a C1 control that does.
    fn introduce(&mut self, byte: u8, output: &mut Vec<u8>) {
        self.held.push(byte);
        match c1(byte) {
            Some(b'[') => self.place = Place::Control,
            // DECID: a sequence by itself.
            Some(b'Z') => self.end(output),
            Some(_) => self.place = Place::Text,
            None => output.append(&mut self.held),
        }
    }

    fn end(&mut self, output: &mut Vec<u8>) {
        let sequence = self.flush();
        if !is_query(&seven_bit(&sequence)) {
            output.extend(sequence);
        }
    }
}

fn is_query(sequence: &[u8]) -> bool {
    match sequence {
        // DECID.
        [ESC, b'Z'] => true,
        [ESC, b'[', parameters @ .., last] => control_is_query(parameters, *last),
        // Colour, clipboard and title questions; OSC 52 also sets the clipboard of whoever looks.
        [ESC, b']', text @ ..] => text.starts_with(b"52;") || text.contains(&b'?'),
        // DECRQSS `$q`, XTGETTCAP `+q`, XTGETXRES `+Q`; and kitty's graphics questions.
        [ESC, b'P', b'$' | b'+', b'q' | b'Q', ..] | [ESC, b'_', b'G', ..] => true,
        _ => false,
    }
}

fn control_is_query(parameters: &[u8], last: u8) -> bool {
    match last {
        // Device attributes; device and cursor status; DECREQTPARM.
        b'c' | b'n' => true,
        b'x' => !parameters.contains(&b'$') && !parameters.contains(&b'*'),
        // DECRQM is `CSI Ps $ p`; other finals `p` set things.
        b'p' => parameters.ends_with(b"$"),
        // XTVERSION is `CSI > q`; DECSCUSR is `CSI SP q`.
        b'q' => parameters.starts_with(b">"),
        // Kitty keyboard question; DECRQTSR, DECRQUPSS, DECRQPSR.
        b'u' => parameters.starts_with(b"?") || parameters.ends_with(b"$"),
        b'w' => parameters.ends_with(b"$"),
        // Checksum of a rectangle.
        b'y' => parameters.ends_with(b"*"),
        // XTWINOPS 11 and 13 to 21 report; XTSMGRAPHICS `CSI ? … S`.
        b't' => {
            let first = parameters
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default();
            matches!(first, [b'1', b'1' | b'3'..=b'9'] | b"20" | b"21")
        }
        b'S' => parameters.starts_with(b"?"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: &[&[u8]] = &[
        b"\x05",
        b"\x1bZ",
        b"\x1b[c",
        b"\x1b[0c",
        b"\x1b[>c",
        b"\x1b[=0c",
        b"\x1b[5n",
        b"\x1b[6n",
        b"\x1b[?6n",
        b"\x1b[x",
        b"\x1b[?25$p",
        b"\x1b[>0q",
        b"\x1b[?u",
        b"\x1b[21t",
        b"\x1b[14t",
        b"\x1b[1$w",
        b"\x1b]10;?\x07",
        b"\x1b]4;1;?\x1b\\",
        b"\x1b]52;c;aGVsbG8=\x07",
        b"\x1bP$qm\x1b\\",
        b"\x1bP+q544e\x1b\\",
        b"\xc2\x9bc",
        b"\xc2\x9b6n",
        b"\x9b6n",
        b"\x9b>0q",
        b"\x9a",
        b"\xc2\x9a",
        b"\xc2\x9d10;?\x07",
        b"\x9d52;c;aGVsbG8=\x9c",
        b"\xc2\x90$qm\x1b\\",
        b"\x9f\x47a=q\x1b\\",
    ];
    const SHOWN: &[&[u8]] = &[
        b"plain \xc3\xa9\r\n\x00\xff",
        b"\x1b[31;1m",
        b"\x1b[2J\x1b[H",
        b"\x1b[?25h",
        b"\x1b[?1049h",
        b"\x1b(B",
        b"\x1b=",
        b"\x1b[!p",
        b"\x1b[2 q",
        b"\x1b[8;24;80t",
        b"\x1b[22;0t",
        b"\x1b[u",
        b"\x1b]0;router# \x07",
        b"\x1bPq#0;2;0;0;0\x1b\\",
        b"\x1b[1;24r",
        b"\xc2\x9b31m",
        b"\x9b1;24r",
        // Characters that have bytes of C1 controls in them.
        b"\xc3\x9bc \xe2\x9b\x9a6n \xf0\x9f\x9b\x9bc \xc2\xb0c",
    ];

    #[test]
    fn queries_vanish_and_everything_else_stays() {
        for asked in ASKED {
            let input = [&b"a"[..], asked, &b"b"[..]].concat();
            let output = Queries::default().strip(&input);
            assert_eq!(output, b"ab", "{:?}", asked.escape_ascii().to_string());
        }
        for shown in SHOWN {
            let input = [&b"a"[..], shown, &b"b"[..]].concat();
            let output = Queries::default().strip(&input);
            assert_eq!(output, input, "{:?}", shown.escape_ascii().to_string());
        }
    }

    #[test]
    fn an_endless_sequence_is_let_through_and_an_aborted_one_too() {
        let mut input = b"\x1b]0;".to_vec();
        input.extend([b'x'; 1000]);
        assert_eq!(Queries::default().strip(&input), input);
        assert_eq!(Queries::default().strip(b"\x1b[6\x18n"), b"\x1b[6\x18n");
        assert_eq!(Queries::default().strip(b"\x1b[6\x1b[6n"), b"\x1b[6");
        let mut cut = Queries::default();
        assert_eq!(cut.strip(b"x\x1b["), b"x");
        assert_eq!(cut.flush(), b"\x1b[");
        assert_eq!(cut.strip(b"6n"), b"6n");
    }

    proptest! {
        /// Cuts between reads change nothing, and ASCII without ESC and ENQ is never touched.
        #[test]
        fn splits_change_nothing(
            parts in prop::collection::vec(prop::sample::select([ASKED, SHOWN].concat()), 0..20),
            noise in prop::collection::vec(any::<u8>(), 0..50),
            size in 1..40_usize,
        ) {
            let mut input = parts.concat();
            input.extend(&noise);
            let whole = Queries::default().strip(&input);
            let mut cut = Queries::default();
            let pieces: Vec<u8> = input.chunks(size).flat_map(|chunk| cut.strip(chunk)).collect();
            prop_assert_eq!(whole, pieces);
            let plain: Vec<u8> = noise.into_iter().filter(|byte| byte.is_ascii() && ![ENQ, ESC].contains(byte)).collect();
            prop_assert_eq!(Queries::default().strip(&plain), plain);
        }
    }
}
