//! The clock of the management engine, and alarms that switch the machine on by it.

use crate::amt::wsman::envelope::uri;
use crate::amt::wsman::xml::escaped;
use crate::amt::wsman::{Client, Element, Error, plain};
use crate::clock::Timestamp;
use crate::machine::amt::AmtAlarm;

const CLOCK: &str = "AMT_TimeSynchronizationService";
const ALARM: &str = "IPS_AlarmClockOccurrence";
const ALARMS: &str = "AMT_AlarmClockService";
/// Namespace of times inside instances.
const COMMON: &str = "http://schemas.dmtf.org/wbem/wscim/1/common";

/// Seconds since 1970 by its clock.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client) -> Result<u64, Error> {
    let method = "GetLowAccuracyTimeSynch";
    let told = client.call(CLOCK, &[], method, "").await?;
    told.number("Ta0").ok_or_else(|| Error::Garbled {
        host: client.host().to_owned(),
        what: format!("{CLOCK}.{method}"),
        why: "it tells no time".into(),
    })
}

/// Sets its clock by ours, and gives the seconds that it was ahead.
///
/// # Errors
/// [`Error`]
pub async fn set(client: &mut Client) -> Result<i64, Error> {
    let theirs = read(client).await?;
    let ours = Timestamp::now().0 / 1000;
    let inner = plain("Ta0", &theirs.to_string())
        + &plain("Tm1", &ours.to_string())
        + &plain("Tm2", &ours.to_string());
    let method = "SetHighAccuracyTimeSynch";
    client.call(CLOCK, &[], method, &inner).await?;
    let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    Ok(seconds(theirs).saturating_sub(seconds(ours)))
}

/// All alarms.
///
/// # Errors
/// [`Error`]
pub async fn alarms(client: &mut Client) -> Result<Vec<AmtAlarm>, Error> {
    let found = client.enumerate(ALARM).await?;
    Ok(found.iter().filter_map(alarm).collect())
}

fn alarm(found: &Element) -> Option<AmtAlarm> {
    let inner = |name: &str| {
        let field = found.all(name).next()?;
        Some(field.children.first().unwrap_or(field).text.clone())
    };
    let at: jiff::Timestamp = inner("StartTime")?.parse().ok()?;
    Some(AmtAlarm {
        name: found.text("InstanceID")?.to_owned(),
        at: Timestamp(u64::try_from(at.as_millisecond()).ok()?),
        every: inner("Interval")
            .as_deref()
            .and_then(minutes)
            .unwrap_or_default(),
    })
}

/// `P1DT2H3M` in minutes; seconds do not count.
fn minutes(text: &str) -> Option<u32> {
    let (mut all, mut number) = (0_u32, 0_u32);
    for letter in text.strip_prefix('P')?.chars() {
        let unit = match letter {
            '0'..='9' => {
                number = number.checked_mul(10)?.checked_add(letter.to_digit(10)?)?;
                continue;
            }
            'D' => 24 * 60,
            'H' => 60,
            'M' => 1,
            'T' | 'S' => 0,
            _ => return None,
        };
        all = all.checked_add(number.checked_mul(unit)?)?;
        number = 0;
    }
    Some(all)
}

/// Adds one; a device has room for five.
///
/// # Errors
/// [`Error`]
pub async fn add(client: &mut Client, alarm: &AmtAlarm) -> Result<(), Error> {
    client
        .call(ALARMS, &[], "AddAlarm", &template(alarm))
        .await
        .map(drop)
}

fn template(alarm: &AmtAlarm) -> String {
    let at = i64::try_from(alarm.at.0).ok();
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:00Z");
    let (name, every) = (escaped(&alarm.name), alarm.every);
    let span = format!("P{}DT{}H{}M", every / 1440, every % 1440 / 60, every % 60);
    let again = match every {
        0 => String::new(),
        _ => format!("<s:Interval><p:Interval>{span}</p:Interval></s:Interval>"),
    };
    format!(
        "<h:AlarmTemplate xmlns:s=\"{}\" xmlns:p=\"{COMMON}\"><s:InstanceID>{name}</s:InstanceID><s:ElementName>{name}\
         </s:ElementName><s:StartTime><p:Datetime>{at}</p:Datetime></s:StartTime>{again}<s:DeleteOnCompletion>true\
         </s:DeleteOnCompletion></h:AlarmTemplate>",
        uri(ALARM)
    )
}

/// Removes one.
///
/// # Errors
/// [`Error`]
pub async fn remove(client: &mut Client, name: &str) -> Result<(), Error> {
    client.delete(ALARM, &[("InstanceID", name)]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amt::wsman::xml::parse;

    #[test]
    fn alarms_come_back_as_they_were_written() {
        let wanted = AmtAlarm {
            name: "a<b>".into(),
            at: Timestamp(1_800_000_000_000),
            every: 1440 + 125,
        };
        let text = template(&wanted);
        let root = parse(&format!("<x xmlns:h='urn:h'>{text}</x>")).unwrap();
        let read = root.children.into_iter().next().unwrap();
        // As an instance of its own has them.
        let read = Element {
            namespace: uri(ALARM),
            ..read
        };
        assert_eq!(alarm(&read), Some(wanted));
        assert!(text.contains("<p:Interval>P1DT2H5M</p:Interval>"), "{text}");
        for (text, expected) in [
            ("P0DT0H1M", Some(1)),
            ("PT1H", Some(60)),
            ("P", Some(0)),
            ("1H", None),
            ("P99999999999D", None),
            ("PX", None),
        ] {
            assert_eq!(minutes(text), expected, "{text}");
        }
    }
}
