//! Which console a person means by a few letters: a label, `port02`, a number, the start of a label. Pure.

use std::collections::BTreeMap;

use crate::fact::Console;

/// Words before a number that mean a port: `port02`, and what hands from other console servers type.
const PORT_WORDS: [&str; 3] = ["port", "ttys", "/dev/port"];

/// Why a text names no console. Names only consoles of the list it was looked up in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoConsole {
    #[error("there is no console {0}")]
    Unknown(String),
    #[error("which one: {}?", .0.join(", "))]
    Many(Vec<String>),
}

/// Looks a console up: its label first, then `port02` or `2`, then the start of one label alone; upper and lower case
/// are the same but for a label written exactly. `consoles` holds only what the person may see.
///
/// # Errors
/// [`NoConsole`], with the text made harmless.
pub fn find<'a>(
    consoles: impl IntoIterator<Item = &'a Console>,
    text: &str,
) -> Result<&'a Console, NoConsole> {
    let list: Vec<&Console> = consoles.into_iter().collect();
    if let Some(exact) = list.iter().find(|console| console.name == text) {
        return Ok(exact);
    }
    let wanted = text.to_lowercase();
    let same: Vec<&&Console> = list
        .iter()
        .filter(|console| console.name.to_lowercase() == wanted)
        .collect();
    if let [one] = same[..] {
        return Ok(one);
    }
    if let Some(number) = number(&wanted) {
        let numbered: Vec<&&Console> = list.iter().filter(|c| c.number == number).collect();
        if let [one] = numbered[..] {
            return Ok(one);
        }
    }
    let begins: Vec<&&Console> = list
        .iter()
        .filter(|console| !wanted.is_empty() && console.name.to_lowercase().starts_with(&wanted))
        .collect();
    match begins[..] {
        [] => Err(NoConsole::Unknown(printable(text))),
        [one] => Ok(one),
        _ => Err(NoConsole::Many(
            begins.iter().map(|console| console.name.clone()).collect(),
        )),
    }
}

/// As [`find`] among the consoles of the state that `sees` lets through.
///
/// # Errors
/// As [`find`].
pub fn find_seen<'a>(
    consoles: &'a BTreeMap<String, Console>,
    sees: impl Fn(&str) -> bool,
    text: &str,
) -> Result<&'a Console, NoConsole> {
    find(
        consoles.values().filter(|console| sees(&console.name)),
        text,
    )
}

/// `2`, `02`, `port02`, `ttyS2` in lower case.
fn number(text: &str) -> Option<u16> {
    let digits = PORT_WORDS
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Bounded, without anything that steers a terminal.
fn printable(text: &str) -> String {
    let letters = text.chars().take(64);
    letters
        .flat_map(|letter| {
            let plain = letter.is_ascii_graphic() || letter == ' ' || letter.is_alphanumeric();
            let escaped = (!plain).then(|| letter.escape_default());
            plain
                .then_some(letter)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::fact::PortPhase;
    use crate::line::LineState;

    fn console(number: u16, name: &str) -> Console {
        Console {
            name: name.into(),
            port: "/dev/ttyS1".into(),
            line: "9600n8".into(),
            phase: PortPhase::Open,
            since: Timestamp(0),
            why: String::new(),
            sessions: vec![],
            rx_bytes: 0,
            tx_bytes: 0,
            last_line: String::new(),
            state: LineState::default(),
            number,
            device: None,
            outlets: vec![],
        }
    }

    fn rack() -> Vec<Console> {
        let names = ["core-router", "core-switch", "Edge", "7", "port01"];
        (1..).zip(names).map(|(n, name)| console(n, name)).collect()
    }

    #[test]
    fn labels_numbers_and_beginnings() {
        for (text, name) in [
            ("core-switch", "core-switch"),
            ("CORE-SWITCH", "core-switch"),
            ("core-s", "core-switch"),
            ("e", "Edge"),
            ("2", "core-switch"),
            ("02", "core-switch"),
            ("port02", "core-switch"),
            ("Port2", "core-switch"),
            ("ttyS3", "Edge"),
            ("/dev/port03", "Edge"),
            // A label is what it says, whatever else it could mean.
            ("7", "7"),
            ("port01", "port01"),
            ("1", "core-router"),
        ] {
            let rack = rack();
            let found = find(&rack, text).map(|console| console.name.as_str());
            assert_eq!(found, Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_and_what_is_not_clear() {
        for text in [
            "",
            "x",
            "port",
            "port99",
            "99999999999",
            "core-switch2",
            "-1",
        ] {
            let rack = rack();
            let refused = find(&rack, text).map(|_| ());
            let expected = match text {
                "port" => Ok(()),
                _ => Err(NoConsole::Unknown(text.into())),
            };
            assert_eq!(refused, expected, "{text}");
        }
        let rack = rack();
        let many = find(&rack, "core").unwrap_err();
        assert_eq!(many.to_string(), "which one: core-router, core-switch?");
        let nasty = find(&rack, "\x1b[2J").unwrap_err().to_string();
        assert_eq!(nasty, "there is no console \\u{1b}[2J");
    }

    #[test]
    fn a_hidden_console_is_no_candidate() {
        let all: BTreeMap<String, Console> =
            rack().into_iter().map(|c| (c.name.clone(), c)).collect();
        let sees = |name: &str| name != "core-router";
        assert_eq!(find_seen(&all, sees, "core").unwrap().name, "core-switch");
        assert!(find_seen(&all, sees, "1").is_err());
    }
}
