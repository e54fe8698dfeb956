//! Presence pongs (ASF 2.0 §3.2.4.3), as firmware that still tells its version sends them. Only where the test wants them.

use std::net::UdpSocket;
use std::thread;

use crate::{Shared, lock};

pub fn start(machine: &Shared) {
    let (address, wanted) = {
        let machine = lock(machine);
        (
            machine.text("listen").to_owned(),
            machine.given["rmcp"] == true,
        )
    };
    if !wanted {
        return;
    }
    let socket = UdpSocket::bind((address.as_str(), 623)).unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
            if length < 12 || bytes[4..9] != [0, 0, 0x11, 0xbe, 0x80] {
                continue;
            }
            let mut pong = [0; 28];
            pong[..12]
                .copy_from_slice(&[6, 0, bytes[2], 6, 0, 0, 0x11, 0xbe, 0x40, bytes[9], 0, 16]);
            // Intel, port 16992, no version, provisioned.
            pong[12..20].copy_from_slice(&[0, 0, 1, 0x57, 0x42, 0x60, 0, 2]);
            let _ = socket.send_to(&pong, peer);
        }
    });
}
