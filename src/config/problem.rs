//! One fault of oobd.toml and how it is shown to a person. Never shows a secret, not even a misspelt one.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Faults that are told one by one; past that only their number, because the first ones explain the rest.
const TOLD: usize = 100;
/// Faults that are looked at: each costs a walk through the text.
const GATHERED: usize = 400;
/// A line longer than this is not quoted, in bytes.
const LONGEST_LINE: usize = 8 * 1024;
/// Longest message, path or hint, in characters.
const LONGEST_TEXT: usize = 400;
/// Longest word that may be a misspelt key, in bytes.
pub(super) const LONGEST_WORD: usize = 64;
/// Characters of a source line that fit beside its number on a terminal of 80 columns.
const EXCERPT_WIDTH: usize = 68;
/// Keys whose value is blacked out in excerpts, near misses included.
const SECRET_KEYS: [&str; 6] = [
    "community",
    "passphrase",
    "password",
    "private_key",
    "secret",
    "psk",
];

/// One fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `None` when the fault is of the file as a whole, e.g. that it is missing.
    pub place: Option<Place>,
    /// The key, as in `uplink.hotspot.wifi.ssid[1]`; empty for the file as a whole and for bad syntax.
    pub path: String,
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Where in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, shortened to fit a terminal, secrets blacked out, one character per column.
    pub excerpt: String,
    /// Where the fault starts in `excerpt`, from 0.
    pub caret: usize,
    /// Characters of `excerpt` the fault covers, at least 1.
    pub width: usize,
}

impl Problem {
    /// A fault of the file as a whole.
    #[must_use]
    pub fn of_file(message: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            place: None,
            path: String::new(),
            message: message.into(),
            hint: hint.map(ToOwned::to_owned),
        }
    }
}

/// One line, for events and the state.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "line {}, column {}: ", place.line, place.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All faults with source line and caret, as compilers show them; ends in a line feed.
#[must_use]
pub fn render(problems: &[Problem], file: &str) -> String {
    let mut text = String::new();
    for problem in problems {
        let gutter = match &problem.place {
            Some(place) => place.line.to_string().len(),
            None => 1,
        };
        let pad = " ".repeat(gutter);
        let path = match problem.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        text += &format!("error: {path}{}\n", problem.message);
        if let Some(place) = &problem.place {
            text += &format!("{pad}--> {file}:{}:{}\n{pad} |\n", place.line, place.column);
            text += &format!("{} | {}\n", place.line, place.excerpt);
            text += &format!(
                "{pad} | {}{}\n",
                " ".repeat(place.caret),
                "^".repeat(place.width)
            );
        } else {
            text += &format!("{pad}--> {file}\n");
        }
        if let Some(hint) = &problem.hint {
            text += &format!("{pad} = help: {hint}\n");
        }
        text.push('\n');
    }
    let count = problems.len();
    let plural = if count == 1 { "" } else { "s" };
    text + &format!("{file}: {count} problem{plural}\n")
}

/// Why a fault is told or held back when the syntax is broken, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Syntax,
    /// Something that should stand in the file does not.
    Missing,
    Wrong,
}

/// Gathers the faults of one text.
pub(super) struct Log<'t> {
    text: &'t str,
    found: RefCell<Vec<(Range<usize>, Sort, Problem)>>,
    /// Faults past [`GATHERED`].
    more: Cell<usize>,
}

