//! The plain chooser: the consoles a person may see, numbered; a number, a name or the start of one connects. Draws text
//! only, so that it works on a dumb terminal and in a log.

use super::Choice;
use super::row::{Row, rows};
use crate::ssh::house::House;
use crate::ssh::login::Login;
use crate::ssh::terminal::{Answer, Gone, Terminal};

/// Where two lines per console become one.
const WIDE: usize = 72;

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
    // `port02` is number 2.
    if let Ok(number) = text.strip_prefix("port").unwrap_or(text).parse::<usize>() {
        let row = list.iter().find(|row| usize::from(row.number) == number);
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
    for row in list {
        let (number, name, state) = (row.number, cut(&row.name, 24), row.state);
        let people = match row.people() {
            people if people.is_empty() => "nobody there".to_owned(),
            people => people,
        };
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

#[cfg(test)]
mod tests {
    use super::super::row::tests::row;
    use super::*;

    fn list() -> Vec<Row> {
        vec![
            row(1, "core-router", &[], "login:"),
            row(
                2,
                "core-switch",
                &[("bob", true), ("eve", false)],
                "sw1#\x1b[2J show",
            ),
            row(3, "edge", &[("eve", false)], ""),
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
            choose(&[row(1, "q", &[], "")], "q"),
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
