//! `oobctl event`: the journal of the board, as sentences or as JSON, and remarks of people in it.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::command::Command;
use crate::control::wire::Query;
use crate::event::{Event, Severity};

use super::client::Client;
use super::face::{Face, Failure};
use super::table::{Cell, Tone, flow};
use super::time::{date, period};
use super::{Form, give};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// What happened, oldest first
    List(Filter),
    /// The newest events, and then what happens as it happens
    Follow(Filter),
    /// Write a remark into the journal; prints its sequence number once it is on flash
    Note {
        /// The remark
        #[arg(required = true, num_args = 1..)]
        text: Vec<String>,
    },
    /// Acknowledge events: the others see who has seen them; `status` counts errors until somebody has
    Ack {
        /// Their sequence numbers, as `event list` shows them
        #[arg(required = true, value_name = "SEQ")]
        seqs: Vec<u64>,
        /// A note for the others, as in "on it"
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        note: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only those younger than this, such as 30m, 1h or 2d
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    since: Option<Duration>,
    /// Only those after this sequence number
    #[arg(long, value_name = "SEQ", conflicts_with = "since")]
    after: Option<u64>,
    /// Only this many, the newest [without --since and --after: 50, and 10 before what follows]
    #[arg(long, short = 'n', value_name = "N")]
    newest: Option<u32>,
    /// Only this severe or more
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Least>,
    /// Only from this owner, e.g. uplink.hotspot, or its kind, e.g. uplink
    #[arg(long, value_name = "OWNER")]
    source: Option<String>,
}

/// The severities of events, as words to type.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Least {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl From<Least> for Severity {
    fn from(least: Least) -> Self {
        match least {
            Least::Emergency => Self::Emergency,
            Least::Alert => Self::Alert,
            Least::Critical => Self::Critical,
            Least::Error => Self::Error,
            Least::Warning => Self::Warning,
            Least::Notice => Self::Notice,
            Least::Info => Self::Info,
            Least::Debug => Self::Debug,
        }
    }
}

impl Filter {
    fn query(self, follow: bool) -> Query {
        let ranged = self.since.is_some() || self.after.is_some();
        let some = if follow { 10 } else { 50 };
        let since = self.since.map(|since| {
            let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            Timestamp(Timestamp::now().0.saturating_sub(millis))
        });
        Query {
            after: self.after,
            since,
            newest: self.newest.or((!ranged).then_some(some)),
            severity: self.severity.map(Severity::from),
            source: self.source,
            follow,
        }
    }
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let (filter, follow) = match verb {
        Verb::Note { text } => {
            let text = text.join(" ");
            let note = Command::WriteNote { text };
            return give(&mut client, note, form, face).await;
        }
        Verb::Ack { seqs, note } => {
            for seq in seqs {
                let note = note.clone();
                let command = Command::AcknowledgeEvent { seq, note };
                give(&mut client, command, form, face).await?;
            }
            return Ok(());
        }
        Verb::List(filter) => (filter, false),
        Verb::Follow(filter) => (filter, true),
    };
    client.ask_events(filter.query(follow)).await?;
    let mut gathered: Vec<Value> = Vec::new();
    while let Some(events) = client.next_events().await? {
        match form {
            Form::Text => {
                let mut text = String::new();
                for event in &events {
                    text.push_str(&show(event, face.wrap(), face.color));
                }
                face.print(&text).await?;
            }
            Form::Json if !follow => gathered.extend(events.iter().map(value)),
            Form::Json | Form::Lines => {
                for event in &events {
                    face.json(&value(event)).await?;
                }
            }
        }
    }
    if form == Form::Json && !follow {
        face.json(&serde_json::json!({ "events": gathered }))
            .await?;
    }
    Ok(())
}

/// The event with its sentence.
fn value(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        fields.insert("text".into(), event.kind.to_string().into());
    }
    value
}

/// One event on a line, or on more when the terminal is narrow.
pub(super) fn show(event: &Event, width: usize, color: bool) -> String {
    let tone = match event.severity {
        Severity::Emergency | Severity::Alert | Severity::Critical | Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Busy,
        Severity::Notice => Tone::Plain,
        Severity::Info | Severity::Debug => Tone::Faint,
    };
    let cells = [
        Cell::new(format!("{}", event.seq), Tone::Faint),
        Cell::plain(date(event.at)),
        Cell::new(event.severity.to_string(), tone),
        Cell::new(format!("{}:", event.source), Tone::Faint),
        Cell::new(event.kind.to_string(), tone),
    ];
    flow(&cells, 0, 4, width, color)
}
