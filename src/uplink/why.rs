//! The sentence that tells a person where an uplink stands and what to do. Pure.

use std::time::Duration;

use super::book::Finding;
use super::state::State;
use super::wpa::Bssid;
use super::wpa::parse::ssid_text;
use crate::config::Wifi;
use crate::event::HotspotFault;
use crate::fact::UplinkPhase;

/// Why a hotspot is not used, and what to do.
#[must_use]
pub(super) fn refusal(name: &str, bssid: Bssid, fault: &HotspotFault) -> String {
    match fault {
        HotspotFault::WrongPassphrase => format!(
            "wrong passphrase: hotspot `{name}` ({bssid}) refused it; compare it with the one the phone shows"
        ),
        HotspotFault::Open => format!(
            "hotspot `{name}` ({bssid}) has no passphrase; give it the configured one, or set open = true"
        ),
        HotspotFault::EvilTwin => format!(
            "`{name}` ({bssid}) is not the real one: it is not secured as the hotspot of that name beside it"
        ),
        HotspotFault::Security(why) => format!("hotspot `{name}` ({bssid}) cannot be used: {why}"),
        HotspotFault::Rejected(why) => {
            format!("hotspot `{name}` ({bssid}) did not let us in: {why}; trying again")
        }
    }
}

#[must_use]
pub(super) fn no_address(name: &str, limit: Duration) -> String {
    let limit = limit.as_secs();
    format!(
        "hotspot `{name}` gave no address: its DHCP did not answer within {limit} s; switch it off and on again"
    )
}

/// The phase and its sentence. `trouble` is what is in sight and cannot be used; `override_` is what an operator asked for.
#[must_use]
pub(super) fn phase(
    state: &State,
    wifi: &Wifi,
    trouble: Option<&Finding>,
    mode: &str,
) -> (UplinkPhase, String) {
    match state {
        State::Off => (UplinkPhase::Off, format!("not wanted: {mode}")),
        State::Absent { reason } => (
            UplinkPhase::Absent,
            format!(
                "{} cannot be used now, wpa_supplicant is not there: {reason}",
                wifi.interface
            ),
        ),
        State::Searching => match trouble {
            Some(it) => (UplinkPhase::Failed, refusal(&it.name, it.bssid, &it.fault)),
            None => (UplinkPhase::Searching, looking(wifi)),
        },
        State::Joining { target, .. } => (
            UplinkPhase::Associating,
            format!("joining hotspot `{}` ({})", target.name, target.bssid),
        ),
        State::Leasing { target, .. } => (
            UplinkPhase::Leasing,
            format!("in hotspot `{}`, waiting for an address", target.name),
        ),
        State::Up {
            target, address, ..
        } => (
            UplinkPhase::Up,
            format!("in hotspot `{}` as {address}", target.name),
        ),
        State::Failed { reason, .. } => (UplinkPhase::Failed, reason.clone()),
    }
}

fn looking(wifi: &Wifi) -> String {
    let names: Vec<String> = wifi
        .ssids
        .iter()
        .map(|ssid| format!("`{}`", ssid_text(ssid)))
        .collect();
    format!(
        "looking for hotspot {}; switch it on, set to WPA2 or WPA2/WPA3",
        names.join(" or ")
    )
}
