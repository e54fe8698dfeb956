//! Log entries. Pure.

use serde_json::Value;

use super::{id, text};
use crate::bmc::redfish::types::{LogEntry, LogSeverity};
use crate::clock::Timestamp;

/// One entry. Its time is when it happened, where the controller tells that from when it was written.
#[must_use]
pub fn entry(value: &Value, uri: &str) -> LogEntry {
    let at = ["EventTimestamp", "Created"];
    let at = at.iter().filter_map(|name| text(value, name));
    let words = text(value, "Message").or_else(|| text(value, "Description"));
    LogEntry {
        id: id(value, uri),
        at: at.filter_map(|written| time(&written)).next(),
        severity: severity(value),
        text: words
            .or_else(|| text(value, "MessageId"))
            .or_else(|| text(value, "Name"))
            .unwrap_or_default(),
    }
}

fn severity(value: &Value) -> LogSeverity {
    match text(value, "Severity").as_deref() {
        Some("OK" | "Ok" | "Informational") => LogSeverity::Ok,
        Some("Warning") => LogSeverity::Warning,
        Some("Critical" | "Fatal") => LogSeverity::Critical,
        _ => LogSeverity::Unknown,
    }
}

/// RFC 3339, also with Dell's `-0600` and without any zone, which is then taken for UTC. Dates that nobody set, as in
/// `0000-00-00`, are none.
#[must_use]
pub fn time(written: &str) -> Option<Timestamp> {
    let mut written = written.trim().to_owned();
    let (date, clock) = written.split_at_checked(10)?;
    if let Some(sign) = clock.rfind(['+', '-']) {
        let zone = clock.get(sign + 1..)?;
        if zone.len() == 4 && zone.bytes().all(|byte| byte.is_ascii_digit()) {
            let (hours, minutes) = zone.split_at_checked(2)?;
            written = format!("{date}{}{hours}:{minutes}", clock.get(..=sign)?);
        }
    } else if !clock.ends_with(['Z', 'z']) {
        written.push('Z');
    }
    let time: jiff::Timestamp = written.parse().ok()?;
    // Before 1971 is a clock that started without a battery.
    let millis = u64::try_from(time.as_millisecond()).ok()?;
    (millis > 365 * 86_400_000).then_some(Timestamp(millis))
}
