//! Which driver speaks for which kind of PDU: a line each.

use super::driver::Driver;
use super::powerman::Powerman;
use crate::config::PduKind;

/// What a driver may need beside its own section.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The LAN's interface; sockets to devices leave by no other.
    pub(super) lan: String,
}

/// A driver that has asked nothing yet.
pub(super) fn open(kind: &PduKind, place: &Place) -> Box<dyn Driver> {
    let lan = &place.lan;
    match kind {
        PduKind::Powerman(powerman) => Box::new(Powerman::new(powerman.clone(), lan)),
        PduKind::Nut(nut) => Box::new(super::nut::Nut::new(nut.clone(), lan)),
    }
}
