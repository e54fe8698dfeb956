//! Serial over LAN of the machine: sends back what is typed, and says `[break]` for a break.
//!
//! Orders: `SOL say TEXT` says something, `SOL every` all 256 bytes, `SOL end` ends it from this side.

use std::io;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::redirection::{Conn, End, done, misbehave, next_order};
use crate::{Shared, tell};

pub fn run(conn: &mut Conn, _machine: &Shared) -> io::Result<End> {
    let settings = conn.take(24)?;
    assert_eq!(settings[0], 0x20);
    let number = |at: usize| u16::from_le_bytes([settings[at], settings[at + 1]]);
    let (most, beat) = (usize::from(number(8)), number(18));
    conn.send(&[&[0x21][..], &[0; 22]].concat())?;
    let mut seq = 0_u32;
    let mut message = |kind: u8, rest: &[u8]| {
        seq += 1;
        [&[kind, 0, 0, 0][..], &seq.to_le_bytes(), rest].concat()
    };
    let mut say = |text: &[u8]| {
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        message(0x2a, &[&length, text].concat())
    };
    let mut next_beat = Instant::now() + Duration::from_millis(u64::from(beat));
    loop {
        while let Some(order) = next_order("SOL") {
            if order.starts_with("raw") || order == "mute" {
                done("SOL");
                misbehave(conn, &order)?;
                continue;
            }
            let (verb, rest) = order.split_once(' ').unwrap_or((&order, ""));
            match verb {
                "say" => conn.send(&say(rest.as_bytes()))?,
                "every" => conn.send(&say(&(0..=255).collect::<Vec<u8>>()))?,
                "end" => conn.send(&[0x23, 0, 0, 0, 0, 0, 0, 0])?,
                _ => {
                    done("SOL");
                    return Ok(End::Cut);
                }
            }
            done("SOL");
        }
        if beat > 0 && next_beat <= Instant::now() {
            next_beat += Duration::from_millis(u64::from(beat));
            // Who has hung up may have said the end before: that is read below, and what cannot be sent is nobody's loss.
            let _ = conn.send(&[0x2b, 0, 0, 0, 0, 0, 0, 0]);
        }
        conn.fill()?;
        while let Some(length) = length(conn.peek()) {
            let heard = conn.take(length)?;
            match heard[0] {
                0x12 => return Ok(End::Said),
                // As above.
                0x22 => drop(conn.send(&[0x23, 0, 0, 0, 0, 0, 0, 0])),
                0x27 if heard[8] & 4 != 0 => {
                    tell(&json!({"service": "SOL", "break": true}));
                    conn.send(&say(b"[break]"))?;
                }
                0x28 => {
                    let typed = &heard[10..];
                    assert!(typed.len() <= most, "{} bytes at once", typed.len());
                    conn.send(&say(typed))?;
                }
                _ => {}
            }
        }
    }
}

/// Length of the whole message that is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.first()? {
        0x12 => 4,
        0x27 => 14,
        0x28 => 10 + usize::from(u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?])),
        0x22 | 0x24 | 0x25 | 0x2b => 8,
        other => panic!("a message {other:#x} to Serial over LAN"),
    };
    (bytes.len() >= length).then_some(length)
}
