//! Shelly plugs and relays of the second generation and later. A cycle is carried out by the device, and so survives that our own
//! network hangs on it.
//!
//! Protocol: shelly-api-docs.shelly.cloud, "Gen2 Device API": JSON-RPC over `POST /rpc`, `Switch.GetStatus`, `Switch.Set` with
//! `toggle_after` in seconds; digest authentication with SHA-256 as the user `admin`.

use std::time::Duration;

use serde_json::{Value, json};

use super::driver::{Fault, OutletReading, Reading};
use super::plug::{self, Make, Plug};
use crate::config::Shelly;
use crate::http::{Login, Method, Request, Scheme, Trust};
use crate::reset::{PowerState, Verb};

/// Switches that one device may have; the largest has four, with add-ons a few more.
const MOST_SWITCHES: u8 = 16;
/// The only user there is.
const USER: &str = "admin";
/// Of the question, which the answer repeats; there is one at a time.
const ID: u8 = 1;
/// There is no such method, or no such switch.
const NOT_THERE: [i64; 2] = [404, -105];

/// One device.
pub(super) struct Driven {
    plug: Plug,
    /// The switches that answered last.
    switches: Vec<u8>,
}

impl Driven {
    /// A driver for this device, reached by the interface of the LAN. Opens nothing yet.
    #[must_use]
    pub(super) fn new(settings: &Shelly, lan: &str, trust: Trust) -> Self {
        let password = settings.password.as_ref();
        let login = password.map(|word| Login::new(Scheme::Digest, USER, word.expose()));
        Self {
            plug: Plug::new(settings.host, lan, trust, login),
            switches: Vec::new(),
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, Fault> {
        let body = json!({ "id": ID, "src": "oobd", "method": method, "params": params });
        let request = Request::new(Method::POST, "/rpc").json(&body);
        let answer = self.plug.ask(&request).await?;
        let host = self.plug.host();
        if let Some(error) = answer.get("error") {
            let code = error
                .get("code")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            let said = error.get("message").and_then(Value::as_str);
            let said = plug::printable(said.unwrap_or("no reason given"));
            return Err(match code {
                401 => Fault::Refused(format!("{host} does not take the password")),
                code if NOT_THERE.contains(&code) => Fault::NotPossible(format!("{host}: {said}")),
                _ => Fault::Odd(format!("{host}: {said} ({code})")),
            });
        }
        // Some firmware puts what is the result into `params`.
        let result = answer.get("result").or_else(|| answer.get("params"));
        let result = result.filter(|result| result.is_object()).cloned();
        result.ok_or_else(|| Fault::Odd(format!("{host}: an answer without a result")))
    }
}

impl Make for Driven {
    /// Switches are numbered from 0 without gaps.
    async fn read_now(&mut self) -> Result<Reading, Fault> {
        let mut reading = Reading::default();
        self.switches.clear();
        for id in 0..MOST_SWITCHES {
            let status = match self.call("Switch.GetStatus", json!({ "id": id })).await {
                Err(Fault::NotPossible(_)) if id > 0 => break,
                status => status?,
            };
            self.switches.push(id);
            reading.outlets.push(outlet(id, &status));
        }
        Ok(reading)
    }

    async fn switch_now(&mut self, key: &str, verb: Verb, off: Duration) -> Result<(), Fault> {
        if self.switches.is_empty() {
            self.read_now().await?;
        }
        let id = key
            .parse::<u8>()
            .ok()
            .filter(|id| self.switches.contains(id));
        let id = id.ok_or_else(|| Fault::NotPossible(format!("there is no outlet {key}")))?;
        let params = match verb {
            Verb::On => json!({ "id": id, "on": true }),
            Verb::ForceOff => json!({ "id": id, "on": false }),
            Verb::PowerCycle => {
                json!({ "id": id, "on": false, "toggle_after": off.as_secs().max(1) })
            }
            _ => return Err(Fault::NotPossible(format!("it cannot {verb} an outlet"))),
        };
        self.call("Switch.Set", params).await.map(drop)
    }
}

fn outlet(id: u8, status: &Value) -> OutletReading {
    let number = |name: &str| status.get(name).and_then(Value::as_f64);
    OutletReading {
        key: id.to_string(),
        label: String::new(),
        state: match status.get("output").and_then(Value::as_bool) {
            Some(true) => PowerState::On,
            Some(false) => PowerState::Off,
            None => PowerState::Unknown,
        },
        // A timer runs: it will flip by itself.
        in_transition: status.get("timer_duration").is_some(),
        cycles: true,
        watts: number("apower"),
        amps: number("current"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_does_not_say_is_unknown() {
        let on = outlet(
            0,
            &json!({ "id": 0, "output": true, "apower": 8.9, "current": 0.1 }),
        );
        assert_eq!(on.state, PowerState::On);
        assert_eq!((on.watts, on.amps), (Some(8.9), Some(0.1)));
        let timed = outlet(2, &json!({ "output": false, "timer_duration": 5 }));
        assert_eq!((timed.state, timed.in_transition), (PowerState::Off, true));
        assert_eq!(outlet(1, &json!({})).state, PowerState::Unknown);
        assert_eq!(
            outlet(1, &json!({ "output": null })).state,
            PowerState::Unknown
        );
    }
}
