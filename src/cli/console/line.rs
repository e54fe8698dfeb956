//! `oobctl console show | set | find-line | find-name`: a serial line, looked at and set.

use std::time::Duration;

use tokio::time::timeout;

use super::users::find;
use crate::cli::Form;
use crate::cli::client::Client;
use crate::cli::face::{Face, Failure};
use crate::cli::print_reply;
use crate::cli::status::people;
use crate::cli::table::harmless;
use crate::cli::time::ago;
use crate::clock::Timestamp;
use crate::command::{Command, Reply};
use crate::control::wire::Query;
use crate::event::Kind;
use crate::fact::{Console, PortPhase};
use crate::line::{Cable, Flow, Line, Order};

/// Longer than the board takes to try all settings.
const OUTCOME_LIMIT: Duration = Duration::from_mins(2);

pub(super) async fn show(
    name: &str,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let state = client.state().await?;
    let console = find(&state, name)?;
    match form {
        Form::Json | Form::Lines => face.json(console).await,
        Form::Text => face.print(&sheet(console, Timestamp::now())).await,
    }
}

/// Everything about a port, a line each; wires as `stty` and pmshell's `--signals` write them.
pub(crate) fn sheet(console: &Console, now: Timestamp) -> String {
    let bit = u8::from;
    let line = &console.state;
    let phase = match console.phase {
        PortPhase::Open => "open",
        PortPhase::Gone => "GONE",
        PortPhase::Failed => "FAILED",
    };
    let signals = line.signals.map_or_else(
        || "unknown: this port does not tell".to_owned(),
        |on| {
            format!(
                "CTS={} DSR={} DCD={} RI={}",
                bit(on.cts),
                bit(on.dsr),
                bit(on.dcd),
                bit(on.ri)
            )
        },
    );
    let cable = match line.cable {
        Cable::Unknown => "unknown: the line that would tell never was up",
        Cable::Connected => "connected",
        Cable::Unplugged => "UNPLUGGED, or the device has no power",
    };
    let faults = line.faults.map_or_else(
        || "not counted by this port".to_owned(),
        |faults| {
            format!(
                "framing {}, parity {}, overrun {}, breaks {}",
                faults.framing, faults.parity, faults.overrun, faults.breaks
            )
        },
    );
    let why = match console.why.as_str() {
        "" | "open" => String::new(),
        why => format!(": {why}"),
    };
    let settings = match console.line.as_str() {
        "" => "none on this kind of port".to_owned(),
        text => format!("{text}, flow control {}", line.line.flow),
    };
    let rows = [
        (
            "name",
            format!("{} (port{:02})", console.name, console.number),
        ),
        ("port", console.port.clone()),
        (
            "state",
            format!("{phase} for {}{why}", ago(console.since, now)),
        ),
        ("line", settings),
        (
            "outputs",
            format!(
                "DTR={} RTS={} BREAK={}",
                bit(line.dtr),
                bit(line.rts),
                bit(line.breaking)
            ),
        ),
        ("signals", signals),
        ("cable", cable.to_owned()),
        (
            "bytes",
            format!("{} received, {} sent", console.rx_bytes, console.tx_bytes),
        ),
        ("faults", faults),
        (
            "device",
            console
                .device
                .clone()
                .unwrap_or_else(|| "not asked yet".into()),
        ),
        ("who", people(&console.sessions)),
        ("last line", console.last_line.clone()),
    ];
    rows.iter()
        .map(|(key, value)| format!("{key:<10} {}\n", harmless(value)))
        .collect()
}

pub(super) async fn set(
    name: &str,
    words: &[String],
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let orders = orders(words).map_err(Failure::Usage)?;
    let console = find(&client.state().await?, name)?.name.clone();
    let mut last = Reply::Done;
    for order in orders {
        let console = console.clone();
        last = client.command(Command::SetLine { console, order }).await?;
    }
    match (form, last) {
        (Form::Text, Reply::Line(state)) => {
            let (line, flow) = (state.line, state.line.flow);
            let (dtr, rts) = (u8::from(state.dtr), u8::from(state.rts));
            let text = format!("{line}, flow control {flow}, DTR={dtr} RTS={rts}\n");
            face.print(&text).await
        }
        (form, last) => print_reply(last, form, face).await,
    }
}

