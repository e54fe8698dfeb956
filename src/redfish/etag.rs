//! The ETag of a resource: of what somebody may change or must know before changing it. Clocks, readings and counters are left
//! out, or each change would race with them.

use serde_json::Value;

/// Properties that change by themselves all the time.
const VOLATILE: &[&str] = &[
    "DateTime",
    "Reading",
    "ReadingCelsius",
    "ReadingVolts",
    "PowerConsumedWatts",
    "ReadingTime",
    "@odata.etag",
];

/// The ETag of this body. Weak, for what it leaves out.
pub(super) fn of(value: &Value) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    feed(&mut hash, value);
    let digest = hash.finish();
    let short: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("W/\"{short}\"")
}

fn feed(hash: &mut ring::digest::Context, value: &Value) {
    match value {
        Value::Object(fields) => {
            hash.update(b"{");
            for (name, value) in fields {
                if VOLATILE.contains(&name.as_str()) {
                    continue;
                }
                hash.update(name.as_bytes());
                hash.update(b"\0");
                feed(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(values) => {
            hash.update(b"[");
            for value in values {
                feed(hash, value);
            }
            hash.update(b"]");
        }
        plain => {
            hash.update(plain.to_string().as_bytes());
            hash.update(b"\0");
        }
    }
}

/// Does a header `If-Match` or `If-None-Match` name this ETag? Clients may send the weak mark or leave it out.
pub(super) fn names(header: &str, etag: &str) -> bool {
    let plain = |text: &str| {
        text.trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_owned()
    };
    let etag = plain(etag);
    header
        .split(',')
        .any(|one| one.trim() == "*" || plain(one) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn readings_do_not_count_and_everything_else_does() {
        let one = json!({ "Id": "oob", "DateTime": "1", "Watts": { "Reading": 3 } });
        let later = json!({ "Id": "oob", "DateTime": "2", "Watts": { "Reading": 4 } });
        let other = json!({ "Id": "oob2", "DateTime": "1", "Watts": { "Reading": 3 } });
        assert_eq!(of(&one), of(&later));
        assert_ne!(of(&one), of(&other));
        let etag = of(&one);
        let bare = etag.trim_start_matches("W/");
        for (header, fits) in [
            (etag.as_str(), true),
            (bare, true),
            ("*", true),
            ("\"x\", *", true),
            ("\"x\"", false),
        ] {
            assert_eq!(names(header, &etag), fits, "{header}");
        }
    }
}
