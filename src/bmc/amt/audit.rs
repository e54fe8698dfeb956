//! The audit log (`AMT_AuditLog`): who did what by the management engine. Records as in mps `src/routes/amt/auditLog.ts`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::amt::wsman::{Client, Error, plain, returned};
use crate::clock::Timestamp;
use crate::machine::{Health, LogEntry};

const LOG: &str = "AMT_AuditLog";
/// Records that are read for one question; one per reading is the worst.
const READINGS: usize = 200;
/// `ReturnValue` for a start past the end.
const INVALID_INDEX: u32 = 35;

/// The newest entries, oldest first.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client, limit: u32) -> Result<Vec<LogEntry>, Error> {
    let limit = u64::from(limit);
    let mut start = 1_u64;
    let mut skipped = false;
    let mut entries = Vec::new();
    for _ in 0..READINGS {
        let asked = plain("StartIndex", &start.to_string());
        let some = client.invoke(LOG, &[], "ReadRecords", &asked).await?;
        if returned(&some) == Some(INVALID_INDEX) {
            break;
        }
        let some = client.checked(some, &format!("{LOG}.ReadRecords"))?;
        let total = some.number("TotalRecordCount").unwrap_or_default();
        // Oldest first: what is too old is passed over, now that it is known how many there are.
        if !skipped && total > limit {
            skipped = true;
            start = total - limit + 1;
            continue;
        }
        skipped = true;
        let before = entries.len();
        for one in some.all("EventRecords") {
            let number = start + u64::try_from(entries.len() - before).unwrap_or_default();
            entries.push(entry(number, &one.text));
        }
        let got = u64::try_from(entries.len() - before).unwrap_or_default();
        start += got;
        if got == 0 || start > total {
            break;
        }
    }
    Ok(entries)
}

/// One record; what cannot be read stands there as that.
fn entry(number: u64, text: &str) -> LogEntry {
    let read = STANDARD.decode(text.trim()).ok();
    let read = read.and_then(|bytes| Record::read(&bytes));
    let Some(record) = read else {
        return LogEntry {
            id: number.to_string(),
            at: None,
            health: Health::Unknown,
            part: String::new(),
            text: "a record that cannot be read".into(),
        };
    };
    LogEntry {
        id: number.to_string(),
        at: (record.time != 0).then(|| Timestamp(u64::from(record.time) * 1000)),
        health: match (record.app, record.event) {
            (16, 5) | (18, 12) | (19, 1) => Health::Warning,
            _ => Health::Ok,
        },
        part: app(record.app),
        text: format!(
            "{} by {}{}",
            event(record.app, record.event),
            record.by,
            match record.from.as_str() {
                "" => String::new(),
                from => format!(" from {from}"),
            }
        ),
    }
}

struct Record {
    app: u16,
    event: u16,
    by: String,
    time: u32,
    from: String,
}

impl Record {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut take = |count: usize| {
            let (some, after) = rest.split_at_checked(count)?;
            rest = after;
            Some(some)
        };
        let app = u16::from_be_bytes(take(2)?.try_into().ok()?);
        let event = u16::from_be_bytes(take(2)?.try_into().ok()?);
        let by = match take(1)?.first()? {
            0 => {
                let length = usize::from(*take(1)?.first()?);
                printable(take(length)?)
            }
            // A domain and a SID.
            1 => {
                take(4)?;
                let length = usize::from(*take(1)?.first()?);
                take(length)?;
                "a user of Kerberos".to_owned()
            }
            2 => "somebody at the machine".to_owned(),
            3 => "the default port of KVM".to_owned(),
            other => format!("initiator {other}"),
        };
        let time = u32::from_be_bytes(take(4)?.try_into().ok()?);
        let place = *take(1)?.first()?;
        let length = usize::from(*take(1)?.first()?);
        let from = take(length)?;
        // 2: none is told.
        let from = if place == 2 {
            String::new()
        } else {
            printable(from)
        };
        Some(Self {
            app,
            event,
            by,
            time,
            from,
        })
    }
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).collect()
}