impl<'t> Log<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            found: RefCell::new(Vec::new()),
            more: Cell::new(0),
        }
    }

    pub(super) fn add(
        &self,
        span: Range<usize>,
        sort: Sort,
        path: &str,
        message: String,
        hint: Option<String>,
    ) {
        if self.found.borrow().len() >= GATHERED {
            self.more.set(self.more.get() + 1);
            return;
        }
        let problem = Problem {
            place: Some(place(self.text, &span)),
            path: short(path),
            message: short(&message),
            hint: hint.as_deref().map(short),
        };
        self.found.borrow_mut().push((span, sort, problem));
    }

    /// The faults in the order of the file. What broken syntax may have caused is held back.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut found = self.found.take();
        found.sort_by_key(|(span, ..)| span.start);
        let lines = |(_, _, problem): &(Range<usize>, Sort, Problem)| {
            problem.place.as_ref().map_or(0, |place| place.line)
        };
        let mut broken: Vec<Range<usize>> = found
            .iter()
            .filter(|(_, sort, _)| *sort == Sort::Syntax)
            .map(|entry| self.reach(lines(entry)))
            .collect();
        broken.dedup();
        let any_broken = !broken.is_empty();
        let mut told: Vec<Problem> = found
            .into_iter()
            .filter(|entry| match entry.1 {
                Sort::Syntax => true,
                Sort::Missing => !any_broken,
                Sort::Wrong => !broken.iter().any(|reach| reach.contains(&lines(entry))),
            })
            .map(|(.., problem)| problem)
            .collect();
        // One line rarely has two independent syntax errors; the parser's second one is noise.
        told.dedup_by(|next, first| {
            next.path.is_empty()
                && first.path.is_empty()
                && next.place.as_ref().map(|place| place.line)
                    == first.place.as_ref().map(|place| place.line)
        });
        let more = told.len().saturating_sub(TOLD) + self.more.get();
        if more > 0 {
            told.truncate(TOLD);
            told.push(Problem::of_file(format!("{more} more problems"), None));
        }
        told
    }

    /// Lines on which a syntax error in `line` may cause others: its own, and for a section header the whole section.
    fn reach(&self, line: usize) -> Range<usize> {
        let is_header = |text: &str| text.trim_start().starts_with('[');
        let mut rest = self.text.lines().skip(line.saturating_sub(1));
        if !rest.next().is_some_and(is_header) {
            return line..line + 1;
        }
        let section = rest.take_while(|text| !is_header(text)).count();
        line..line + 1 + section
    }
}

/// A text that repeats what stands in the file, which may be anything.
fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Finds line and column of a byte range and cuts the excerpt out.
fn place(text: &str, span: &Range<usize>) -> Place {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line_text = text[line_start..].lines().next().unwrap_or_default();
    let column = before[line_start..].chars().count();
    let line_text = if line_text.len() > LONGEST_LINE {
        ""
    } else {
        line_text
    };
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let covered = text[start..end].lines().next().unwrap_or_default();
    let (excerpt, caret, width) = excerpt(line_text, column, covered.chars().count());
    Place {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: column + 1,
        excerpt,
        caret,
        width,
    }
}

/// Blacks out secrets and shortens a line around `column`; gives the new place of the caret and its width.
fn excerpt(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    let mut shown = String::new();
    let (mut caret, mut end) = (None, None);
    let hidden = secret_ranges(line);
    for (number, (at, letter)) in line.char_indices().enumerate() {
        let so_far = shown.chars().count();
        if number == column {
            caret = Some(so_far);
        }
        if number == column + width {
            end = Some(so_far);
        }
        match hidden.iter().find(|range| range.contains(&at)) {
            Some(range) if at == range.start => shown.push_str("***"),
            Some(_) => {}
            None if letter.is_control() => shown.push(' '),
            None => shown.push(letter),
        }
    }
    let total = shown.chars().count();
    let caret = caret.unwrap_or(total);
    let width = end.unwrap_or(total).saturating_sub(caret).max(1);
    if total <= EXCERPT_WIDTH {
        return (shown, caret, width);
    }
    // Keeps some of what stands before the fault in sight.
    let cut = caret.saturating_sub(EXCERPT_WIDTH / 3);
    let lead = if cut > 0 { "…" } else { "" };
    let mut part: String = lead.chars().chain(shown.chars().skip(cut)).collect();
    if part.chars().count() > EXCERPT_WIDTH {
        part = part.chars().take(EXCERPT_WIDTH - 1).chain(['…']).collect();
    }
    let caret = caret - cut + lead.chars().count();
    let room = part.chars().count().saturating_sub(caret).max(1);
    (part, caret, width.min(room))
}

