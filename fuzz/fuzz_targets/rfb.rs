//! What the firmware of a machine sends as its screen, and what a viewer sends: nothing panics, a picture stays within its
//! bounds, and how the network cuts it changes nothing that is drawn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::rfb::{Client, Frame, Server, png};

/// So far without a choice: the rest is what is fuzzed.
const GREETING: &[u8] = b"RFB 004.000\n\x01\x01\0\0\0\0\0\x40\0\x30\x10\x10\0\x01\0\x1f\0\x3f\0\x1f\x0b\x05\0\0\0\0\0\0\0\0";

fn draw<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (bool, Frame) {
    let (mut client, mut frame) = (Client::default(), Frame::default());
    client.feed(GREETING, &mut frame).unwrap();
    for read in reads {
        if client.feed(read, &mut frame).is_err() {
            return (false, frame);
        }
    }
    (true, frame)
}

fuzz_target!(|data: &[u8]| {
    let whole: Vec<u8> = Reads::new(data, 64).flat_map(|(_, read)| read.to_vec()).collect();
    let (cut_good, cut) = draw(Reads::new(data, 64).map(|(_, read)| read));
    let (good, frame) = draw(std::iter::once(&whole[..]));
    assert_eq!((cut_good, cut.size()), (good, frame.size()));
    let (width, height) = frame.size();
    assert!(width * height <= 3840 * 2400);
    for row in 0..height {
        assert_eq!(cut.row(0, row, width), frame.row(0, row, width));
    }
    if width * height <= 64 * 64 {
        let _ = png::encode(&frame);
    }
    let mut server = Server::new("machine");
    for (_, read) in Reads::new(data, 64) {
        if server.feed(read, &frame).is_err() {
            break;
        }
        let _ = server.update(&frame);
    }
    let mut server = Server::new("machine");
    server.feed(b"RFB 003.008\n\x01\x01", &frame).unwrap();
    if server.feed(&whole, &frame).is_ok() {
        let _ = server.update(&frame);
    }
});
