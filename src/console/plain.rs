//! Does a device speak plainly, and what does it call itself? Judges bytes that came from it. Pure.

use super::last_line::LastLine;
use crate::line::{Line, Parity};

/// At wrong settings a third of the bytes look printable by chance; at the right ones nearly all do.
pub(super) const GOOD: u32 = 900;
/// Fewer bytes say nothing.
pub(super) const ENOUGH: usize = 8;
/// Longest host name that is believed (RFC 1123 has 63 for a label).
const LONGEST_NAME: usize = 64;

/// Settings to try, most common first. The one in force comes before them.
pub(super) const CANDIDATES: [(u32, Parity, u8); 14] = [
    (115_200, Parity::None, 8),
    (9600, Parity::None, 8),
    (38_400, Parity::None, 8),
    (57_600, Parity::None, 8),
    (19_200, Parity::None, 8),
    (230_400, Parity::None, 8),
    (460_800, Parity::None, 8),
    (4800, Parity::None, 8),
    (2400, Parity::None, 8),
    (1200, Parity::None, 8),
    (9600, Parity::Even, 7),
    (19_200, Parity::Even, 7),
    (115_200, Parity::Even, 7),
    (9600, Parity::Odd, 7),
];

/// The line with these settings; flow control and stop bits stay.
#[must_use]
pub(super) fn candidate(line: Line, (baud, parity, data_bits): (u32, Parity, u8)) -> Line {
    Line {
        baud,
        parity,
        data_bits,
        ..line
    }
}

/// How plain it is, in thousandths: the printable share less the share of bytes that came damaged (framing, parity,
/// break), and a hundred more for a prompt. `None` when too little came to say.
#[must_use]
pub(super) fn score(bytes: &[u8], damaged: u64) -> Option<u32> {
    if bytes.len() < ENOUGH {
        return None;
    }
    let all = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let plain = bytes
        .iter()
        .filter(|byte| {
            matches!(
                byte,
                0x20..=0x7e | b'\r' | b'\n' | b'\t' | 0x07 | 0x08 | 0x1b
            )
        })
        .count();
    let plain = u64::try_from(plain).unwrap_or(0);
    let share = plain.saturating_sub(damaged.min(all)) * 1000 / all;
    // The bonus never makes rubbish good: it needs text before it, and no damage.
    let bonus = if share >= 700 && damaged == 0 && is_prompt(bytes) {
        100
    } else {
        0
    };
    u32::try_from((share + bonus).min(1000)).ok()
}

fn is_prompt(bytes: &[u8]) -> bool {
    let line = lines(bytes).pop().unwrap_or_default();
    line.ends_with(['>', '#', '$', '%', ':', ']', '?'])
}

/// The lines without control characters and terminal sequences; empty ones left out.
fn lines(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .map(|line| {
            let mut plain = LastLine::default();
            plain.push(line);
            plain.text()
        })
        .filter(|line| !line.is_empty())
        .collect()
}

/// What the device calls itself in its prompts: `core-switch>`, `<HUAWEI>`, `root@host:~#`, `host login:`. The last
/// line that tells counts.
#[must_use]
pub(super) fn name(bytes: &[u8]) -> Option<String> {
    lines(bytes).iter().rev().find_map(|line| name_of(line))
}

