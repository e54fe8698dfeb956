//! Changes of single sections in the text of oobd.toml: whatever else stands there, comments and order too, stays as it is.
//! Knows TOML and no section. What comes out is to be checked like any text a person wrote.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why a text cannot be changed so. For a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("oobd.toml has no [{0}]")]
    Unknown(String),
    #[error("oobd.toml has [{0}] already")]
    Known(String),
    #[error("oobd.toml cannot be read; correct it as text first")]
    Broken,
    /// It is written in a form that is not changed from here.
    #[error("{0} is written in a form that only a person should change; edit oobd.toml as text")]
    Form(String),
}

/// A key and its new value as TOML; `None` takes it away.
pub type Word = (&'static str, Option<String>);

/// Text as a TOML string.
#[must_use]
pub fn quoted(text: &str) -> String {
    // A JSON string is a TOML one, but for DEL.
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

/// A list of texts as TOML.
#[must_use]
pub fn list(texts: &[String]) -> String {
    let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", items.join(", "))
}

/// The name of a section's member as it stands in a header.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// Puts `[section.name]` with these lines at the end.
///
/// # Errors
/// [`Error::Known`] when it is there.
pub fn add(text: &str, section: &str, name: &str, lines: &str) -> Result<String, Error> {
    let document = parse(text)?;
    if find(&document, section, name).is_some() {
        return Err(Error::Known(format!("{section}.{name}")));
    }
    let end = newline(text);
    let mut whole = text.to_owned();
    if !whole.is_empty() && !whole.ends_with('\n') {
        whole.push_str(end);
    }
    if !whole.is_empty() && !whole.ends_with("\n\n") && !whole.ends_with("\n\r\n") {
        whole.push_str(end);
    }
    whole.push_str(&format!("[{section}.{}]{end}", key(name)));
    for line in lines.lines() {
        whole.push_str(line);
        whole.push_str(end);
    }
    Ok(whole)
}

/// Changes keys of `[section.name]`, in whichever form it is written.
///
/// # Errors
/// [`Error`].
pub fn change(text: &str, section: &str, name: &str, words: &[Word]) -> Result<String, Error> {
    let path = format!("{section}.{name}");
    let document = parse(text)?;
    let (_, member) = find(&document, section, name).ok_or_else(|| Error::Unknown(path.clone()))?;
    let form = || Error::Form(format!("[{path}]"));
    let table = member.get_ref().as_table().ok_or_else(form)?;
    let span = member.span();
    let inline = match text.get(span.clone()).and_then(|head| head.chars().next()) {
        Some('[') => false,
        Some('{') => true,
        _ => return Err(form()),
    };
    let entries = entries(table);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut fresh = Vec::new();
    for (word, value) in words {
        let at = entries.iter().position(|(name, ..)| name == word);
        match (at, value) {
            (Some(at), _) if entries[at].3 && !inline => return Err(form()),
            (Some(at), Some(value)) => edits.push((entries[at].2.clone(), value.clone())),
            (Some(at), None) if inline => edits.push((inline_part(&entries, at), String::new())),
            (Some(at), None) => {
                let (_, key, value, _) = &entries[at];
                edits.push((whole_lines(text, key.start..value.end), String::new()));
            }
            (None, Some(value)) => fresh.push(format!("{word} = {value}")),
            (None, None) => {}
        }
    }
    if !fresh.is_empty() {
        // Behind what stays, so that no edit touches another.
        let gone = |at: &Range<usize>| edits.iter().any(|(gone, _)| gone.contains(&at.start));
        let last = entries
            .iter()
            .rfind(|(_, key, _, nested)| !gone(key) && (inline || !nested));
        let end = newline(text);
        edits.push(match (inline, last) {
            (true, Some((_, _, value, _))) => {
                let text = format!(", {}", fresh.join(", "));
                (value.end..value.end, text)
            }
            (true, None) => {
                let at = span.start + 1;
                (at..at, format!(" {} ", fresh.join(", ")))
            }
            (false, last) => {
                let from = last.map_or(span.end, |(_, _, value, _)| value.end);
                let at = line_end(text, from);
                let whole = if text[..at].ends_with('\n') { "" } else { end };
                (at..at, format!("{whole}{}{end}", fresh.join(end)))
            }
        });
    }
    Ok(edited(text, edits))
}

/// Takes `[section.name]` out, with all that is below it. Comments above it stay.
///
/// # Errors
/// [`Error`].
pub fn remove(text: &str, section: &str, name: &str) -> Result<String, Error> {
    let path = format!("{section}.{name}");
    let document = parse(text)?;
    let (key, member) =
        find(&document, section, name).ok_or_else(|| Error::Unknown(path.clone()))?;
    let span = member.span();
    let starts = |with: char| text.get(span.clone()).is_some_and(|t| t.starts_with(with));
    if starts('{') {
        let line = whole_lines(text, key.start..span.end);
        let alone = text[line.start..key.start].trim().is_empty();
        return match alone {
            true => Ok(edited(text, vec![(line, String::new())])),
            false => Err(Error::Form(format!("[{path}]"))),
        };
    }
    if !starts('[') {
        return Err(Error::Form(format!("[{path}]")));
    }
    let mut all = Vec::new();
    headers(text, &document, &mut all);
    all.sort_unstable();
    let mut own = vec![span.start];
    if let Some(table) = member.get_ref().as_table() {
        headers(text, table, &mut own);
    }
    let edits = own.iter().map(|start| {
        let next = all.iter().find(|other| *other > start);
        let end = next.map_or(text.len(), |next| above(text, *next));
        (line_start(text, *start)..end, String::new())
    });
    Ok(edited(text, edits.collect()))
}

fn parse(text: &str) -> Result<DeTable<'_>, Error> {
    let document = DeTable::parse(text).map_err(|_| Error::Broken)?;
    Ok(document.into_inner())
}

/// The span of its key, and the member itself.
fn find<'t, 'd>(
    document: &'t DeTable<'d>,
    section: &str,
    name: &str,
) -> Option<(Range<usize>, &'t Spanned<DeValue<'d>>)> {
    let table = document.get(section)?.get_ref().as_table()?;
    let (key, member) = table.get_key_value(name)?;
    Some((key.span(), member))
}

/// Keys in the order of the text: name, span of the key, span of the value, whether it is a table of its own.
fn entries(table: &DeTable<'_>) -> Vec<(String, Range<usize>, Range<usize>, bool)> {
    let one = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        let nested = value.get_ref().is_table();
        (name.to_string(), key.span(), value.span(), nested)
    };
    let mut entries: Vec<_> = table.iter().map(one).collect();
    entries.sort_by_key(|(_, key, ..)| key.start);
    entries
}

