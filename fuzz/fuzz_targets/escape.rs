//! The escape parser: bytes pass in order, only escape sequences are taken out, pastes pass whole.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::clock::Instant;
use oobd_fuzz::escape::{Escape, Piece, TYPED_MAX};
use oobd_fuzz::keymap::{Keymap, Profile};

/// What a door would hand to the device, and how often it would act.
fn passed(pieces: &[Piece], bytes: &mut Vec<u8>) -> usize {
    let mut actions = 0;
    for piece in pieces {
        match piece {
            Piece::Bytes(piece) => {
                assert!(!piece.is_empty(), "an empty piece");
                bytes.extend(piece);
            }
            Piece::Action(_) => actions += 1,
        }
    }
    actions
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else { return };
    // What begins a sequence, and how long one may be.
    let (profile, begin, longest) = if kind % 2 == 0 { (Profile::Tilde, b'~', 2) } else { (Profile::CtrlEC, 0x05, 4) };
    let mut escape = Escape::new(Keymap::of(profile));
    let mut now = Instant::now();
    let (mut input, mut output, mut actions) = (Vec::new(), Vec::new(), 0);
    for (control, read) in Reads::new(data, TYPED_MAX + 8) {
        now += Duration::from_millis(u64::from(control) * 2);
        let pieces = escape.feed(read, now);
        let mut bytes = Vec::new();
        actions += passed(&pieces, &mut bytes);
        if read.len() > TYPED_MAX {
            assert!(bytes.ends_with(read), "a paste was changed");
            assert!(bytes.len() - read.len() < longest, "more was held than a sequence is long");
        }
        output.extend(bytes);
        input.extend_from_slice(read);
        if control % 16 == 0 {
            output.extend(escape.flush());
            assert!(escape.pending_since().is_none(), "held after a flush");
        }
    }
    let held = escape.flush();
    assert!(held.len() < longest);
    output.extend(held);
    // What came out is what went in but for whole sequences.
    let mut rest = input.iter();
    assert!(output.iter().all(|byte| rest.any(|other| other == byte)), "bytes were made up or reordered");
    let begins = input.iter().filter(|&&byte| byte == begin).count();
    let missing = input.len() - output.len();
    assert!(actions <= begins, "an action that nobody typed");
    assert!(missing >= actions * 2, "a sequence acted and went to the device, too");
    assert!(missing <= begins * longest, "{missing} bytes missing of {begins} sequences");
    if begins == 0 {
        assert_eq!(output, input);
    }
});
