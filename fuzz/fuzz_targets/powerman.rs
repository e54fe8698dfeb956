//! A reply of powermand: it ends or is refused, its nodes are plain names, and all of it is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::power;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match power::powerman(&text) {
        Ok(Some(outlets)) => {
            assert!(outlets.len() <= 1024);
            let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            assert!(outlets.iter().all(|outlet| outlet.key.chars().all(good) && outlet.key.len() <= 32));
        }
        Ok(None) => assert!(text.lines().count() <= 4096),
        Err(why) => assert!(!why.chars().any(char::is_control), "{why:?}"),
    }
});
