//! Who signs in and out on the device itself, by the texts of common systems. Conservative: what it is not sure of it
//! does not say. A device can print what it likes: these are its own words, never proof.
//!
//! Texts: Linux login(1) and agetty, pam_unix; Cisco IOS SEC_LOGIN and SYS messages; Junos UI_AUTH events.

use std::sync::LazyLock;
use std::time::Duration;

use regex::bytes::Regex;

use super::scan::Found;
use crate::clock::Instant;
use crate::pattern;

/// A name that was typed at a prompt must be followed by success within this time.
const PENDING: Duration = Duration::from_secs(90);
/// Longest name that is told.
const NAME_MAX: usize = 64;

/// Words that a line has that tells anything.
static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        "ogin|ogout|LOGIN|LOGOUT|sername|available|Press RETURN|assword|session (?:opened|closed)|enied|exited tty",
    )
});
static ASKED: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile(r"(?:^|\s)(?:[Ll]ogin|[Uu]sername): ([A-Za-z0-9_][\w.@\\-]*)\s*$"));
static ASKS: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile(r"(?:^|\s)(?:[Ll]ogin|[Uu]sername): ?$"));
static REFUSED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        "Login incorrect|[Aa]uthentication failed|Access denied|Login invalid|Bad passwords|[Ll]ogin failed|Permission denied",
    )
});
static LAST: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r"^Last login: "));
/// What shells and command lines wait with: `alice@host:~$ `, `switch>`, `[root@host ~]# `.
static PROMPT: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile(r"^\[?[A-Za-z0-9_][\w.@:~/ ()-]{0,80}\]?[#$>%] ?$"));
/// Messages that name the user themselves.
static IN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(concat!(
        r"LOGIN_SUCCESS: Login Success \[user: ([^\]\s]+)\]",
        r"|UI_(?:LOGIN|AUTH)_EVENT: User '([^'\s]+)' (?:login|authenticated)",
        r"|LOGIN ON \S+ BY (\S+)",
        r"|pam_unix\(login:session\): session opened for user ([\w.@-]+)",
    ))
});
static OUT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(concat!(
        r"SYS-6-LOGOUT: User (\S+) has exited tty session",
        r"|UI_LOGOUT_EVENT: User '([^'\s]+)' logout",
        r"|pam_unix\(login:session\): session closed for user ([\w.@-]+)",
    ))
});
/// What stands on the line when a session is over.
static OVER: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile(r"^logout$|con\d+ is now available|^Press RETURN to get started"));

fn compile(text: &str) -> Option<Regex> {
    // Names and prompts are ASCII: without Unicode's tables the programs stay small.
    pattern::compile(&format!("(?-u){text}")).ok()
}

fn fits(regex: &LazyLock<Option<Regex>>, line: &[u8]) -> bool {
    LazyLock::force(regex)
        .as_ref()
        .is_some_and(|regex| regex.is_match(line))
}

/// The first group that took part.
fn name(regex: &LazyLock<Option<Regex>>, line: &[u8]) -> Option<String> {
    let captures = LazyLock::force(regex).as_ref()?.captures(line)?;
    let name = captures.iter().skip(1).flatten().next()?;
    let name = String::from_utf8_lossy(name.as_bytes());
    let shown = name.chars().filter(|letter| !letter.is_control());
    Some(shown.take(NAME_MAX).collect())
}

/// Could this line tell anything? Cheap: most lines end here.
pub(super) fn may_tell(line: &[u8]) -> bool {
    fits(&WORDS, line)
}

/// What is known of who is on the device.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// A name that was typed at the prompt, and when.
    pending: Option<(String, Instant)>,
    current: Option<String>,
}

impl Logins {
    /// Somebody may be about to be let in: the next prompt tells.
    pub(super) fn expects_prompt(&self) -> bool {
        self.pending.is_some()
    }

    /// Looks at a line without terminal sequences.
    pub(super) fn look(&mut self, line: &[u8], ended: bool, now: Instant, out: &mut Vec<Found>) {
        if self
            .pending
            .as_ref()
            .is_some_and(|(_, since)| now.saturating_duration_since(*since) > PENDING)
        {
            self.pending = None;
        }
        if !ended {
            if fits(&ASKS, line) {
                self.pending = None;
                self.leave(None, out);
            } else if self.pending.is_some() && fits(&PROMPT, line) {
                self.enter(None, out);
            }
            return;
        }
        if !may_tell(line) {
            return;
        }
        if let Some(user) = name(&IN, line) {
            self.enter(Some(user), out);
        } else if let Some(user) = name(&OUT, line) {
            self.leave(Some(user), out);
        } else if fits(&REFUSED, line) {
            self.pending = None;
        } else if fits(&LAST, line) {
            self.enter(None, out);
        } else if fits(&OVER, line) {
            self.leave(None, out);
        } else if let Some(user) = name(&ASKED, line) {
            self.leave(None, out);
            self.pending = Some((user, now));
        }
    }

