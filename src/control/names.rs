//! Names in sentences: does a text speak of a console, an outlet or a machine that a person may not see? Pure.

use crate::access::Person;

/// Does the text name what is hidden from this person, as `console NAME`, `machine.NAME`, `screen.NAME`, `ider.NAME`, `outlet off: PDU/OUTLET,OUTLET`
/// or `pdu.NAME.outlet.KEY`?
pub(super) fn names_hidden(text: &str, person: &Person) -> bool {
    named(text, "console", &[' ', '.'], |name| person.sees(name))
        || named(text, "machine", &[' ', '.'], |name| person.sees_machine(name))
        // The owners of a screen and of drives; the word in a sentence is followed by no name.
        || named(text, "screen", &['.'], |name| person.sees_machine(name))
        || named(text, "ider", &['.'], |name| person.sees_machine(name))
        || outlets(text).any(|(pdu, outlet)| !person.sees_outlet(pdu, outlet))
}

/// Is one that is not seen named behind this word, with one of these between?
fn named(text: &str, noun: &str, between: &[char], sees: impl Fn(&str) -> bool) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(noun) {
        rest = &rest[at + noun.len()..];
        let Some(after) = rest.strip_prefix(between) else {
            continue;
        };
        // A name in quotes has a dot in it.
        let word = word(after.trim_start_matches('"'));
        // The name, or what follows it after a dot: `console.edge.serial`, `console edge.`
        let mut heads = word.match_indices('.').map(|(at, _)| &word[..at]);
        if !word.is_empty() && !sees(word) && !heads.any(&sees) {
            return true;
        }
    }
    false
}

/// The letters of a name at the start.
fn word(text: &str) -> &str {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let end = text.find(|c| !inside(c)).unwrap_or(text.len());
    &text[..end]
}

/// What looks like an outlet: `PDU/OUTLET`, a list of outlets of one PDU, and the key of oobd.toml.
fn outlets(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let about = text.contains("outlet");
    let words = text.split([' ', ':', '(', ')']).filter(move |_| about);
    let listed = words.filter_map(|word| word.split_once('/'));
    let listed = listed.flat_map(|(pdu, keys)| keys.split(',').map(move |key| (pdu, key)));
    // `…/3.` ends a sentence.
    let listed = listed.map(|(pdu, key)| (pdu, key.trim_end_matches(['.', ';', '"'])));
    let keys = text.split("pdu.").skip(1).filter_map(|rest| {
        let (pdu, rest) = rest.split_once(".outlet.")?;
        Some((pdu.trim_matches('"'), word(rest.trim_start_matches('"'))))
    });
    // `KEY.label`: the key alone.
    let keys = keys.map(|(pdu, key)| {
        let known = ["label", "feeds"].iter().find_map(|last| {
            let head = key.strip_suffix(last)?;
            head.strip_suffix('.')
        });
        (pdu, known.unwrap_or(key))
    });
    listed.chain(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Directory;
    use crate::config::{Role, User};

    #[test]
    fn what_is_not_granted_is_not_named() {
        let grants = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let alice = User {
            name: "alice".into(),
            role: Role::Operator,
            keys: vec![],
            password: None,
            consoles: grants(&["core"]),
            forward: true,
            outlets: grants(&["rack/1*", "lab/*:read"]),
            machines: grants(&["db-*"]),
            keys_inside: None,
        };
        let alice = Directory::new(&[alice]).person("alice").unwrap();
        for (text, hidden) in [
            ("outlet off: rack/1", false),
            ("outlet cycle: rack/1,12", false),
            ("outlet cycle: rack/1,2", true),
            ("outlet off: lab/9", false),
            ("outlet off: cellar/1", true),
            ("outlet rack/2 is busy: cycle by bob is under way", true),
            ("outlet rack/1 is busy", false),
            ("read PDU rack", false),
            ("power off: machine db-1", false),
            ("power off: machine web", true),
            ("machine.web", true),
            ("screen.web", true),
            ("ider.web", true),
            ("ider.db-1", false),
            ("screen.db-1", false),
            ("the screen is wide", false),
            ("read what machine web starts from", true),
            ("read what machine db-1 starts from", false),
            (
                "line 3, column 1: pdu.rack.outlet.2.label: unknown key",
                true,
            ),
            (
                "line 3, column 1: pdu.rack.outlet.1.label: unknown key",
                false,
            ),
            ("line 3, column 1: machine.web.bmc: no", true),
            ("line 3, column 1: console.edge.outlet: no", true),
            ("scan for uplink a/b", false),
        ] {
            assert_eq!(names_hidden(text, &alice), hidden, "{text}");
        }
    }
}
