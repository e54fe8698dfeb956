//! Single values of oobd.toml: names, durations, sizes, interfaces. Pure; the errors are sentences for a person.

use std::time::Duration;

/// Longest name of an uplink, console or user; they become names of files and owners.
const LONGEST_NAME: usize = 32;
/// `IFNAMSIZ` of the kernel without the closing NUL.
const LONGEST_INTERFACE: usize = 15;

/// A name that a path, an SSH user (`alice:switch@board`) and a command line can carry.
pub(super) fn name(text: &str) -> Result<(), String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if text.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if text.len() > LONGEST_NAME {
        return Err(format!("the name is longer than {LONGEST_NAME} characters"));
    }
    if let Some(bad) = text.chars().find(|letter| !good(*letter)) {
        return Err(format!(
            "the name has a {bad:?} in it; it may have letters (a-z), digits, `.`, `_` and `-`"
        ));
    }
    if !text.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
        return Err("the name must begin with a letter or a digit".to_owned());
    }
    Ok(())
}

/// A host name of one label (RFC 1123).
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if text.is_empty() || text.len() > 63 || !text.chars().all(good) {
        return Err("a device name has 1 to 63 letters (a-z), digits and `-`".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("a device name neither begins nor ends with `-`".to_owned());
    }
    Ok(text.to_owned())
}

/// A network interface. Stricter than the kernel (`dev_valid_name`), which lets quotes and wildcards through.
pub(super) fn interface(text: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if text.is_empty() || text.len() > LONGEST_INTERFACE {
        return Err(format!(
            "an interface name has 1 to {LONGEST_INTERFACE} characters"
        ));
    }
    if let Some(bad) = text.chars().find(|letter| !good(*letter)) {
        return Err(format!("an interface name cannot have a {bad:?} in it"));
    }
    // `all` and `default` are not interfaces but sets of them under /proc/sys/net.
    if [".", "..", "lo", "all", "default"].contains(&text) {
        return Err(format!("`{text}` cannot be used as an interface"));
    }
    Ok(text.to_owned())
}

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// `250ms`, `30s`, `5m`, `12h`, `2d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || {
        format!(
            "`{}` is no duration; write a whole number and a unit, as in \"30s\", \"5m\", \"250ms\" or \"12h\"",
            text.escape_debug()
        )
    };
    let (number, unit) = split_unit(text).ok_or_else(bad)?;
    let (_, millis) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(bad)?;
    number
        .checked_mul(*millis)
        .map(Duration::from_millis)
        .ok_or_else(bad)
}

/// The shortest way to write a duration so that [`duration`] reads it again.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = |(_, unit): &&(&str, u64)| millis.is_multiple_of(*unit) && millis >= *unit;
    match UNITS.iter().rev().find(whole) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// `256KiB`, `8 MiB`, in powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "`{}` is no size; write bytes as a whole number, or as in \"256KiB\" or \"8MiB\"",
            text.escape_debug()
        )
    };
    let (number, unit) = split_unit(text).ok_or_else(bad)?;
    let (_, bytes) = SIZES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(bad)?;
    number.checked_mul(*bytes).ok_or_else(bad)
}

pub(super) fn show_size(bytes: u64) -> String {
    let whole = |(_, unit): &&(&str, u64)| bytes.is_multiple_of(*unit) && bytes >= *unit;
    match SIZES.iter().rev().find(whole) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("12h", 43_200_000),
        ] {
            let read = duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(millis));
            assert_eq!(show_duration(read), text);
        }
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "5 sec",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615d",
            "5µs",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn interfaces_follow_the_kernel() {
        for good in ["eth0", "wlan0", "enp0s31f6", "eth0.10", "abcdefghijklmno"] {
            assert_eq!(interface(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "abcdefghijklmnop",
            "a/b",
            "a b",
            "a:b",
            ".",
            "..",
            "lo",
            "eth*",
            "e\"",
            "all",
        ] {
            assert!(interface(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("256KiB"), Ok(262_144));
        assert_eq!(size("8 MiB"), Ok(8_388_608));
        assert!(size("8MB").is_err());
        assert_eq!(show_size(16_384), "16KiB");
    }
}
