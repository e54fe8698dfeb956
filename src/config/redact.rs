//! A good oobd.toml as others may read it: without secrets, and without comments, which may hold anything.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::hide_secrets;
use super::secret::{Folders, Resolver, Secret};

/// What stands in the place of a secret.
const HIDDEN: &str = "\"***\"";

/// A file without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    pub text: String,
    /// Those of the file and those it refers to.
    pub secrets: Vec<Secret>,
}

/// Takes the secrets out. `None` for a file with problems: nobody knows then what in it is a secret.
#[must_use]
pub fn redact(text: &str, folders: &Folders) -> Option<Redacted> {
    let resolver = Resolver::new(folders);
    super::read(text, &resolver).ok()?;
    let (mut inline, secrets) = resolver.secrets();
    inline.sort_by_key(|span| span.start);
    let document = DeTable::parse(text).ok()?;
    let mut values = Vec::new();
    for value in document.get_ref().values() {
        leaves(value, &mut values);
    }
    let mut shown = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let here = |spans: &[Range<usize>]| spans.iter().find(|span| span.contains(&at)).cloned();
        if let Some(span) = here(&inline) {
            shown.push_str(HIDDEN);
            while letters.next_if(|(next, _)| *next < span.end).is_some() {}
        } else if letter == '#' && here(&values).is_none() {
            while letters.next_if(|(_, next)| *next != '\n').is_some() {}
        } else {
            shown.push(letter);
        }
    }
    // Keys that look like secrets, should one ever be read as something else.
    let lines = shown
        .lines()
        .map(|line| hide_secrets(line).trim_end().to_owned() + "\n");
    let text = lines.collect();
    Some(Redacted { text, secrets })
}

/// The places of all values that are no tables and no arrays.
fn leaves(value: &Spanned<DeValue<'_>>, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().for_each(|value| leaves(value, found)),
        DeValue::Table(table) => table.values().for_each(|value| leaves(value, found)),
        _ => found.push(value.span()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_and_no_comment_is_left() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        std::fs::write(folder.path().join("secrets/rack"), "from-the-store\n").unwrap();
        let folders = Folders::of(&folder.path().join("oobd.toml"), folder.path());
        let text = "schema = 1 # my password is hunter1\n# so is hunter2\n[device]\nname = \"rack7\"\n\
            [uplink.hotspot]\nwifi = { ssid = [\"a#b\"], passphrase = '''\nhunter3hunter3''', country = \"US\" }\n\
            [machine.db]\nipmi = { host = \"10.0.0.30\", username = \"admin\", password = \"hunter4\" }\n\
            [pdu.rack]\nnut = { host = \"10.0.0.2\", ups = \"pdu1\", username = \"oobd\", password = \"@secret:rack\" }\n";
        let redacted = redact(text, &folders).unwrap();
        assert!(!redacted.text.contains("hunter"), "{}", redacted.text);
        for kept in [
            "name = \"rack7\"",
            "a#b",
            "country = \"US\"",
            "username = \"admin\"",
        ] {
            assert!(redacted.text.contains(kept), "{kept}: {}", redacted.text);
        }
        let secrets: Vec<&str> = redacted.secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets.len(), 3);
        assert!(secrets.contains(&"from-the-store") && secrets.contains(&"hunter4"));
        assert_eq!(redact("schema = 1\nnonsense = 1\n", &folders), None);
        assert_eq!(redact("schema = [", &folders), None);
    }
}
