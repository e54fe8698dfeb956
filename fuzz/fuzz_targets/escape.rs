//! The escape parser: bytes pass in order, only `~` at a line start and its key are taken out, pastes pass whole.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::clock::Instant;
use oobd_fuzz::escape::{Escape, Piece, TYPED_MAX};
use oobd_fuzz::keymap::Keymap;

fuzz_target!(|data: &[u8]| {
    let mut escape = Escape::new(Keymap::default());
    let mut now = Instant::now();
    let (mut input, mut output, mut actions) = (Vec::new(), Vec::new(), 0usize);
    for (control, read) in Reads::new(data, TYPED_MAX + 8) {
        now += Duration::from_millis(u64::from(control) * 2);
        let held = escape.pending_since().is_some();
        let pieces = escape.feed(read, now);
        let passed = |bytes: &mut Vec<u8>, pieces: &[Piece]| {
            for piece in pieces {
                if let Piece::Bytes(piece) = piece {
                    assert!(!piece.is_empty(), "an empty piece");
                    bytes.extend(piece);
                }
            }
        };
        if read.len() > TYPED_MAX {
            let mut bytes = Vec::new();
            passed(&mut bytes, &pieces);
            let want = [if held { &b"~"[..] } else { b"" }, read].concat();
            assert_eq!(bytes, want, "a paste was changed");
        }
        actions += pieces.iter().filter(|piece| matches!(piece, Piece::Action(_))).count();
        passed(&mut output, &pieces);
        input.extend_from_slice(read);
        if control % 16 == 0 {
            output.extend(escape.flush());
            assert!(escape.pending_since().is_none(), "held after a flush");
        }
    }
    output.extend(escape.flush());
    // What came out is what went in but for tildes and the key of each action.
    let mut rest = input.iter();
    assert!(output.iter().all(|byte| rest.any(|other| other == byte)), "bytes were made up or reordered");
    let tildes = input.iter().filter(|&&byte| byte == b'~').count();
    let missing = input.len() - output.len();
    assert!(missing <= tildes + actions, "{missing} bytes missing of {tildes} tildes and {actions} actions");
    assert!(actions <= tildes, "an action without a tilde");
    if tildes == 0 {
        assert_eq!(output, input);
    }
});
