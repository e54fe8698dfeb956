//! The query filter: nothing is made up or reordered, what is no escape sequence passes, and splits change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::console::Filter;

fuzz_target!(|data: &[u8]| {
    let (mut whole, mut split) = (Filter::default(), Filter::default());
    let all: Vec<u8> = Reads::new(data, 40).flat_map(|(_, read)| read.to_vec()).collect();
    let mut once = whole.strip(&all);
    let mut pieces: Vec<u8> = Reads::new(data, 40).flat_map(|(_, read)| split.strip(read)).collect();
    assert_eq!(once, pieces, "a split changed what is seen");
    once.extend(whole.flush());
    pieces.extend(split.flush());
    assert_eq!(once, pieces);
    // What is left is the input with pieces taken out.
    let mut input = all.iter();
    assert!(once.iter().all(|byte| input.any(|other| other == byte)), "bytes were made up or reordered");
    // ENQ, ESC and the C1 controls.
    if !all.iter().any(|byte| matches!(byte, 0x05 | 0x1b | 0x80..=0x9f)) {
        assert_eq!(once, all, "plain bytes were lost");
    }
});
