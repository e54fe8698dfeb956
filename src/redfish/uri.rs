//! Addresses of resources. Ids are names as oobd.toml or devices have them, so what a path may not hold is escaped.

use std::fmt::Write;

use serde_json::{Value, json};

/// Where everything lies.
pub(super) const ROOT: &str = "/redfish/v1";

/// The address of these segments below [`ROOT`].
pub(super) fn at(segments: &[&str]) -> String {
    let mut path = ROOT.to_owned();
    for segment in segments {
        path.push('/');
        escape(&mut path, segment);
    }
    path
}

/// A reference to a resource.
pub(super) fn link(path: impl Into<String>) -> Value {
    json!({ "@odata.id": path.into() })
}

/// A reference to these segments below [`ROOT`].
pub(super) fn to(segments: &[&str]) -> Value {
    link(at(segments))
}

fn escape(path: &mut String, segment: &str) {
    for byte in segment.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~$:@!".contains(&byte);
        if plain {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

/// The text behind the escapes of one segment; `None` when it is no UTF-8 or a wrong escape.
pub(super) fn unescape(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_cannot_hold_comes_back() {
        for name in ["rack", "rack 7/é%", "a:b", "tower.1~x", "?#&"] {
            let path = at(&["PowerEquipment", name]);
            let escaped = path.rsplit('/').next().unwrap();
            assert!(!escaped.contains(['?', '#', ' ']), "{path}");
            assert_eq!(unescape(escaped).as_deref(), Some(name));
        }
        assert_eq!(at(&["Systems", "db1"]), "/redfish/v1/Systems/db1");
        for wrong in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }
}
