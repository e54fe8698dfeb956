//! A channel as a person's terminal or a script's pipe: text out, lines in. Knows nothing of consoles.

use bytes::Bytes;
use russh::server::Msg;
use russh::{ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::AsyncWrite;

/// Width and height assumed when the client names none, and the least and most that are believed.
const COLUMNS: (u32, u32, u32) = (80, 20, 500);
const ROWS: (u32, u32, u32) = (24, 4, 500);

pub(super) use crate::session::prompt::Answer;
pub(super) use crate::session::{Gone, Heard};

use crate::session::prompt::Line;

/// Something that happened to a terminal.
#[derive(Debug)]
pub(super) enum Change {
    Heard(Heard),
    /// It has another size now.
    Resized,
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
                    Heard::Break { .. } | Heard::TakeWriter | Heard::Power | Heard::Discard => {
                        continue;
                    }
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
        loop {
            if let Change::Heard(heard) = self.change().await? {
                return Ok(heard);
            }
        }
    }

    /// As [`Reader::next`], and tells when the terminal was given another size.
    pub(super) async fn change(&mut self) -> Result<Change, Gone> {
        if !self.ahead.is_empty() {
            return Ok(Change::Heard(Heard::Bytes(std::mem::take(&mut self.ahead))));
        }
        loop {
            match self.half.wait().await {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                    return Ok(Change::Heard(Heard::Bytes(data)));
                }
                Some(ChannelMsg::Eof) if !self.eof => {
                    self.eof = true;
                    return Ok(Change::Heard(Heard::Eof));
                }
                Some(ChannelMsg::WindowChange {
                    col_width,
                    row_height,
                    ..
                }) => {
                    if let Some(size) = &mut self.size {
                        size.resize(col_width, row_height);
                        return Ok(Change::Resized);
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
    pub(super) fn id(&self) -> ChannelId {
        self.half.id()
    }

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
