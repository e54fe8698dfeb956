//! Sensors as people know them: what they measure, how much it is, whether that is well. §35.

use serde::Serialize;

use super::Client;
use super::linear::Linearity;
use super::sdr::{Analog, SensorRecord};
use super::units::unit;
use super::words::{self, Severity};
use crate::ipmi::message::netfn;
use crate::ipmi::read::Reader;
use crate::ipmi::{Ask, Error};

/// Get Sensor Reading, Thresholds, Reading Factors. §35.14, §35.9, §35.5.
const READING: u8 = 0x2d;
const THRESHOLDS: u8 = 0x27;
const FACTORS: u8 = 0x23;
/// The controller that we talk to. Sensors of others would be asked through it, which is not done.
const BMC: u8 = 0x20;
/// Reading type of sensors with thresholds.
const THRESHOLD: u8 = 0x01;

/// What a sensor watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Temperature,
    Voltage,
    Current,
    Fan,
    /// Watts.
    Power,
    Intrusion,
    PowerSupply,
    PowerUnit,
    Processor,
    Memory,
    Drive,
    Battery,
    Watchdog,
    /// Another type, by its number in the standard.
    Other(u8),
}

impl Kind {
    fn of(record: &SensorRecord) -> Self {
        let watts = record.analog.is_some_and(|analog| analog.units[1] == 6);
        match record.sensor_type {
            _ if watts => Self::Power,
            0x01 => Self::Temperature,
            0x02 => Self::Voltage,
            0x03 => Self::Current,
            0x04 | 0x0a => Self::Fan,
            0x05 => Self::Intrusion,
            0x07 => Self::Processor,
            0x08 => Self::PowerSupply,
            0x09 => Self::PowerUnit,
            0x0c => Self::Memory,
            0x0d => Self::Drive,
            0x11 | 0x23 => Self::Watchdog,
            0x29 => Self::Battery,
            other => Self::Other(other),
        }
    }
}

/// Whether what a sensor says is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    Warning,
    Critical,
    /// The BMC has no reading now: the machine is off, or the part is not there.
    Unavailable,
    /// Could not be asked.
    Unknown,
}

impl From<Severity> for Health {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Ok => Self::Ok,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// In the unit of the sensor; `None` for one that it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Thresholds {
    pub lower_warning: Option<f64>,
    pub lower_critical: Option<f64>,
    pub lower_fatal: Option<f64>,
    pub upper_warning: Option<f64>,
    pub upper_critical: Option<f64>,
    pub upper_fatal: Option<f64>,
}

/// A sensor with its reading.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensor {
    pub number: u8,
    pub name: String,
    pub kind: Kind,
    /// The name of its type in the standard.
    pub type_name: &'static str,
    /// Empty for sensors without a number.
    pub unit: String,
    pub value: Option<f64>,
    pub health: Health,
    /// What a sensor without a number says: all states that are asserted.
    pub states: Vec<String>,
    pub thresholds: Thresholds,
}

impl Sensor {
    /// Before anybody asked.
    #[must_use]
    pub fn unread(record: &SensorRecord) -> Self {
        let is_threshold = record.reading_type == THRESHOLD;
        let analog = record
            .analog
            .filter(|_| is_threshold || record.analog.is_some());
        Self {
            number: record.number,
            name: record.name.clone(),
            kind: Kind::of(record),
            type_name: words::sensor_type(record.sensor_type),
            unit: analog.map(|analog| unit(analog.units)).unwrap_or_default(),
            value: None,
            health: Health::Unknown,
            states: Vec::new(),
            thresholds: Thresholds::default(),
        }
    }

    /// Takes in the answer to Get Sensor Reading; `false` for one that makes no sense. `linearity` turns the reading into
    /// a number.
    pub fn take(
        &mut self,
        record: &SensorRecord,
        linearity: Option<Linearity>,
        data: &[u8],
    ) -> bool {
        let mut reader = Reader::new(data);
        let (Some(raw), Some(flags)) = (reader.u8(), reader.u8()) else {
            return false;
        };
        // Reading unavailable, or scanning switched off.
        if flags & 0x20 != 0 || flags & 0x40 == 0 {
            self.health = Health::Unavailable;
            return true;
        }
        self.value = linearity.and_then(|linearity| linearity.value(raw));
        let states = reader.u8();
        if record.reading_type == THRESHOLD {
            self.health = states.map_or_else(|| self.judge(), threshold_health);
            return true;
        }
        let [low, high] = [states.unwrap_or(0), reader.u8().unwrap_or(0)];
        let asserted = u16::from_le_bytes([low, high & 0x7f]);
        self.health = Health::Ok;
        let mut worst = Severity::Ok;
        for offset in (0..15u8).filter(|offset| asserted >> offset & 1 == 1) {
            let (text, severity) = words::state(record.reading_type, record.sensor_type, offset);
            worst = worst.max(severity);
            self.states.push(text);
        }
        self.health = worst.into();
        true
    }

