//! Globs of grants: `*` stands for any run of characters, `?` for one. Never touches file names.

/// Does the whole name match?
#[must_use]
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to resume when a later literal does not fit: the star seen last, and the name position it tried.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, tried)) => {
                    star = Some((at, tried + 1));
                    p = at + 1;
                    n = tried + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*", "core-switch", true),
            ("*", "", true),
            ("core-*", "core-switch", true),
            ("core-*", "edge-switch", false),
            ("*switch", "core-switch", true),
            ("*-s*h", "core-switch", true),
            ("rack?", "rack7", true),
            ("rack?", "rack77", false),
            ("rack?", "rack", false),
            ("", "", true),
            ("", "x", false),
            ("core-switch", "core-switch", true),
            ("core-switch", "core-switch2", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        let pattern = "*a".repeat(200);
        let name = "b".repeat(5000);
        assert!(!matches(&pattern, &name));
    }
}
