//! Sensor data records as bytes: full and compact sensors, names of event-only sensors and of locators. §43. Whatever else
//! there is is skipped.

use super::linear::{Format, Linearity};
use crate::ipmi::read::Reader;

/// Longest record: five bytes and what their length says.
pub(super) const LONGEST: usize = 5 + 255;

/// A record, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Types 01h and 02h. A compact record of several sensors comes as several of these.
    Sensors(Vec<SensorRecord>),
    /// Type 03h: never read, but its events want a name.
    EventOnly(Vec<SensorRecord>),
    /// Types 11h and 12h: a FRU or a controller.
    Locator(Locator),
    /// Another type, skipped.
    Other(u8),
}

/// One sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorRecord {
    /// Address of the controller that has it, and its logical unit; 20h is the BMC.
    pub owner: u8,
    pub lun: u8,
    pub number: u8,
    pub name: String,
    /// §42.2 table 42-3.
    pub sensor_type: u8,
    /// §42.1 table 42-1: 01h for thresholds, 6Fh for states of the sensor type's own.
    pub reading_type: u8,
    /// What it is part of, and which of these. §43.14.
    pub entity: (u8, u8),
    /// How it makes a number; `None` for states alone.
    pub analog: Option<Analog>,
}

/// What makes a number of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analog {
    pub linearity: Linearity,
    /// Units 1 to 3 as in the record: flags, base unit, modifier.
    pub units: [u8; 3],
    /// Which thresholds can be read: lower non-critical, critical, non-recoverable, then the upper ones.
    pub readable: u8,
}

/// Something that is no sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locator {
    /// 11h for a FRU, 12h for a controller.
    pub kind: u8,
    pub address: u8,
    pub name: String,
}

/// Numbers a sensor of several in one record. §43.2, record sharing.
struct Sharing {
    count: u8,
    letters: bool,
    first: u8,
    counts_entities: bool,
}

impl Sharing {
    fn parse(share: [u8; 2]) -> Self {
        let [share, more] = share;
        Self {
            count: (share & 0x0f).max(1),
            letters: share >> 4 & 3 == 1,
            first: more & 0x7f,
            counts_entities: more & 0x80 != 0,
        }
    }

    fn expand(&self, one: &SensorRecord) -> Vec<SensorRecord> {
        if self.count == 1 {
            return vec![one.clone()];
        }
        let each = (0..self.count).map(|at| {
            let number = self.first.wrapping_add(at);
            let suffix = if self.letters {
                letters(number)
            } else {
                number.to_string()
            };
            let (entity, instance) = one.entity;
            let step = if self.counts_entities { at } else { 0 };
            SensorRecord {
                number: one.number.wrapping_add(at),
                name: format!("{}{suffix}", one.name),
                entity: (entity, instance.wrapping_add(step)),
                ..one.clone()
            }
        });
        each.collect()
    }
}

/// 0 is A, 26 is AA.
fn letters(number: u8) -> String {
    let letter = |number: u8| char::from(b'A' + number % 26);
    match number / 26 {
        0 => letter(number).into(),
        tens => [letter(tens - 1), letter(number)].iter().collect(),
    }
}

/// A text of this type and length byte. §43.15.
#[must_use]
pub(super) fn text(length: u8, bytes: &[u8]) -> String {
    let bytes = bytes.get(..usize::from(length & 0x1f)).unwrap_or(bytes);
    let text: String = match length >> 6 {
        // Unicode, which nobody says how to encode: UTF-8 is what it can be.
        0 => String::from_utf8_lossy(bytes).into_owned(),
        1 => {
            let digits = bytes.iter().flat_map(|&byte| [byte >> 4, byte & 0x0f]);
            let all = b"0123456789 -.:,_";
            let digit = |digit: u8| all.get(usize::from(digit)).copied().map(char::from);
            digits.filter_map(digit).collect()
        }
        2 => six_bits(bytes),
        // Latin-1: its numbers are those of Unicode.
        _ => bytes.iter().copied().map(char::from).collect(),
    };
    let text = text.replace(char::is_control, "");
    text.trim().to_owned()
}

