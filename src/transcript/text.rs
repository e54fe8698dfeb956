//! A device's line as text: terminal sequences taken out, control bytes harmless. Pure.

/// Longer than any sequence that means something; one that grows past it is over.
const LONGEST: usize = 4096;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Ground,
    Escape,
    Control,
    Text,
    TextEscape,
}

/// Takes one line at a time; a sequence never goes on beyond its line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Plain {
    /// The line without terminal sequences and control bytes: what a person would have read. A backspace takes the
    /// letter before it, a carriage return and a tab become a space. Bytes that are no UTF-8 stay as they are.
    #[must_use]
    pub fn line(line: &[u8]) -> Vec<u8> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut out = Vec::with_capacity(line.len());
        // Most lines are plain: no byte of theirs is looked at twice.
        if line.iter().all(|byte| !byte.is_ascii_control()) && !has_c1(line) {
            out.extend_from_slice(line);
            return out;
        }
        let mut place = Place::Ground;
        let mut since = 0;
        let mut rest = line;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            since += 1;
            // C1 controls in the form UTF-8 gives them, as terminals obey it.
            let byte = match (place, byte, rest.first()) {
                (Place::Ground, 0xc2, Some(&c1 @ 0x80..=0x9f)) => {
                    rest = rest.get(1..).unwrap_or_default();
                    match c1 {
                        0x9b => {
                            (place, since) = (Place::Control, 0);
                            continue;
                        }
                        0x90 | 0x98 | 0x9d..=0x9f => {
                            (place, since) = (Place::Text, 0);
                            continue;
                        }
                        _ => continue,
                    }
                }
                _ => byte,
            };
            place = match (place, byte) {
                (Place::Text, 0x1b) => Place::TextEscape,
                (_, 0x1b) => {
                    since = 0;
                    Place::Escape
                }
                // CAN and SUB abort a sequence.
                (_, 0x18 | 0x1a) => Place::Ground,
                (Place::Escape, b'[') => Place::Control,
                (Place::Escape, b']' | b'P' | b'_' | b'^' | b'X') => Place::Text,
                (Place::Escape, 0x20..=0x2f) => Place::Escape,
                (Place::Escape | Place::TextEscape, _) => Place::Ground,
                (Place::Control, 0x40..=0x7e) | (Place::Text, 0x07) => Place::Ground,
                (Place::Control, 0x20..=0x3f) => Place::Control,
                (Place::Text, _) if since < LONGEST => Place::Text,
                (Place::Ground, 0x08 | 0x7f) => {
                    pop(&mut out);
                    Place::Ground
                }
                (Place::Ground, b'\r' | b'\t') => {
                    out.push(b' ');
                    Place::Ground
                }
                (Place::Ground, 0x00..=0x1f) => Place::Ground,
                (Place::Ground | Place::Text | Place::Control, _) => {
                    out.push(byte);
                    Place::Ground
                }
            };
        }
        out
    }

    /// The line as valid text: [`Plain::line`], with U+FFFD for what is no UTF-8.
    #[must_use]
    pub fn text(line: &[u8]) -> String {
        let plain = Self::line(line);
        let text = String::from_utf8_lossy(&plain);
        text.chars().filter(|letter| !letter.is_control()).collect()
    }
}

/// Takes the last character, all of its bytes.
fn pop(out: &mut Vec<u8>) {
    while let Some(byte) = out.pop() {
        if !(0x80..0xc0).contains(&byte) {
            break;
        }
    }
}

fn has_c1(line: &[u8]) -> bool {
    line.windows(2)
        .any(|pair| matches!(pair, [0xc2, 0x80..=0x9f]))
}

/// Bytes as valid text in which nothing is lost: controls, and bytes that are no UTF-8, as `\xNN`, a backslash as `\\`.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                letter if letter.is_control() => {
                    let mut bytes = [0; 4];
                    hex(letter.encode_utf8(&mut bytes).as_bytes(), &mut out);
                }
                letter => out.push(letter),
            }
        }
        hex(chunk.invalid(), &mut out);
    }
    out
}

fn hex(bytes: &[u8], out: &mut String) {
    use std::fmt::Write as _;
    for byte in bytes {
        // Writing to a String never fails.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_as_a_person_reads_it() {
        for (line, want) in [
            (&b"switch# \r\n"[..], "switch# "),
            (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07text", "red text"),
            (b"\xc2\x9b31mred\xc2\x9b0m", "red"),
            (b"\xc2\x9d52;c;aGk=\x07x", "x"),
            (b"caf\xc3\xa9\x08e", "cafe"),
            (b"50%\r100%", "50% 100%"),
            (b"\x1b]0;cut off", ""),
            (b"\x1bPq\x1b\\after", "after"),
            (b"bad \xff byte", "bad \u{fffd} byte"),
            (b"a\x1b[3\x18b", "ab"),
        ] {
            assert_eq!(
                Plain::text(line),
                want,
                "{:?}",
                line.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn escapes_lose_nothing() {
        assert_eq!(
            escaped(b"a\x1b[0m\\\xff\xc2\x9b\t"),
            "a\\x1b[0m\\\\\\xff\\xc2\\x9b\\t"
        );
        assert_eq!(escaped("caf\u{e9}".as_bytes()), "caf\u{e9}");
    }

    proptest! {
        #[test]
        fn nothing_a_terminal_obeys_comes_out(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let harmless = |text: &str| text.chars().all(|letter| !letter.is_control());
            prop_assert!(harmless(&Plain::text(&line)));
            prop_assert!(harmless(&escaped(&line)));
        }
    }
}
