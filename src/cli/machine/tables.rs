//! Tables about machines. Pure.

use crate::clock::Timestamp;
use crate::fact::Machine;
use crate::machine::{BiosAttribute, Boot, BootTarget, Health, LogEntry, Medium, Part, Sensor};
use crate::state::State;

use super::power;
use crate::cli::outlet::{phase, power as stands};
use crate::cli::table::{Cell, Tone, columns, cut, flow, harmless, reasons};
use crate::cli::time::ago;

/// Characters of a model in the list.
const MODEL: usize = 40;

pub(in crate::cli) fn list(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let row = |machine: &Machine| {
        vec![
            Cell::plain(&machine.name),
            stands(machine.state, machine.in_transition),
            phase(machine.phase),
            Cell::plain(ago(machine.since, now)),
            Cell::plain(machine.methods.join(", ")),
        ]
    };
    let mut rows: Vec<_> = state.machines.values().map(row).collect();
    let mut head = vec!["NAME", "POWER", "STATE", "SINCE", "BY"];
    // The model gets what room is left, in a table that is measured first.
    let lines = columns(&head, &rows, false);
    let used = lines.lines().map(|line| line.chars().count()).max();
    let room = width.saturating_sub(used.unwrap_or(0) + 2).min(MODEL);
    if room >= 12 {
        head.push("MODEL");
        for (row, machine) in rows.iter_mut().zip(state.machines.values()) {
            row.push(Cell::plain(cut(&harmless(&machine.model), room)));
        }
    }
    let mut text = columns(&head, &rows, color);
    let all = state.machines.values().map(|one| (&one.name, &one.why));
    text += &reasons(all, width, color);
    text
}

/// Everything about a machine, a line each.
pub(in crate::cli) fn sheet(
    machine: &Machine,
    now: Timestamp,
    width: usize,
    color: bool,
) -> String {
    let words = |words: &[String]| match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    };
    let verbs: Vec<String> = machine.verbs.iter().map(ToString::to_string).collect();
    let read = |at| format!("{} ago", ago(at, now));
    let why = match machine.why.as_str() {
        "" => String::new(),
        why => format!(": {}", harmless(why)),
    };
    let answers = format!("{:?}", machine.phase).to_lowercase();
    let mut rows = vec![
        ("name", machine.name.clone()),
        ("model", harmless(&machine.model)),
        ("power", machine.state.to_string()),
        ("read", machine.read_at.map_or_else(|| "never".into(), read)),
        (
            "state",
            format!("{answers} for {}{why}", ago(machine.since, now)),
        ),
        ("ways", words(&machine.methods)),
        ("verbs", words(&verbs)),
        ("outlets", words(&machine.outlets)),
    ];
    if let Some(action) = &machine.action {
        let at = format!("{} ago by {}", ago(action.began, now), harmless(&action.by));
        rows.push(("last verb", format!("{}, {at}", action.verb)));
    }
    let line = |(key, value): &(&str, String)| {
        let cells = [Cell::plain(format!("{key:<10}")), Cell::plain(value)];
        flow(&cells, 0, 12, width, color)
    };
    let mut text: String = rows.iter().map(line).collect();
    if let Some(action) = &machine.action {
        text += &power::told(&machine.name, action);
    }
    text
}

pub(in crate::cli) fn sensors(sensors: &[Sensor], color: bool) -> String {
    let row = |sensor: &Sensor| {
        let value = match sensor.value {
            Some(value) => format!("{} {}", rounded(value), sensor.unit),
            None => "-".into(),
        };
        vec![
            Cell::plain(&sensor.name),
            Cell::plain(value.trim_end()),
            health(sensor.health),
            Cell::plain(&sensor.kind),
            Cell::plain(&sensor.text),
        ]
    };
    let rows: Vec<_> = sensors.iter().map(row).collect();
    columns(&["SENSOR", "VALUE", "HEALTH", "KIND", "SAYS"], &rows, color)
}

/// As many digits as mean something.
fn rounded(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

pub(in crate::cli) fn log(entries: &[LogEntry], width: usize, color: bool) -> String {
    let row = |entry: &LogEntry| {
        let at = entry.at.map_or_else(|| "-".into(), |at| at.to_string());
        vec![
            Cell::plain(&entry.id),
            Cell::plain(at),
            health(entry.health),
            Cell::plain(&entry.part),
            Cell::plain(cut(&harmless(&entry.text), width.min(120))),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    columns(&["ID", "AT", "HEALTH", "PART", "TEXT"], &rows, color)
}

pub(in crate::cli) fn boot(boot: Boot) -> String {
    match (boot.target, boot.once) {
        (BootTarget::None, _) => "as its BIOS says\n".into(),
        (target, true) => format!("{target}, at the next start\n"),
        (target, false) => format!("{target}, at every start\n"),
    }
}

pub(in crate::cli) fn media(media: &[Medium], color: bool) -> String {
    let row = |medium: &Medium| {
        let image = medium.image.as_deref().unwrap_or("-");
        vec![Cell::plain(&medium.slot), Cell::plain(image)]
    };
    let rows: Vec<_> = media.iter().map(row).collect();
    columns(&["SLOT", "IMAGE"], &rows, color)
}

pub(in crate::cli) fn bios(attributes: &[BiosAttribute], color: bool) -> String {
    let row = |attribute: &BiosAttribute| {
        let pending = attribute.pending.as_deref().unwrap_or_default();
        vec![
            Cell::plain(&attribute.name),
            Cell::plain(&attribute.value),
            Cell::new(pending, Tone::Busy),
        ]
    };
    let rows: Vec<_> = attributes.iter().map(row).collect();
    columns(&["SETTING", "VALUE", "AT THE NEXT START"], &rows, color)
}

pub(in crate::cli) fn parts(parts: &[Part], color: bool) -> String {
    let row = |part: &Part| {
        let size = part.bytes.map_or_else(|| "-".into(), size);
        vec![
            Cell::plain(&part.kind),
            Cell::plain(&part.name),
            Cell::plain(&part.model),
            Cell::plain(size),
            health(part.health),
        ]
    };
    let rows: Vec<_> = parts.iter().map(row).collect();
    columns(&["KIND", "NAME", "MODEL", "SIZE", "HEALTH"], &rows, color)
}

/// As makers of drives count.
fn size(bytes: u64) -> String {
    const GB: u64 = 1_000_000_000;
    match bytes / GB {
        0 => format!("{} MB", bytes / 1_000_000),
        gb if gb < 1000 => format!("{gb} GB"),
        gb => format!("{}.{} TB", gb / 1000, gb % 1000 / 100),
    }
}

fn health(health: Health) -> Cell {
    let tone = match health {
        Health::Ok => Tone::Good,
        Health::Warning => Tone::Busy,
        Health::Critical => Tone::Bad,
        Health::Unknown => Tone::Faint,
    };
    Cell::new(health.to_string(), tone)
}
