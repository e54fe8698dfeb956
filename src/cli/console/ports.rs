//! `oobctl console ports`: the serial ports that the board sees, and which console uses which.

use serde::Serialize;

use crate::cli::Form;
use crate::cli::client::Client;
use crate::cli::face::{Face, Failure};
use crate::cli::table::{Cell, Tone, columns};
use crate::config::Position;
use crate::fact::{Console, SerialPort};
use crate::state::State;

const BY_PATH: &str = "/dev/serial/by-path/";

/// A port with the console on it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    port: &'a SerialPort,
    /// The console that oobd.toml puts on it.
    console: Option<&'a str>,
}

pub(super) async fn run(form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let state = client.state().await?;
    let rows = rows(&state);
    match form {
        Form::Json => face.json(&serde_json::json!({ "ports": rows })).await,
        Form::Lines => {
            for row in &rows {
                face.json(row).await?;
            }
            Ok(())
        }
        Form::Text if rows.is_empty() => {
            face.say("the board sees no serial port\n").await;
            Ok(())
        }
        Form::Text => face.print(&show(&state, face.color)).await,
    }
}

fn rows(state: &State) -> Vec<Row<'_>> {
    let row = |port| Row {
        port,
        console: (state.consoles.values().find(|console| is_on(console, port)))
            .map(|console| console.name.as_str()),
    };
    state.ports.iter().map(row).collect()
}

/// Does the console name this port: by its file, one of its links, or its place?
fn is_on(console: &Console, port: &SerialPort) -> bool {
    let Some(place) = console.port.strip_prefix("usb ") else {
        return console.port == port.device || port.links.contains(&console.port);
    };
    let whole = port.position.as_deref().map(str::parse::<Position>);
    match (place.parse::<Position>(), whole) {
        (Ok(place), Some(Ok(whole))) => place.fits(&whole),
        _ => false,
    }
}

pub(crate) fn show(state: &State, color: bool) -> String {
    let cells = |row: &Row<'_>| {
        let port = row.port;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let what = [text(&port.product), text(&port.serial)].join(" ");
        let what = match what.trim() {
            "" => text(&port.usb_id),
            what => what.to_owned(),
        };
        let by_path = port
            .links
            .iter()
            .find_map(|link| link.strip_prefix(BY_PATH));
        vec![
            Cell::plain(&port.device),
            Cell::plain(port.position.as_deref().unwrap_or("-")),
            Cell::plain(&port.driver),
            Cell::plain(what),
            match row.console {
                Some(console) => Cell::plain(console),
                None => Cell::new("free", Tone::Faint),
            },
            Cell::plain(by_path.unwrap_or("-")),
        ]
    };
    let table: Vec<Vec<Cell>> = rows(state).iter().map(cells).collect();
    let head = ["PORT", "USB", "DRIVER", "ADAPTER", "CONSOLE", "BY-PATH"];
    columns(&head, &table, color)
}
