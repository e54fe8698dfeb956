//! The supplicant's settings and networks, as commands. Pure; the passphrase is in them, so none of this is ever logged.

use std::fmt::Write as _;

use super::security::{Method, is_raw_key};
use crate::config::{Sae, Wifi};

/// Seconds an access point stays in the table unheard: longer than the slow scan takes to come round.
const EXPIRE_AGE_SECS: u32 = 60;
/// Scans of its channel that an access point may miss before it leaves the table.
const EXPIRE_SCANS: u32 = 2;

/// One network of the supplicant, made once so that the key is derived before it is needed (PBKDF2 takes 50 ms on a small board).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Index into the configured SSIDs.
    pub ssid: usize,
    pub open: bool,
}

/// Commands that prepare a supplicant of which nothing is known. The second value says whether it must succeed.
#[must_use]
pub fn settings(wifi: &Wifi) -> Vec<(String, bool)> {
    let mut commands = vec![
        ("REMOVE_NETWORK all".into(), true),
        ("SET ap_scan 1".into(), true),
        // WPA3 hash-to-element and hunting-and-pecking; older supplicants do not know it.
        ("SET sae_pwe 2".into(), false),
        (format!("BSS_EXPIRE_AGE {EXPIRE_AGE_SECS}"), false),
        (format!("BSS_EXPIRE_COUNT {EXPIRE_SCANS}"), false),
    ];
    if let Some(country) = &wifi.country {
        // A radio may refuse a country; it then stays in the world domain, which is safe.
        commands.push((format!("SET country {country}"), false));
    }
    commands
}

/// The networks that this configuration may ever join.
#[must_use]
pub fn networks(wifi: &Wifi) -> Vec<Network> {
    let secured = wifi.passphrase.is_some();
    let kinds = [(secured, false), (wifi.open, true)];
    (0..wifi.ssids.len())
        .flat_map(|ssid| kinds.map(|(wanted, open)| (wanted, Network { ssid, open })))
        .filter_map(|(wanted, network)| wanted.then_some(network))
        .collect()
}

/// Name and value of each variable of a network, in the order in which they are set.
#[must_use]
pub fn variables(wifi: &Wifi, network: &Network) -> Vec<(&'static str, String)> {
    let ssid = wifi.ssids.get(network.ssid).map_or(&[][..], Vec::as_slice);
    let mut variables = vec![
        ("ssid", hex(ssid)),
        ("scan_ssid", if wifi.hidden { "1" } else { "0" }.into()),
        // Our permanent address: the phone's owner shall recognise the board.
        ("mac_addr", "0".into()),
    ];
    if network.open {
        variables.push(("key_mgmt", Method::Open.key_mgmt().into()));
        return variables;
    }
    variables.extend([
        ("proto", "RSN".into()),
        ("pairwise", "CCMP GCMP".into()),
        ("group", "CCMP GCMP".into()),
        ("key_mgmt", base_method(wifi).key_mgmt().into()),
        ("ieee80211w", base_method(wifi).ieee80211w().into()),
    ]);
    if let Some(secret) = &wifi.passphrase {
        let text = secret.expose();
        let value = if is_raw_key(text) {
            text.to_owned()
        } else {
            // The supplicant reads up to the last quote, so quotes inside need no escape.
            format!("\"{text}\"")
        };
        variables.push(("psk", value));
    }
    variables
}

fn base_method(wifi: &Wifi) -> Method {
    let raw = wifi
        .passphrase
        .as_ref()
        .is_some_and(|s| is_raw_key(s.expose()));
    match wifi.sae {
        Sae::Off => Method::Psk,
        Sae::Auto if raw => Method::Psk,
        Sae::Auto => Method::Either,
        Sae::Only => Method::Sae,
    }
}

/// SSIDs travel as hexadecimal digits: no quoting rule can bend them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn wifi() -> Wifi {
        Wifi {
            interface: "wlan0".into(),
            ssids: vec![b"remote.it".to_vec(), vec![0xff, 0, b'"']],
            passphrase: Some(Secret::new("say \"hello\"")),
            country: Some("US".into()),
            open: false,
            hidden: false,
            sae: Sae::Auto,
        }
    }

    fn get(wifi: &Wifi, network: &Network, name: &str) -> Option<String> {
        let all = variables(wifi, network);
        all.into_iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    #[test]
    fn ssids_are_hex_and_passphrases_quoted() {
        let (wifi, second) = (
            wifi(),
            Network {
                ssid: 1,
                open: false,
            },
        );
        assert_eq!(networks(&wifi).len(), 2);
        assert_eq!(get(&wifi, &second, "ssid").unwrap(), "ff0022");
        assert_eq!(get(&wifi, &second, "psk").unwrap(), "\"say \"hello\"\"");
        assert_eq!(get(&wifi, &second, "scan_ssid").unwrap(), "0");
    }

    #[test]
    fn sixty_four_digits_are_a_key_and_wpa2_only() {
        let mut wifi = wifi();
        wifi.passphrase = Some(Secret::new("0123456789abcdef".repeat(4)));
        let network = Network {
            ssid: 0,
            open: false,
        };
        assert_eq!(
            get(&wifi, &network, "psk").unwrap(),
            "0123456789abcdef".repeat(4)
        );
        assert_eq!(
            get(&wifi, &network, "key_mgmt").unwrap(),
            "WPA-PSK WPA-PSK-SHA256"
        );
    }

    #[test]
    fn no_open_network_exists_unless_it_is_asked_for() {
        let mut wifi = wifi();
        assert!(networks(&wifi).iter().all(|n| !n.open));
        wifi.open = true;
        wifi.passphrase = None;
        assert!(networks(&wifi).iter().all(|n| n.open));
    }
}
