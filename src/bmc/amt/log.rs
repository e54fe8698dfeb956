//! The event log (`AMT_MessageLog`): read newest first as the firmware gives it, told oldest first, emptied.
//!
//! Records are platform events: 21 bytes as in mps `src/routes/amt/eventLog.ts`, with the numbers of IPMI 2.0 §42.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::amt::wsman::{Client, Error, plain, returned};
use crate::bmc::ipmi::words;
use crate::clock::Timestamp;
use crate::machine::{Health, LogEntry};

const LOG: &str = "AMT_MessageLog";
/// The log has no more.
const MOST: usize = 390;
/// Readings of a device that gives a record at a time.
const READINGS: usize = 400;
/// `ReturnValue` of a log that is empty.
const EMPTY: u32 = 2;

/// The newest entries, oldest first.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client, limit: u32) -> Result<Vec<LogEntry>, Error> {
    let limit = usize::try_from(limit).unwrap_or(MOST).min(MOST);
    let first = client.invoke(LOG, &[], "PositionToFirstRecord", "").await?;
    if returned(&first) == Some(EMPTY) {
        return Ok(Vec::new());
    }
    let what = format!("{LOG}.PositionToFirstRecord");
    let first = client.checked(first, &what)?;
    let mut place = first.text("IterationIdentifier").unwrap_or("1").to_owned();
    let mut entries = Vec::new();
    for _ in 0..READINGS {
        let asked = plain("IterationIdentifier", &place) + &plain("MaxReadRecords", "390");
        let some = client.call(LOG, &[], "GetRecords", &asked).await?;
        let records = some.all("RecordArray").filter_map(|one| entry(&one.text));
        entries.extend(records);
        let next = some.text("IterationIdentifier").unwrap_or_default();
        // A place that does not move has nothing behind it.
        if some.flag("NoMoreRecords") != Some(false) || entries.len() >= limit || next == place {
            break;
        }
        next.clone_into(&mut place);
    }
    entries.truncate(limit);
    entries.reverse();
    Ok(entries)
}

/// Empties it.
///
/// # Errors
/// [`Error`]
pub async fn clear(client: &mut Client) -> Result<(), Error> {
    client.call(LOG, &[], "ClearLog", "").await.map(drop)
}

/// One record; `None` for a slot that was cleared, and for what is no record.
fn entry(text: &str) -> Option<LogEntry> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let bytes: [u8; 21] = bytes.get(..21)?.try_into().ok()?;
    if bytes == [0; 21] {
        return None;
    }
    let [
        a,
        b,
        c,
        d,
        _,
        sensor,
        kind,
        offset,
        _,
        severity,
        _,
        entity,
        _,
        data @ ..,
    ] = bytes;
    let seconds = u32::from_le_bytes([a, b, c, d]);
    // The highest bit says that the state is over.
    let (state, over) = (offset & 0x0f, offset & 0x80 != 0 && offset != 0xff);
    let mut said = said(sensor, kind, state, data);
    if over {
        said += " (over)";
    }
    Some(LogEntry {
        // The firmware numbers nothing.
        id: format!("{seconds:08x}{sensor:02x}{offset:02x}"),
        at: (seconds != 0).then(|| Timestamp(u64::from(seconds) * 1000)),
        health: match severity {
            1 | 2 | 4 => Health::Ok,
            8 => Health::Warning,
            16 | 32 => Health::Critical,
            _ => Health::Unknown,
        },
        part: match sensor {
            37 => "Intel ME".to_owned(),
            _ => format!("{}, entity {entity}", words::sensor_type(sensor)),
        },
        text: said,
    })
}

fn said(sensor: u8, kind: u8, state: u8, data: [u8; 8]) -> String {
    let [first, second, third, ..] = data;
    match sensor {
        6 => {
            let count = u16::from_le_bytes([second, third]);
            format!("signing in failed {count} times")
        }
        15 if first != 0xeb && state == 0 => format!("firmware error: {}", error(second)),
        15 if first != 0xeb => format!("firmware: {}", progress(second)),
        18 if first == 0xaa => "an agent's watchdog changed its state".to_owned(),
        30 => "no bootable medium".to_owned(),
        32 => "the operating system hangs".to_owned(),
        35 => "starting the system failed".to_owned(),
        37 => "the management engine started".to_owned(),
        _ => words::state(kind, sensor, state).0,
    }
}

/// IPMI 2.0 table 42-3, sensor type 0Fh, errors.
fn error(code: u8) -> &'static str {
    match code {
        1 => "no memory is installed",
        2 => "no memory can be used",
        3 => "the hard drive or optical drive fails",
        4 => "the board fails",
        5 => "the diskette drive fails",
        6 => "the controller of the hard drive fails",
        7 => "the keyboard fails",
        8 => "the removable medium to start from is not there",
        9 => "the graphics controller fails",
        10 => "there is no graphics device",
        11 => "the BIOS is damaged",
        12 => "the voltage of the processor does not fit",
        13 => "the speeds of the processors do not fit",
        _ => "unspecified",
    }
}

/// The same, progress.
fn progress(code: u8) -> &'static str {
    match code {
        1 => "memory is being set up",
        2 => "hard drives are being set up and tested",
        3 => "other processors are being set up",
        4 => "somebody is asked for a password",
        5 => "somebody is in the setup",
        6 => "USB is being set up",
        7 => "PCI is being set up",
        8 => "option ROMs are being set up",
        9 => "graphics are being set up",
        10 => "the cache is being set up",
        11 => "the SM bus is being set up",
        12 => "the keyboard controller is being set up",
        13 => "the management controller is being set up",
        14 => "docking begins",
        15 => "docking is done",
        16 => "undocking begins",
        17 => "undocking is done",
        18 => "the operating system is woken",
        19 => "the operating system is being started",
        20 => "the board is being set up",
        22 => "the diskette drive is being set up",
        23 => "the keyboard is being tested",
        24 => "the pointing device is being tested",
        25 => "the first processor is being set up",
        _ => "unspecified",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seconds: u32, rest: [u8; 17]) -> Option<LogEntry> {
        let bytes = [seconds.to_le_bytes().as_slice(), &rest].concat();
        entry(&STANDARD.encode(bytes))
    }

    #[test]
    fn records_are_told_in_words() {
        let boot = [
            0x20, 15, 111, 2, 0x68, 2, 255, 34, 0, 0x40, 0x13, 0, 0, 0, 0, 0, 0,
        ];
        let boot = record(1_700_000_000, boot).unwrap();
        assert_eq!(boot.at, Some(Timestamp(1_700_000_000_000)));
        assert_eq!(boot.text, "firmware: the operating system is being started");
        assert_eq!(boot.part, "System Firmware Progress, entity 34");
        assert_eq!(boot.health, Health::Ok);
        let wrong = [0x20, 6, 111, 0, 0x68, 8, 255, 1, 0, 0, 3, 1, 0, 0, 0, 0, 0];
        let wrong = record(0, wrong).unwrap();
        assert_eq!(
            (&*wrong.text, wrong.at),
            ("signing in failed 259 times", None)
        );
        assert_eq!(wrong.health, Health::Warning);
        assert_eq!(record(0, [0; 17]), None, "a cleared slot");
        for text in ["", "AAAA", "%", "AAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(entry(text), None, "{text}");
        }
    }
}