/// A line with `***` for the values of secret-looking keys.
pub(super) fn hide_secrets(line: &str) -> String {
    let mut shown = String::new();
    let hidden = secret_ranges(line);
    for (at, letter) in line.char_indices() {
        match hidden.iter().find(|range| range.contains(&at)) {
            Some(range) if at == range.start => shown.push_str("***"),
            Some(_) => {}
            None => shown.push(letter),
        }
    }
    shown
}

/// Byte ranges of `line` that hold values of secret-looking keys.
fn secret_ranges(line: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(equals) = line[from..].find('=').map(|at| from + at) {
        from = equals + 1;
        let key = line[..equals].trim_end().trim_end_matches(['"', '\'']);
        let start = key
            .rfind(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '-')
            .map_or(0, |at| {
                at + key[at..].chars().next().map_or(1, char::len_utf8)
            });
        let key = key[start..].to_lowercase();
        let secret = SECRET_KEYS.iter().any(|known| {
            if key.len() > LONGEST_WORD {
                return key.ends_with(known);
            }
            strsim::damerau_levenshtein(known, &key) <= known.len() / 3 || key.ends_with(known)
        });
        // A key in PEM form right here, whatever it is called.
        let value = line[from..].trim_start().trim_start_matches(['"', '\'']);
        let secret = secret || value.starts_with("-----BEGIN") && value.contains("PRIVATE KEY");
        if !secret {
            continue;
        }
        let value = line[from..].trim_start();
        let begin = line.len() - value.len();
        let Some(quote) = value.chars().next() else {
            continue;
        };
        // References are no secrets, and the person needs to see which one is meant.
        if value[quote.len_utf8()..].starts_with('@') {
            continue;
        }
        let end = match quote {
            '"' | '\'' => value[1..]
                .find(quote)
                .map_or(line.len(), |at| begin + at + 2),
            _ => value
                .find([',', '}', '#'])
                .map_or(line.len(), |at| begin + at),
        };
        if end > begin {
            ranges.push(begin..end);
        }
        from = end.max(from);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_black_out_secrets_and_keep_the_caret_right() {
        for (line, column, width, want) in [
            (
                r#"wifi = { passphrase = "hunter2hunter2", sid = 1 }"#,
                40,
                3,
                (r#"wifi = { passphrase = ***, sid = 1 }"#, 27, 3),
            ),
            (r#"pasphrase = "hunter2""#, 0, 9, ("pasphrase = ***", 0, 9)),
            (r#"password = 'x"#, 11, 2, ("password = ***", 11, 3)),
            (
                r#"passphrase = hunter2"#,
                13,
                7,
                ("passphrase = ***", 13, 3),
            ),
            (
                r#"passphrase = "@secret:no""#,
                13,
                12,
                (r#"passphrase = "@secret:no""#, 13, 12),
            ),
            (
                r#"ssh = { key = "-----BEGIN OPENSSH PRIVATE KEY-----", host_key = "SHA256:a", keys = ["b"] }"#,
                0,
                3,
                (
                    r#"ssh = { key = ***, host_key = "SHA256:a", keys = ["b"] }"#,
                    0,
                    3,
                ),
            ),
            ("\tname = é", 8, 1, (" name = é", 8, 1)),
        ] {
            let (text, caret, width) = excerpt(line, column, width);
            assert_eq!((text.as_str(), caret, width), want, "{line}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let line = format!("{}HERE{}", "a".repeat(200), "b".repeat(200));
        let (text, caret, width) = excerpt(&line, 200, 4);
        assert_eq!(text.chars().count(), EXCERPT_WIDTH);
        let marked: String = text.chars().skip(caret).take(width).collect();
        assert_eq!(marked, "HERE");
    }
}
