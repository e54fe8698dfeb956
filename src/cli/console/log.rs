//! `oobctl console log`: what a console said, from its transcript. Device text never reaches the terminal unchecked.

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::cli::Form;
use crate::cli::client::{Client, unexpected};
use crate::cli::face::{Face, Failure};
use crate::cli::table::harmless;
use crate::cli::time::{date, period};
use crate::clock::Timestamp;
use crate::control::wire::{Request, Response};
use crate::transcript::{Item, Line, Mark, Plain, Query, Record, escaped};

/// Lines shown when nothing else is said.
const NEWEST: u32 = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// As oobd.toml names it
    name: String,
    /// Only what came since then: 90s, 30m, 2h, 1d ago, or a time such as 18:04 or 2026-11-20T18:04 (UTC)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// Only what came until then
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
    /// Only lines that fit this regular expression; terminal sequences are taken out first
    #[arg(long, short, value_name = "REGEX")]
    grep: Option<String>,
    /// So many lines before and after each that fits
    #[arg(
        long,
        short = 'C',
        value_name = "LINES",
        default_value_t = 0,
        requires = "grep"
    )]
    context: u32,
    /// Only so many lines, the newest [default: 100 without --since, --grep and --raw]
    #[arg(long = "lines", short = 'n', value_name = "LINES")]
    newest: Option<u32>,
    /// Every byte as the device sent it and nothing else, for a file or a pipe
    #[arg(long, conflicts_with_all = ["grep", "newest", "typed", "events", "until"])]
    raw: bool,
    /// What was typed, too, where oobd.toml has it kept; for administrators
    #[arg(long = "tx")]
    typed: bool,
    /// Who came and went, breaks, the port's coming and going, too
    #[arg(long)]
    events: bool,
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
}

/// A point in time as a person types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Ago(Duration),
    At(Timestamp),
    /// Of today.
    Clock(civil::Time),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = period(text) {
        return Ok(Moment::Ago(ago));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Moment::At(stamp(time)));
    }
    if !text.contains('-')
        && let Ok(time) = text.parse::<civil::Time>()
    {
        return Ok(Moment::Clock(time));
    }
    let date: Result<civil::DateTime, _> = text.parse();
    match date.map(|date| date.to_zoned(TimeZone::UTC)) {
        Ok(Ok(time)) => Ok(Moment::At(stamp(time.timestamp()))),
        _ => Err(
            "expected a period such as 2h, or a time such as 18:04 or 2026-11-20T18:04 (UTC)"
                .into(),
        ),
    }
}

fn stamp(time: jiff::Timestamp) -> Timestamp {
    Timestamp(u64::try_from(time.as_millisecond()).unwrap_or(0))
}

impl Moment {
    fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => {
                let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
                Timestamp(now.0.saturating_sub(ago))
            }
            Self::Clock(time) => {
                let day = now.0 - now.0 % 86_400_000;
                let millis = time.duration_since(civil::Time::midnight()).as_millis();
                Timestamp(day + u64::try_from(millis).unwrap_or(0))
            }
        }
    }
}

pub(super) async fn run(
    args: Args,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    if args.raw && face.terminal {
        return Err(Failure::Usage(
            "--raw would let the device steer your terminal: send it to a file or a pipe".into(),
        ));
    }
    let now = Timestamp::now();
    let limited = args.since.is_some() || args.grep.is_some() || args.raw;
    let follow = args.follow;
    let console = args.name;
    let query = Query {
        since: args.since.map(|since| since.resolve(now)),
        until: args.until.map(|until| until.resolve(now)),
        offset: None,
        pattern: args.grep,
        context: args.context,
        newest: args.newest.or((!limited).then_some(NEWEST)),
        typed: args.typed,
        events: args.events,
        raw: args.raw,
        follow,
    };
    client.send(&Request::Log { console, query }).await?;
    let gathers = form == Form::Json && !args.raw && !follow;
    if gathers {
        face.print("{\"log\":[").await?;
    }
    let mut first = true;
    loop {
        let items = match client.receive().await? {
            Response::Log(items) => items,
            Response::End => break,
            other => return Err(unexpected(&other)),
        };
        let mut text = String::new();
        for item in items {
            match (item, form) {
                (Item::Raw { bytes, .. }, _) => {
                    face.out.write_all(&bytes).await.map_err(Failure::Output)?;
                }
                (item, Form::Text) => text.push_str(&show(&item, face.color)),
                (item, _) => {
                    if gathers && !std::mem::take(&mut first) {
                        text.push(',');
                    }
                    text.push_str(&value(&item).to_string());
                    if !gathers {
                        text.push('\n');
                    }
                }
            }
        }
        face.print(&text).await?;
    }
    if gathers {
        face.print("]}\n").await?;
    }
    Ok(())
}

