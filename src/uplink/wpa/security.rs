//! What an access point offers, and which of it we use. Pure; decides nothing about which access point to join.

use crate::config::{Sae, Wifi};
use crate::event::HotspotFault;

/// How to join one access point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// WPA2 (PSK).
    Psk,
    /// WPA3 (SAE).
    Sae,
    /// Both offered: WPA3 is preferred by the supplicant.
    Either,
    Open,
}

impl Method {
    /// Value of the network's `key_mgmt`.
    #[must_use]
    pub fn key_mgmt(self) -> &'static str {
        match self {
            Self::Psk => "WPA-PSK WPA-PSK-SHA256",
            Self::Sae => "SAE",
            Self::Either => "WPA-PSK WPA-PSK-SHA256 SAE",
            Self::Open => "NONE",
        }
    }

    /// Management frame protection: 2 required (WPA3 demands it), 1 when offered.
    #[must_use]
    pub fn ieee80211w(self) -> &'static str {
        match self {
            Self::Sae => "2",
            Self::Psk | Self::Either => "1",
            Self::Open => "0",
        }
    }
}

/// A passphrase of 64 hexadecimal digits is the WPA2 key itself and of no use for WPA3.
#[must_use]
pub fn is_raw_key(passphrase: &str) -> bool {
    passphrase.len() == 64 && passphrase.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Reads flags such as `[WPA2-PSK+SAE-CCMP][ESS]` (`ctrl_iface.c: wpa_supplicant_ie_txt`) against the configuration.
///
/// # Errors
/// Why an access point with these flags is never joined.
pub fn judge(flags: &str, wifi: &Wifi) -> Result<Method, HotspotFault> {
    let parts: Vec<Vec<&str>> = flags
        .split(['[', ']'])
        .filter(|part| !part.is_empty())
        .map(|part| part.split(['-', '+']).collect())
        .collect();
    let of = |proto: &[&str]| parts.iter().find(|p| proto.contains(&p[0]));
    let refuse = |why: &str| Err(HotspotFault::Security(why.to_owned()));
    let Some(rsn) = of(&["WPA2", "RSN", "WPA3"]) else {
        return if of(&["WEP"]).is_some() {
            refuse("it only offers WEP")
        } else if of(&["WPA"]).is_some() {
            refuse("it only offers WPA1 (TKIP)")
        } else if !wifi.open {
            Err(HotspotFault::Open)
        } else {
            Ok(Method::Open)
        };
    };
    let has = |word: &str| rsn.contains(&word);
    if !has("CCMP") && !has("GCMP") {
        return refuse("it offers no cipher but TKIP");
    }
    if of(&["WPA"]).is_some() {
        return refuse("it mixes WPA1 (TKIP) and WPA2; set the hotspot to WPA2 or WPA3");
    }
    let raw = wifi
        .passphrase
        .as_ref()
        .is_some_and(|secret| is_raw_key(secret.expose()));
    let (psk, sae) = (has("PSK"), has("SAE"));
    match (psk, sae, wifi.sae) {
        _ if !psk && !sae => refuse(match () {
            () if rsn.iter().any(|w| w.contains("EAP")) => "it asks for an enterprise sign-in",
            () if has("OWE") => {
                "it is an open network with encryption (OWE): it asks for no passphrase"
            }
            () => "it offers no key management that we know",
        }),
        _ if wifi.passphrase.is_none() => refuse("it asks for a passphrase and none is configured"),
        (false, _, Sae::Off) => refuse("it only offers WPA3, which sae = \"off\" rules out"),
        (_, false, Sae::Only) => refuse("it only offers WPA2, which sae = \"only\" rules out"),
        (false, true, _) if raw => {
            refuse("it only offers WPA3, which needs the passphrase and not the 64-digit key")
        }
        (_, true, Sae::Only) if raw => refuse("WPA3 needs the passphrase and not the 64-digit key"),
        (false, ..) | (_, _, Sae::Only) => Ok(Method::Sae),
        (true, false, _) | (_, _, Sae::Off) => Ok(Method::Psk),
        (true, true, Sae::Auto) if raw => Ok(Method::Psk),
        (true, true, Sae::Auto) => Ok(Method::Either),
    }
}

/// What these flags offer, in the words that phones use.
#[must_use]
pub fn word(flags: &str) -> &'static str {
    let has = |word: &str| flags.contains(word);
    let psk = ["[WPA2-PSK", "[RSN-PSK", "+PSK"].iter().any(|w| has(w));
    match () {
        () if has("SAE") && psk => "WPA2/WPA3",
        () if has("SAE") => "WPA3",
        () if psk => "WPA2",
        () if has("EAP") => "802.1X",
        () if has("OWE") => "OWE",
        () if has("[WPA-") => "WPA",
        () if has("[WEP") => "WEP",
        () if has("[WPA2") || has("[RSN") => "other",
        () => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn flags_have_a_word() {
        for (flags, wanted) in [
            ("[WPA2-PSK-CCMP][ESS]", "WPA2"),
            ("[WPA-PSK-TKIP][WPA2-PSK-CCMP][ESS]", "WPA2"),
            ("[WPA2-PSK+SAE-CCMP][ESS]", "WPA2/WPA3"),
            ("[WPA2-SAE-CCMP][ESS]", "WPA3"),
            ("[WPA2-EAP-CCMP][ESS]", "802.1X"),
            ("[WPA2-OWE-CCMP][ESS]", "OWE"),
            ("[WPA-PSK-TKIP][ESS]", "WPA"),
            ("[WEP][ESS]", "WEP"),
            ("[ESS]", "open"),
            ("", "open"),
        ] {
            assert_eq!(word(flags), wanted, "{flags}");
        }
    }

    fn wifi(sae: Sae, open: bool) -> Wifi {
        Wifi {
            interface: "wlan0".into(),
            ssids: vec![b"remote.it".to_vec()],
            passphrase: Some(Secret::new("remote.it1234")),
            country: None,
            open,
            hidden: false,
            sae,
        }
    }

    #[test]
    fn what_is_joined_and_how() {
        for (flags, sae, want) in [
            ("[WPA2-PSK-CCMP][ESS]", Sae::Auto, Some(Method::Psk)),
            ("[WPA2-PSK-CCMP][ESS]", Sae::Only, None),
            (
                "[WPA2-PSK+SAE-CCMP][SAE-H2E][ESS]",
                Sae::Auto,
                Some(Method::Either),
            ),
            ("[WPA2-PSK+SAE-CCMP][ESS]", Sae::Off, Some(Method::Psk)),
            ("[WPA2-PSK+SAE-CCMP][ESS]", Sae::Only, Some(Method::Sae)),
            ("[WPA2-SAE-CCMP][SAE-PK][ESS]", Sae::Auto, Some(Method::Sae)),
            ("[RSN-SAE-CCMP][ESS]", Sae::Auto, Some(Method::Sae)),
            ("[WPA2-SAE-CCMP][ESS]", Sae::Off, None),
            (
                "[WPA2-PSK+PSK-SHA256-CCMP-preauth][ESS]",
                Sae::Auto,
                Some(Method::Psk),
            ),
            ("[WPA2-FT/PSK-CCMP][ESS]", Sae::Auto, None),
            ("[WPA-PSK-TKIP][WPA2-PSK-CCMP+TKIP][ESS]", Sae::Auto, None),
            ("[WPA2-PSK-TKIP][ESS]", Sae::Auto, None),
            ("[WPA-PSK-TKIP][ESS]", Sae::Auto, None),
            ("[WEP][ESS]", Sae::Auto, None),
            ("[WPA2-EAP-CCMP][ESS]", Sae::Auto, None),
            ("[WPA2-OWE-CCMP][ESS]", Sae::Auto, None),
            ("[WPA2-?][ESS]", Sae::Auto, None),
            ("[ESS]", Sae::Auto, None),
            ("", Sae::Auto, None),
        ] {
            assert_eq!(
                judge(flags, &wifi(sae, false)).ok(),
                want,
                "{flags} {sae:?}"
            );
        }
    }

    #[test]
    fn an_open_network_only_when_the_configuration_says_so() {
        assert_eq!(
            judge("[ESS]", &wifi(Sae::Auto, false)),
            Err(HotspotFault::Open)
        );
        assert_eq!(judge("[ESS]", &wifi(Sae::Auto, true)), Ok(Method::Open));
        assert!(judge("[WEP][ESS]", &wifi(Sae::Auto, true)).is_err());
    }

    #[test]
    fn a_raw_key_never_goes_to_wpa3() {
        let mut wifi = wifi(Sae::Auto, false);
        wifi.passphrase = Some(Secret::new(
            "0123456789abcdefABCDEF00000000000000000000000000000000000000ffff",
        ));
        assert_eq!(judge("[WPA2-PSK+SAE-CCMP][ESS]", &wifi), Ok(Method::Psk));
        assert!(judge("[WPA2-SAE-CCMP][ESS]", &wifi).is_err());
    }
}
