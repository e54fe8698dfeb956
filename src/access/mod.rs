//! Who may do what: users, roles, grants, keys, passwords, and the limit on guessing them.
//! Knows no door and no device; never shows a secret.

pub mod credential;
mod directory;
pub mod first_boot;
mod glob;
mod heap;
mod key;
pub mod limit;
mod right;

pub use directory::{Directory, Person, Refused};
pub use key::{BadKey, fingerprint, parse as parse_key};
pub use limit::Source;
pub use right::Right;

/// Longest user name that is repeated in events and logs.
const NAME_SHOWN: usize = 64;

/// A name that a stranger typed, made safe to repeat: bounded, control characters escaped.
#[must_use]
pub fn printable(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(NAME_SHOWN)
        .flat_map(|c| {
            let plain = !c.is_control() && !is_invisible(c);
            let escaped = (!plain).then(|| c.escape_default());
            plain
                .then_some(c)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect();
    if name.chars().nth(NAME_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that change how the text around them is shown (bidirectional overrides, zero width).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn names_of_strangers_are_bounded_and_escaped() {
        assert_eq!(printable("alice"), "alice");
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        let long = printable(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), 65);
        assert!(long.ends_with('…'));
    }
}
