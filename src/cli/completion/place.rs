//! Where in a command line a cursor stands, and what of a board is named there.

use std::collections::BTreeSet;

use clap::{Arg, Command};

/// What of a board has the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Console,
    Machine,
    Outlet,
    Pdu,
    Ups,
    Uplink,
    User,
    /// Who is on a console.
    Attached,
    /// Who says what happens.
    Source,
}

/// A place where a name of a board belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub named: Named,
    /// What stands in the same word before the name, as in `--console=`.
    pub before: String,
    /// Which board is meant: the options that say so.
    pub everywhere: Vec<String>,
}

/// Options that say which board is meant.
const EVERYWHERE: [&str; 5] = ["socket", "board", "as_user", "fingerprint", "password_file"];

/// What belongs to the last of `words`; `None` where that is no name of a board. `root` has to be built.
pub(super) fn find(root: &Command, words: &[String]) -> Option<Place> {
    let (last, before) = words.split_last()?;
    let mut here = Here {
        command: root,
        path: Vec::new(),
        positional: 0,
        options: true,
        open: None,
    };
    let mut everywhere = Vec::new();
    for word in before {
        let (arg, value) = here.take(word);
        if let (Some(arg), Some(value)) = (arg, value)
            && EVERYWHERE.contains(&arg.get_id().as_str())
        {
            everywhere.push(format!("--{}={value}", arg.get_long().unwrap_or_default()));
        }
    }
    let (arg, before) = match here.open {
        Some(arg) => (arg, String::new()),
        None if here.options && last.starts_with('-') => {
            let (option, _) = last.split_once('=')?;
            (here.option(option)?, format!("{option}="))
        }
        None => (here.at_position()?, String::new()),
    };
    let named = named(&here.path, arg)?;
    Some(Place {
        named,
        before,
        everywhere,
    })
}

/// Options whose values are names of a board, by how they are spelt.
pub(super) fn options(root: &Command) -> BTreeSet<&str> {
    fn gather<'a>(command: &'a Command, path: &mut Vec<&'a str>, found: &mut BTreeSet<&'a str>) {
        for next in command.get_subcommands() {
            path.push(next.get_name());
            let named = next.get_opts().filter(|arg| named(path, arg).is_some());
            found.extend(named.filter_map(Arg::get_long));
            gather(next, path, found);
            path.pop();
        }
    }
    let mut found = BTreeSet::new();
    gather(root, &mut Vec::new(), &mut found);
    found
}

/// The one rule: what an argument names by what it is called, and by the noun and the verb it follows.
fn named(path: &[&str], arg: &Arg) -> Option<Named> {
    let noun = path.first().copied()?;
    Some(match (noun, path.last().copied()?, arg.get_id().as_str()) {
        // What comes to be has a new name.
        (_, "add", "name") => return None,
        ("console", _, "name") | ("user", _, "console") => Named::Console,
        ("machine" | "amt", _, "name") | ("user", _, "machine") => Named::Machine,
        ("outlet", _, "names") | ("user", _, "outlet") => Named::Outlet,
        ("pdu", _, "name") => Named::Pdu,
        ("ups", _, "name") => Named::Ups,
        ("uplink", _, "name") => Named::Uplink,
        ("user", _, "name") => Named::User,
        ("console", "kick", "user") => Named::Attached,
        ("event", _, "source") => Named::Source,
        _ => return None,
    })
}

/// How far the words before the cursor have come.
struct Here<'a> {
    command: &'a Command,
    path: Vec<&'a str>,
    /// So many positional arguments were there.
    positional: usize,
    /// No `--` has come.
    options: bool,
    /// An option that still waits for its value.
    open: Option<&'a Arg>,
}

impl<'a> Here<'a> {
    /// Takes one word in; the option it gives a value to, and that.
    fn take(&mut self, word: &str) -> (Option<&'a Arg>, Option<String>) {
        if let Some(arg) = self.open.take() {
            return (Some(arg), Some(word.to_owned()));
        }
        if self.options && word == "--" {
            self.options = false;
        } else if self.options && word.len() > 1 && word.starts_with('-') {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (word, None),
            };
            let arg = self.option(option);
            if value.is_none() {
                self.open = arg;
            }
            return (arg, value);
        } else if self.positional == 0
            && let Some(next) = self.command.find_subcommand(word)
        {
            self.path.push(next.get_name());
            self.command = next;
        } else {
            self.positional += 1;
        }
        (None, None)
    }

    /// The option of this spelling, if it takes a value.
    fn option(&self, word: &str) -> Option<&'a Arg> {
        let mut all = self.command.get_arguments();
        let found = match word.strip_prefix("--") {
            Some(long) => all.find(|arg| arg.get_long() == Some(long)),
            // Of several in one word the last may take a value.
            None => {
                all.find(|arg| arg.get_short().is_some() && arg.get_short() == word.chars().last())
            }
        };
        found.filter(|arg| arg.get_action().takes_values())
    }

    /// The positional argument that comes next.
    fn at_position(&self) -> Option<&'a Arg> {
        let mut all = self.command.get_positionals();
        let many = |arg: &&Arg| {
            arg.get_num_args()
                .is_some_and(|range| range.max_values() > 1)
        };
        all.nth(self.positional)
            .or_else(|| self.command.get_positionals().last().filter(many))
    }
}
