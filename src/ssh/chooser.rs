//! The plain chooser: the consoles a person may see, numbered; a number, a name or the start of one connects. Draws text
//! only, so that it works on a 40-column phone and in a log.

use crate::fact::{Console, PortPhase};

use super::house::House;
use super::login::Login;
use super::terminal::{Answer, Gone, Terminal};

/// Where two lines per console become one.
const WIDE: usize = 72;

/// What the person wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Console(String),
    Quit,
}

/// A console as the chooser shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    state: &'static str,
    writer: Option<String>,
    watchers: usize,
    last_line: String,
}

impl Row {
    fn new(console: &Console) -> Self {
        let writer = console.sessions.iter().find(|session| session.writer);
        Self {
            name: console.name.clone(),
            state: match console.phase {
                PortPhase::Open => "open",
                PortPhase::Gone => "unplugged",
                PortPhase::Failed => "failed",
            },
            writer: writer.map(|session| session.user.clone()),
            watchers: console
                .sessions
                .iter()
                .filter(|session| !session.writer)
                .count(),
            last_line: tame(&console.last_line),
        }
    }

    /// Who is there: `bob types, 2 watch`.
    fn people(&self) -> String {
        match (&self.writer, self.watchers) {
            (None, 0) => "nobody there".into(),
            (None, n) => format!("{n} watch"),
            (Some(who), 0) => format!("{who} types"),
            (Some(who), n) => format!("{who} types, {n} watch"),
        }
    }
}

/// The consoles this person may see, by name.
pub(super) fn rows(house: &House, login: &Login) -> Vec<Row> {
    let state = house.store.now();
    let seen = state
        .consoles
        .values()
        .filter(|console| login.person.sees(&console.name));
    seen.map(Row::new).collect()
}

/// Shows the list until the person has chosen.
pub(super) async fn run(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
) -> Result<Choice, Gone> {
    let mut complaint = String::new();
    loop {
        let list = rows(house, login);
        let device = house.store.now().device;
        let columns = terminal.reader.size().map_or(80, |size| size.columns);
        let screen = draw(&device, &list, columns);
        terminal
            .writer
            .say(&format!("\n{screen}{complaint}"))
            .await?;
        complaint.clear();
        let answer = terminal.ask("Number or name, q quits: ", true).await?;
        let Answer::Line(text) = answer else {
            return Ok(Choice::Quit);
        };
        match choose(&list, text.trim()) {
            Ok(Some(choice)) => return Ok(choice),
            Ok(None) => {}
            Err(why) => complaint = format!("{why}\n"),
        }
    }
}

/// What a typed line means; `None` asks for a fresh list.
fn choose(list: &[Row], text: &str) -> Result<Option<Choice>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(row) = list.iter().find(|row| row.name == text) {
        return Ok(Some(Choice::Console(row.name.clone())));
    }
    if matches!(text, "q" | "Q" | "quit" | "exit") {
        return Ok(Some(Choice::Quit));
    }
    if let Ok(number) = text.parse::<usize>() {
        let row = number.checked_sub(1).and_then(|at| list.get(at));
        return row.map_or_else(
            || Err(format!("There is no number {number}.")),
            |row| Ok(Some(Choice::Console(row.name.clone()))),
        );
    }
    let wanted = text.to_lowercase();
    let fits = list
        .iter()
        .filter(|row| row.name.to_lowercase().starts_with(&wanted));
    let fits: Vec<&str> = fits.map(|row| row.name.as_str()).collect();
    match fits[..] {
        [] => Err(format!(
            "No console is called {:?}.",
            crate::access::printable(text)
        )),
        [one] => Ok(Some(Choice::Console(one.to_owned()))),
        _ => Err(format!("Which one: {}?", fits.join(", "))),
    }
}

/// The list as lines that fit the width.
fn draw(device: &str, list: &[Row], columns: usize) -> String {
    let mut text = cut(&format!("Consoles of {device}"), columns);
    text.push('\n');
    if list.is_empty() {
        text.push_str(&cut("None that you may see.", columns));
        text.push('\n');
    }
    let name_width = list
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .min(24);
    for (at, row) in list.iter().enumerate() {
        let number = at + 1;
        let (name, state, people) = (cut(&row.name, 24), row.state, row.people());
        let line = if columns >= WIDE {
            format!(
                "{number:3} {name:name_width$}  {state:9}  {people:20}  {}",
                row.last_line
            )
        } else {
            format!("{number:2} {name}  {state}, {people}")
        };
        text.push_str(cut(&line, columns).trim_end());
        text.push('\n');
        if columns < WIDE && !row.last_line.is_empty() {
            text.push_str(&cut(&format!("   {}", row.last_line), columns));
            text.push('\n');
        }
    }
    text
}

/// At most this many characters; `…` stands for what is left out.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A device's line, harmless on the operator's terminal.
fn tame(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .take(200)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::fact::Session;
    use crate::line::LineState;

    fn console(name: &str, people: &[(&str, bool)], last_line: &str) -> Row {
        let session = |(at, &(user, writer)): (usize, &(&str, bool))| Session {
            id: u64::try_from(at).unwrap(),
            user: user.into(),
            from: "ssh".into(),
            writer,
            since: Timestamp(0),
            typed_at: Timestamp(0),
        };
        Row::new(&Console {
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
            number: 1,
            device: None,
        })
    }

    fn list() -> Vec<Row> {
        vec![
            console("core-router", &[], "login:"),
            console(
                "core-switch",
                &[("bob", true), ("eve", false)],
                "sw1#\x1b[2J show",
            ),
            console("edge", &[("eve", false)], ""),
        ]
    }

    #[test]
    fn numbers_names_and_prefixes_choose() {
        let list = list();
        for (text, name) in [
            ("1", "core-router"),
            ("3", "edge"),
            ("core-switch", "core-switch"),
            ("core-s", "core-switch"),
            ("E", "edge"),
        ] {
            assert_eq!(
                choose(&list, text),
                Ok(Some(Choice::Console(name.into()))),
                "{text}"
            );
        }
        assert_eq!(choose(&list, ""), Ok(None));
        assert_eq!(choose(&list, "q"), Ok(Some(Choice::Quit)));
        assert_eq!(
            choose(&list, "core"),
            Err("Which one: core-router, core-switch?".into())
        );
        for text in ["0", "4", "99999999999999999999", "x"] {
            assert!(choose(&list, text).is_err(), "{text}");
        }
        assert_eq!(
            choose(&[console("q", &[], "")], "q"),
            Ok(Some(Choice::Console("q".into())))
        );
    }

    #[test]
    fn a_phone_sees_it_all_and_no_line_is_too_long() {
        for columns in [20, 40, 72, 200] {
            let screen = draw("rack7", &list(), columns);
            assert!(
                screen.lines().all(|line| line.chars().count() <= columns),
                "{screen}"
            );
            assert!(!screen.contains('\x1b'));
        }
        assert_eq!(
            draw("rack7", &list(), 40),
            "Consoles of rack7\n 1 core-router  open, nobody there\n   login:\n \
             2 core-switch  open, bob types, 1 watch\n   sw1# [2J show\n 3 edge  open, 1 watch\n"
        );
    }

    #[test]
    fn nothing_to_see_is_said() {
        assert!(draw("rack7", &[], 40).contains("None that you may see."));
    }
}
