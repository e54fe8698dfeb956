//! A channel as a person's terminal or a script's pipe: text out, lines in. Knows nothing of consoles.

use bytes::Bytes;
use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::AsyncWrite;

/// Longest line a prompt takes; more is dropped.
const LINE: usize = 256;
/// Width and height assumed when the client names none, and the least and most that are believed.
const COLUMNS: (u32, u32, u32) = (80, 20, 500);
const ROWS: (u32, u32, u32) = (24, 4, 500);

pub(super) use crate::session::{Gone, Heard};

/// What a prompt got.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Line(String),
    /// Ctrl-C, or Ctrl-D on an empty line.
    Enough,
}

/// Both halves of a session channel.
pub(super) struct Terminal {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// The client's terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// It is no `dumb` one.
    pub(super) color: bool,
}

impl Size {
    pub(super) fn new(columns: u32, rows: u32, term: &str) -> Self {
        let believed = |said: u32, (usual, least, most)| {
            let said = if said == 0 { usual } else { said };
            usize::try_from(said.clamp(least, most)).unwrap_or(80)
        };
        Self {
            columns: believed(columns, COLUMNS),
            rows: believed(rows, ROWS),
            color: !matches!(term, "" | "dumb"),
        }
    }

    fn resize(&mut self, columns: u32, rows: u32) {
        let resized = Self::new(columns, rows, "");
        (self.columns, self.rows) = (resized.columns, resized.rows);
    }
}

/// What comes from the client.
pub(super) struct Reader {
    half: ChannelReadHalf,
    /// `None` without a terminal.
    size: Option<Size>,
    eof: bool,
    /// Typed ahead of the prompt it was meant for.
    ahead: Bytes,
    /// The last line ended with CR: a LF or NUL that follows belongs to it.
    after_cr: bool,
}

/// What goes to the client.
pub(super) struct Writer {
    half: ChannelWriteHalf<Msg>,
    /// A terminal is there (the client asked for a pty).
    pub(super) is_terminal: bool,
}

impl Terminal {
    pub(super) fn new(
        half: ChannelReadHalf,
        write: ChannelWriteHalf<Msg>,
        size: Option<Size>,
    ) -> Self {
        Self {
            reader: Reader {
                half,
                size,
                eof: false,
                ahead: Bytes::new(),
                after_cr: false,
            },
            writer: Writer {
                half: write,
                is_terminal: size.is_some(),
            },
        }
    }

    /// Asks and reads one line. Keys: backspace, Ctrl-U, Ctrl-C, Ctrl-D; escape sequences are swallowed.
    pub(super) async fn ask(&mut self, prompt: &str, echo: bool) -> Result<Answer, Gone> {
        self.writer.say(prompt).await?;
        let mut line = Line::default();
        loop {
            if self.reader.ahead.is_empty() {
                match self.reader.next().await? {
                    Heard::Bytes(bytes) => self.reader.ahead = bytes,
                    Heard::Eof => return Err(Gone),
                    Heard::Break { .. } | Heard::TakeWriter => continue,
                }
            }
            let byte = self.reader.ahead.split_to(1)[0];
            let swallowed = std::mem::take(&mut self.reader.after_cr) && matches!(byte, b'\n' | 0);
            if swallowed {
                continue;
            }
            let (said, done) = line.take(byte, echo);
            self.writer.say(&said).await?;
            if let Some(answer) = done {
                self.reader.after_cr = byte == b'\r';
                return Ok(answer);
            }
        }
    }
}

impl Reader {
    /// The next thing the client does that matters. Cancel-safe: nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Heard, Gone> {
        if !self.ahead.is_empty() {
            return Ok(Heard::Bytes(std::mem::take(&mut self.ahead)));
        }
        loop {
            match self.half.wait().await {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                    return Ok(Heard::Bytes(data));
                }
                Some(ChannelMsg::Eof) if !self.eof => {
                    self.eof = true;
                    return Ok(Heard::Eof);
                }
                Some(ChannelMsg::WindowChange {
                    col_width,
                    row_height,
                    ..
                }) => {
                    if let Some(size) = &mut self.size {
                        size.resize(col_width, row_height);
                    }
                }
                Some(ChannelMsg::Close) | None => return Err(Gone),
                Some(_) => {}
            }
        }
    }

    /// The terminal as it is now; `None` without one.
    pub(super) fn size(&self) -> Option<Size> {
        self.size
    }
}

impl Writer {
    /// Bytes of a device or a command, as they are.
    pub(super) async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        self.half.data_bytes(bytes).await.map_err(|_| Gone)
    }

    /// Text for a person; lines end as a raw terminal needs it.
    pub(super) async fn say(&self, text: &str) -> Result<(), Gone> {
        let text = if self.is_terminal {
            text.replace('\n', "\r\n")
        } else {
            text.to_owned()
        };
        self.bytes(text.into()).await
    }

    /// Text beside the data: on the terminal, or on a script's standard error.
    pub(super) async fn remark(&self, text: &str) -> Result<(), Gone> {
        if self.is_terminal {
            return self.say(text).await;
        }
        let sent = self.half.extended_data_bytes(1, text.to_owned()).await;
        sent.map_err(|_| Gone)
    }

    /// A stream into the channel: a command's output, or what it says beside.
    pub(super) fn pipe(&self, beside: bool) -> Box<dyn AsyncWrite + Send + Unpin> {
        let extended = (beside && !self.is_terminal).then_some(1);
        Box::new(Box::pin(self.half.make_writer_ext(extended)))
    }

    /// Ends the session with this status.
    pub(super) async fn finish(&self, status: u32) {
        let _ = self.half.exit_status(status).await;
        let _ = self.half.eof().await;
        let _ = self.half.close().await;
    }
}

/// A line being typed.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    escape: Escape,
}

/// Inside which part of a terminal's escape sequence (arrow keys, F keys) we are.
#[derive(Default, Clone, Copy)]
enum Escape {
    #[default]
    No,
    Started,
    /// CSI or SS3: ends with a byte from `@` to `~`.
    Inside,
}

impl Line {
    /// Takes one key; returns what to show, and the answer when the line is complete.
    fn take(&mut self, byte: u8, echo: bool) -> (String, Option<Answer>) {
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
