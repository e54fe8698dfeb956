//! Devices with Tasmota firmware. A cycle is carried out by the device (`Backlog`).
//!
//! Protocol: tasmota.github.io/docs/Commands: `GET /cm?cmnd=…&user=…&password=…`, answers in JSON; `Power<n>`, `Status 10` for
//! readings, `Status 11` for states. The password stands in the URL, as that firmware wants it: no text from here shows a query.

use std::time::Duration;

use serde_json::Value;

use super::driver::{Fault, OutletReading, Reading};
use super::plug::{self, Make, Plug};
use crate::config::{Secret, Tasmota};
use crate::http::{Request, Trust};
use crate::reset::{PowerState, Verb};

/// The user of the firmware's web interface; it has no other.
const USER: &str = "admin";
/// Relays of one device (`MAX_RELAYS` of the firmware).
const MOST_RELAYS: u8 = 32;
/// Longest `Delay`, in tenths of a second.
const LONGEST_DELAY: u64 = 65_535;

/// One device.
pub(super) struct Driven {
    plug: Plug,
    password: Option<Secret>,
    keys: Vec<String>,
}

impl Driven {
    /// A driver for this device, reached by the interface of the LAN. Opens nothing yet.
    #[must_use]
    pub(super) fn new(settings: &Tasmota, lan: &str, trust: Trust) -> Self {
        Self {
            plug: Plug::new(settings.host, lan, trust, None),
            password: settings.password.clone(),
            keys: Vec::new(),
        }
    }

    async fn command(&mut self, command: &str) -> Result<Value, Fault> {
        let mut query = format!("/cm?cmnd={}", plug::escaped(command));
        if let Some(password) = &self.password {
            query.push_str("&user=");
            query.push_str(USER);
            query.push_str("&password=");
            query.push_str(&plug::escaped(password.expose()));
        }
        let answer = self.plug.ask(&Request::get(&query)).await?;
        let host = self.plug.host();
        // {"WARNING":"Need user=<username>&password=<password>"}, with status 200 in older firmware.
        if answer.get("WARNING").is_some() {
            return Err(Fault::Refused(format!("{host} does not take the password")));
        }
        match answer.get("Command").and_then(Value::as_str) {
            Some("Unknown") => Err(Fault::NotPossible(format!(
                "{host} does not know this command"
            ))),
            Some("Error") => Err(Fault::NotPossible(format!("{host} cannot do this"))),
            _ => Ok(answer),
        }
    }
}

impl Make for Driven {
    async fn read_now(&mut self) -> Result<Reading, Fault> {
        let states = self.command("Status 11").await?;
        let host = self.plug.host();
        let mut outlets = relays(&states);
        if outlets.is_empty() {
            return Err(Fault::NotPossible(format!("{host} shows no relay")));
        }
        // A device of one relay measures it; of several it measures the sum, which is nobody's.
        if let [only] = outlets.as_mut_slice() {
            let sensors = self.command("Status 10").await?;
            let energy = sensors.pointer("/StatusSNS/ENERGY");
            let number = |name: &str| energy?.get(name)?.as_f64();
            (only.watts, only.amps) = (number("Power"), number("Current"));
        }
        self.keys = outlets.iter().map(|outlet| outlet.key.clone()).collect();
        Ok(Reading { outlets })
    }

    async fn switch_now(&mut self, key: &str, verb: Verb, off: Duration) -> Result<(), Fault> {
        if self.keys.is_empty() {
            self.read_now().await?;
        }
        if !self.keys.iter().any(|known| known == key) {
            return Err(Fault::NotPossible(format!("there is no outlet {key}")));
        }
        let command = order(key, verb, off)
            .ok_or_else(|| Fault::NotPossible(format!("it cannot {verb} an outlet")))?;
        self.command(&command).await.map(drop)
    }
}

/// `None` for what outlets do not have.
fn order(key: &str, verb: Verb, off: Duration) -> Option<String> {
    // Tenths of a second.
    let delay = off.as_secs().saturating_mul(10).clamp(10, LONGEST_DELAY);
    Some(match verb {
        Verb::On => format!("Power{key} on"),
        Verb::ForceOff => format!("Power{key} off"),
        Verb::PowerCycle => format!("Backlog Power{key} off; Delay {delay}; Power{key} on"),
        _ => return None,
    })
}

/// `POWER` of a device with one relay, `POWER1` and on of others.
fn relays(states: &Value) -> Vec<OutletReading> {
    let said = |name: &str| states.pointer("/StatusSTS")?.get(name);
    let one = said("POWER").map(|state| (1, state));
    let many = (1..=MOST_RELAYS).filter_map(|n| Some((n, said(&format!("POWER{n}"))?)));
    let all = one.into_iter().chain(many.filter(|_| one.is_none()));
    all.map(|(number, state)| OutletReading {
        key: number.to_string(),
        state: match state.as_str() {
            Some("ON") => PowerState::On,
            Some("OFF") => PowerState::Off,
            _ => PowerState::Unknown,
        },
        cycles: true,
        ..OutletReading::default()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_relay_and_several_are_told_apart() {
        let one = relays(&json!({ "StatusSTS": { "POWER": "ON" } }));
        assert_eq!(
            (one.len(), one[0].key.as_str(), one[0].state),
            (1, "1", PowerState::On)
        );
        let two = relays(&json!({ "StatusSTS": { "POWER1": "OFF", "POWER2": "?" } }));
        let states: Vec<PowerState> = two.iter().map(|outlet| outlet.state).collect();
        assert_eq!(states, [PowerState::Off, PowerState::Unknown]);
        assert!(relays(&json!({ "POWER": "ON" })).is_empty());
    }

    #[test]
    fn a_cycle_is_one_command() {
        let off = Duration::from_secs(5);
        let cycle = order("2", Verb::PowerCycle, off).unwrap();
        assert_eq!(cycle, "Backlog Power2 off; Delay 50; Power2 on");
        let long = order("1", Verb::PowerCycle, Duration::from_secs(9_000)).unwrap();
        assert!(long.contains("Delay 65535;"));
        assert_eq!(order("1", Verb::Nmi, off), None);
    }
}
