//! Uplinks: layer 2 and policy of a way out. Owns wpa_supplicant's networks and the decision to join; never touches an
//! address, route or rule (the link owner does that when asked).

mod address;
mod book;
mod driver;
pub mod indicator;
pub mod probe;
mod radio;
mod scan;
mod state;
mod why;
pub mod wpa;

use std::path::Path;

use crate::config::{Oob, Probe, Uplink, UplinkKind};
use crate::supervisor::context::Context;

/// Why an uplink owner cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("uplink {uplink}: no thread for wpa_supplicant's control socket")]
    Thread {
        uplink: String,
        #[source]
        source: std::io::Error,
    },
    #[error("uplink {uplink}: the thread of wpa_supplicant's control socket ended")]
    ThreadEnded { uplink: String },
}

/// Runs one uplink until stopped: joins when its trigger SSID is seen (or always, or never), leaves when told.
///
/// # Errors
/// [`Error`]; the supervisor then starts it again. A missing radio or supplicant is no error: it is waited for.
pub async fn run(ctx: Context, uplink: Uplink, oob: Oob, probe: Probe) -> Result<(), Error> {
    let UplinkKind::Wifi(wifi) = uplink.kind.clone();
    driver::run(ctx, uplink, wifi, oob, probe, Path::new(wpa::CONTROL_DIR)).await
}
