//! Words on a terminal: cells, aligned columns, wrapped lines, colour. Pure; whatever came from outside is made harmless.

/// How a word looks where colour is wanted; elsewhere the word alone must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Busy,
    Bad,
    Faint,
    Strong,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Busy => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Faint => "\x1b[2m",
            Self::Strong => "\x1b[1m",
        }
    }
}

/// A piece of text of one look, free of control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self {
            text: harmless(text.as_ref()),
            tone,
        }
    }

    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Plain)
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn paint(&self, color: bool) -> String {
        if color && self.tone != Tone::Plain && !self.text.is_empty() {
            format!("{}{}\x1b[0m", self.tone.code(), self.text)
        } else {
            self.text.clone()
        }
    }
}

/// SSIDs, last lines and notes come from strangers: no control character of theirs reaches a terminal.
pub(super) fn harmless(text: &str) -> String {
    let invisible = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || invisible(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Aligned columns, two blanks apart, no borders. Ends in a line feed.
pub(super) fn columns(head: &[&str], rows: &[Vec<Cell>], color: bool) -> String {
    let head: Vec<Cell> = head
        .iter()
        .map(|word| Cell::new(word, Tone::Faint))
        .collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in std::iter::once(&head).chain(rows) {
        for (index, cell) in row.iter().enumerate() {
            if index == widths.len() {
                widths.push(0);
            }
            widths[index] = widths[index].max(cell.width());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        let mut blanks = 0;
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&" ".repeat(blanks));
            line.push_str(&cell.paint(color));
            blanks = width - cell.width() + 2;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A line below a table for each name that does not do what it should, and why; those without a reason have none.
pub(super) fn reasons<'a>(
    all: impl Iterator<Item = (&'a String, &'a String)>,
    width: usize,
    color: bool,
) -> String {
    let told = all.filter(|(_, why)| !why.is_empty());
    let line = |(name, why)| {
        let why = Cell::plain(format!("{name}: {why}"));
        flow(&[why], 0, 2, width, color)
    };
    told.map(line).collect()
}

/// Cells one after the other, two blanks between, wrapped at `width` with `indent` blanks before later lines.
/// A cell that fits a line is not torn apart.
pub(super) fn flow(
    cells: &[Cell],
    start: usize,
    indent: usize,
    width: usize,
    color: bool,
) -> String {
    let mut lines = Lines {
        text: String::new(),
        column: start,
        fresh: true,
        indent,
        width,
    };
    for cell in cells.iter().filter(|cell| !cell.text.is_empty()) {
        let whole = cell.width() <= width.saturating_sub(indent);
        let mut gap = 2;
        let pieces: Vec<&str> = match whole {
            true => vec![&cell.text],
            false => cell
                .text
                .split(' ')
                .filter(|word| !word.is_empty())
                .collect(),
        };
        for piece in pieces {
            // A word longer than a line (a fingerprint on a phone) goes on in the next.
            let letters: Vec<char> = piece.chars().collect();
            for part in letters.chunks(width.saturating_sub(indent).max(1)) {
                let part = Cell {
                    text: part.iter().collect(),
                    tone: cell.tone,
                };
                lines.put(&part, gap, color);
                gap = 1;
            }
        }
    }
    lines.text.push('\n');
    lines.text
}

/// Text being wrapped.
struct Lines {
    text: String,
    column: usize,
    /// Nothing stands on this line yet but its indent.
    fresh: bool,
    indent: usize,
    width: usize,
}

impl Lines {
    fn put(&mut self, piece: &Cell, gap: usize, color: bool) {
        let gap = if self.fresh { 0 } else { gap };
        if !self.fresh && self.column + gap + piece.width() > self.width {
            self.text.push('\n');
            self.text.push_str(&" ".repeat(self.indent));
            self.column = self.indent;
        } else {
            self.text.push_str(&" ".repeat(gap));
            self.column += gap;
        }
        self.text.push_str(&piece.paint(color));
        self.column += piece.width();
        self.fresh = false;
    }
}

/// The first `width` characters, with an ellipsis when there are more.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_drive_the_terminal() {
        let cell = Cell::plain("free\x1b[2Jwifi\r\n\u{202e}x");
        assert_eq!(cell.paint(true), "free\\u{1b}[2Jwifi\\r\\n\\u{202e}x");
    }

    #[test]
    fn columns_align_and_lines_do_not_end_in_blanks() {
        let rows = vec![
            vec![
                Cell::plain("a"),
                Cell::new("up", Tone::Good),
                Cell::plain(""),
            ],
            vec![Cell::plain("longer"), Cell::plain("é"), Cell::plain("x")],
        ];
        assert_eq!(
            columns(&["NAME", "IS", "Z"], &rows, false),
            "NAME    IS  Z\na       up\nlonger  é   x\n"
        );
        assert!(columns(&["NAME", "IS"], &rows, true).contains("a       \x1b[32mup\x1b[0m"));
    }

    #[test]
    fn long_lines_wrap_under_their_indent() {
        let cells = [
            Cell::plain("one two three"),
            Cell::plain("four"),
            Cell::plain("five six"),
        ];
        assert_eq!(
            flow(&cells, 2, 2, 10, false),
            "one two\n  three\n  four\n  five six\n"
        );
        assert_eq!(
            flow(&cells, 0, 2, 80, false),
            "one two three  four  five six\n"
        );
    }
}
