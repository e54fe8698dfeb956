//! The chooser's list: what is shown, which row is meant, what a key does. Pure.

use super::Choice;
use super::keys::Key;
use super::row::Row;

/// Longest filter that is kept.
const LONGEST: usize = 32;

#[derive(Debug, Default)]
pub(super) struct List {
    rows: Vec<Row>,
    filter: String,
    /// The filter takes every letter, `q` too: something is in it, or `/` began it.
    filtering: bool,
    /// The row that is meant, by name, so that it stays while others come and go.
    selected: Option<String>,
}

impl List {
    /// Puts the newest state in.
    pub(super) fn update(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        self.settle();
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn filtering(&self) -> bool {
        self.filtering
    }

    pub(super) fn total(&self) -> usize {
        self.rows.len()
    }

    /// The rows that the filter lets through.
    pub(super) fn shown(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| self.fits(row)).collect()
    }

    /// Which of [`List::shown`] is meant.
    pub(super) fn position(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.shown().iter().position(|row| row.name == *selected)
    }

    /// Takes a key; `page` is how many rows a page has. `Some` when the person has decided.
    pub(super) fn key(&mut self, key: Key, page: usize) -> Option<Choice> {
        let page = isize::try_from(page.max(1)).unwrap_or(isize::MAX);
        match key {
            Key::Leave => return Some(Choice::Quit),
            Key::Char('q' | 'Q') if !self.filtering => return Some(Choice::Quit),
            Key::Char('/') if !self.filtering => self.filtering = true,
            Key::Char(letter) => {
                if self.filter.chars().count() < LONGEST {
                    self.filter.push(letter);
                }
                self.filtering = true;
                self.selected = None;
            }
            Key::Erase => {
                self.filter.pop();
                self.filtering = !self.filter.is_empty();
            }
            Key::EraseAll | Key::Escape => {
                self.filter.clear();
                self.filtering = false;
            }
            Key::Up => self.step(-1),
            Key::Down => self.step(1),
            Key::PageUp => self.step(-page),
            Key::PageDown => self.step(page),
            Key::Home => self.step(isize::MIN),
            Key::End => self.step(isize::MAX),
            Key::Enter => return self.selected.clone().map(Choice::Console),
            Key::Redraw => {}
        }
        self.settle();
        None
    }

    /// A number means the console of that number; anything else is found in labels and device names.
    fn fits(&self, row: &Row) -> bool {
        let wanted = self.filter.to_lowercase();
        let number = row.number.to_string();
        let digits = wanted.trim_start_matches('0');
        let by_number = !digits.is_empty() && number.starts_with(digits);
        by_number
            || row.name.to_lowercase().contains(&wanted)
            || row.device.to_lowercase().contains(&wanted)
    }

    /// Something is meant whenever something is shown: the exact number or label first.
    fn settle(&mut self) {
        if self.position().is_some() {
            return;
        }
        let shown = self.shown();
        let wanted = self.filter.to_lowercase();
        let number: Option<u16> = wanted.parse().ok();
        let exact = shown.iter().find(|row| {
            row.name.to_lowercase() == wanted || number.is_some_and(|number| number == row.number)
        });
        let begins = shown
            .iter()
            .find(|row| row.name.to_lowercase().starts_with(&wanted));
        let found = exact.or(begins).or(shown.first());
        self.selected = found.map(|row| row.name.clone());
    }

    fn step(&mut self, by: isize) {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let at = self
            .position()
            .unwrap_or(0)
            .saturating_add_signed(by)
            .min(last);
        self.selected = shown.get(at).map(|row| row.name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::row;
    use super::*;

    fn list() -> List {
        let mut list = List::default();
        let names = ["core-router", "core-switch", "edge", "qfx5100"];
        let rows = (1..).zip(names).map(|(n, name)| row(n, name, &[], ""));
        list.update(rows.chain([row(12, "pdu", &[], "")]).collect());
        list
    }

    fn keys(list: &mut List, text: &str) -> Option<Choice> {
        text.chars()
            .find_map(|letter| list.key(Key::Char(letter), 10))
    }

    fn enter(list: &mut List) -> String {
        match list.key(Key::Enter, 10) {
            Some(Choice::Console(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn letters_filter_and_enter_connects() {
        for (typed, name) in [
            ("", "core-router"),
            ("edge", "edge"),
            ("ED", "edge"),
            ("swi", "core-switch"),
            ("1", "core-router"),
            ("12", "pdu"),
            ("03", "edge"),
            ("510", "qfx5100"),
            ("/q", "qfx5100"),
        ] {
            let mut list = list();
            assert_eq!(keys(&mut list, typed), None);
            assert_eq!(enter(&mut list), name, "{typed}");
        }
    }

    #[test]
    fn q_leaves_only_where_it_is_no_letter_of_a_filter() {
        assert_eq!(keys(&mut list(), "q"), Some(Choice::Quit));
        let mut list = list();
        assert_eq!(keys(&mut list, "eq"), None);
        assert!(list.shown().is_empty());
        assert_eq!(list.key(Key::Enter, 10), None, "nothing is meant");
        list.key(Key::Escape, 10);
        assert_eq!(list.shown().len(), 5);
        assert_eq!(list.key(Key::Leave, 10), Some(Choice::Quit));
    }

    #[test]
    fn arrows_move_and_stay_within() {
        let mut list = list();
        list.key(Key::Up, 2);
        assert_eq!(list.position(), Some(0));
        list.key(Key::Down, 2);
        list.key(Key::PageDown, 2);
        assert_eq!(list.position(), Some(3));
        list.key(Key::PageDown, 2);
        list.key(Key::Down, 2);
        assert_eq!(list.position(), Some(4));
        list.key(Key::Home, 2);
        assert_eq!(list.position(), Some(0));
        list.key(Key::End, 2);
        assert_eq!(enter(&mut list), "pdu");
    }

    #[test]
    fn the_row_that_is_meant_stays_while_others_come_and_go() {
        let mut list = list();
        list.key(Key::Down, 10);
        list.key(Key::Down, 10);
        list.update(vec![
            row(2, "core-switch", &[], ""),
            row(3, "edge", &[], ""),
        ]);
        assert_eq!(list.position(), Some(1));
        list.update(vec![row(2, "core-switch", &[], "")]);
        assert_eq!(enter(&mut list), "core-switch");
        list.update(vec![]);
        assert_eq!(list.key(Key::Enter, 10), None);
    }
}
