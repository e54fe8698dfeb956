//! Which keys do what inside a console session: the profile `tilde` (Opengear, OpenSSH) and `ctrl-e-c` (conserver,
//! Avocent, Nodegrid), with single keys changed. Pure.

use serde::{Deserialize, Serialize};

/// What an escape sequence asks the door to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    Quit,
    Help,
    Break,
    TakeWriter,
    /// What the device said last, once more.
    History,
    /// Where all of what it said is kept.
    Log,
    /// The outlet that is bound to the console.
    Power,
    /// Who is here.
    Users,
    /// Back to the list of consoles.
    Chooser,
}

/// Every action: its word in oobd.toml, what `~?` says, its keys in `tilde` and in `ctrl-e-c`.
const ACTIONS: [(Action, &str, &str, &str, &str); 9] = [
    (Action::Quit, "quit", "leave the console", ".", "."),
    (Action::Help, "help", "this list", "?", "?"),
    (Action::Break, "break", "send a break", "b", "l0"),
    (
        Action::History,
        "history",
        "what the device said last, once more",
        "h",
        "r",
    ),
    (
        Action::Log,
        "log",
        "where all of what it said is kept",
        "l",
        "L",
    ),
    (
        Action::Power,
        "power",
        "the outlet of this console",
        "p",
        "!",
    ),
    (Action::Users, "users", "who is here", "u", "w"),
    (
        Action::TakeWriter,
        "take",
        "take the keyboard; who had it watches",
        "w",
        "f",
    ),
    (
        Action::Chooser,
        "chooser",
        "back to the list of consoles",
        "m",
        ";",
    ),
];

/// Longest key of an action.
const LONGEST: usize = 2;

/// Where keys begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// `~` at the start of a line, then a key.
    #[default]
    Tilde,
    /// Ctrl-E and `c` anywhere, then a key.
    CtrlEC,
}

/// The keys of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keymap {
    prefix: Vec<u8>,
    line_start: bool,
    keys: Vec<(Action, Vec<u8>)>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::of(Profile::Tilde)
    }
}

impl Keymap {
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let tilde = profile == Profile::Tilde;
        let key = |&(action, _, _, ours, theirs): &(Action, _, _, &str, &str)| {
            let key = if tilde { ours } else { theirs };
            (action, key.as_bytes().to_vec())
        };
        Self {
            prefix: if tilde {
                b"~".to_vec()
            } else {
                b"\x05c".to_vec()
            },
            line_start: tilde,
            keys: ACTIONS.iter().map(key).collect(),
        }
    }

    /// The words of oobd.toml for actions.
    pub fn words() -> impl Iterator<Item = &'static str> {
        ACTIONS.iter().map(|(_, word, ..)| *word)
    }

    /// Begins sequences at the start of a line with this character.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn begin_with(&mut self, text: &str) -> Result<(), String> {
        let byte = match text.as_bytes() {
            [byte @ (b'!'..=b'/' | b':'..=b'@' | b'['..=b'`' | b'{'..=b'~')] => *byte,
            [b'^', letter @ (b'A'..=b'Z' | b'\\' | b']' | b'^' | b'_')] => letter & 0x1f,
            _ => {
                return Err(
                    "expected one character that is no letter, digit or blank, as in \"~\", or a control letter as in \"^A\""
                        .into(),
                );
            }
        };
        if let Some(why) = needed(byte) {
            return Err(why.into());
        }
        self.prefix = vec![byte];
        Ok(())
    }

    /// Gives the action of this word other keys: one or two printable characters.
    ///
    /// # Errors
    /// What is wrong with them, for a person.
    pub fn set(&mut self, word: &str, keys: &str) -> Result<(), String> {
        let good =
            (1..=LONGEST).contains(&keys.len()) && keys.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            return Err(
                "expected one or two printable characters that the keyboard has, as in \"b\""
                    .into(),
            );
        }
        if self.line_start && self.prefix.first() == keys.as_bytes().first() {
            return Err("the escape character twice sends the character itself".into());
        }
        let found = ACTIONS.iter().find(|(_, other, ..)| *other == word);
        let action = found.map(|(action, ..)| *action);
        for entry in self.keys.iter_mut().filter(|entry| Some(entry.0) == action) {
            entry.1 = keys.as_bytes().to_vec();
        }
        Ok(())
    }

    /// Two actions whose keys are the same, or where one begins like the other: which words, if any.
    #[must_use]
    pub fn clash(&self) -> Option<(&'static str, &'static str)> {
        let word = |action: Action| {
            let found = ACTIONS.iter().find(|(other, ..)| *other == action);
            found.map_or("", |(_, word, ..)| *word)
        };
        self.keys
            .iter()
            .enumerate()
            .find_map(|(at, (action, keys))| {
                let mut earlier = self.keys.iter().take(at);
                let other = earlier
                    .find(|(_, other)| other.starts_with(keys) || keys.starts_with(other))?;
                Some((word(other.0), word(*action)))
            })
    }

    /// The escape character is the one that OpenSSH's client keeps for itself.
    #[must_use]
    pub fn is_openssh(&self) -> bool {
        self.line_start && self.prefix == b"~"
    }

    /// Sequences begin at the start of a line only.
    #[must_use]
    pub(crate) fn line_start(&self) -> bool {
        self.line_start
    }

    /// The bytes of an action's sequence.
    #[must_use]
    pub fn sequence(&self, action: Action) -> Vec<u8> {
        let found = self.keys.iter().find(|(other, _)| *other == action);
        let keys = found.map_or(&[][..], |(_, keys)| keys);
        [&self.prefix[..], keys].concat()
    }

    /// The same as a person reads it: `~.`, `^Ec.`
    #[must_use]
    pub fn shown(&self, action: Action) -> String {
        shown(&self.sequence(action))
    }

    /// What bytes that begin at a place where a sequence may begin are.
    #[must_use]
    pub(crate) fn read(&self, bytes: &[u8]) -> Found {
        if let Some((action, _)) = self
            .keys
            .iter()
            .find(|(action, _)| self.sequence(*action) == bytes)
        {
            return Found::Action(*action);
        }
        if self.line_start && bytes == [&self.prefix[..], &self.prefix].concat() {
            return Found::Literal;
        }
        let begins = |(action, _): &(Action, Vec<u8>)| self.sequence(*action).starts_with(bytes);
        match self.keys.iter().any(begins) {
            true => Found::More,
            false => Found::Nothing,
        }
    }

    /// What `~?` shows: a line per action, LF ended.
    #[must_use]
    pub fn help(&self) -> String {
        let mut text = String::from(match self.line_start {
            true => "Escape sequences, at the start of a line only:\n",
            false => "Escape sequences, anywhere:\n",
        });
        for (action, _, help, ..) in ACTIONS {
            text += &format!("  {:5} {help}\n", self.shown(action));
        }
        if self.line_start {
            let own = shown(&self.prefix);
            text += &format!("  {:5} send {own} itself\n", own.repeat(2));
        }
        text
    }
}