    /// By the thresholds, where the BMC does not compare itself.
    fn judge(&self) -> Health {
        let Some(value) = self.value else {
            return Health::Unknown;
        };
        let limits = &self.thresholds;
        let below = |limit: Option<f64>| limit.is_some_and(|limit| value <= limit);
        let above = |limit: Option<f64>| limit.is_some_and(|limit| value >= limit);
        let fatal = below(limits.lower_fatal) || above(limits.upper_fatal);
        if fatal || below(limits.lower_critical) || above(limits.upper_critical) {
            Health::Critical
        } else if below(limits.lower_warning) || above(limits.upper_warning) {
            Health::Warning
        } else {
            Health::Ok
        }
    }

    /// Takes in the answer to Get Sensor Thresholds.
    pub fn take_thresholds(&mut self, analog: &Analog, linearity: Linearity, data: &[u8]) {
        let mut reader = Reader::new(data);
        let (Some(there), Some(raw)) = (reader.u8(), reader.array::<6>()) else {
            return;
        };
        let there = there & analog.readable;
        let one = |at: usize| {
            let raw = raw.get(at).filter(|_| there >> at & 1 == 1)?;
            linearity.value(*raw)
        };
        self.thresholds = Thresholds {
            lower_warning: one(0),
            lower_critical: one(1),
            lower_fatal: one(2),
            upper_warning: one(3),
            upper_critical: one(4),
            upper_fatal: one(5),
        };
    }
}

/// Of the bits that say which thresholds are passed: the same six, in the same order.
fn threshold_health(bits: u8) -> Health {
    match bits & 0x3f {
        0 => Health::Ok,
        bits if bits & 0b11_0110 == 0 => Health::Warning,
        _ => Health::Critical,
    }
}

impl Client {
    /// All sensors with what they say now. One that the BMC refuses to read is `Unknown`; so are those of other controllers
    /// behind the BMC.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`].
    pub async fn sensors(&mut self) -> Result<Vec<Sensor>, Error> {
        let records = self.inventory().await?.sensors.clone();
        let mut sensors = Vec::with_capacity(records.len());
        for record in &records {
            sensors.push(self.sensor(record).await?);
        }
        Ok(sensors)
    }

    /// One sensor of the inventory.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]. A refusal is no error, but `Unknown`.
    pub async fn sensor(&mut self, record: &SensorRecord) -> Result<Sensor, Error> {
        let mut sensor = Sensor::unread(record);
        if record.owner != BMC {
            return Ok(sensor);
        }
        let Some(reading) = self.of_sensor(record, READING, &[record.number]).await? else {
            return Ok(sensor);
        };
        let mut linearity = record.analog.map(|analog| analog.linearity);
        if let (Some(known), Some(&raw)) = (linearity, reading.first())
            && known.is_nonlinear()
        {
            linearity = self.factors(record, known, raw).await?;
        }
        if let (Some(analog), Some(linearity)) = (&record.analog, linearity)
            && analog.readable != 0
        {
            let limits = self.of_sensor(record, THRESHOLDS, &[record.number]).await?;
            sensor.take_thresholds(analog, linearity, &limits.unwrap_or_default());
        }
        sensor.take(record, linearity, &reading);
        Ok(sensor)
    }

    /// The factors of a sensor that has others for each reading.
    async fn factors(
        &mut self,
        record: &SensorRecord,
        known: Linearity,
        raw: u8,
    ) -> Result<Option<Linearity>, Error> {
        let data = [record.number, raw];
        let answer = self.of_sensor(record, FACTORS, &data).await?;
        let mut reader = Reader::new(answer.as_deref().unwrap_or_default());
        let _next = reader.u8();
        let factors = reader.array::<6>();
        Ok(factors.map(|bytes| Linearity::parse(known.format, known.function, bytes)))
    }

    /// Asks about one sensor; `None` when the BMC refuses.
    async fn of_sensor(
        &mut self,
        record: &SensorRecord,
        command: u8,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let asked = Ask::new("a sensor", netfn::SENSOR, command, data).lun(record.lun);
        match self.ask(&asked, |data| Some(data.to_vec())).await {
            Ok(data) => Ok(Some(data)),
            Err(Error::Refused { .. } | Error::NotPermitted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
