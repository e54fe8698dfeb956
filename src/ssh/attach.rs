//! A session on a console over SSH: who may have it, and the channel as the engine's screen and keyboard. All else is
//! [`crate::session`]'s.

use std::sync::Arc;

use bytes::Bytes;

use crate::access::{Right, printable};
use crate::control::{Caller, Identity, PersonsPower};
use crate::label::{self, NoConsole};
use crate::session::{Guest, Keyboard, Manner, Screen, Seat};

pub(super) use crate::session::Ended;

use super::house::House;
use super::login::Login;
use super::session;
use super::terminal::{Gone, Heard, Reader, Terminal, Writer};

/// The exit status that says how it ended.
pub(super) fn status(ended: &Ended) -> u32 {
    match ended {
        Ended::Left | Ended::Eof | Ended::Chooser => session::OK,
        Ended::Port(_) => session::FAILED,
        Ended::Refused(_) => session::REFUSED,
    }
}

/// Joins a console and stays until one side has had enough. Why it ended is told to the client here.
pub(super) async fn run(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
    console: &str,
) -> Result<Ended, Gone> {
    let Terminal { reader, writer } = terminal;
    match join(house, login, writer.is_terminal, console).await {
        // Rights that are taken away end the whole connection.
        Ok(seat) => {
            let caller = Caller {
                identity: Identity::User(login.person.name.clone()),
                from: login.from(),
            };
            let power = PersonsPower::new(house.control.clone(), caller);
            let seat = seat.with_power(Arc::new(power));
            seat.run(&*writer, reader, std::future::pending()).await
        }
        Err(refusal) => {
            let ended = Ended::Refused(refusal);
            writer.ended(&printable(console), &ended).await?;
            Ok(ended)
        }
    }
}

async fn join(house: &House, login: &Login, terminal: bool, console: &str) -> Result<Seat, String> {
    let state = house.store.now();
    // Among those this person may see only, so that nobody learns which others there are.
    let found = label::find_seen(&state.consoles, |name| login.person.sees(name), console);
    let console = match &found {
        Ok(console) => console.name.as_str(),
        Err(many @ NoConsole::Many(_)) => return Err(many.to_string()),
        Err(unknown @ NoConsole::Unknown(_)) => {
            return Err(format!(
                "{unknown}; ssh {}:serial lists yours",
                login.person.name
            ));
        }
    };
    login.person.may(Right::WatchConsole(console))?;
    let manner = if terminal {
        Manner {
            doubled: true,
            chooser: true,
            ..Manner::person()
        }
    } else {
        Manner::program()
    };
    let guest = Guest::of(&login.person, console, login.from())?;
    guest.sit(&house.commands, manner).await
}

impl Screen for Writer {
    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        Self::bytes(self, bytes).await
    }

    async fn say(&self, text: &str) -> Result<(), Gone> {
        Self::say(self, text).await
    }

    async fn remark(&self, text: &str) -> Result<(), Gone> {
        Self::remark(self, text).await
    }
}

impl Keyboard for Reader {
    async fn next(&mut self) -> Result<Heard, Gone> {
        Self::next(self).await
    }
}
