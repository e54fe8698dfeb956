//! Outlets and UPSes: one owner per device, one file per protocol. Knows no machine; switches what it is asked to.
//!
//! A PDU's owner ([`owner`]) takes asks and keeps the state; a task of its own ([`worker`]) holds the driver, so that a dead
//! device delays nobody. Each verb on each outlet is an [`act`], a pure machine of steps; what must survive a crash stands
//! in a [`book`]. A protocol is one file that implements [`driver::Driver`] and a line in [`kinds`].

use crate::config::{Pdu, Ups};
use crate::http::{Legacy, Trust};
use crate::pin::Pins;
use crate::supervisor::context::Context;

mod act;
mod book;
pub mod driver;
mod gpio;
mod health;
mod kinds;
mod nut;
mod owner;
mod plug;
mod powerman;
mod script;
mod shelly;
mod snmp;
mod tasmota;
mod trust;
mod ups;
mod usb_relay;
mod wire;
mod worker;

/// Why an owner of this room ended. A device that is dead is a phase, never an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{name} has lost its desk")]
    Desk { name: String },
}

/// Owns one PDU until it is stopped. It is reached by the interface `lan` and by no other.
///
/// # Errors
/// [`Error`], only when something inside is broken; the supervisor starts it anew.
pub async fn run(context: Context, pdu: Pdu, lan: String) -> Result<(), Error> {
    let place = kinds::Place {
        lan,
        state: context.dirs.state.clone(),
    };
    let kind = pdu.kind.clone();
    owner::run(context, pdu, move || kinds::open(&kind, &place)).await
}

/// Owns one UPS until it is stopped. Its `upsd` is reached by the interface `lan` and by no other.
///
/// # Errors
/// As [`run`].
pub async fn run_ups(context: Context, ups: Ups, lan: String) -> Result<(), Error> {
    let trust = Trust {
        pins: Pins::new(&context.dirs.state),
        pin: None,
        legacy: Legacy::Never,
    };
    let client = nut::client::Client::new(ups.nut.clone(), &lan, trust);
    ups::run(context, ups, client).await
}
