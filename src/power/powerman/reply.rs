//! Replies of powermand, line by line. Pure; every line is hostile until it is read.

use crate::power::driver::OutletReading;
use crate::reset::PowerState;

/// What comes before the next command, without a line end.
const PROMPT: &str = "powerman> ";
/// Nodes that are taken; a cluster may have more.
const MOST_NODES: usize = 1024;
/// Lines of one reply, told nodes and telemetry together.
const MOST_LINES: usize = 4096;

/// A reply so far.
#[derive(Debug, Default)]
pub(in crate::power) struct Reply {
    lines: usize,
    /// `303 NODE: VALUE`, in their order.
    pub(in crate::power) values: Vec<(String, String)>,
    /// How it ended, once it has: the code and its text.
    pub(in crate::power) ended: Option<(u16, String)>,
}

impl Reply {
    /// Takes a line in. `true` once the reply is whole.
    ///
    /// # Errors
    /// The line is none of this protocol, or the reply is too long.
    pub(in crate::power) fn take(&mut self, line: &str) -> Result<bool, String> {
        self.lines += 1;
        if self.lines > MOST_LINES {
            return Err(format!("a reply of more than {MOST_LINES} lines"));
        }
        let mut line = line;
        while let Some(rest) = line.strip_prefix(PROMPT) {
            line = rest;
        }
        let odd = || {
            let shown: String = line.chars().take(40).collect();
            format!("no line of powerman: `{}`", shown.escape_debug())
        };
        let (code, text) = line.split_at_checked(3).ok_or_else(odd)?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let digits = code.bytes().all(|byte| byte.is_ascii_digit());
        let code: u16 = match code.parse() {
            Ok(code) if digits && code < 400 => code,
            _ => return Err(odd()),
        };
        match code {
            100..300 => {
                self.ended = Some((code, text.chars().take(200).collect()));
                return Ok(true);
            }
            303 if self.values.len() < MOST_NODES => {
                let (node, value) = text.split_once(": ").ok_or_else(odd)?;
                self.values.push((node.to_owned(), value.to_owned()));
            }
            // The greeting, help, device states, telemetry.
            _ => {}
        }
        Ok(false)
    }
}

/// The outlets of a reply to `status`.
pub(in crate::power) fn outlets(reply: &Reply) -> Vec<OutletReading> {
    let outlet = |(node, value): &(String, String)| {
        is_node(node).then(|| OutletReading {
            key: node.clone(),
            state: match value.trim() {
                "on" => PowerState::On,
                "off" => PowerState::Off,
                _ => PowerState::Unknown,
            },
            ..OutletReading::default()
        })
    };
    reply.values.iter().filter_map(outlet).collect()
}

/// A name that stands for itself in a command, where brackets and commas make lists.
pub(in crate::power) fn is_node(name: &str) -> bool {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    !name.is_empty() && name.len() <= 32 && name.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<Reply, String> {
        let mut reply = Reply::default();
        for line in text.lines() {
            if reply.take(line)? {
                return Ok(reply);
            }
        }
        Err("it never ends".into())
    }

    #[test]
    fn states_are_read_and_what_is_no_state_is_unknown() {
        let reply = whole(
            "powerman> 303 rack0: on\n303 rack1: off\n303 web-1: unknown\n303 odd: Off\n303 a[1]: on\n103 Query complete",
        );
        let reply = reply.unwrap();
        assert_eq!(reply.ended, Some((103, "Query complete".into())));
        let found = outlets(&reply);
        let shown: Vec<_> = found.iter().map(|o| (o.key.as_str(), o.state)).collect();
        assert_eq!(
            shown,
            [
                ("rack0", PowerState::On),
                ("rack1", PowerState::Off),
                ("web-1", PowerState::Unknown),
                ("odd", PowerState::Unknown),
            ]
        );
        assert!(found.iter().all(|outlet| !outlet.cycles));
    }

    #[test]
    fn what_is_no_line_of_it_is_refused() {
        for text in [
            "500 x",
            "1",
            "+12 x",
            "abc def",
            "303 no colon",
            "é03 x",
            "",
        ] {
            assert!(whole(&format!("{text}\n103 end")).is_err(), "{text}");
        }
        let endless = "303 n: on\n".repeat(5000);
        assert!(whole(&endless).unwrap_err().contains("4096"));
        let many = "303 n: on\n".repeat(2000) + "103 end";
        assert_eq!(whole(&many).unwrap().values.len(), 1024);
    }
}
