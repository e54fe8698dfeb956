//! Sensors, as new controllers (`Sensors`, `ThermalMetrics`, `Fans`) and old ones (`Thermal`, `Power`) tell of them. Pure.

use serde_json::Value;

use super::{array, number, text};
use crate::bmc::redfish::types::{Sensor, SensorKind, SensorState};

/// Sensors of one chassis.
pub const SENSORS: usize = 1024;

fn state(value: &Value) -> SensorState {
    let status = value.get("Status").unwrap_or(&Value::Null);
    let away = ["Absent", "Disabled", "UnavailableOffline", "StandbyOffline"];
    if text(status, "State").is_some_and(|state| away.contains(&state.as_str())) {
        return SensorState::Absent;
    }
    match text(status, "Health").as_deref() {
        Some("OK") => SensorState::Ok,
        Some("Warning") => SensorState::Warning,
        Some("Critical") => SensorState::Critical,
        _ => SensorState::Unknown,
    }
}

fn name(value: &Value) -> String {
    let names = ["Name", "DeviceName", "MemberId", "Id"];
    let mut names = names.iter().filter_map(|name| text(value, name));
    names.next().unwrap_or_default()
}

/// A member of `Sensors`. A sensor without a reading has none, whatever its state.
#[must_use]
pub fn sensor(value: &Value) -> Sensor {
    let kind = match text(value, "ReadingType").as_deref() {
        Some("Temperature") => SensorKind::Temperature,
        Some("Rotational") => SensorKind::Fan,
        Some("Voltage") => SensorKind::Voltage,
        Some("Current") => SensorKind::Current,
        Some("Power") => SensorKind::Power,
        Some(energy) if energy.starts_with("Energy") => SensorKind::Energy,
        Some("Percent") if text(value, "PhysicalContext").as_deref() == Some("Fan") => {
            SensorKind::Fan
        }
        _ => SensorKind::Other,
    };
    Sensor {
        name: name(value),
        kind,
        unit: text(value, "ReadingUnits").unwrap_or_default(),
        value: number(value, "Reading"),
        state: state(value),
        said: None,
    }
}

/// Is this a sensor at all? Some lists have entries with nothing but a name.
fn is_one(sensor: &Sensor) -> bool {
    sensor.value.is_some() || sensor.state != SensorState::Unknown
}

fn list(
    value: &Value,
    array_name: &str,
    reading: &[&str],
    kind: SensorKind,
    unit: &str,
) -> Vec<Sensor> {
    array(value, array_name)
        .iter()
        .take(SENSORS)
        .map(|entry| Sensor {
            name: name(entry),
            kind,
            unit: text(entry, "ReadingUnits").unwrap_or_else(|| unit.to_owned()),
            value: reading.iter().find_map(|name| number(entry, name)),
            state: state(entry),
            said: None,
        })
        .filter(is_one)
        .map(|mut sensor| {
            if sensor.unit == "Percent" {
                "%".clone_into(&mut sensor.unit);
            }
            sensor
        })
        .collect()
}

/// The old `Thermal`.
#[must_use]
pub fn thermal(value: &Value) -> Vec<Sensor> {
    let mut found = list(
        value,
        "Temperatures",
        &["ReadingCelsius"],
        SensorKind::Temperature,
        "Cel",
    );
    // The oldest schema calls it so.
    let reading = ["Reading", "ReadingRPM"];
    let fans = array(value, "Fans").iter().take(SENSORS);
    let fans: Vec<Value> = fans
        .map(|fan| {
            let mut fan = fan.clone();
            // The oldest schema has no `Name`.
            if let (None, Some(name)) = (text(&fan, "Name"), text(&fan, "FanName"))
                && let Some(fields) = fan.as_object_mut()
            {
                fields.insert("Name".to_owned(), name.into());
            }
            fan
        })
        .collect();
    let fans = serde_json::json!({ "Fans": fans });
    found.extend(list(&fans, "Fans", &reading, SensorKind::Fan, "RPM"));
    found
}

/// The old `Power`.
#[must_use]
pub fn power(value: &Value) -> Vec<Sensor> {
    let mut found = list(
        value,
        "Voltages",
        &["ReadingVolts"],
        SensorKind::Voltage,
        "V",
    );
    found.extend(list(
        value,
        "PowerControl",
        &["PowerConsumedWatts"],
        SensorKind::Power,
        "W",
    ));
    let reading = [
        "LastPowerOutputWatts",
        "PowerOutputWatts",
        "PowerInputWatts",
    ];
    found.extend(list(
        value,
        "PowerSupplies",
        &reading,
        SensorKind::Supply,
        "W",
    ));
    found
}

/// `ThermalMetrics` of a `ThermalSubsystem`, for controllers that have it without `Sensors`.
#[must_use]
pub fn thermal_metrics(value: &Value) -> Vec<Sensor> {
    list(
        value,
        "TemperatureReadingsCelsius",
        &["Reading"],
        SensorKind::Temperature,
        "Cel",
    )
}

/// A member of `Fans` of a `ThermalSubsystem`, or of `PowerSupplies` of a `PowerSubsystem`.
#[must_use]
pub fn part(value: &Value, kind: SensorKind) -> Sensor {
    let reading = |name: &str| value.get(name).and_then(|part| number(part, "Reading"));
    let rotation = value
        .get("SpeedPercent")
        .and_then(|speed| number(speed, "SpeedRPM"));
    let (unit, read) = match (rotation, reading("SpeedPercent")) {
        (Some(rpm), _) => ("RPM", Some(rpm)),
        (None, Some(percent)) => ("%", Some(percent)),
        (None, None) => ("", None),
    };
    Sensor {
        name: name(value),
        kind,
        unit: unit.to_owned(),
        value: read,
        state: state(value),
        said: None,
    }
}

/// `PhysicalSecurity` of a chassis. `Normal` is the only word of peace.
#[must_use]
pub fn intrusion(chassis: &Value) -> Option<Sensor> {
    let word = text(chassis.get("PhysicalSecurity")?, "IntrusionSensor")?;
    Some(Sensor {
        name: "Intrusion".to_owned(),
        kind: SensorKind::Intrusion,
        unit: String::new(),
        value: None,
        state: if word == "Normal" {
            SensorState::Ok
        } else {
            SensorState::Critical
        },
        said: Some(word),
    })
}
