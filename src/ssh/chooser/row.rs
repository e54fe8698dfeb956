//! A console as the chooser shows it. Pure but for reading the state.

use crate::fact::{Console, PortPhase};
use crate::line::Cable;
use crate::ssh::house::House;
use crate::ssh::login::Login;

/// Names of writers that are written out; more are counted.
const NAMED: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ssh) struct Row {
    pub(in crate::ssh) name: String,
    pub(super) number: u16,
    pub(super) state: &'static str,
    /// Something is wrong with the port.
    pub(super) trouble: bool,
    pub(super) writers: Vec<String>,
    pub(super) watchers: usize,
    /// Why the port is away, or what the device said last.
    pub(super) last_line: String,
    /// What the device calls itself.
    pub(super) device: String,
}

impl Row {
    pub(super) fn new(console: &Console) -> Self {
        let (writing, watching): (Vec<_>, Vec<_>) =
            console.sessions.iter().partition(|session| session.writer);
        let unplugged = console.state.cable == Cable::Unplugged;
        let state = match console.phase {
            PortPhase::Open if unplugged => "no cable",
            PortPhase::Open => "open",
            PortPhase::Gone => "gone",
            PortPhase::Failed => "failed",
        };
        let away = console.phase != PortPhase::Open;
        Self {
            name: console.name.clone(),
            number: console.number,
            state,
            trouble: state != "open",
            writers: writing.iter().map(|one| one.user.clone()).collect(),
            watchers: watching.len(),
            last_line: tame(if away {
                &console.why
            } else {
                &console.last_line
            }),
            device: tame(console.device.as_deref().unwrap_or_default()),
        }
    }

    /// Who is there: `bob types, 2 watch`.
    pub(super) fn people(&self) -> String {
        let types = match &self.writers[..] {
            [] => None,
            [one] => Some(format!("{one} types")),
            many if many.len() <= NAMED => Some(format!("{} type", many.join(", "))),
            many => Some(format!("{} type", many.len())),
        };
        let watch = (self.watchers > 0).then(|| format!("{} watch", self.watchers));
        match (types, watch) {
            (None, None) => String::new(),
            (types, watch) => {
                let both: Vec<String> = types.into_iter().chain(watch).collect();
                both.join(", ")
            }
        }
    }

    /// The same for a phone: `bob+2`, where `-` types nobody.
    pub(super) fn people_short(&self) -> String {
        let first = self.writers.first().map_or("-", String::as_str);
        let others = self.writers.len().saturating_sub(1) + self.watchers;
        match (self.writers.is_empty(), others) {
            (true, 0) => String::new(),
            (false, 0) => first.to_owned(),
            (_, others) => format!("{first}+{others}"),
        }
    }
}

/// The consoles this person may see, by number.
pub(in crate::ssh) fn rows(house: &House, login: &Login) -> Vec<Row> {
    let state = house.store.now();
    let seen = state
        .consoles
        .values()
        .filter(|console| login.person.sees(&console.name));
    let mut rows: Vec<Row> = seen.map(Row::new).collect();
    rows.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    rows
}

/// A device's words without anything that would steer a terminal.
fn tame(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = shown
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
        .collect();
    shown.trim().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::fact::Session;
    use crate::line::LineState;

    /// A row of an open console with these people on it.
    pub(in crate::ssh::chooser) fn row(
        number: u16,
        name: &str,
        people: &[(&str, bool)],
        last_line: &str,
    ) -> Row {
        Row::new(&console(number, name, people, last_line))
    }

    pub(in crate::ssh::chooser) fn console(
        number: u16,
        name: &str,
        people: &[(&str, bool)],
        last_line: &str,
    ) -> Console {
        let session = |(at, &(user, writer)): (usize, &(&str, bool))| Session {
            id: u64::try_from(at).unwrap(),
            user: user.into(),
            from: "ssh".into(),
            writer,
            since: Timestamp(0),
            typed_at: Timestamp(0),
        };
        Console {
            name: name.into(),
            port: "/dev/ttyS1".into(),
            line: "9600n8".into(),
            phase: PortPhase::Open,
            since: Timestamp(0),
            why: String::new(),
            sessions: people.iter().enumerate().map(session).collect(),
            rx_bytes: 0,
            tx_bytes: 0,
            last_line: last_line.into(),
            state: LineState::default(),
            number,
            device: None,
            outlets: vec![],
        }
    }

    #[test]
    fn who_is_there_and_what_is_wrong() {
        let words = |people: &[(&str, bool)]| {
            let row = row(1, "sw", people, "");
            (row.people(), row.people_short())
        };
        let pair = |long: &str, short: &str| (long.to_owned(), short.to_owned());
        assert_eq!(words(&[]), pair("", ""));
        assert_eq!(words(&[("a", true)]), pair("a types", "a"));
        assert_eq!(words(&[("a", false)]), pair("1 watch", "-+1"));
        assert_eq!(
            words(&[("a", true), ("b", true), ("c", false)]),
            pair("a, b type, 1 watch", "a+2")
        );
        let mut gone = console(1, "sw", &[], "login:");
        (gone.phase, gone.why) = (PortPhase::Gone, "it is\nnot there".into());
        let row = Row::new(&gone);
        assert_eq!((row.state, row.trouble), ("gone", true));
        assert_eq!(row.last_line, "it is not there");
        let mut loose = console(1, "sw", &[], "\x1b[2Jlogin:\u{202e}");
        loose.state.cable = Cable::Unplugged;
        let row = Row::new(&loose);
        assert_eq!(
            (row.state, row.last_line.as_str()),
            ("no cable", "[2Jlogin:")
        );
    }
}
