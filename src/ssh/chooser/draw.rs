//! The chooser's picture: a list into a buffer of cells. Pure. No colour: bold, dim and reverse are all it uses, and the
//! mark before the row that is meant does without them.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Cell, HighlightSpacing, Paragraph, Row as Cells, StatefulWidget, Table, TableState, Widget,
};

use super::list::List;
use super::row::Row;

/// From here on a console's last line stands beside it; below, only that of the row that is meant.
const WIDE: u16 = 72;
/// Longest label that is written out.
const NAME: u16 = 24;
/// Lines around the table: title, filter, last line, hint.
const AROUND: u16 = 4;

/// Rows of the table on a screen of this height, for the page keys.
pub(super) fn page(area: Rect) -> usize {
    let head = u16::from(area.width >= WIDE);
    usize::from(area.height.saturating_sub(AROUND + head).max(1))
}

/// Draws the list. `state` keeps how far it is scrolled.
pub(super) fn draw(device: &str, list: &List, state: &mut TableState, area: Rect) -> Buffer {
    let mut buffer = Buffer::empty(area);
    let [title, filter, table, last, hint] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let (bold, dim) = (Modifier::BOLD, Modifier::DIM);
    let shown = list.shown();
    let count = match (shown.len(), list.total()) {
        (shown, total) if shown == total => format!(" · {total}"),
        (shown, total) => format!(" · {shown} of {total}"),
    };
    let heading = Line::from(vec![
        Span::styled(format!("Consoles of {device}"), bold),
        Span::raw(count),
    ]);
    Paragraph::new(heading).render(title, &mut buffer);
    let asked = match (list.filtering(), shown.is_empty(), list.total()) {
        (_, _, 0) => Line::raw("None that you may see."),
        (true, true, _) => Line::raw(format!("/{}  fits none; Esc clears", list.filter())),
        (true, false, _) => Line::raw(format!("/{}", list.filter())),
        (false, ..) => Line::styled("type to filter", dim),
    };
    Paragraph::new(asked).render(filter, &mut buffer);
    state.select(list.position());
    let wide = area.width >= WIDE;
    StatefulWidget::render(rows(&shown, wide), table, &mut buffer, state);
    let meant = list.position().and_then(|at| shown.get(at));
    if !wide && let Some(row) = meant {
        Paragraph::new(Line::styled(row.last_line.clone(), dim)).render(last, &mut buffer);
    }
    let keys = if wide {
        "Enter connects · arrows, PgUp, PgDn · Esc clears · q leaves · on a console ~m comes back (OpenSSH: ~~m)"
    } else {
        "Enter connects · q leaves · ~~m returns"
    };
    Paragraph::new(Line::styled(keys, dim)).render(hint, &mut buffer);
    buffer
}

fn rows<'a>(shown: &[&'a Row], wide: bool) -> Table<'a> {
    let longest = shown.iter().map(|row| row.name.chars().count()).max();
    let name = u16::try_from(longest.unwrap_or(0))
        .unwrap_or(NAME)
        .clamp(5, NAME);
    let cells = shown.iter().map(|row| {
        let style = match row.trouble {
            true => Style::from(Modifier::BOLD),
            false => Style::default(),
        };
        let number = Cell::from(format!("{:>3}", row.number));
        let state = Cell::from(row.state).style(style);
        let label = Cell::from(row.name.as_str());
        if wide {
            let people = Cell::from(row.people());
            Cells::new([
                number,
                label,
                state,
                people,
                Cell::from(row.last_line.as_str()),
            ])
        } else {
            Cells::new([number, label, state, Cell::from(row.people_short())])
        }
    });
    let (number, state) = (Constraint::Length(3), Constraint::Length(8));
    let table = if wide {
        let people = Constraint::Length(22);
        let widths = [
            number,
            Constraint::Length(name),
            state,
            people,
            Constraint::Fill(1),
        ];
        let head = ["  #", "LABEL", "STATE", "WHO", "LAST LINE"];
        Table::new(cells, widths).header(Cells::new(head).style(Modifier::DIM))
    } else {
        Table::new(
            cells,
            [number, Constraint::Max(name), state, Constraint::Fill(1)],
        )
    };
    table
        .column_spacing(if wide { 2 } else { 1 })
        .row_highlight_style(Modifier::REVERSED)
        .highlight_symbol(">")
        .highlight_spacing(HighlightSpacing::Always)
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::super::row::tests::{console, row};
    use super::*;
    use crate::fact::PortPhase;

    fn list() -> List {
        let mut gone = console(3, "edge", &[("eve", false)], "");
        (gone.phase, gone.why) = (PortPhase::Gone, "/dev/ttyUSB1 is not there".into());
        let mut list = List::default();
        list.update(vec![
            row(1, "core-router", &[], "core-router login:"),
            row(
                2,
                "core-switch",
                &[("bob", true), ("eve", false)],
                "sw1#\x1b[2J show",
            ),
            Row::new(&gone),
        ]);
        list
    }

    fn text(list: &List, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let buffer = draw("rack7", list, &mut TableState::default(), area);
        let line = |y| {
            let cells = (0..width).map(|x| buffer[(x, y)].symbol());
            cells.collect::<String>().trim_end().to_owned()
        };
        (0..height).map(line).collect()
    }

    #[test]
    fn a_laptop() {
        let mut list = list();
        list.key(Key::Down, 10);
        let screen = text(&list, 80, 10);
        assert_eq!(
            screen,
            [
                "Consoles of rack7 · 3",
                "type to filter",
                "   #  LABEL        STATE     WHO                     LAST LINE",
                "   1  core-router  open                              core-router login:",
                ">  2  core-switch  open      bob types, 1 watch      sw1# [2J show",
                "   3  edge         gone      1 watch                 /dev/ttyUSB1 is not there",
                "",
                "",
                "",
                "Enter connects · arrows, PgUp, PgDn · Esc clears · q leaves · on a console ~m co",
            ]
        );
    }

    #[test]
    fn a_phone() {
        let mut list = list();
        list.key(Key::End, 10);
        let screen = text(&list, 40, 9);
        assert_eq!(
            screen,
            [
                "Consoles of rack7 · 3",
                "type to filter",
                "   1 core-router open",
                "   2 core-switch open     bob+1",
                ">  3 edge        gone     -+1",
                "",
                "",
                "/dev/ttyUSB1 is not there",
                "Enter connects · q leaves · ~~m returns",
            ]
        );
    }

    #[test]
    fn a_filter_and_nothing_that_fits_it() {
        let mut list = list();
        for letter in "core".chars() {
            list.key(Key::Char(letter), 10);
        }
        let screen = text(&list, 40, 8);
        assert_eq!(screen[0], "Consoles of rack7 · 2 of 3");
        assert_eq!(screen[1], "/core");
        list.key(Key::Char('x'), 10);
        assert_eq!(text(&list, 40, 8)[1], "/corex  fits none; Esc clears");
        assert_eq!(text(&List::default(), 40, 8)[1], "None that you may see.");
    }

    #[test]
    fn long_lists_scroll_and_no_size_panics() {
        let mut list = List::default();
        let name = |n: u16| format!("console-with-a-very-long-name-{n}");
        list.update((1..=300).map(|n| row(n, &name(n), &[], "x")).collect());
        list.key(Key::End, 10);
        assert!(text(&list, 200, 60)[57].starts_with(">300"));
        for (width, height) in [
            (0, 0),
            (1, 1),
            (20, 4),
            (40, 20),
            (71, 5),
            (72, 5),
            (500, 500),
        ] {
            let _ = text(&list, width, height);
        }
    }
}
