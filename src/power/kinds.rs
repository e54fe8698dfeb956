//! Which driver speaks for which kind of PDU: a line each.

use std::path::PathBuf;

use super::driver::Driver;
use super::powerman::Powerman;
use super::{gpio, script, shelly, snmp, tasmota, usb_relay};
use crate::config::PduKind;
use crate::http::{Legacy, Trust};
use crate::pin::Pins;

/// What a driver may need beside its own section.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The LAN's interface; sockets to devices leave by no other.
    pub(super) lan: String,
    /// Where pins are kept.
    pub(super) state: PathBuf,
}

/// A driver that has asked nothing yet.
pub(super) fn open(kind: &PduKind, place: &Place) -> Box<dyn Driver> {
    let lan = &place.lan;
    let trust = || Trust {
        pins: Pins::new(&place.state),
        pin: None,
        legacy: Legacy::Never,
    };
    match kind {
        PduKind::Powerman(powerman) => Box::new(Powerman::new(powerman.clone(), lan)),
        PduKind::Nut(nut) => Box::new(super::nut::Nut::new(nut.clone(), lan, trust())),
        PduKind::Snmp(snmp) => Box::new(snmp::Driven::new(snmp.as_ref().clone(), lan)),
        PduKind::Shelly(shelly) => Box::new(shelly::Driven::new(shelly, lan, trust())),
        PduKind::Tasmota(tasmota) => Box::new(tasmota::Driven::new(tasmota, lan, trust())),
        PduKind::Gpio(gpio) => Box::new(gpio::Driven::new(gpio)),
        PduKind::UsbRelay(board) => Box::new(usb_relay::Driven::new(board.clone())),
        PduKind::Script(script) => Box::new(script::Driven::new(script.clone())),
    }
}