fn name_of(line: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    if lower.ends_with("login:") {
        let before = line.get(..line.len() - "login:".len())?;
        return host(before.split_whitespace().last()?);
    }
    // JunOS writes the state of a member before or above its prompt: `{master:0}`.
    let line = match line.rsplit_once('}') {
        Some((_, rest)) => rest,
        None => line,
    };
    let line = line.trim_start_matches(['<', '[', '*']);
    let prompt = line
        .trim_end()
        .strip_suffix(['>', '#', '$', '%'])
        .or_else(|| line.trim_end().strip_suffix(']'))?;
    let prompt = prompt.trim_end().trim_end_matches([']', '>']);
    // `user@host:~/dir`, `RP/0/RSP0/CPU0:router`, `host(config)`.
    let (slot, rest) = match prompt.split_once(':') {
        Some((slot, rest)) if slot.contains('/') && !slot.contains('@') => (true, rest),
        _ => (false, prompt),
    };
    let own = match rest.rsplit_once('@') {
        Some((_, host)) => host,
        None => rest,
    };
    let end = own
        .find(|letter: char| !(letter.is_ascii_alphanumeric() || "._-".contains(letter)))
        .unwrap_or(own.len());
    let (name, rest) = own.split_at(end);
    let follows = rest.is_empty()
        || rest.starts_with('(')
        || rest.starts_with(':')
        || (prompt.contains('@') && rest.starts_with(' '))
        || (slot && rest.is_empty());
    if follows { host(name) } else { None }
}

/// A name that a device may have, and no word of a sign-in.
fn host(text: &str) -> Option<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let words = [
        "login",
        "username",
        "user",
        "password",
        "name",
        "last",
        "incorrect",
    ];
    let good = text.len() <= LONGEST_NAME
        && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.contains(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prompts_of_the_field() {
        for (said, named) in [
            ("\r\ncore-switch>", Some("core-switch")),
            ("core-switch#", Some("core-switch")),
            ("core-switch(config-if)#", Some("core-switch")),
            ("\r\n<HUAWEI>", Some("HUAWEI")),
            ("[HUAWEI]", Some("HUAWEI")),
            ("[HUAWEI-GigabitEthernet0/0/1]", None),
            ("[admin@MikroTik] > ", Some("MikroTik")),
            ("root@OpenWrt:~# ", Some("OpenWrt")),
            ("[root@db1 ~]# ", Some("db1")),
            ("\r\n{master:0}\r\nadmin@mx480> ", Some("mx480")),
            ("{master}\r\n\r\nroot@ex2300:RE:0% ", Some("ex2300")),
            ("RP/0/RSP0/CPU0:asr9k#", Some("asr9k")),
            (
                "Debian GNU/Linux 12 rack7 ttyS0\r\n\r\nrack7 login: ",
                Some("rack7"),
            ),
            (
                "\u{1b}[1;32muser@host\u{1b}[0m:\u{1b}[34m~\u{1b}[0m$ ",
                Some("host"),
            ),
            ("\r\nlogin: ", None),
            ("Username: ", None),
            ("Password: ", None),
            ("Press RETURN to get started!", None),
            ("100% ", None),
            ("Are you sure? [y/n]", None),
            ("some text in a line >", None),
            ("", None),
        ] {
            assert_eq!(name(said.as_bytes()).as_deref(), named, "{said:?}");
        }
    }

    #[test]
    fn plain_text_scores_and_rubbish_does_not() {
        assert_eq!(score(b"login: ", 0), None);
        assert_eq!(score(b"\r\nrack7 login: ", 0), Some(1000));
        assert!(score(b"\r\nrack7 login: ", 3).unwrap() < GOOD);
        let rubbish: Vec<u8> = (0..=255).collect();
        assert!(score(&rubbish, 0).unwrap() < GOOD);
        // 115200 read at 9600: few and strange.
        assert!(score(b"\x00\xfe\x80\x00\xf8\x00\x00\xfe#", 0).unwrap() < GOOD);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_panics_and_names_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200), damaged: u64) {
            prop_assert!(score(&bytes, damaged).is_none_or(|score| score <= 1000));
            if let Some(name) = name(&bytes) {
                prop_assert!(host(&name).is_some());
            }
        }

        #[test]
        fn a_prompt_names_its_host(user in "[a-z]{1,8}", host in "[a-z][a-z0-9-]{0,20}[a-z]", end in "[#>$%]") {
            prop_assume!(super::host(&host).is_some());
            for prompt in [format!("{host}{end}"), format!("{user}@{host}:~{end} "), format!("{host} login: ")] {
                prop_assert_eq!(name(prompt.as_bytes()), Some(host.clone()));
            }
        }
    }
}
