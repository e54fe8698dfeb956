//! The verbs of a noun, made once the noun is asked for: clap defers the options of a command, but makes the commands below it at
//! each start, a hundred of them for the one that is meant.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

/// The verb that was asked for, in place of `#[command(subcommand)]`.
#[derive(Debug)]
pub(super) struct Verbs<V>(pub(super) V);

impl<V: Subcommand> Args for Verbs<V> {
    fn augment_args(noun: Command) -> Command {
        V::augment_subcommands(noun)
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    fn augment_args_for_update(noun: Command) -> Command {
        V::augment_subcommands_for_update(noun)
    }
}

impl<V: FromArgMatches> FromArgMatches for Verbs<V> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        V::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        V::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
