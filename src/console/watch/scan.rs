//! Lines of a device against patterns and the texts of logins. Pure; keeps one line of bounded length.

use std::time::Duration;

use regex::bytes::Regex;

use super::login::{self, Logins};
use crate::clock::Instant;
use crate::config;
use crate::event::Severity;
use crate::pattern;
use crate::transcript::Plain;

/// What of a line is looked at; the rest of a longer one is left out.
const LINE_MAX: usize = 1024;
/// Characters of a line in an event.
const TOLD_MAX: usize = 200;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Pattern {
        pattern: String,
        line: String,
        severity: Severity,
    },
    Login(String),
    Logout(String),
    Silent(u64),
    Heard(u64),
}

#[derive(Debug)]
struct Pattern {
    name: String,
    regex: Regex,
    severity: Severity,
    cooldown: Duration,
    /// Not again before.
    rests_until: Option<Instant>,
    /// Found in the line while it had no end.
    found: bool,
}

/// The watch's eyes.
#[derive(Debug)]
pub(super) struct Scan {
    patterns: Vec<Pattern>,
    logins: Option<Logins>,
    line: Vec<u8>,
    now: Instant,
}

impl Scan {
    pub(super) fn new(record: &config::Record) -> Self {
        let compile = |pattern: &config::Pattern| {
            // It compiled when the file was checked.
            let regex = pattern::compile(&pattern.regex).ok()?;
            Some(Pattern {
                name: pattern.name.clone(),
                regex,
                severity: pattern.severity,
                cooldown: pattern.cooldown,
                rests_until: None,
                found: false,
            })
        };
        Self {
            patterns: record.patterns.iter().filter_map(compile).collect(),
            logins: record.logins.then(Logins::default),
            line: Vec::new(),
            now: Instant::now(),
        }
    }

    /// Nothing is looked for.
    pub(super) fn is_idle(&self) -> bool {
        self.patterns.is_empty() && self.logins.is_none()
    }

    /// Takes in what came by `now`.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant) -> Vec<Found> {
        self.now = now;
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            if self.line.is_empty() {
                self.look(&line[..line.len().min(LINE_MAX)], true, &mut found);
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.line);
                self.look(&line, true, &mut found);
                self.line = line;
                self.line.clear();
            }
            rest = after;
        }
        self.keep(rest);
        found
    }

    /// Nothing has come for a while: a line without an end is a prompt.
    pub(super) fn quiet(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        let line = std::mem::take(&mut self.line);
        self.look(&line, false, &mut found);
        self.line = line;
        found
    }

    /// Is there a line without an end?
    pub(super) fn is_open(&self) -> bool {
        !self.line.is_empty()
    }

    /// Bytes are missing here.
    pub(super) fn forget(&mut self) {
        self.line.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn look(&mut self, line: &[u8], ended: bool, out: &mut Vec<Found>) {
        let watches = !self.patterns.is_empty();
        if !watches && ended && !login::may_tell(line) && !self.expects_prompt() {
            return;
        }
        let plain = Plain::line(line);
        for pattern in &mut self.patterns {
            let fresh = !std::mem::take(&mut pattern.found);
            if !pattern.regex.is_match(&plain) {
                continue;
            }
            pattern.found = !ended;
            let rests = pattern.rests_until.is_some_and(|until| self.now < until);
            if fresh && !rests {
                pattern.rests_until = Some(self.now + pattern.cooldown);
                out.push(Found::Pattern {
                    pattern: pattern.name.clone(),
                    line: told(&plain),
                    severity: pattern.severity,
                });
            }
        }
        if let Some(logins) = &mut self.logins {
            logins.look(&plain, ended, self.now, out);
        }
    }

    fn expects_prompt(&self) -> bool {
        self.logins.as_ref().is_some_and(Logins::expects_prompt)
    }
}

/// A line as it may stand in an event.
fn told(plain: &[u8]) -> String {
    let text = String::from_utf8_lossy(plain);
    let shown = text.chars().filter(|letter| !letter.is_control());
    let text: String = shown.take(TOLD_MAX).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(patterns: &[(&str, &str)], cooldown: u64) -> config::Record {
        let pattern = |(name, regex): &(&str, &str)| config::Pattern {
            name: (*name).into(),
            regex: (*regex).into(),
            severity: Severity::Warning,
            cooldown: Duration::from_secs(cooldown),
        };
        config::Record {
            patterns: patterns.iter().map(pattern).collect(),
            logins: false,
            ..config::Record::default()
        }
    }

    fn names(found: &[Found]) -> Vec<(&str, &str)> {
        fn name(found: &Found) -> (&str, &str) {
            match found {
                Found::Pattern { pattern, line, .. } => (pattern, line),
                other => panic!("{other:?}"),
            }
        }
        found.iter().map(name).collect()
    }

    #[test]
    fn a_prompt_is_found_once_and_a_line_without_its_colours() {
        let record = record(
            &[
                ("prompt", "login: $"),
                ("login", "login:"),
                ("panic", "^panic"),
            ],
            0,
        );
        let mut scan = Scan::new(&record);
        let now = Instant::now();
        assert_eq!(scan.feed(b"\x1b[1mrack login:\x1b[0m ", now), []);
        assert!(scan.is_open());
        assert_eq!(
            names(&scan.quiet()),
            [("prompt", "rack login:"), ("login", "rack login:")]
        );
        assert_eq!(scan.quiet(), [], "the same prompt");
        let more = scan.feed(b"alice\r\n\x1b[31mpanic: \x1b[0mat 0\r\npan", now);
        assert_eq!(names(&more), [("panic", "panic: at 0")]);
        assert_eq!(names(&scan.feed(b"ic\n", now)), [("panic", "panic")]);
        scan.feed(b"pan", now);
        scan.forget();
        assert_eq!(scan.feed(b"ic\n", now), []);
    }

    #[test]
    fn a_pattern_rests() {
        let mut scan = Scan::new(&record(&[("x", "x")], 60));
        let now = Instant::now();
        assert_eq!(scan.feed(b"x\nx\nx\n", now).len(), 1);
        assert_eq!(scan.feed(b"x\n", now + Duration::from_secs(59)).len(), 0);
        assert_eq!(scan.feed(b"x\n", now + Duration::from_secs(60)).len(), 1);
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let mut scan = Scan::new(&record(&[("x", "x$")], 0));
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(scan.feed(&[b'a'; 5000], now), []);
        }
        assert_eq!(scan.line.len(), LINE_MAX);
        assert_eq!(scan.feed(b"x\nx\n", now).len(), 1);
    }

    proptest! {
        /// However the stream is cut, the same is found.
        #[test]
        fn cuts_change_nothing(
            data in prop::collection::vec(prop::sample::select(b"panicx \n\r\x1b[m".to_vec()), 0..600),
            cut in 1..50_usize,
        ) {
            let now = Instant::now();
            let record = record(&[("panic", "pan"), ("end", "c$")], 0);
            let whole = Scan::new(&record).feed(&data, now);
            let mut scan = Scan::new(&record);
            let pieces: Vec<Found> = data.chunks(cut).flat_map(|piece| scan.feed(piece, now)).collect();
            prop_assert_eq!(whole, pieces);
        }
    }
}
