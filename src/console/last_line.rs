//! The last line a device wrote, as text for a list. Keeps one line; control characters never come out.

/// Longest line kept, in bytes; the rest of a longer line is left out.
const LONGEST: usize = 160;

/// Follows a byte stream.
#[derive(Clone, Debug, Default)]
pub(super) struct LastLine {
    /// The latest complete line with something in it.
    done: Vec<u8>,
    current: Vec<u8>,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Start,
    Control,
    Text,
}

impl LastLine {
    pub(super) fn push(&mut self, data: &[u8]) {
        for &byte in data {
            self.take(byte);
        }
    }

    /// The line being written, or the one before when nothing visible has been written since.
    #[must_use]
    pub(super) fn text(&self) -> String {
        let line = if self.current.iter().all(u8::is_ascii_whitespace) {
            &self.done
        } else {
            &self.current
        };
        let text = String::from_utf8_lossy(line);
        let visible = text.chars().filter(|letter| !letter.is_control());
        visible.collect::<String>().trim().to_owned()
    }

    fn take(&mut self, byte: u8) {
        self.escape = match (self.escape, byte) {
            (_, 0x1b) => Escape::Start,
            (Escape::Start, b'[') => Escape::Control,
            (Escape::Start, b']' | b'P' | b'_' | b'^' | b'X') => Escape::Text,
            (Escape::Start, 0x20..=0x2f) => Escape::Start,
            (Escape::Start, _) | (Escape::Control, 0x40..=0x7e) | (Escape::Text, 0x07) => {
                self.escape = Escape::None;
                return;
            }
            (Escape::Control, 0x20..=0x3f) => return,
            // A line end never belongs to a sequence: without this a cut one would swallow all that follows.
            (Escape::Text, byte) if !matches!(byte, b'\r' | b'\n') => return,
            _ => Escape::None,
        };
        if self.escape != Escape::None {
            return;
        }
        match byte {
            b'\r' | b'\n' => {
                if !self.current.iter().all(u8::is_ascii_whitespace) {
                    self.done = std::mem::take(&mut self.current);
                }
                self.current.clear();
            }
            0x08 | 0x7f => {
                self.current.pop();
            }
            b'\t' => self.keep(b' '),
            0x00..=0x1f => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.current.len() < LONGEST {
            self.current.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_prompt_or_the_line_before_without_control_characters() {
        for (stream, want) in [
            (&b""[..], ""),
            (b"boot ok\r\n", "boot ok"),
            (b"boot ok\r\n\r\n  \r\n", "boot ok"),
            (b"a\r\nswitch# ", "switch#"),
            (b"a\r\nswitch# sho\x08\x08\x08wr", "switch# wr"),
            (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07text", "red text"),
            (b"\x1b]0;cut off\r\nnext", "next"),
            (b"caf\xc3\xa9 \x00\xff", "caf\u{e9} \u{fffd}"),
            (b"50%\r100%", "100%"),
        ] {
            let mut line = LastLine::default();
            line.push(stream);
            assert_eq!(line.text(), want, "{:?}", stream.escape_ascii().to_string());
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut line = LastLine::default();
        line.push(&[b'x'; 10_000]);
        assert_eq!(line.text().len(), LONGEST);
    }
}
