//! Relay boards on USB: those that are a serial port (LCUS) and those that are a HID device (16c0:05df). Opens the device for each
//! question and closes it again: it may be unplugged at any time.

mod hidraw;
mod lcus;

use std::time::Duration;

use super::driver::{Doing, Driver, Fault, OutletReading, Reading};
use crate::config::{UsbRelay, UsbRelayKind};
use crate::reset::{PowerState, Verb};

/// One board.
#[derive(Debug)]
pub struct Driven {
    settings: UsbRelay,
}

impl Driven {
    #[must_use]
    pub fn new(settings: UsbRelay) -> Self {
        Self { settings }
    }

    async fn read_now(&self) -> Result<Reading, Fault> {
        let UsbRelay {
            kind,
            device,
            relays,
        } = &self.settings;
        let states = match kind {
            UsbRelayKind::Lcus => lcus::read(device, *relays).await?,
            UsbRelayKind::Hid => hidraw::read(device, *relays).await?,
        };
        let outlet = |(number, state): (u8, PowerState)| OutletReading {
            key: number.to_string(),
            state,
            ..OutletReading::default()
        };
        let outlets = (1..=*relays).zip(states).map(outlet).collect();
        Ok(Reading { outlets })
    }

    async fn switch_now(&self, key: &str, verb: Verb) -> Result<(), Fault> {
        let device = &self.settings.device;
        let number = key.parse::<u8>().ok().filter(|number| {
            (1..=self.settings.relays).contains(number) && key == number.to_string()
        });
        let number = number.ok_or_else(|| Fault::NotPossible(format!("there is no outlet {key}")))?;
        let on = match verb {
            Verb::On => true,
            Verb::ForceOff => false,
            _ => return Err(Fault::NotPossible(format!("a relay cannot {verb}"))),
        };
        match self.settings.kind {
            UsbRelayKind::Lcus => lcus::switch(device, number, on).await,
            UsbRelayKind::Hid => hidraw::switch(device, number, on).await,
        }
    }
}

impl Driver for Driven {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(self.read_now())
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, _off: Duration) -> Doing<'a, ()> {
        Box::pin(self.switch_now(outlet, verb))
    }
}
