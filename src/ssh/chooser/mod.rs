//! The chooser: the consoles a person may see, and which one they want. On a terminal that can, the whole screen with a
//! filter; on a dumb one a numbered list and a prompt. Joins nothing.

mod draw;
mod keys;
mod list;
mod plain;
mod row;
mod screen;

use super::house::House;
use super::login::Login;
use super::terminal::{Gone, Terminal};

pub(super) use row::rows;
pub(super) use screen::RESTORE;

/// What the person wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Console(String),
    Quit,
}

/// Shows the consoles until the person has chosen.
pub(super) async fn run(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
) -> Result<Choice, Gone> {
    // `color` is what a terminal has that is no `dumb` one.
    if terminal.reader.size().is_some_and(|size| size.color) {
        screen::run(house, login, terminal).await
    } else {
        plain::run(house, login, terminal).await
    }
}
