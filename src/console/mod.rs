//! Serial consoles: one owner task per port, one task per session. Knows no door; doors come through `command`.
//!
//! The owner alone touches the port ([`port`], [`tty`]) and always drains it into a ring ([`ring`], [`stream`]).
//! Each session reads the ring with its own cursor, so that a slow one hurts nobody ([`pump`], [`session`], [`desk`]); so
//! does the thread that stores what came ([`transcript`]).

use crate::config::Console;
use crate::supervisor::context::Context;
use crate::tcp::Tunnels;

use plug::Plugs;

mod alarm;
mod breaks;
mod cable;
mod desk;
pub mod export;
mod gather;
mod hunt;
mod last_line;
mod log;
mod outbox;
mod owner;
mod patience;
mod plain;
pub mod plug;
mod port;
mod pump;
mod queries;
#[cfg(test)]
mod reader_tests;
mod ring;
mod session;
mod stream;
mod transcript;
mod tty;
mod watch;
mod wires;

/// Why a console ended. A port that is missing or broken is a phase of the console, never an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("console {name} has lost its own sessions' channel")]
    Channel { name: String },
}

/// Owns one console until it is stopped. A console on another host is reached by the interface `lan` and by no other, or
/// through the tunnel of its machine.
///
/// # Errors
/// [`Error`], only when something inside is broken; the supervisor starts it anew.
pub async fn run(
    context: Context,
    console: Console,
    (lan, tunnels): (&str, Tunnels),
    plugs: Plugs,
) -> Result<(), Error> {
    let place = port::Place::new(&console, (lan, tunnels), plugs.roots.clone(), &context);
    owner::run(context, console, place, plugs).await
}

/// A notice as every door shows it; a device line of this look has no such brackets around a session's own words.
fn notice(text: &str) -> String {
    format!("[-- {text} --]")
}
