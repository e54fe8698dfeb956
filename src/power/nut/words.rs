//! Lines of `upsd` as words, and what they say. Pure; every line is hostile until it is read.
//!
//! Protocol: networkupstools/nut `docs/net-protocol.txt`; quoting `common/parseconf.c`: words are parted by blanks, `"` keeps a word
//! together, a backslash takes the next letter as it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::power::driver::{Fault, OutletReading};
use crate::reset::PowerState;

/// Words that are taken of one line; no line of the protocol has more than five.
const MOST_WORDS: usize = 16;
/// Outlets that are taken of one device.
const MOST_OUTLETS: usize = 512;

/// The words of a line.
///
/// # Errors
/// A quote or backslash that does not end, more words than any line has.
pub(in crate::power) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => {
                let kept = letters.next().ok_or("a line that ends with a backslash")?;
                word.get_or_insert_default().push(kept);
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
        if words.len() > MOST_WORDS {
            return Err("a line of too many words".into());
        }
    }
    if quoted {
        return Err("a quote that does not end".into());
    }
    words.extend(word);
    Ok(words)
}

/// A word so that `upsd` reads it as it is. Control characters, which no line can carry, are left out.
pub(super) fn quote(word: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in word.chars().filter(|letter| !letter.is_control()) {
        if letter == '"' || letter == '\\' {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// What a line that is no `ERR` is given back as; an `ERR` becomes what it means to us.
///
/// # Errors
/// What `upsd` refused, or that this is no line of it.
pub(super) fn good(line: &str) -> Result<Vec<String>, Fault> {
    let words = split(line).map_err(Fault::Odd)?;
    match words.first().map(String::as_str) {
        Some("ERR") => Err(refusal(words.get(1).map_or("", String::as_str))),
        Some(_) => Ok(words),
        None => Err(Fault::Odd("an empty line".into())),
    }
}

/// What the code of an `ERR` means.
pub(super) fn refusal(code: &str) -> Fault {
    let shown: String = code.chars().take(40).collect();
    let said = format!("upsd says {}", shown.escape_debug());
    match code {
        "ACCESS-DENIED" | "INVALID-PASSWORD" | "INVALID-USERNAME" => {
            Fault::Refused(format!("{said}: wrong username or password, or no right"))
        }
        "USERNAME-REQUIRED" | "PASSWORD-REQUIRED" => {
            Fault::Refused(format!("{said}: give `username` and `password`"))
        }
        "DRIVER-NOT-CONNECTED" | "DATA-STALE" => {
            Fault::Silent(format!("{said}: it does not reach the device itself"))
        }
        "UNKNOWN-UPS" => Fault::NotPossible(format!("{said}: it knows no device of this name")),
        "CMD-NOT-SUPPORTED"
        | "VAR-NOT-SUPPORTED"
        | "READONLY"
        | "INVALID-ARGUMENT"
        | "INVALID-VALUE"
        | "TOO-LONG"
        | "FEATURE-NOT-SUPPORTED"
        | "FEATURE-NOT-CONFIGURED" => Fault::NotPossible(said),
        _ => Fault::Odd(said),
    }
}

/// What a device can be asked: commands, and variables that can be written.
#[derive(Clone, Debug, Default)]
pub(in crate::power) struct Abilities {
    pub(in crate::power) commands: BTreeSet<String>,
    pub(in crate::power) writable: BTreeSet<String>,
}

/// Variables and their values.
pub(in crate::power) type Variables = BTreeMap<String, String>;

/// The outlets among the variables: `outlet.N.…`, and `device.K.outlet.N.…` in a chain. `outlet.0` and groups stand for
/// many and are left out.
pub(in crate::power) fn outlets(variables: &Variables, can: &Abilities) -> Vec<OutletReading> {
    let mut found: BTreeMap<(u32, u32), OutletReading> = BTreeMap::new();
    for (name, value) in variables {
        let Some((place, what)) = place(name) else {
            continue;
        };
        if found.len() >= MOST_OUTLETS && !found.contains_key(&place) {
            continue;
        }
        let outlet = found.entry(place).or_default();
        match what {
            "status" => (outlet.state, outlet.in_transition) = status(value),
            "name" => outlet.label.clone_from(value),
            "desc" if outlet.label.is_empty() => outlet.label.clone_from(value),
            "realpower" => outlet.watts = number(value),
            "current" => outlet.amps = number(value),
            _ => {}
        }
    }
    for (place, outlet) in &mut found {
        outlet.key = match place {
            (0, number) => number.to_string(),
            (device, number) => format!("{device}.{number}"),
        };
        let cycle = format!("{}.load.cycle", variable(*place));
        outlet.cycles = can.commands.contains(&cycle);
        outlet.label = outlet.label.chars().take(64).collect();
    }
    found.into_values().collect()
}

/// Device of the chain (0: no chain) and number of the outlet, and what is said of it.
fn place(name: &str) -> Option<((u32, u32), &str)> {
    let (device, rest) = match name.strip_prefix("device.") {
        Some(rest) => {
            let (device, rest) = rest.split_once('.')?;
            (digits(device)?, rest)
        }
        None => (0, name),
    };
    let (number, what) = rest.strip_prefix("outlet.")?.split_once('.')?;
    let number = digits(number)?;
    (number > 0).then_some(((device, number), what))
}

fn digits(text: &str) -> Option<u32> {
    let short = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    short.then(|| text.parse().ok()).flatten()
}

/// Where the variables and commands of an outlet begin.
fn variable((device, number): (u32, u32)) -> String {
    match device {
        0 => format!("outlet.{number}"),
        device => format!("device.{device}.outlet.{number}"),
    }
}

/// As [`variable`], by the key that [`outlets`] gave.
pub(super) fn prefix(key: &str) -> Option<String> {
    let place = match key.split_once('.') {
        Some((device, number)) => (digits(device)?, digits(number)?),
        None => (0, digits(key)?),
    };
    Some(variable(place))
}

/// Drivers have words of their own here; what is not plainly on or off is unknown.
fn status(value: &str) -> (PowerState, bool) {
    let value = value.trim().to_ascii_lowercase();
    let moves = ["pending", "cycl", "reboot"]
        .iter()
        .any(|word| value.contains(word));
    let state = match value.as_str() {
        "on" => PowerState::On,
        "off" => PowerState::Off,
        _ => PowerState::Unknown,
    };
    (state, moves)
}

/// A number that is one.
pub(in crate::power) fn number(value: &str) -> Option<f64> {
    let number: f64 = value.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_upsd_writes_them() {
        for (line, words) in [
            (
                "VAR ups ups.status \"OL CHRG\"",
                vec!["VAR", "ups", "ups.status", "OL CHRG"],
            ),
            (
                r#"VAR u d "a \"b\" c\\""#,
                vec!["VAR", "u", "d", "a \"b\" c\\"],
            ),
            ("  OK   TRACKING\tx ", vec!["OK", "TRACKING", "x"]),
            ("VAR u e \"\"", vec!["VAR", "u", "e", ""]),
            ("", vec![]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["VAR \"open", "VAR end\\", &"x ".repeat(40)] {
            assert!(split(line).is_err(), "{line}");
        }
        let word = "pa\"ss\\ wörd#";
        assert_eq!(split(&quote(word)).unwrap(), [word]);
        assert_eq!(quote("a\nINSTCMD x"), "\"aINSTCMD x\"");
    }

    #[test]
    fn outlets_are_found_and_what_is_not_plain_is_unknown() {
        let variables: Variables = [
            ("outlet.count", "3"),
            ("outlet.0.status", "on"),
            ("outlet.1.status", "on"),
            ("outlet.1.desc", "Outlet 1"),
            ("outlet.1.name", "core"),
            ("outlet.1.realpower", "12.5"),
            ("outlet.1.current", "nan"),
            ("outlet.2.status", "Off"),
            ("outlet.10.status", "belowLowerCritical"),
            ("outlet.11.status", "pendingOff"),
            ("outlet.group.1.status", "on"),
            ("outlet.99999.status", "on"),
            ("device.2.outlet.1.status", "off"),
            ("ups.status", "OL"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let can = Abilities {
            commands: ["outlet.2.load.cycle".to_owned()].into(),
            writable: BTreeSet::new(),
        };
        let found = outlets(&variables, &can);
        let shown: Vec<_> = found
            .iter()
            .map(|o| (o.key.as_str(), o.state, o.in_transition, o.cycles))
            .collect();
        assert_eq!(
            shown,
            [
                ("1", PowerState::On, false, false),
                ("2", PowerState::Off, false, true),
                ("10", PowerState::Unknown, false, false),
                ("11", PowerState::Unknown, true, false),
                ("2.1", PowerState::Off, false, false),
            ]
        );
        assert_eq!(found[0].label, "core");
        assert_eq!((found[0].watts, found[0].amps), (Some(12.5), None));
        assert_eq!(prefix("2.1").as_deref(), Some("device.2.outlet.1"));
        assert_eq!(prefix("7").as_deref(), Some("outlet.7"));
        assert_eq!(prefix("x"), None);
    }

    #[test]
    fn errors_mean_what_they_mean() {
        assert!(matches!(good("ERR DATA-STALE"), Err(Fault::Silent(_))));
        assert!(matches!(
            good("ERR DRIVER-NOT-CONNECTED"),
            Err(Fault::Silent(_))
        ));
        assert!(matches!(good("ERR ACCESS-DENIED"), Err(Fault::Refused(_))));
        assert!(matches!(
            good("ERR CMD-NOT-SUPPORTED"),
            Err(Fault::NotPossible(_))
        ));
        assert!(matches!(good("ERR \u{1b}[2J"), Err(Fault::Odd(said)) if !said.contains('\u{1b}')));
        assert!(matches!(good(""), Err(Fault::Odd(_))));
        assert_eq!(good("OK").unwrap(), ["OK"]);
    }
}