    /// Somebody is in: who was named, or who typed the name at the prompt. Otherwise nobody knows who, and nothing is said.
    fn enter(&mut self, user: Option<String>, out: &mut Vec<Found>) {
        let pending = self.pending.take().map(|(user, _)| user);
        let Some(user) = user.or(pending) else { return };
        if self.current.as_ref() != Some(&user) {
            self.current = Some(user.clone());
            out.push(Found::Login(user));
        }
    }

    /// Somebody is out: who was named, or who was in.
    fn leave(&mut self, user: Option<String>, out: &mut Vec<Found>) {
        let current = self.current.take();
        if let Some(user) = user.or(current) {
            out.push(Found::Logout(user));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines with an end, and prompts (`…|`) without one.
    fn tell(lines: &[&str]) -> Vec<String> {
        let (mut logins, mut out) = (Logins::default(), Vec::new());
        let now = Instant::now();
        for line in lines {
            match line.strip_suffix('|') {
                Some(prompt) => logins.look(prompt.as_bytes(), false, now, &mut out),
                None => logins.look(line.as_bytes(), true, now, &mut out),
            }
        }
        let word = |found: Found| match found {
            Found::Login(user) => format!("+{user}"),
            Found::Logout(user) => format!("-{user}"),
            other => panic!("{other:?}"),
        };
        out.into_iter().map(word).collect()
    }

    #[test]
    fn every_text_compiles() {
        for regex in [
            &WORDS, &ASKED, &ASKS, &REFUSED, &LAST, &PROMPT, &IN, &OUT, &OVER,
        ] {
            assert!(LazyLock::force(regex).is_some());
        }
    }

    #[test]
    fn linux() {
        assert_eq!(
            tell(&[
                "Debian GNU/Linux 12 web1 ttyS0",
                "web1 login: |",
                "web1 login: alice",
                "Password: |",
                "Password: ",
                "Linux web1 6.1.0 #1 SMP x86_64",
                "Last login: Fri Nov 20 18:04:11 UTC 2026 on ttyS0",
                "alice@web1:~$ |",
                "alice@web1:~$ logout",
                "logout",
                "",
                "web1 login: |",
            ]),
            ["+alice", "-alice"]
        );
        // No last login is told, and the session ends with exit: getty is back.
        assert_eq!(
            tell(&[
                "web1 login: root",
                "Password: |",
                "[root@web1 ~]# |",
                "web1 login: |"
            ]),
            ["+root", "-root"]
        );
    }

    #[test]
    fn wrong_passwords_are_no_logins() {
        assert_eq!(
            tell(&[
                "web1 login: alice",
                "Password: ",
                "Login incorrect",
                "web1 login: |",
                "web1 login: bob"
            ]),
            [""; 0]
        );
        assert_eq!(
            tell(&["Username: alice", "% Login invalid", "switch> |"]),
            [""; 0]
        );
    }

    #[test]
    fn cisco_and_junos() {
        assert_eq!(
            tell(&[
                "Username: |",
                "Username: alice",
                "Password: |",
                "switch>|",
                "*Mar  1 00:01:11: %SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: alice] [Source: 0.0.0.0] [localport: 0] at 00:01",
                "switch#exit",
                "*Mar  1 00:02:11: %SYS-6-LOGOUT: User alice has exited tty session 0()",
                "switch con0 is now available",
            ]),
            ["+alice", "-alice"]
        );
        assert_eq!(
            tell(&[
                "Nov 20 18:04:11 r1 mgd[5]: UI_LOGIN_EVENT: User 'carol' login, class 'j-super-user'",
                "Nov 20 18:05:11 r1 mgd[5]: UI_LOGOUT_EVENT: User 'carol' logout",
            ]),
            ["+carol", "-carol"]
        );
    }

    #[test]
    fn plain_talk_is_no_login() {
        assert_eq!(
            tell(&[
                "the login: of the day",
                "switch# show users",
                "last login was long ago",
                "Last login: never",
                "logout",
                "switch# |",
                "password: changed",
            ]),
            [""; 0]
        );
    }
}
