//! One line typed at a prompt, key by key. Pure: a door shows what it says.

/// Longest line; more is dropped.
const LINE: usize = 256;

/// What a prompt got.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Line(String),
    /// Ctrl-C, or Ctrl-D on an empty line.
    Enough,
}

/// A line being typed.
#[derive(Debug, Default)]
pub struct Line {
    bytes: Vec<u8>,
    escape: Escape,
}

/// Inside which part of a terminal's escape sequence (arrow keys, F keys) we are.
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    No,
    Started,
    /// CSI or SS3: ends with a byte from `@` to `~`.
    Inside,
}

impl Line {
    /// Takes one key; returns what to show, and the answer when the line is complete.
    pub fn take(&mut self, byte: u8, echo: bool) -> (String, Option<Answer>) {
        let quiet = (String::new(), None);
        match (self.escape, byte) {
            (Escape::Started, b'[' | b'O') => {
                self.escape = Escape::Inside;
                return quiet;
            }
            (Escape::Started, _) => {
                self.escape = Escape::No;
                return quiet;
            }
            (Escape::Inside, b'@'..=b'~') => {
                self.escape = Escape::No;
                return quiet;
            }
            (Escape::Inside, _) => return quiet,
            (Escape::No, _) => {}
        }
        match byte {
            b'\r' | b'\n' => {
                let text = String::from_utf8_lossy(&self.bytes).into_owned();
                ("\n".into(), Some(Answer::Line(text)))
            }
            3 => ("^C\n".into(), Some(Answer::Enough)),
            4 if self.bytes.is_empty() => ("\n".into(), Some(Answer::Enough)),
            0x1b => {
                self.escape = Escape::Started;
                quiet
            }
            8 | 0x7f => (self.erase(1, echo), None),
            // Ctrl-U
            0x15 => (self.erase(usize::MAX, echo), None),
            0..0x20 => quiet,
            _ if self.bytes.len() >= LINE => quiet,
            _ => {
                self.bytes.push(byte);
                (if echo { self.fresh() } else { String::new() }, None)
            }
        }
    }

    /// The character just completed; empty in the middle of one.
    fn fresh(&self) -> String {
        let tail = self.bytes.len().saturating_sub(4);
        (tail..self.bytes.len())
            .find_map(|start| {
                let text = std::str::from_utf8(&self.bytes[start..]).ok()?;
                let mut characters = text.chars();
                // C1 controls (U+0080 to U+009F) would steer the terminal.
                let last = characters.next_back().filter(|c| !c.is_control())?;
                (last.len_utf8() == 1 || characters.next().is_none()).then(|| last.to_string())
            })
            .unwrap_or_default()
    }

    /// Removes up to this many characters; returns what takes them off the screen.
    fn erase(&mut self, mut characters: usize, echo: bool) -> String {
        let mut erased = String::new();
        while characters > 0 {
            let Some(last) = self.bytes.pop() else { break };
            // A continuation byte of UTF-8 takes the rest of its character with it.
            if last & 0xc0 == 0x80 {
                continue;
            }
            characters -= 1;
            if echo {
                erased.push_str("\x08 \x08");
            }
        }
        erased
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever keys come, nothing panics, nothing grows, and no control character is echoed but our own.
        #[test]
        fn any_keys_are_survived(keys in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut line = Line::default();
            for key in keys {
                let (said, answer) = line.take(key, true);
                prop_assert!(line.bytes.len() <= LINE);
                prop_assert!(said.chars().all(|c| c == '\n' || c == '\u{8}' || !c.is_control()), "{said:?}");
                if answer.is_some() {
                    line = Line::default();
                }
            }
        }
    }

    fn type_in(keys: &[u8]) -> (String, Option<Answer>) {
        let (mut line, mut shown) = (Line::default(), String::new());
        for &key in keys {
            let (said, answer) = line.take(key, true);
            shown.push_str(&said);
            if answer.is_some() {
                return (shown, answer);
            }
        }
        (shown, None)
    }

    fn line(text: &str) -> Option<Answer> {
        Some(Answer::Line(text.into()))
    }

    #[test]
    fn keys_edit_the_line() {
        assert_eq!(type_in(b"core\r"), ("core\n".into(), line("core")));
        assert_eq!(type_in(b"cox\x7fre\n").1, line("core"));
        assert_eq!(type_in(b"junk\x15core\r").1, line("core"));
        assert_eq!(type_in(b"a\x1b[A\x1bOPb\x1b[15~c\r").1, line("abc"));
        assert_eq!(type_in(b"\x7f\x08\r").1, line(""));
        assert_eq!(type_in(b"abc\x03").1, Some(Answer::Enough));
        assert_eq!(type_in(b"\x04").1, Some(Answer::Enough));
        assert_eq!(type_in(b"a\x04b\r").1, line("ab"));
    }

    #[test]
    fn characters_of_several_bytes_are_one() {
        let (shown, answer) = type_in("né\u{7f}e\r".as_bytes());
        assert_eq!(answer, line("ne"));
        assert_eq!(shown, "né\u{8} \u{8}e\n");
    }

    #[test]
    fn nothing_is_echoed_of_a_password_and_lines_are_bounded() {
        let mut line = Line::default();
        for &key in b"secret" {
            assert_eq!(line.take(key, false), (String::new(), None));
        }
        assert_eq!(line.take(0x7f, false), (String::new(), None));
        for _ in 0..10_000 {
            line.take(b'x', true);
        }
        assert_eq!(line.bytes.len(), LINE);
    }
}
