//! Walks the spanned TOML tree and notes every fault instead of stopping at the first. Knows no section.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::problem::{LONGEST_WORD, Log, Sort};
use super::values;

/// A list longer than this is an accident.
const LONGEST_LIST: usize = 256;

/// One value with its place. Reading it as something it is not notes a fault and gives `None`.
#[derive(Clone)]
pub(super) struct Field<'a> {
    log: &'a Log<'a>,
    value: &'a DeValue<'a>,
    span: Range<usize>,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.log.add(
            self.span.clone(),
            Sort::Wrong,
            &self.path,
            message.into(),
            None,
        );
    }

    pub(super) fn wrong_so(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.log.add(
            self.span.clone(),
            Sort::Wrong,
            &self.path,
            message.into(),
            Some(hint.into()),
        );
    }

    fn wrong_type(&self, wanted: &str) {
        self.wrong(format!("expected {wanted}, found {}", kind(self.value)));
    }

    /// Notes that the design has this value, and this version has not.
    pub(super) fn not_yet(&self) {
        not_yet(self.log, self.span.clone(), &self.path);
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    /// The byte range of the value in the file, quotes included.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value at a path of keys inside this one, if all of it is there; for cross-references.
    pub(super) fn inner(&self, keys: &[&str]) -> Option<Field<'a>> {
        let [key, rest @ ..] = keys else {
            return Some(self.clone());
        };
        let (_, value) = self.value.as_table()?.get_key_value(*key)?;
        let field = Field {
            log: self.log,
            value: value.get_ref(),
            span: value.span(),
            path: join(&self.path, key),
        };
        field.inner(rest)
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// The text, if it is one; nothing is noted otherwise.
    pub(super) fn str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type("text in quotes");
        }
        text
    }

    /// Text, read by `parse`, whose error is the fault.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match parse(self.text()?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong(message);
                None
            }
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong_type("true or false");
        }
        flag
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type(&wanted);
            return None;
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(format!("{integer} is out of range: expected {wanted}"));
        }
        number
    }

    /// A port, if it is one. Says nothing: that is for who reads it.
    pub(super) fn port(&self) -> Option<u16> {
        let integer = self.value.as_integer()?;
        let number = i128::from_str_radix(integer.as_str(), integer.radix());
        u16::try_from(number.ok()?).ok()
    }

    /// Text such as `"30s"`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        if !self.value.is_str() {
            self.wrong_so(
                format!("expected a duration, found {}", kind(self.value)),
                "write text with a unit, as in \"30s\", \"5m\", \"250ms\" or \"12h\"",
            );
            return None;
        }
        let duration = self.parsed(values::duration)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        self.wrong(format!(
            "out of range: expected {} to {}",
            values::show_duration(*range.start()),
            values::show_duration(*range.end())
        ));
        None
    }

    /// Bytes: a whole number, or text such as `"256KiB"`.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let size = match self.value {
            DeValue::Integer(_) => self.number(0..=u64::MAX)?,
            DeValue::String(_) => self.parsed(values::size)?,
            _ => {
                self.wrong_type("a size such as \"256KiB\"");
                return None;
            }
        };
        if range.contains(&size) {
            return Some(size);
        }
        self.wrong(format!(
            "out of range: expected {} to {}",
            values::show_size(*range.start()),
            values::show_size(*range.end())
        ));
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, options: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = options.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<_> = options.iter().map(|(word, _)| *word).collect();
        let message = format!("unknown value \"{}\"", text.escape_debug());
        self.wrong_so(message, suggest(text, &words, '"'));
        None
    }

    pub(super) fn list(&self) -> Option<Vec<Field<'a>>> {
        let Some(array) = self.value.as_array() else {
            self.wrong_so(
                format!("expected a list, found {}", kind(self.value)),
                "a list stands in brackets, also when it has one entry only: [\"…\"]",
            );
            return None;
        };
        if array.len() > LONGEST_LIST {
            self.wrong(format!("longer than {LONGEST_LIST} entries"));
            return None;
        }
        let item = |(index, value): (usize, &'a toml::Spanned<DeValue<'a>>)| Field {
            log: self.log,
            value: value.get_ref(),
            span: value.span(),
            path: format!("{}[{index}]", self.path),
        };
        Some(array.iter().enumerate().map(item).collect())
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        let Some(entries) = self.value.as_table() else {
            self.wrong_type("a table");
            return None;
        };
        Some(Table {
            log: self.log,
            entries,
            span: self.span.clone(),
            path: self.path.clone(),
            asked: Vec::new(),
            later: Vec::new(),
        })
    }
}

