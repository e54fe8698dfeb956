//! The key `escape` of a console or a user: which keys do what inside a session.

use super::reader::Field;
use crate::keymap::{Keymap, Profile};

/// The words of [`Keymap::words`], as the table reader wants them.
const WORDS: [&str; 9] = [
    "quit", "help", "break", "history", "log", "power", "users", "take", "chooser",
];

/// Reads `{ profile = …, key = …, break = … }`.
pub(super) fn read(field: &Field<'_>) -> Option<Keymap> {
    let mut table = field.table()?;
    let profile = table.take("profile");
    let key = table.take("key");
    let keys = WORDS.map(|word| (word, table.take(word)));
    table.finish();
    let profile = match profile {
        None => Profile::Tilde,
        Some(field) => field.choice(&[("tilde", Profile::Tilde), ("ctrl-e-c", Profile::CtrlEC)])?,
    };
    let mut keymap = Keymap::of(profile);
    if let Some(field) = key {
        if profile == Profile::CtrlEC {
            field
                .wrong("the profile \"ctrl-e-c\" begins with Ctrl-E and c; `key` is for \"tilde\"");
        } else {
            field.parsed(|text| keymap.begin_with(text));
        }
    }
    for (word, field) in keys {
        if let Some(field) = field {
            field.parsed(|text| keymap.set(word, text));
        }
    }
    if let Some((first, second)) = keymap.clash() {
        field.wrong(format!(
            "`{first}` and `{second}` have the same keys, or one begins like the other"
        ));
    }
    Some(keymap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_key_in_the_file() {
        assert!(Keymap::words().eq(WORDS));
    }
}
