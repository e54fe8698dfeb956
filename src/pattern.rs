//! Regular expressions as everything here uses them: on bytes, in linear time, in bounded memory. Pure.

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern, and what it may grow to. A match needs time linear in the text, at worst times this.
const LONGEST: usize = 1024;
const PROGRAM_MAX: usize = 1024 * 1024;
/// Memory a pattern in use may take besides.
const CACHE_MAX: usize = 256 * 1024;

/// Why a pattern is no good; for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bad(String);

/// Compiles a pattern.
///
/// # Errors
/// [`Bad`], with what the engine says.
pub fn compile(text: &str) -> Result<Regex, Bad> {
    if text.len() > LONGEST {
        let sentence = format!("the pattern is longer than {LONGEST} characters");
        return Err(Bad(sentence));
    }
    let built = RegexBuilder::new(text)
        .size_limit(PROGRAM_MAX)
        .dfa_size_limit(CACHE_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            Bad("the pattern is too big: make its repetitions smaller".into())
        }
        // The engine draws the pattern with a ^ below; its last line is the reason.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim();
            Bad(reason.trim_start_matches("error: ").to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded() {
        assert!(compile("login:|Password:").is_ok());
        for (text, word) in [
            ("(", "unclosed group"),
            ("a{1000}{1000}", "too big"),
            (&"x".repeat(2000), "longer than"),
        ] {
            let bad = compile(text).unwrap_err().to_string();
            assert!(bad.contains(word), "{bad}");
        }
        // What makes a backtracking engine stand still.
        let evil = compile("(a*)*(a*)*(a*)*b").unwrap();
        let begun = std::time::Instant::now();
        assert!(!evil.is_match(&[b'a'; 4096]));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