/// A table being read: ask for every key, then [`Table::finish`] notes the keys nobody asked for.
pub(super) struct Table<'a> {
    log: &'a Log<'a>,
    entries: &'a DeTable<'a>,
    span: Range<usize>,
    path: String,
    asked: Vec<&'static str>,
    /// Keys that have had their word already.
    later: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn root(log: &'a Log<'a>, entries: &'a DeTable<'a>) -> Self {
        Self {
            log,
            entries,
            span: 0..0,
            path: String::new(),
            asked: Vec::new(),
            later: Vec::new(),
        }
    }

    /// The value of a key that may be left out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        let (_, value) = self.entries.get_key_value(key)?;
        Some(self.field(key, value))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &'static str, hint: &str) -> Option<Field<'a>> {
        let field = self.take(key);
        if field.is_none() {
            self.missing(format!("`{key}` is missing"), hint);
        }
        field
    }

    /// Notes at the head of the table that something is not there.
    pub(super) fn missing(&self, message: String, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.log
            .add(self.span.clone(), Sort::Missing, &self.path, message, hint);
    }

    /// Keys of the design that this version does not serve yet: a clear word instead of "unknown key".
    pub(super) fn later(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.later.push(key);
            if let Some((name, _)) = self.entries.get_key_value(*key) {
                not_yet(self.log, name.span(), &join(&self.path, key));
            }
        }
    }

    /// Reads an externally tagged table: exactly one of `kinds` (or of `later`, which is a fault of its own).
    /// Call it after every other key has been asked for.
    pub(super) fn one_of(
        &mut self,
        kinds: &[&'static str],
        later: &[&'static str],
    ) -> Option<(&'static str, Field<'a>)> {
        let others: Vec<_> = self.asked.iter().chain(&self.later).copied().collect();
        self.asked.extend(kinds);
        self.later.extend(later);
        let mut given = Vec::new();
        for (key, value) in self.entries {
            let kind = kinds
                .iter()
                .chain(later)
                .find(|kind| **kind == key.get_ref());
            if let Some(kind) = kind {
                given.push((*kind, key.span(), value));
            }
        }
        for (second, span, _) in given.iter().skip(1) {
            self.log.add(
                span.clone(),
                Sort::Wrong,
                &join(&self.path, second),
                format!("has a kind already: `{}`", given[0].0),
                Some("make a second section of its own for it".to_owned()),
            );
        }
        match given.first() {
            Some((kind, span, _)) if later.contains(kind) => {
                not_yet(self.log, span.clone(), &join(&self.path, kind));
                None
            }
            Some((kind, _, value)) if given.len() == 1 => Some((kind, self.field(kind, value))),
            Some(_) => None,
            None => {
                // A misspelt kind is told by `finish`.
                let misspelt = self.entries.iter().any(|(key, value)| {
                    !others.iter().any(|other| *other == key.get_ref())
                        && value.get_ref().is_table()
                });
                if !misspelt {
                    let words: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
                    let example = format!("write {} = {{ … }}", kinds.join(" = { … } or "));
                    self.missing(format!("needs a kind: {}", words.join(" or ")), &example);
                }
                None
            }
        }
    }

    /// The entries of a table whose keys are names that the person chose, in the order of the file.
    pub(super) fn named(&self) -> Vec<(Named<'a>, Field<'a>)> {
        let entry = |(key, value): (&'a toml::Spanned<_>, &'a toml::Spanned<DeValue<'a>>)| {
            let text: &'a std::borrow::Cow<'a, str> = key.get_ref();
            let field = self.field(text, value);
            let named = Named {
                log: self.log,
                text,
                span: key.span(),
                path: field.path.clone(),
            };
            (named, field)
        };
        self.entries.iter().map(entry).collect()
    }

    /// Notes the keys that were not asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.entries {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) && !self.later.contains(&name) {
                self.log.add(
                    key.span(),
                    Sort::Wrong,
                    &join(&self.path, name),
                    "unknown key".to_owned(),
                    Some(suggest(name, &self.asked, '`')),
                );
            }
        }
    }

    fn field(&self, key: &str, value: &'a toml::Spanned<DeValue<'a>>) -> Field<'a> {
        Field {
            log: self.log,
            value: value.get_ref(),
            span: value.span(),
            path: join(&self.path, key),
        }
    }
}

/// A name that the person chose, as in `[console.NAME]`.
pub(super) struct Named<'a> {
    log: &'a Log<'a>,
    text: &'a str,
    span: Range<usize>,
    path: String,
}

impl Named<'_> {
    pub(super) fn text(&self) -> String {
        self.text.to_owned()
    }

    /// Notes a fault unless files, commands and SSH sign-ins can carry the name.
    pub(super) fn check(&self) {
        if let Err(message) = values::name(self.text) {
            self.wrong(message, None);
        }
    }

    pub(super) fn wrong(&self, message: impl Into<String>, hint: Option<String>) {
        self.log.add(
            self.span.clone(),
            Sort::Wrong,
            &self.path,
            message.into(),
            hint,
        );
    }
}

/// What the person may have meant.
pub(super) fn suggest<S: AsRef<str>>(word: &str, known: &[S], quote: char) -> String {
    let near = known
        .iter()
        .filter(|_| word.len() <= LONGEST_WORD)
        .map(|known| {
            (
                strsim::damerau_levenshtein(word, known.as_ref()),
                known.as_ref(),
            )
        })
        .min();
    match near {
        Some((distance, known)) if distance <= (known.len() / 3).max(1) => {
            format!("did you mean {quote}{known}{quote}?")
        }
        _ if known.is_empty() => "nothing may stand here".to_owned(),
        _ => {
            let all: Vec<_> = known
                .iter()
                .map(|known| format!("{quote}{}{quote}", known.as_ref()))
                .collect();
            format!("expected {}", either(&all))
        }
    }
}

fn not_yet(log: &Log<'_>, span: Range<usize>, path: &str) {
    log.add(
        span,
        Sort::Wrong,
        path,
        format!(
            "not in this version of oobd ({})",
            env!("CARGO_PKG_VERSION")
        ),
        Some("remove it, or put a # before each of its lines".to_owned()),
    );
}

fn either(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-');
    let key = if bare {
        key.to_owned()
    } else {
        format!("\"{}\"", key.escape_debug())
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