/// Where headers begin, of this table's members and theirs.
fn headers(text: &str, table: &DeTable<'_>, found: &mut Vec<usize>) {
    for (_, value) in table {
        header(text, value, found);
    }
}

fn header(text: &str, value: &Spanned<DeValue<'_>>, found: &mut Vec<usize>) {
    let span = value.span();
    match value.get_ref() {
        DeValue::Table(table) => {
            if text.get(span.clone()).is_some_and(|t| t.starts_with('[')) {
                found.push(span.start);
            }
            headers(text, table, found);
        }
        DeValue::Array(items) => items.iter().for_each(|item| header(text, item, found)),
        _ => {}
    }
}

/// One entry of an inline table, with the comma that goes with it.
fn inline_part(entries: &[(String, Range<usize>, Range<usize>, bool)], at: usize) -> Range<usize> {
    let (_, key, value, _) = &entries[at];
    match (entries.get(at + 1), at.checked_sub(1)) {
        (Some((_, next, ..)), _) => key.start..next.start,
        (None, Some(before)) => entries[before].2.end..value.end,
        (None, None) => key.start..value.end,
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |line| line + 1)
}

/// Behind the line feed of this line.
fn line_end(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |line| at + line + 1)
}

fn whole_lines(text: &str, span: Range<usize>) -> Range<usize> {
    line_start(text, span.start)..line_end(text, span.end)
}

/// Where the comments begin that stand right above the line of `at`.
fn above(text: &str, at: usize) -> usize {
    let mut start = line_start(text, at);
    while start > 0 {
        let before = line_start(text, start - 1);
        if !text[before..start].trim_start().starts_with('#') {
            break;
        }
        start = before;
    }
    start
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(span, _)| span.start);
    let mut whole = String::with_capacity(text.len());
    let mut from = 0;
    for (span, new) in edits {
        whole.push_str(text.get(from..span.start).unwrap_or_default());
        whole.push_str(&new);
        from = from.max(span.end);
    }
    whole + text.get(from..).unwrap_or_default()
}

#[cfg(test)]
#[path = "surgery_tests.rs"]
mod tests;