/// One item on a line: the time, then what kind of line it is, in a column that no device can write to.
fn show(item: &Item, color: bool) -> String {
    let row = |at: Option<Timestamp>, sign: &str, text: &str| {
        let at = at.map_or_else(|| "                   ".to_owned(), date);
        let text = harmless(text);
        let paint = color && sign != "|";
        let (on, off) = if paint {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        format!("{on}{at} {sign} {text}{off}\n")
    };
    match item {
        Item::Line(line) => row(line.at, "|", &words(line)),
        Item::Near(line) => row(line.at, ":", &words(line)),
        Item::Missing { bytes, .. } => row(None, "*", &format!("{bytes} bytes are not there")),
        Item::Mark(record) => {
            let sign = match record.mark {
                Mark::Typed { .. } => ">",
                _ => "*",
            };
            row(Some(record.at), sign, &said(record))
        }
        Item::Skipped => "--\n".into(),
        Item::Raw { .. } => String::new(),
    }
}

fn words(line: &Line) -> String {
    Plain::text(&line.bytes)
}

/// A mark as a sentence.
fn said(record: &Record) -> String {
    match &record.mark {
        Mark::Time => String::new(),
        Mark::Gap { bytes } => format!("{bytes} bytes were not stored: flash was too slow"),
        Mark::Event(kind) => kind.to_string(),
        Mark::Stopped => "recording stopped".into(),
        Mark::Started => "recording started".into(),
        Mark::Damaged { bytes } => format!("{bytes} bytes are lost: the storage was damaged"),
        Mark::Typed { user, bytes } => format!("{user}: {}", escaped(bytes)),
        Mark::Clock { uptime_ms, step_ms } => {
            let up = crate::cli::time::span(Duration::from_millis(*uptime_ms));
            match step_ms {
                0 => format!("the board had run for {up}"),
                step => {
                    let way = if *step > 0 { "forward" } else { "back" };
                    let by = Duration::from_millis(step.unsigned_abs());
                    let by = crate::cli::time::span(by);
                    format!("the clock was set {way} by {by} (the board had run for {up})")
                }
            }
        }
        Mark::MarksLost { count } => format!("{count} marks were not stored"),
    }
}

fn value(item: &Item) -> Value {
    let line = |line: &Line, near: bool| {
        let mut value = json!({ "offset": line.offset, "at": line.at, "line": words(line) });
        if let (Value::Object(fields), true) = (&mut value, near) {
            fields.insert("near".into(), true.into());
        }
        value
    };
    match item {
        Item::Line(text) => line(text, false),
        Item::Near(text) => line(text, true),
        Item::Missing { offset, bytes } => json!({ "offset": offset, "missing_bytes": bytes }),
        Item::Mark(record) => {
            let (offset, at) = (record.offset, record.at);
            match &record.mark {
                Mark::Typed { user, bytes } => {
                    json!({ "offset": offset, "at": at, "user": user, "typed": escaped(bytes) })
                }
                Mark::Event(kind) => {
                    json!({ "offset": offset, "at": at, "event": kind, "text": kind.to_string() })
                }
                mark => json!({ "offset": offset, "at": at, "mark": mark, "text": said(record) }),
            }
        }
        Item::Skipped => json!({ "skipped": true }),
        Item::Raw { offset, bytes } => json!({ "offset": offset, "bytes": bytes.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;

    #[test]
    fn times_as_people_type_them() {
        let now = Timestamp(1_795_000_000_000); // 2026-11-18T11:06:40Z
        for (text, want) in [
            ("2h", "2026-11-18 09:06:40"),
            ("09:30", "2026-11-18 09:30:00"),
            ("2026-11-17T18:04:11", "2026-11-17 18:04:11"),
            ("2026-11-17 18:04", "2026-11-17 18:04:00"),
            ("2026-11-17T18:04:11+02:00", "2026-11-17 16:04:11"),
            ("2026-11-17", "2026-11-17 00:00:00"),
        ] {
            assert_eq!(date(moment(text).unwrap().resolve(now)), want, "{text}");
        }
        for text in ["", "yesterday", "25:00", "2026-13-01", "-2h"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_device_line_looks_like_one_of_ours() {
        let at = Timestamp(1_795_000_000_000);
        let forged = b"2026-11-18 11:06:40 * recording stopped\x1b[2J\r\n";
        let line = Item::Line(Line {
            offset: 0,
            at: Some(at),
            bytes: forged.to_vec(),
            ended: true,
        });
        let shown = show(&line, false);
        assert_eq!(
            shown,
            "2026-11-18 11:06:40 | 2026-11-18 11:06:40 * recording stopped\n"
        );
        let mark = |mark| {
            let record = Record {
                offset: 0,
                at,
                mark,
            };
            show(&Item::Mark(record), false)
        };
        assert_eq!(
            mark(Mark::Stopped),
            "2026-11-18 11:06:40 * recording stopped\n"
        );
        let typed = Mark::Typed {
            user: "alice".into(),
            bytes: b"show\x1b\r".to_vec(),
        };
        assert_eq!(mark(typed), "2026-11-18 11:06:40 > alice: show\\x1b\\r\n");
        let event = Kind::BreakSent {
            console: "core".into(),
            user: "alice".into(),
            millis: 300,
        };
        assert!(mark(Mark::Event(event)).contains("* alice sent a break"));
    }
}
