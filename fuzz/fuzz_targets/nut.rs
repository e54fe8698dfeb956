//! Lines of a `upsd`: what was quoted comes back, what people read has no control characters, and all of it is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::power;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (lines, outlets, fault) = power::nut(&text);
    assert!(lines.iter().all(|words| !words.is_empty() && words.len() <= 17));
    assert!(outlets.len() <= 512);
    let good = |letter: char| letter.is_ascii_digit() || letter == '.';
    assert!(outlets.iter().all(|outlet| !outlet.key.is_empty() && outlet.key.chars().all(good)));
    assert!(outlets.iter().all(|outlet| outlet.watts.is_none_or(f64::is_finite)));
    if let Some(fault) = fault {
        assert!(!fault.chars().any(char::is_control), "{fault:?}");
    }
    let plain: String = text.chars().filter(|letter| !letter.is_control()).collect();
    assert_eq!(power::requoted(&plain), [plain]);
});
