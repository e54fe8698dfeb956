//! Reads what wpa_supplicant says on its control socket, byte for byte. Pure; never trims an SSID, never panics.
//!
//! Formats as printed by wpa_supplicant 2.10 (`ctrl_iface.c: print_bss_info`, `common/wpa_ctrl.h`, `utils/common.c: printf_encode`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Address of one access point radio.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bssid(pub [u8; 6]);

/// One row of the supplicant's table of access points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bss {
    /// The supplicant's own number of the row; grows, never reused within one life of it.
    pub id: u32,
    pub bssid: Bssid,
    pub frequency_mhz: u32,
    pub level_dbm: i32,
    /// Since it was last heard; whole seconds.
    pub age: Duration,
    /// As in `[WPA2-PSK-CCMP][ESS]`.
    pub flags: String,
    /// 0 to 32 bytes; empty when hidden.
    pub ssid: Vec<u8>,
}

/// What the supplicant tells on its own. Others are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    ScanResults,
    ScanFailed {
        code: i32,
    },
    /// No row of the table fits the selected network.
    NetworkNotFound,
    Connected {
        bssid: Bssid,
    },
    /// `reason` as IEEE 802.11 numbers it; `local` when our side ended it.
    Disconnected {
        bssid: Bssid,
        reason: u16,
        local: bool,
    },
    /// Authentication (`kind` 3 is SAE) refused with this IEEE 802.11 status.
    AuthReject {
        bssid: Bssid,
        kind: u16,
        status: u16,
    },
    AssocReject {
        bssid: Option<Bssid>,
        status: u16,
    },
    /// The supplicant gave the network a pause; `WRONG_KEY` is its verdict on a failed 4-way handshake.
    TempDisabled {
        reason: String,
    },
    Terminating,
}

/// The part of `STATUS` that is of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `wpa_state`, e.g. `COMPLETED`.
    pub state: String,
    pub bssid: Option<Bssid>,
    /// e.g. `WPA2-PSK`, `SAE`.
    pub key_mgmt: Option<String>,
    pub cipher: Option<String>,
    pub frequency_mhz: Option<u32>,
}

impl fmt::Display for Bssid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Bssid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Bssid {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        parts.next().is_none().then_some(Self(bytes)).ok_or(())
    }
}

/// Undoes `printf_encode`. `None` when the text is no encoding that wpa_supplicant makes.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'e' => 0x1b,
            b'\\' => b'\\',
            b'"' => b'"',
            b'x' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            _ => return None,
        });
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// An SSID for people: as it is when it is plain text, with escapes otherwise.
#[must_use]
pub fn ssid_text(ssid: &[u8]) -> String {
    match std::str::from_utf8(ssid) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => ssid.escape_ascii().to_string(),
    }
}

/// Rows of a `BSS RANGE=…` reply. A row that makes no sense is left out: one odd access point must not hide the others.
#[must_use]
pub fn rows(reply: &str) -> Vec<Bss> {
    let mut blocks: Vec<Vec<(&str, &str)>> = vec![];
    for line in reply.split('\n') {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        if key == "id" {
            blocks.push(vec![]);
        }
        if let Some(block) = blocks.last_mut() {
            block.push((key, value));
        }
    }
    blocks.iter().filter_map(|block| row(block)).collect()
}

fn row(block: &[(&str, &str)]) -> Option<Bss> {
    let get = |name| block.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
    let ssid = unescape(get("ssid")?)?;
    Some(Bss {
        id: get("id")?.parse().ok()?,
        bssid: get("bssid")?.parse().ok()?,
        frequency_mhz: get("freq")?.parse().ok()?,
        level_dbm: get("level")?.parse().ok()?,
        age: Duration::from_secs(get("age")?.parse().unwrap_or(0)),
        flags: get("flags")?.to_owned(),
        ssid: if ssid.len() <= 32 { ssid } else { return None },
    })
}

/// The number of the last row of a reply, sane or not: where the next page begins.
#[must_use]
pub fn last_id(reply: &str) -> Option<u32> {
    let ids = reply.split('\n').filter_map(|l| l.strip_prefix("id="));
    ids.filter_map(|id| id.parse().ok()).next_back()
}

/// `key=value` lines of `STATUS` and `SIGNAL_POLL`.
fn field<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
    reply
        .split('\n')
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[must_use]
pub fn status(reply: &str) -> Status {
    Status {
        state: field(reply, "wpa_state").unwrap_or_default().to_owned(),
        bssid: field(reply, "bssid").and_then(|v| v.parse().ok()),
        key_mgmt: field(reply, "key_mgmt").map(str::to_owned),
        cipher: field(reply, "pairwise_cipher").map(str::to_owned),
        frequency_mhz: field(reply, "freq").and_then(|v| v.parse().ok()),
    }
}

/// RSSI in dBm of a `SIGNAL_POLL` reply.
#[must_use]
pub fn rssi(reply: &str) -> Option<i32> {
    field(reply, "RSSI").and_then(|v| v.parse().ok())
}