/// Four characters in three bytes, the lowest bits first.
fn six_bits(bytes: &[u8]) -> String {
    let (mut held, mut bits, mut out) = (0u16, 0u8, String::new());
    for &byte in bytes {
        held |= u16::from(byte) << bits;
        bits += 8;
        while bits >= 6 {
            let [six, _] = (held & 0x3f).to_le_bytes();
            out.push(char::from(six + 0x20));
            held >>= 6;
            bits -= 6;
        }
    }
    out
}

impl Record {
    /// Of a whole record, its five bytes of header included. `None` for one that is cut off.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [_, _, _version, kind, length] = reader.array()?;
        let mut body = Reader::new(reader.take(usize::from(length))?);
        match kind {
            0x01 => full(&mut body).map(|sensor| Self::Sensors(vec![sensor])),
            0x02 => compact(&mut body).map(Self::Sensors),
            0x03 => event_only(&mut body).map(Self::EventOnly),
            0x11 | 0x12 => locator(kind, &mut body).map(Self::Locator),
            other => Some(Self::Other(other)),
        }
    }
}

fn name(body: &mut Reader<'_>) -> Option<String> {
    let length = body.u8()?;
    Some(text(length, body.rest()))
}

/// Owner, number and entity.
fn key(body: &mut Reader<'_>) -> Option<SensorRecord> {
    let [owner, lun, number, entity, instance] = body.array()?;
    Some(SensorRecord {
        owner,
        lun: lun & 3,
        number,
        name: String::new(),
        sensor_type: 0,
        reading_type: 0,
        entity: (entity, instance),
        analog: None,
    })
}

/// §43.1.
fn full(body: &mut Reader<'_>) -> Option<SensorRecord> {
    let sensor = key(body)?;
    let [_init, _capabilities, sensor_type, reading_type] = body.array()?;
    let [_, _, _, _, readable, _settable] = body.array()?;
    let units: [u8; 3] = body.array()?;
    let function = body.u8()?;
    let factors: [u8; 6] = body.array()?;
    // Nominal values, thresholds and hysteresis, as the BMC had them when the record was written; it is asked instead.
    body.take(17)?;
    let format = Format::from_bits(units[0] >> 6);
    Some(SensorRecord {
        sensor_type,
        reading_type,
        analog: format.map(|format| Analog {
            linearity: Linearity::parse(format, function, factors),
            units,
            readable: if reading_type == 1 {
                readable & 0x3f
            } else {
                0
            },
        }),
        name: name(body)?,
        ..sensor
    })
}

/// §43.2.
fn compact(body: &mut Reader<'_>) -> Option<Vec<SensorRecord>> {
    let sensor = key(body)?;
    let [_init, _capabilities, sensor_type, reading_type] = body.array()?;
    // Masks and units: no number comes of a compact record.
    body.take(9)?;
    let sensor = SensorRecord {
        sensor_type,
        reading_type,
        ..sensor
    };
    shared(body, sensor, 6)
}

/// §43.3.
fn event_only(body: &mut Reader<'_>) -> Option<Vec<SensorRecord>> {
    let sensor = key(body)?;
    let [sensor_type, reading_type] = body.array()?;
    let sensor = SensorRecord {
        sensor_type,
        reading_type,
        ..sensor
    };
    shared(body, sensor, 2)
}

/// How a record ends that stands for several sensors: the sharing, so many bytes that tell nothing here, the name.
fn shared(body: &mut Reader<'_>, sensor: SensorRecord, unused: usize) -> Option<Vec<SensorRecord>> {
    let sharing = Sharing::parse(body.array()?);
    body.take(unused)?;
    let one = SensorRecord {
        name: name(body)?,
        ..sensor
    };
    Some(sharing.expand(&one))
}

/// §43.8, §43.9.
fn locator(kind: u8, body: &mut Reader<'_>) -> Option<Locator> {
    let address = body.u8()?;
    body.take(9)?;
    Some(Locator {
        kind,
        address,
        name: name(body)?,
    })
}
