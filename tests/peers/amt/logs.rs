//! The event log, the audit log, alarms and the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Machine;
use crate::wsman::{ABSENT, Call, Fault, Fields, output};

/// Records, oldest first, and alarms by name: their next time, their interval, and whether they end with it.
#[derive(Debug)]
pub struct Logs {
    pub events: Vec<Vec<u8>>,
    pub audit: Vec<Vec<u8>>,
    pub alarms: Vec<(String, String, String, String)>,
    /// Seconds that its clock is ahead.
    pub ahead: i64,
}

impl Logs {
    pub fn new() -> Self {
        // Time, address, sensor type, event type, offset, source, severity, number, entity, instance, data.
        let event = |time: u32, rest: [u8; 17]| [time.to_le_bytes().as_slice(), &rest].concat();
        let mut events = vec![
            event(
                1_700_000_000,
                [
                    0x20, 15, 111, 2, 0x68, 2, 255, 34, 0, 0x40, 0x13, 0, 0, 0, 0, 0, 0,
                ],
            ),
            event(
                1_700_000_100,
                [0x20, 6, 111, 0, 0x68, 8, 255, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0],
            ),
            event(
                1_700_000_200,
                [
                    0x20, 30, 111, 0, 0x68, 16, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ],
            ),
        ];
        // A slot that was cleared.
        events.push(vec![0; 21]);
        let mut audit = Vec::new();
        for (app, event, time, name) in [
            (16_u16, 0_u16, 1_700_000_000_u32, "admin"),
            (17, 0, 1_700_000_300, "admin"),
        ] {
            let mut record = [app.to_be_bytes(), event.to_be_bytes()].concat();
            record.push(0);
            record.push(u8::try_from(name.len()).unwrap());
            record.extend(name.as_bytes());
            record.extend(time.to_be_bytes());
            record.extend([0, 9]);
            record.extend(b"127.0.0.1");
            record.push(0);
            audit.push(record);
        }
        Self {
            events,
            audit,
            alarms: Vec::new(),
            ahead: 3600,
        }
    }
}

fn now(machine: &Machine) -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    i64::try_from(since).unwrap() + machine.logs.ahead
}

pub fn alarms(machine: &Machine) -> Vec<Fields> {
    let one = |(name, start, interval, deletes): &(String, String, String, String)| -> Fields {
        vec![
            ("DeleteOnCompletion", deletes.clone()),
            ("ElementName", name.clone()),
            ("InstanceID", name.clone()),
            ("Interval", interval.clone()),
            ("StartTime", start.clone()),
        ]
    };
    machine.logs.alarms.iter().map(one).collect()
}

pub fn remove(machine: &mut Machine, call: &Call) -> Result<(), Fault> {
    let wanted = call.selector("InstanceID");
    let at = machine
        .logs
        .alarms
        .iter()
        .position(|(name, ..)| name == wanted);
    if call.class != "IPS_AlarmClockOccurrence" {
        return Err(ABSENT);
    }
    machine.logs.alarms.remove(at.ok_or(ABSENT)?);
    Ok(())
}

pub fn invoke(machine: &mut Machine, call: &Call, method: &str) -> Option<Result<String, Fault>> {
    let done = |value: u32, more: &str| Ok(output(method, value, more));
    let logs = &mut machine.logs;
    Some(match (call.class.as_str(), method) {
        ("AMT_MessageLog", "PositionToFirstRecord") if logs.events.is_empty() => done(2, ""),
        ("AMT_MessageLog", "PositionToFirstRecord") => {
            done(0, "<g:IterationIdentifier>1</g:IterationIdentifier>")
        }
        ("AMT_MessageLog", "GetRecords") => {
            // Newest first, two at a time.
            let from = usize::try_from(call.number("IterationIdentifier"))
                .unwrap()
                .saturating_sub(1);
            let some: Vec<_> = logs.events.iter().rev().skip(from).take(2).collect();
            let mut more = format!(
                "<g:IterationIdentifier>{}</g:IterationIdentifier>",
                from + some.len() + 1
            );
            more += &format!(
                "<g:NoMoreRecords>{}</g:NoMoreRecords>",
                from + some.len() >= logs.events.len()
            );
            for record in some {
                more += &format!("<g:RecordArray>{}</g:RecordArray>", STANDARD.encode(record));
            }
            done(0, &more)
        }
        ("AMT_MessageLog", "ClearLog") => {
            logs.events.clear();
            done(0, "")
        }
        ("AMT_AuditLog", "ReadRecords") => {
            let start = usize::try_from(call.number("StartIndex")).unwrap();
            if start == 0 || start > logs.audit.len() {
                return Some(done(35, ""));
            }
            let mut more = format!(
                "<g:TotalRecordCount>{}</g:TotalRecordCount>",
                logs.audit.len()
            );
            more += "<g:RecordsReturned>1</g:RecordsReturned>";
            more += &format!(
                "<g:EventRecords>{}</g:EventRecords>",
                STANDARD.encode(&logs.audit[start - 1])
            );
            done(0, &more)
        }
        ("AMT_AlarmClockService", "AddAlarm") => {
            let template = call.body.as_ref()?.all("AlarmTemplate").next()?;
            let of = |name: &str| template.children.iter().find(|child| child.name == name);
            let inner = |name: &str| {
                of(name)
                    .and_then(|found| found.children.first())
                    .map_or("", |found| &found.text)
                    .to_owned()
            };
            let text = |name: &str| of(name).map_or("", |found| &found.text).to_owned();
            let name = text("InstanceID");
            if logs.alarms.iter().any(|(had, ..)| *had == name) {
                return Some(done(2058, ""));
            }
            if logs.alarms.len() >= 5 {
                return Some(done(23, ""));
            }
            logs.alarms.push((
                name,
                inner("StartTime"),
                inner("Interval"),
                text("DeleteOnCompletion"),
            ));
            done(0, "")
        }
        ("AMT_TimeSynchronizationService", "GetLowAccuracyTimeSynch") => {
            let now = now(machine);
            done(0, &format!("<g:Ta0>{now}</g:Ta0>"))
        }
        ("AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch") => {
            let (ta0, tm1, tm2) = (call.number("Ta0"), call.number("Tm1"), call.number("Tm2"));
            machine.logs.ahead += i64::from(tm1.midpoint(tm2)) - i64::from(ta0);
            done(0, "")
        }
        _ => return None,
    })
}
