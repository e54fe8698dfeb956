//! NUT: PDUs and UPSes that a `upsd` on the LAN speaks for. Outlets are `outlet.N.*`; they are switched by the command
//! `outlet.N.load.*` or, where a driver has none, by writing `outlet.N.switch` or `outlet.N.status`.

use std::time::Duration;

use super::driver::{Doing, Driver, Fault, Reading};
use crate::config;
use crate::http::Trust;
use crate::reset::Verb;

pub(super) mod client;
pub(super) mod words;

use client::Client;
use words::{Abilities, outlets, prefix};

pub(super) struct Nut {
    client: Client,
}

impl Nut {
    pub(super) fn new(config: config::Nut, lan: &str, trust: Trust) -> Self {
        Self {
            client: Client::new(config, lan, trust),
        }
    }
}

impl Driver for Nut {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(async {
            let variables = self.client.variables().await?;
            let can = self.client.abilities().await?;
            Ok(Reading {
                outlets: outlets(&variables, &can),
            })
        })
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, _off: Duration) -> Doing<'a, ()> {
        Box::pin(async move {
            let can = self.client.abilities().await?;
            let (name, value) = order(outlet, verb, &can).ok_or_else(|| {
                Fault::NotPossible(format!("the driver over there cannot {verb} this outlet"))
            })?;
            // A cycle has to be watched at once, or its darkness is missed.
            let waits = verb != Verb::PowerCycle;
            self.client.act(&name, value, waits).await
        })
    }
}

/// The command, or the variable and its value.
fn order(outlet: &str, verb: Verb, can: &Abilities) -> Option<(String, Option<&'static str>)> {
    let prefix = prefix(outlet)?;
    let (word, cycle) = match verb {
        Verb::On => ("on", false),
        Verb::ForceOff => ("off", false),
        Verb::PowerCycle => ("cycle", true),
        _ => return None,
    };
    let command = format!("{prefix}.load.{word}");
    if can.commands.contains(&command) {
        return Some((command, None));
    }
    if cycle {
        return None;
    }
    ["switch", "status"].iter().find_map(|last| {
        let variable = format!("{prefix}.{last}");
        let writable = can.writable.contains(&variable);
        writable.then_some((variable, Some(word)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_preferred_to_variables() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let can = Abilities {
            commands: set(&["outlet.1.load.off", "outlet.1.load.cycle"]),
            writable: set(&["outlet.1.switch", "outlet.1.status", "outlet.2.status"]),
        };
        let wanted = |outlet, verb| order(outlet, verb, &can);
        assert_eq!(
            wanted("1", Verb::ForceOff),
            Some(("outlet.1.load.off".into(), None))
        );
        assert_eq!(
            wanted("1", Verb::On),
            Some(("outlet.1.switch".into(), Some("on")))
        );
        assert_eq!(
            wanted("1", Verb::PowerCycle),
            Some(("outlet.1.load.cycle".into(), None))
        );
        assert_eq!(
            wanted("2", Verb::ForceOff),
            Some(("outlet.2.status".into(), Some("off")))
        );
        assert_eq!(wanted("2", Verb::PowerCycle), None);
        assert_eq!(wanted("3", Verb::On), None);
    }
}
