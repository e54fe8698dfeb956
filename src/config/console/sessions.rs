//! How people share a console: the keys `sessions`, `idle_timeout`, `on_last_detach`, `ssh_port`, `escape` of `[console.NAME]`.

use std::time::Duration;

use super::super::escape;
use super::super::reader::Table;
use crate::keymap::Keymap;

/// Longest string that is typed when the last session leaves.
const LONGEST_PARTING: usize = 256;
const SHORTEST_IDLE: Duration = Duration::from_secs(10);
const LONGEST_IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who of those on a console types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// One session types, the others watch and may take over.
    #[default]
    OneWriter,
    /// Everybody who may write types.
    Shared,
    /// One session at all.
    Single,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    pub sharing: Sharing,
    /// A session that could type and did not for this long is ended.
    pub idle_timeout: Option<Duration>,
    /// Typed by the board when the last session has left.
    pub on_last_detach: Option<String>,
    /// SSH on this port lands on this console.
    pub ssh_port: Option<u16>,
    /// Keys of the menu inside a session, for users who have none of their own.
    pub keys: Option<Keymap>,
}

impl Sessions {
    /// Takes its keys from the section of a console.
    pub(in super::super) fn read(table: &mut Table<'_>) -> Self {
        let sharing = table.take("sessions");
        let idle = table.take("idle_timeout");
        let parting = table.take("on_last_detach");
        let ssh_port = table.take("ssh_port");
        let keys = table.take("escape");
        let sharing = sharing.and_then(|field| {
            field.choice(&[
                ("one_writer", Sharing::OneWriter),
                ("shared", Sharing::Shared),
                ("single", Sharing::Single),
            ])
        });
        Self {
            sharing: sharing.unwrap_or_default(),
            idle_timeout: idle.and_then(|field| field.duration(SHORTEST_IDLE..=LONGEST_IDLE)),
            on_last_detach: parting.and_then(|field| field.parsed(read_parting)),
            ssh_port: ssh_port.and_then(|field| field.number(1..=u16::MAX)),
            keys: keys.and_then(|field| escape::read(&field)),
        }
    }
}

fn read_parting(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST_PARTING {
        return Err(format!(
            "expected 1 to {LONGEST_PARTING} bytes to type, as in \"exit\\r\""
        ));
    }
    Ok(text.to_owned())
}
