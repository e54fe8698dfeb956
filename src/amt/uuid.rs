//! The UUID of a machine as its firmware gives it, and as people read it.

use std::fmt::Write as _;

/// As the operating system shows it. The first three parts have their low byte first (SMBIOS 3.6 §7.2.1).
#[must_use]
pub fn uuid(bytes: &[u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut out = String::with_capacity(36);
    for (at, from) in order.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let byte = bytes.get(from).copied().unwrap_or_default();
        let _ = write!(out, "{byte:02x}");
    }
    out
}