/// One unsolicited message, e.g. `<3>CTRL-EVENT-SCAN-RESULTS `. `None` for those we have no use for.
#[must_use]
pub fn event(message: &str) -> Option<Event> {
    let text = message.strip_prefix('<')?.split_once('>')?.1;
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let word = |name: &str| {
        rest.split(' ')
            .filter_map(|word| word.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let number = |name: &str| word(name).and_then(|v| v.parse().ok()).unwrap_or(0);
    Some(match name {
        "CTRL-EVENT-SCAN-RESULTS" => Event::ScanResults,
        "CTRL-EVENT-SCAN-FAILED" => Event::ScanFailed {
            code: word("ret").and_then(|v| v.parse().ok()).unwrap_or(0),
        },
        "CTRL-EVENT-NETWORK-NOT-FOUND" => Event::NetworkNotFound,
        "CTRL-EVENT-CONNECTED" => Event::Connected {
            bssid: rest.split(' ').find_map(|w| w.parse().ok())?,
        },
        "CTRL-EVENT-DISCONNECTED" => Event::Disconnected {
            bssid: word("bssid")?.parse().ok()?,
            reason: number("reason"),
            local: word("locally_generated") == Some("1"),
        },
        "CTRL-EVENT-AUTH-REJECT" => Event::AuthReject {
            bssid: rest.split(' ').next()?.parse().ok()?,
            kind: number("auth_type"),
            status: number("status_code"),
        },
        "CTRL-EVENT-ASSOC-REJECT" => Event::AssocReject {
            bssid: word("bssid").and_then(|v| v.parse().ok()),
            status: number("status_code"),
        },
        // The SSID in it may hold blanks and `reason=`: the supplicant's own words stand last.
        "CTRL-EVENT-SSID-TEMP-DISABLED" => Event::TempDisabled {
            reason: rest.rsplit_once(" reason=")?.1.to_owned(),
        },
        "CTRL-EVENT-TERMINATING" => Event::Terminating,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As wpa_supplicant's `printf_encode` does, to prove [`unescape`] against.
    fn escape(bytes: &[u8]) -> String {
        bytes
            .iter()
            .map(|byte| match byte {
                b'"' => "\\\"".into(),
                b'\\' => "\\\\".into(),
                0x1b => "\\e".into(),
                b'\n' => "\\n".into(),
                b'\r' => "\\r".into(),
                b'\t' => "\\t".into(),
                32..=126 => char::from(*byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            })
            .collect()
    }

    fn reply(id: u32, ssid: &[u8]) -> String {
        format!(
            "id={id}\nbssid=02:00:00:00:00:0a\nfreq=2437\nlevel=-30\nage=1\nflags=[WPA2-PSK-CCMP][ESS]\nssid={}\n",
            escape(ssid)
        )
    }

    #[test]
    fn an_ssid_is_compared_byte_for_byte() {
        for ssid in [
            &b"remote.it "[..],
            b" remote.it",
            b"remote.it\n",
            b"remote.it\0",
            b"a\tb",
            b"q\"bs\\",
            b"id=7",
            b"ssid=remote.it",
            "téléphone 📱".as_bytes(),
            &[0xff, 0, 0xfe],
            &[b'x'; 32],
            b"",
        ] {
            let got = rows(&(reply(1, ssid) + &reply(2, b"remote.it")));
            assert_eq!(got.len(), 2, "{ssid:?}");
            assert_eq!(got[0].ssid, ssid);
            assert_eq!(got[1].ssid, b"remote.it");
        }
    }

    #[test]
    fn a_row_that_makes_no_sense_does_not_hide_its_neighbours() {
        let text = reply(1, b"a") + "id=2\nbssid=nonsense\nssid=b\n" + &reply(3, b"c");
        let ids: Vec<u32> = rows(&text).iter().map(|bss| bss.id).collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(last_id(&text), Some(3));
    }

    #[test]
    fn events_as_the_supplicant_prints_them() {
        let ap = Bssid([2, 0, 0, 0, 0, 0x0a]);
        for (text, want) in [
            ("<3>CTRL-EVENT-SCAN-RESULTS ", Some(Event::ScanResults)),
            (
                "<3>CTRL-EVENT-SCAN-FAILED ret=-22 retry=1",
                Some(Event::ScanFailed { code: -22 }),
            ),
            (
                "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:0a completed [id=0 id_str=]",
                Some(Event::Connected { bssid: ap }),
            ),
            (
                "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:0a reason=4 locally_generated=1",
                Some(Event::Disconnected {
                    bssid: ap,
                    reason: 4,
                    local: true,
                }),
            ),
            (
                "<3>CTRL-EVENT-AUTH-REJECT 02:00:00:00:00:0a auth_type=3 auth_transaction=2 status_code=1",
                Some(Event::AuthReject {
                    bssid: ap,
                    kind: 3,
                    status: 1,
                }),
            ),
            (
                "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"a reason=x \" auth_failures=1 duration=10 reason=WRONG_KEY",
                Some(Event::TempDisabled {
                    reason: "WRONG_KEY".into(),
                }),
            ),
            ("<3>CTRL-EVENT-TERMINATING ", Some(Event::Terminating)),
            ("<3>CTRL-EVENT-BSS-ADDED 3 02:00:00:00:00:0a", None),
            ("OK\n", None),
            ("<", None),
        ] {
            assert_eq!(event(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_ssid_comes_back(ssid in proptest::collection::vec(any::<u8>(), 0..=32)) {
            let got = rows(&reply(9, &ssid));
            prop_assert_eq!(&got[0].ssid, &ssid);
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[<>a-zA-Z0-9=:\\\\ \n-]*") {
            let _ = (rows(&text), last_id(&text), event(&text), status(&text), rssi(&text), unescape(&text));
        }
    }
}