fn app(number: u16) -> String {
    let word = match number {
        16 => "security",
        17 => "remote control",
        18 => "redirection",
        19 => "firmware",
        20 => "audit log",
        21 => "network time",
        22 => "network",
        23 => "storage",
        24 => "events",
        25 => "system defense",
        26 => "agent presence",
        27 => "wireless",
        28 => "access control",
        29 => "KVM",
        30 => "consent",
        32 => "screen blanking",
        33 => "watchdog",
        other => return format!("application {other}"),
    };
    word.to_owned()
}

fn event(app: u16, number: u16) -> String {
    let word = match (app, number) {
        (16, 0) => "provisioning begun",
        (16, 1) => "provisioned",
        (16, 2) => "account added",
        (16, 3) => "account changed",
        (16, 4) => "account removed",
        (16, 5) => "access with a wrong password",
        (16, 6) => "account switched",
        (16, 7) => "TLS switched",
        (16, 8) => "TLS certificate set",
        (16, 9) => "TLS certificate removed",
        (16, 10) => "root certificate added",
        (16, 11) => "root certificate removed",
        (16, 12) => "TLS preshared key set",
        (16, 13) => "Kerberos changed",
        (16, 14) => "Kerberos key changed",
        (16, 15) => "counters of flash writes reset",
        (16, 16) => "power package changed",
        (16, 17) => "authentication of a realm set",
        (16, 18) => "raised from client to admin control",
        (16, 19) => "unprovisioning begun",
        (17, 0) => "powered on",
        (17, 1) => "powered off",
        (17, 2) => "power cycled",
        (17, 3) => "reset",
        (17, 4) => "boot options set",
        (18, 0) => "drive redirection opened",
        (18, 1) => "drive redirection closed",
        (18, 2) => "drive redirection switched on",
        (18, 3) => "drive redirection switched off",
        (18, 4) => "serial line opened",
        (18, 5) => "serial line closed",
        (18, 6) => "serial line switched on",
        (18, 7) => "serial line switched off",
        (18, 8) => "screen opened",
        (18, 9) => "screen closed",
        (18, 10) => "screen switched on",
        (18, 11) => "screen switched off",
        (18, 12) => "three wrong passwords of VNC",
        (19, 0) => "firmware updated",
        (19, 1) => "updating the firmware failed",
        (20, 0) => "audit log emptied",
        (20, 1) => "audit policy changed",
        (20, 2) => "audit log switched off",
        (20, 3) => "audit log switched on",
        (20, 4) => "audit log exported",
        (20, 5) => "audit log recovered",
        (21, 0) => "clock set",
        (22, 0) => "TCP/IP changed",
        (22, 1) => "host name set",
        (22, 2) => "domain name set",
        (22, 3) => "VLAN changed",
        (22, 4) => "link policy set",
        (30, 0) => "policy of consent changed",
        (30, 1) => "code of consent sent",
        (30, 2) => "asking for consent blocked",
        (_, other) => return format!("event {other}"),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_short_ones_are_told_as_such() {
        let mut bytes = vec![0, 17, 0, 4, 0, 5];
        bytes.extend(b"admin");
        bytes.extend(1_700_000_000_u32.to_be_bytes());
        bytes.extend([0, 9]);
        bytes.extend(b"127.0.0.1");
        bytes.push(0);
        let read = entry(3, &STANDARD.encode(&bytes));
        assert_eq!(read.text, "boot options set by admin from 127.0.0.1");
        assert_eq!((&*read.part, &*read.id), ("remote control", "3"));
        assert_eq!(read.at, Some(Timestamp(1_700_000_000_000)));
        for end in 0..bytes.len() - 1 {
            let read = entry(3, &STANDARD.encode(&bytes[..end]));
            assert_eq!(read.text, "a record that cannot be read", "{end}");
        }
    }
}
