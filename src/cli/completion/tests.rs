//! Places in command lines, and that clap's scripts still ask us.

use super::place::{Named, Place, find};
use super::*;

fn at(line: &str) -> Option<Place> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    find(&built(), &words)
}

#[test]
fn what_an_argument_names_follows_from_noun_verb_and_place() {
    for (line, named) in [
        ("console attach ", Some(Named::Console)),
        ("console attach --watch co", Some(Named::Console)),
        ("console attach --history 100 ", Some(Named::Console)),
        ("console attach --history ", None),
        ("console attach -", None),
        ("console attach core ", None),
        ("console kick -u ", Some(Named::Attached)),
        ("console kick --user=", Some(Named::Attached)),
        ("--json machine power ", Some(Named::Machine)),
        ("machine power pc ", None),
        ("amt ider eject ", Some(Named::Machine)),
        ("amt add 10.0.0.9 --name ", None),
        ("outlet cycle rack/1 ra", Some(Named::Outlet)),
        ("outlet cycle -y -- ra", Some(Named::Outlet)),
        ("pdu read ", Some(Named::Pdu)),
        ("ups trust ", Some(Named::Ups)),
        ("uplink scan ", Some(Named::Uplink)),
        ("user set ", Some(Named::User)),
        ("user set bob --outlet ", Some(Named::Outlet)),
        ("user add ", None),
        ("event list --source ", Some(Named::Source)),
        ("certificate request ", None),
        ("console ", None),
        ("", None),
    ] {
        assert_eq!(at(line).map(|place| place.named), named, "{line:?}");
    }
}

#[test]
fn the_board_that_the_line_names_is_asked() {
    let place = at("--host alice@rack7 --password-file p console attach --socket=x ").unwrap();
    assert_eq!(
        place.everywhere,
        ["--host=alice@rack7", "--password-file=p", "--socket=x"]
    );
    assert_eq!(at("event list --source=up").unwrap().before, "--source=");
}

#[test]
fn every_name_in_the_tree_is_of_something() {
    fn walk(command: &Command, path: &mut Vec<String>) {
        for next in command
            .get_subcommands()
            .filter(|next| next.get_name() != "help")
        {
            path.push(next.get_name().to_owned());
            let name = next.get_positionals().any(|arg| arg.get_id() == "name");
            if name && path.last().is_none_or(|verb| verb != "add") {
                let words = [path.clone(), vec![String::new()]].concat();
                assert!(find(&built(), &words).is_some(), "{path:?}");
            }
            walk(next, path);
            path.pop();
        }
    }
    walk(&built(), &mut Vec::new());
}

#[test]
fn the_scripts_ask_for_names_first() {
    for (shell, call) in [
        (
            Shell::Bash,
            "_oobctl() {\n    _oobctl_names \"$2\" && return\n",
        ),
        (Shell::Zsh, "_oobctl() {\n    _oobctl_names && return\n"),
        (Shell::Fish, "complete -c oobctl -n __oobctl_names"),
    ] {
        let script = script(shell);
        assert!(script.contains(call), "{shell}");
        assert!(
            !script.contains("oobctl complete'"),
            "{shell} offers what is hidden"
        );
    }
    assert!(script(Shell::Zsh).starts_with("#compdef oobctl\n"));
}
