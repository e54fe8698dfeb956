//! `oobctl console users | kick | give`: who is on the consoles, and ending or steering that.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::Form;
use crate::cli::client::Client;
use crate::cli::face::{Face, Failure};

use crate::cli::table::{Cell, Tone, columns};
use crate::cli::time::ago;
use crate::clock::Timestamp;
use crate::command::{Command, Refusal};
use crate::fact;
use crate::label;
use crate::state::State;

/// A session with the console it is on.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    console: &'a str,
    number: u16,
    #[serde(flatten)]
    session: &'a fact::Session,
}

// No doc comment: clap would take it for the words of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Kick {
    /// Label, number or the start of the label; every console when only --user is given
    #[arg(required_unless_present = "user")]
    name: Option<String>,
    /// Number of the session, as `console users` shows it
    #[arg(conflicts_with_all = ["all", "user"], required_unless_present_any = ["all", "user"])]
    session: Option<u64>,
    /// Every session of this user
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    /// Every session on the console
    #[arg(long, conflicts_with = "user", requires = "name")]
    all: bool,
}

/// The console a person means by `text`.
pub(super) fn find<'a>(state: &'a State, text: &str) -> Result<&'a fact::Console, Failure> {
    label::find(state.consoles.values(), text).map_err(|fault| match fault {
        label::NoConsole::Unknown(name) => Failure::Refused(Refusal::Unknown {
            what: format!("console {name}"),
        }),
        many @ label::NoConsole::Many(_) => Failure::Usage(many.to_string()),
    })
}

pub(super) async fn users(
    name: Option<&str>,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let state = client.state().await?;
    let rows = rows(&state, name)?;
    match form {
        Form::Json => face.json(&BTreeMap::from([("sessions", rows)])).await,
        Form::Lines => {
            for row in &rows {
                face.json(row).await?;
            }
            Ok(())
        }
        Form::Text if rows.is_empty() => {
            face.say("nobody is on a console\n").await;
            Ok(())
        }
        Form::Text => {
            let text = show(&rows, Timestamp::now(), face.color);
            face.print(&text).await
        }
    }
}

/// The sessions on the consoles of the state, or on one of them.
pub(crate) fn rows<'a>(state: &'a State, name: Option<&str>) -> Result<Vec<Row<'a>>, Failure> {
    let consoles: Vec<&fact::Console> = match name {
        Some(name) => vec![find(state, name)?],
        None => state.consoles.values().collect(),
    };
    let of = |console: &'a fact::Console| {
        console.sessions.iter().map(|session| Row {
            console: &console.name,
            number: console.number,
            session,
        })
    };
    Ok(consoles.into_iter().flat_map(of).collect())
}

pub(crate) fn show(rows: &[Row<'_>], now: Timestamp, color: bool) -> String {
    let cells = |row: &Row<'_>| {
        let session = row.session;
        let does = match session.writer {
            true => Cell::new("types", Tone::Strong),
            false => Cell::plain("watches"),
        };
        vec![
            Cell::plain(row.console),
            Cell::plain(session.id.to_string()),
            Cell::plain(&session.user),
            does,
            Cell::plain(ago(session.since, now)),
            Cell::plain(ago(session.typed_at, now)),
            Cell::plain(&session.from),
        ]
    };
    let head = [
        "CONSOLE", "SESSION", "USER", "DOES", "SINCE", "IDLE", "FROM",
    ];
    let table: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    columns(&head, &table, color)
}

/// Ends sessions and says how many.
pub(super) async fn kick(
    kick: &Kick,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let state = client.state().await?;
    let chosen: Vec<(String, u64)> = rows(&state, kick.name.as_deref())?
        .into_iter()
        .filter(|row| kick.session.is_none_or(|id| id == row.session.id))
        .filter(|row| {
            kick.user
                .as_ref()
                .is_none_or(|user| *user == row.session.user)
        })
        .map(|row| (row.console.to_owned(), row.session.id))
        .collect();
    if let (Some(session), [], Some(name)) = (kick.session, &chosen[..], &kick.name) {
        let console = &find(&state, name)?.name;
        return Err(Failure::Refused(Refusal::Unknown {
            what: format!("session {session} on console {console}"),
        }));
    }
    let mut ended = 0_usize;
    let mut refused = None;
    for (console, session) in chosen {
        match client
            .command(Command::KickSession { console, session })
            .await
        {
            Ok(_) => ended += 1,
            // It has ended by itself meanwhile.
            Err(Failure::Refused(Refusal::Unknown { .. })) => {}
            Err(failure @ (Failure::Denied(_) | Failure::Refused(_))) => refused = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    match form {
        Form::Text => {
            let word = if ended == 1 { "session" } else { "sessions" };
            face.print(&format!("{ended} {word} ended\n")).await?;
        }
        Form::Json | Form::Lines => face.json(&BTreeMap::from([("ended", ended)])).await?,
    }
    refused.map_or(Ok(()), Err)
}
