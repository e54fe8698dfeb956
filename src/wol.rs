//! Wake-on-LAN: the packet that has a sleeping network card switch its machine on. Sends it from the LAN's interface; nobody
//! answers, so whether it worked is for others to find out.
//!
//! AMD, "Magic Packet Technology" (publication 20213): six bytes FF, the address sixteen times, and for SecureOn four or six
//! bytes of password. Cards look for it anywhere in a frame; UDP port 9 and EtherType 0842 are what everybody uses.

#![allow(
    unsafe_code,
    reason = "the address of a packet socket is filled in by hand; no crate here has it in safe words"
)]

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use nix::libc;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::sleep;

/// `discard`, where nobody listens.
const PORT: u16 = 9;
/// Registered for it by the IEEE.
const ETHER_TYPE: u16 = 0x0842;
/// Cards miss some while they sleep.
const TIMES: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// The address of a network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    /// `00:1b:21:3c:4d:5e`, or with `-` between.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no hardware address; write as in \"00:1b:21:3c:4d:5e\"",
                text.escape_debug()
            )
        };
        let bytes = hex(text).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(wrong)?;
        // The lowest bit of the first byte marks groups (IEEE 802).
        if bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(format!("{text} is not the address of one card"));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a card with SecureOn wants to hear besides. Travels in the open; never shown all the same.
#[derive(Clone, PartialEq, Eq)]
pub struct SecureOn(Vec<u8>);

impl fmt::Debug for SecureOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for SecureOn {
    type Err = String;

    /// Six bytes as an address is written, or four as in `192.168.0.1`. The error does not repeat it.
    fn from_str(text: &str) -> Result<Self, String> {
        let six = hex(text).filter(|bytes| bytes.len() == 6);
        let four = || text.parse::<Ipv4Addr>().ok().map(|ip| ip.octets().to_vec());
        six.or_else(four).map(Self).ok_or_else(|| {
            "a SecureOn password is six bytes as in \"00:1b:21:3c:4d:5e\", or four as in \"10.20.30.40\"".to_owned()
        })
    }
}

/// Bytes of two hex digits between `:` or `-`.
fn hex(text: &str) -> Option<Vec<u8>> {
    let mark = if text.contains('-') { '-' } else { ':' };
    let byte = |part: &str| {
        let good = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        good.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    text.split(mark).map(byte).collect()
}

/// Nothing could be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot send from {interface}: {source}")]
pub struct Error {
    pub interface: String,
    pub source: io::Error,
}

/// The packet.
#[must_use]
pub fn packet(mac: Mac, password: Option<&SecureOn>) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    for _ in 0..16 {
        bytes.extend(mac.0);
    }
    if let Some(password) = password {
        bytes.extend(&password.0);
    }
    bytes
}

/// Sends it three times, as a UDP broadcast and as a frame of its own type, from this interface and no other. Takes 0.2 s.
///
/// # Errors
/// Neither of the two went out, not once.
pub async fn wake(interface: &str, mac: Mac, password: Option<&SecureOn>) -> Result<(), Error> {
    let bytes = packet(mac, password);
    let (mut sent, mut last) = (false, io::Error::from(io::ErrorKind::NotConnected));
    for time in 0..TIMES {
        if time > 0 {
            sleep(PAUSE).await;
        }
        // A card on the far side of a bridge may hear only one of them.
        for done in [broadcast(interface, &bytes).await, frame(interface, &bytes)] {
            match done {
                Ok(()) => sent = true,
                Err(error) => last = error,
            }
        }
    }
    if sent {
        return Ok(());
    }
    Err(Error {
        interface: interface.to_owned(),
        source: last,
    })
}

/// By UDP: needs an IPv4 address or a route on the interface.
async fn broadcast(interface: &str, bytes: &[u8]) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    SockRef::from(&socket).bind_device(Some(interface.as_bytes()))?;
    socket.set_broadcast(true)?;
    let everybody: SocketAddr = (Ipv4Addr::BROADCAST, PORT).into();
    socket.send_to(bytes, everybody).await.map(drop)
}

/// By Ethernet: needs `CAP_NET_RAW`, and no address.
fn frame(interface: &str, bytes: &[u8]) -> io::Result<()> {
    let index = if_nametoindex(interface)?;
    // Protocol 0: it sends, and hears nothing.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))?;
    socket.set_nonblocking(true)?;
    let mut storage = SockAddrStorage::zeroed();
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
    // SAFETY: sockaddr_ll is plain numbers and fits into the storage, which is zeroed and aligned for every address.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::c_ushort::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = ETHER_TYPE.to_be();
    address.sll_ifindex = i32::try_from(index).unwrap_or_default();
    address.sll_halen = 6;
    address.sll_addr = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
    // SAFETY: the storage holds a sockaddr_ll of this length, filled in above.
    let address = unsafe { SockAddr::new(storage, length) };
    socket.send_to(bytes, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_as_amd_wrote_it_down() {
        let mac: Mac = "00:1b:21:3C:4d:5e".parse().unwrap();
        let plain = packet(mac, None);
        assert_eq!(plain.len(), 102);
        assert_eq!(plain[..6], [0xff; 6]);
        for copy in plain[6..].chunks(6) {
            assert_eq!(copy, [0x00, 0x1b, 0x21, 0x3c, 0x4d, 0x5e]);
        }
        let six: SecureOn = "01-02-03-04-05-06".parse().unwrap();
        assert_eq!(packet(mac, Some(&six))[102..], [1, 2, 3, 4, 5, 6]);
        let four: SecureOn = "1.2.3.4".parse().unwrap();
        assert_eq!(packet(mac, Some(&four))[102..], [1, 2, 3, 4]);
        assert_eq!(format!("{six:?} {mac}"), "*** 00:1b:21:3c:4d:5e");
    }

    #[test]
    fn what_is_no_card_is_refused() {
        for text in [
            "",
            "00:1b:21:3c:4d",
            "00:1b:21:3c:4d:5e:6f",
            "0:1b:21:3c:4d:5e",
            "00:1b:21-3c:4d:5e",
            "+0:1b:21:3c:4d:5e",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
        let error = "hunter2".parse::<SecureOn>().unwrap_err();
        assert!(!error.contains("hunter2"));
    }

    #[tokio::test]
    async fn an_interface_that_is_not_there_is_told() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let error = wake("nothere0", mac, None).await.unwrap_err();
        assert!(error.to_string().contains("nothere0"), "{error}");
    }
}
