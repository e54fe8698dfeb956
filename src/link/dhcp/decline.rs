//! Tells a DHCP server that the address it gave cannot be used (RFC 2131 §4.4.4). Best effort: never waits, never fails.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use super::Subject;

const CLIENT: u16 = 68;
const SERVER: u16 = 67;

/// So that it offers another one next time.
pub(super) fn send(subject: &Subject, address: Ipv4Addr, server: Ipv4Addr) {
    let broadcast = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(subject.interface.as_bytes()))?;
        socket.set_broadcast(true)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT).into())?;
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER).into();
        socket.send_to(&message(subject.mac, address, server), &to)
    };
    let sent: io::Result<usize> = broadcast();
    if let Err(error) = sent {
        tracing::info!(interface = subject.interface, "DHCPDECLINE: {error}");
    }
}

fn message(mac: [u8; 6], address: Ipv4Addr, server: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend(rand::random::<[u8; 4]>());
    message.resize(28, 0);
    message.extend(mac);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    message.extend([53, 1, 4]);
    message.extend([61, 7, 1]);
    message.extend(mac);
    message.extend([50, 4]);
    message.extend(address.octets());
    message.extend([54, 4]);
    message.extend(server.octets());
    message.push(255);
    message
}