/// What the words ask for, in their order: `115200n8`, `flow rtscts`, `dtr off`, `break on`, `restore` …
fn orders(words: &[String]) -> Result<Vec<Order>, String> {
    let mut orders = Vec::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut next = |what: &str| {
            let value = words.next();
            value.ok_or_else(|| format!("{word} needs a word after it: {what}"))
        };
        let mut switch = || match next("on or off")? {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(format!("{word} is on or off, not {}", other.escape_debug())),
        };
        match word {
            "dtr" => orders.push(Order::Dtr(switch()?)),
            "rts" => orders.push(Order::Rts(switch()?)),
            "break" => orders.push(Order::Break(switch()?)),
            "flow" => orders.push(Order::Flow(match next("none, rtscts or xonxoff")? {
                "none" => Flow::None,
                "rtscts" => Flow::RtsCts,
                "xonxoff" => Flow::XonXoff,
                other => return Err(format!("there is no flow control {}", other.escape_debug())),
            })),
            "restore" => orders.push(Order::Restore),
            "purge" => orders.push(Order::Purge {
                received: true,
                typed: true,
            }),
            settings => {
                let line: Line = settings.parse()?;
                orders.extend([
                    Order::Baud(line.baud),
                    Order::Parity(line.parity),
                    Order::DataBits(line.data_bits),
                    Order::StopBits(line.stop_bits),
                ]);
            }
        }
    }
    Ok(orders)
}

/// Has the board find something out and waits for what comes of it.
pub(super) async fn find_out(
    command: fn(String) -> Command,
    name: &str,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let console = find(&client.state().await?, name)?.name.clone();
    client
        .ask_events(Query {
            newest: Some(1),
            ..Query::default()
        })
        .await?;
    let mut after = None;
    while let Some(events) = client.next_events().await? {
        after = events.last().map(|event| event.seq).or(after);
    }
    if let Reply::Said(text) = client.command(command(console.clone())).await? {
        face.say(&format!("{}\n", harmless(&text))).await;
    }
    let query = Query {
        after,
        source: Some(format!("console.{console}")),
        follow: true,
        ..Query::default()
    };
    client.ask_events(query).await?;
    let outcome = async {
        while let Some(events) = client.next_events().await? {
            for event in events {
                match event.kind {
                    Kind::LineFound { line, .. } => return Ok(Ok(line)),
                    Kind::NameFound { name, .. } => return Ok(Ok(name)),
                    Kind::LineNotFound { reason, .. } | Kind::NameNotFound { reason, .. } => {
                        return Ok(Err(reason));
                    }
                    _ => {}
                }
            }
        }
        Err(Failure::Unreachable("oobd closed the connection".into()))
    };
    let Ok(outcome) = timeout(OUTCOME_LIMIT, outcome).await else {
        return Err(Failure::Other("no outcome came; see oobctl event".into()));
    };
    match (outcome?, form) {
        (Ok(found), Form::Text) => face.print(&format!("{}\n", harmless(&found))).await,
        (Ok(found), _) => face.json(&serde_json::json!({ "found": found })).await,
        (Err(reason), _) => Err(Failure::Other(format!("not found: {reason}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Parity;

    fn read(text: &str) -> Result<Vec<Order>, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        orders(&words)
    }

    #[test]
    fn words_are_orders() {
        assert_eq!(
            read("9600e72 flow rtscts dtr off"),
            Ok(vec![
                Order::Baud(9600),
                Order::Parity(Parity::Even),
                Order::DataBits(7),
                Order::StopBits(2),
                Order::Flow(Flow::RtsCts),
                Order::Dtr(false),
            ])
        );
        assert_eq!(
            read("rts on restore"),
            Ok(vec![Order::Rts(true), Order::Restore])
        );
        for (text, word) in [
            ("dtr", "needs a word"),
            ("dtr maybe", "on or off"),
            ("flow hardware", "hardware"),
            ("9600", "line settings"),
            ("faster", "line settings"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(word), "{text}: {told}");
        }
    }
}