/// What typed bytes are to a [`Keymap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Action(Action),
    /// The escape character twice.
    Literal,
    /// The beginning of a sequence.
    More,
    Nothing,
}

/// Why this control character cannot begin a sequence, if so.
fn needed(byte: u8) -> Option<&'static str> {
    match byte {
        b'\r' | b'\n' => Some("Enter cannot begin an escape sequence"),
        b'\t' | 0x08 | 0x1b => Some("Tab, Backspace and Escape are needed on the device"),
        0x03 => Some("Ctrl-C is needed on the device"),
        0x11 | 0x13 => Some("Ctrl-S and Ctrl-Q stop and start the output of many devices"),
        _ => None,
    }
}

fn shown(bytes: &[u8]) -> String {
    let letter = |&byte: &u8| match byte {
        0..0x20 => format!("^{}", char::from(byte + 0x40)),
        _ => char::from(byte).to_string(),
    };
    bytes.iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_hold_together() {
        for profile in [Profile::Tilde, Profile::CtrlEC] {
            let keymap = Keymap::of(profile);
            assert_eq!(keymap.clash(), None);
            for (action, ..) in ACTIONS {
                assert_eq!(keymap.read(&keymap.sequence(action)), Found::Action(action));
                assert!(
                    keymap
                        .help()
                        .contains(&format!("  {} ", keymap.shown(action)))
                );
            }
        }
        let conserver = Keymap::of(Profile::CtrlEC);
        assert_eq!(conserver.shown(Action::Break), "^Ecl0");
        assert_eq!(conserver.read(b"\x05cl"), Found::More);
        assert_eq!(conserver.read(b"\x05cl1"), Found::Nothing);
        assert!(!conserver.is_openssh());
    }

    #[test]
    fn keys_are_changed_and_what_cannot_be_is_said() {
        let mut keymap = Keymap::default();
        assert!(keymap.is_openssh());
        keymap.begin_with("^A").unwrap();
        keymap.set("break", "k").unwrap();
        assert_eq!(keymap.sequence(Action::Break), b"\x01k");
        assert_eq!(keymap.read(b"\x01b"), Found::Nothing);
        assert_eq!(keymap.read(b"\x01\x01"), Found::Literal);
        for text in [
            "", "a", "1", " ", "~~", "é", "^M", "^[", "^C", "^a", "^Q", "\x01",
        ] {
            assert!(keymap.begin_with(text).is_err(), "{text:?}");
        }
        for keys in ["", "abc", " ", "\r", "é"] {
            assert!(keymap.set("break", keys).is_err(), "{keys:?}");
        }
        assert!(Keymap::default().set("quit", "~").is_err());
        keymap.set("users", "k").unwrap();
        assert_eq!(keymap.clash(), Some(("break", "users")));
        keymap.set("users", "kk").unwrap();
        assert_eq!(keymap.clash(), Some(("break", "users")));
    }
}
