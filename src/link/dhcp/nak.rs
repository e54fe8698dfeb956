//! Hears a DHCPNAK meant for us, below IP so that no filter and no missing address hides it. Never answers.

use std::io;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::net::UdpSocket;

use super::Subject;
use crate::link::Error;
use crate::link::netlink::socket_error;

#[derive(Debug)]
pub(super) struct NakListener {
    /// A packet socket; tokio only needs something it can poll and `recv` from.
    socket: UdpSocket,
    mac: [u8; 6],
}

impl NakListener {
    /// # Errors
    /// [`Error::Socket`]: needs CAP_NET_RAW.
    pub(super) fn open(subject: &Subject) -> Result<Self, Error> {
        let open = || {
            let protocol = u16::try_from(libc::ETH_P_IP)
                .map_err(io::Error::other)?
                .to_be();
            let socket = Socket::new(
                Domain::PACKET,
                Type::DGRAM,
                Some(Protocol::from(i32::from(protocol))),
            )?;
            socket.attach_filter(&filter(subject.index))?;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket.into())
        };
        Ok(Self {
            socket: open().map_err(socket_error("a packet socket"))?,
            mac: subject.mac,
        })
    }

    /// Returns when a NAK for us has come in. Cancel-safe: nothing but a NAK is ever lost, and that ends the caller.
    pub(super) async fn heard(&self) {
        let mut packet = [0u8; 1500];
        loop {
            let Ok(length) = self.socket.recv(&mut packet).await else {
                // The socket is broken: a NAK then shows as a renewal that fails.
                return std::future::pending().await;
            };
            if is_nak(&packet[..length], self.mac) {
                return;
            }
        }
    }
}

/// Classic BPF over the IP header: this interface, UDP, not a later fragment, port 68.
fn filter(index: u32) -> [SockFilter; 11] {
    // Ancillary data of linux/filter.h: SKF_AD_OFF + SKF_AD_IFINDEX.
    const INTERFACE: u32 = 0xffff_f000 + 8;
    let op = SockFilter::new;
    [
        op(0x20, 0, 0, INTERFACE),
        op(0x15, 0, 8, index),
        op(0x30, 0, 0, 9),
        op(0x15, 0, 6, 17),
        op(0x28, 0, 0, 6),
        op(0x45, 4, 0, 0x1fff),
        op(0xb1, 0, 0, 0),
        op(0x48, 0, 0, 2),
        op(0x15, 0, 1, 68),
        op(0x06, 0, 0, 0xffff),
        op(0x06, 0, 0, 0),
    ]
}

/// Is this IPv4 packet a DHCPNAK for the station with this address? (RFC 2131 §2, options RFC 2132.)
fn is_nak(packet: &[u8], mac: [u8; 6]) -> bool {
    const MAGIC: [u8; 4] = [99, 130, 83, 99];
    let Some(first) = packet.first() else {
        return false;
    };
    let header = usize::from(first & 0x0f) * 4;
    let Some(message) = packet.get(header + 8..) else {
        return false;
    };
    let ours = message.first() == Some(&2)
        && message.get(28..34) == Some(&mac)
        && message.get(236..240) == Some(&MAGIC);
    if !ours {
        return false;
    }
    let mut options = message.get(240..).unwrap_or_default();
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [53, 1, kind, ..] => return *kind == 6,
            [255, ..] | [] | [_] => return false,
            [_, length, rest @ ..] => match rest.get(usize::from(*length)..) {
                Some(rest) => options = rest,
                None => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    fn packet(kind: u8, mac: [u8; 6]) -> Vec<u8> {
        let mut packet = vec![0x45; 1];
        packet.resize(28, 0);
        let mut message = vec![0u8; 240];
        message[0] = 2;
        message[28..34].copy_from_slice(&mac);
        message[236..240].copy_from_slice(&[99, 130, 83, 99]);
        message.extend([0, 54, 4, 10, 0, 0, 1, 53, 1, kind, 255]);
        packet.extend(message);
        packet
    }

    #[test]
    fn only_a_nak_for_us_is_one() {
        assert!(is_nak(&packet(6, MAC), MAC));
        assert!(!is_nak(&packet(5, MAC), MAC), "an ACK");
        assert!(
            !is_nak(&packet(6, [2, 0, 0, 0, 0, 8]), MAC),
            "somebody else's"
        );
        let cut = packet(6, MAC);
        assert!((0..cut.len() - 2).all(|length| !is_nak(&cut[..length], MAC)));
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), header in any::<bool>()) {
            if header && bytes.len() > 28 {
                let good = packet(6, MAC);
                let length = bytes.len().min(268);
                bytes[..length].copy_from_slice(&good[..length]);
            }
            let _ = is_nak(&bytes, MAC);
        }
    }
}
