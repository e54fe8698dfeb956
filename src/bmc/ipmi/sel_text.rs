//! Entries of the event log as text. §29.7 for the data of events, §32 for the records.

use super::linear::Linearity;
use super::repository::Inventory;
use super::sdr::SensorRecord;
use super::sel::{Entry, Raw};
use super::units::unit;
use super::words::{self, Severity};
use crate::clock::Timestamp;

/// Before this a clock counts from when the BMC started. §37.1.
const CLOCK_SET: u32 = 0x2000_0000;
/// The BMC did not know the time.
const NO_TIME: u32 = 0xffff_ffff;

/// Reads an entry.
#[must_use]
pub(super) fn entry(raw: &Raw, inventory: &Inventory) -> Entry {
    let [i0, i1, kind, t0, t1, t2, t3, rest @ ..] = *raw;
    let id = u16::from_le_bytes([i0, i1]);
    let time = time(u32::from_le_bytes([t0, t1, t2, t3]));
    match kind {
        // The usual record, and those of C0h to DFh, which a vendor fills.
        0x02 => event(id, time, rest, inventory),
        0xc0..=0xdf => oem(id, kind, time, &rest),
        0xe0.. => oem(id, kind, None, raw.get(3..).unwrap_or_default()),
        _ => oem(id, kind, time, &rest),
    }
}

fn time(seconds: u32) -> Option<Timestamp> {
    let known = (CLOCK_SET..NO_TIME).contains(&seconds);
    known.then(|| Timestamp(u64::from(seconds) * 1000))
}

fn oem(id: u16, kind: u8, time: Option<Timestamp>, data: &[u8]) -> Entry {
    let bytes: Vec<String> = data.iter().map(|byte| format!("{byte:02x}")).collect();
    Entry {
        id,
        time,
        severity: Severity::Ok,
        sensor: "OEM".into(),
        text: format!("record type {kind:02x}h: {}", bytes.join(" ")),
        asserted: true,
    }
}

/// A system event record, from the generator on. §32.1.
fn event(id: u16, time: Option<Timestamp>, data: [u8; 9], inventory: &Inventory) -> Entry {
    let [
        owner,
        _lun,
        _revision,
        sensor_type,
        number,
        direction,
        data @ ..,
    ] = data;
    let asserted = direction & 0x80 == 0;
    let reading_type = direction & 0x7f;
    // A generator that is software has an odd number, and its sensors are not in the records.
    let record = inventory.find(owner, number);
    let record = record.filter(|record| record.sensor_type == sensor_type);
    let sensor = record.map(|record| record.name.clone());
    let sensor = sensor.filter(|name| !name.is_empty());
    let type_name = words::sensor_type(sensor_type);
    let (mut text, severity) = match reading_type {
        0x01 => threshold(data, record),
        0x02..=0x0c | 0x6f => words::state(reading_type, sensor_type, data[0] & 0x0f),
        other => {
            let [d1, d2, d3] = data;
            let text = format!("OEM event {other:02x}h: {d1:02x} {d2:02x} {d3:02x}");
            (text, Severity::Ok)
        }
    };
    if !asserted {
        text.push_str(", ended");
    }
    Entry {
        id,
        time,
        // What is over is not bad any more.
        severity: if asserted { severity } else { Severity::Ok },
        sensor: sensor.unwrap_or_else(|| format!("{type_name} #{number}")),
        text,
        asserted,
    }
}

/// Which threshold was passed, with the reading if the event has it. §29.7 table 29-6.
fn threshold(
    [offset, reading, limit]: [u8; 3],
    record: Option<&SensorRecord>,
) -> (String, Severity) {
    let names = [
        ("lower non-critical", Severity::Warning),
        ("lower critical", Severity::Critical),
        ("lower non-recoverable", Severity::Critical),
        ("upper non-critical", Severity::Warning),
        ("upper critical", Severity::Critical),
        ("upper non-recoverable", Severity::Critical),
    ];
    let which = offset & 0x0f;
    let Some(&(name, severity)) = names.get(usize::from(which / 2)) else {
        return (format!("threshold event {which}"), Severity::Ok);
    };
    let going = if which % 2 == 0 { "low" } else { "high" };
    let mut text = format!("{name} going {going}");
    // Trigger reading in byte 2, threshold in byte 3.
    let analog = record.and_then(|record| record.analog);
    if let Some(analog) = analog.filter(|analog| !analog.linearity.is_nonlinear()) {
        let say = |raw: u8| number(analog.linearity, raw, analog.units);
        let parts = [
            (offset >> 6, "reading", reading),
            (offset >> 4, "threshold", limit),
        ];
        let said = parts.into_iter().filter(|(kind, _, _)| kind & 3 == 1);
        let said: Vec<String> = said
            .filter_map(|(_, name, raw)| Some(format!("{name} {}", say(raw)?)))
            .collect();
        if !said.is_empty() {
            text = format!("{text} ({})", said.join(", "));
        }
    }
    (text, severity)
}

fn number(linearity: Linearity, raw: u8, units: [u8; 3]) -> Option<String> {
    let value = linearity.value(raw)?;
    // At most three digits after the point, as many as tell something.
    let value = format!("{value:.3}");
    let value = value.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{value} {}", unit(units)).trim_end().to_owned())
}
