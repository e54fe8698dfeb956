//! Finds Intel AMT on a network: an RMCP ping to everybody, and connections to its two ports. Signs in nowhere, pins no key,
//! and asks no more at once than a small network bears.
//!
//! Layouts: MeshCentral `amtscanner.js`, ASF 2.0 §3.2.4.2 and §3.2.4.3.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::knock::{Words, knock};
use crate::clock::Instant;
use crate::tcp;

/// Addresses of one scan.
pub const MOST: usize = 1024;
/// Remote management control protocol, primary (IANA: asf-rmcp).
const RMCP: u16 = 623;
const PLAIN: u16 = 16992;
const TLS: u16 = 16993;
/// Connections that are tried at once; a neighbour that is not there holds one for all its time.
const AT_ONCE: usize = 256;
/// Datagrams in a row, the pause after them, and how long answers to the last ones are waited for.
const BURST: usize = 4;
const PACE: Duration = Duration::from_millis(1);
const LISTEN: Duration = Duration::from_millis(700);
/// Intel, as the pong names who made it (IANA enterprise number).
const INTEL: u32 = 343;

/// What answered at one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Empty when it does not say.
    pub version: String,
    /// By its pong: not yet, in the middle, done.
    pub provisioning: Option<Provisioning>,
    pub plain: bool,
    pub tls: bool,
    /// Digits of its digest realm, which a device draws when it is provisioned and no two have in common; empty when it does
    /// not say. Its UUID is told after a sign-in only.
    pub realm: String,
    /// Of its TLS key, as a pin; empty without one.
    pub key: String,
    /// It speaks no TLS but that of old firmware.
    pub legacy: bool,
}

/// How far it was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    Before,
    Within,
    After,
}

/// All hosts of `network/prefix` that speak AMT, by address. `lan` is the interface that they are reached by.
///
/// # Errors
/// What the kernel says of the socket; `InvalidInput` for more than [`MOST`] addresses.
pub async fn scan(
    lan: &str,
    network: Ipv4Addr,
    prefix: u8,
) -> io::Result<BTreeMap<Ipv4Addr, Found>> {
    let hosts = hosts(network, prefix).ok_or(io::ErrorKind::InvalidInput)?;
    let (pongs, probes) = tokio::join!(ping(lan, &hosts), probe(lan, &hosts));
    let mut found = probes;
    for (host, pong) in pongs? {
        let one: &mut Found = found.entry(host).or_default();
        one.provisioning = Some(pong.provisioning);
        one.plain |= pong.port == PLAIN;
        one.tls |= pong.port == TLS;
        if one.version.is_empty() && pong.version != (0, 0) {
            one.version = format!("{}.{}", pong.version.0, pong.version.1);
        }
    }
    Ok(found)
}

/// The addresses of hosts in a network; all of a network that has no room for its own name.
fn hosts(network: Ipv4Addr, prefix: u8) -> Option<Vec<Ipv4Addr>> {
    let bits = 32_u8.checked_sub(prefix)?;
    let size = 1_usize.checked_shl(bits.into())?;
    if size > MOST {
        return None;
    }
    let first = network.to_bits() & u32::MAX.checked_shl(bits.into()).unwrap_or(0);
    let all = (0..u32::try_from(size).ok()?).map(|at| Ipv4Addr::from_bits(first + at));
    let all: Vec<_> = all.collect();
    let inner = if bits >= 2 {
        all.get(1..size - 1)?
    } else {
        &all
    };
    Some(inner.to_vec())
}

struct Pong {
    port: u16,
    version: (u8, u8),
    provisioning: Provisioning,
}

/// RMCP, ASF, presence ping.
fn ping_bytes(tag: u8) -> [u8; 12] {
    [6, 0, 0, 6, 0, 0, 0x11, 0xbe, 0x80, tag, 0, 0]
}

/// A pong of Intel's; of anybody else `None`.
fn pong(bytes: &[u8]) -> Option<Pong> {
    let head: &[u8; 9] = bytes.first_chunk()?;
    if head != &[6, 0, head[2], 6, 0, 0, 0x11, 0xbe, 0x40] {
        return None;
    }
    let maker = u32::from_be_bytes(bytes.get(12..16)?.try_into().ok()?);
    let [high, low, version, flags] = bytes.get(16..20)?.try_into().ok()?;
    (maker == INTEL).then_some(Pong {
        port: u16::from_be_bytes([high, low]),
        version: (version >> 4, version & 15),
        provisioning: match flags & 3 {
            0 => Provisioning::Before,
            1 => Provisioning::Within,
            _ => Provisioning::After,
        },
    })
}

/// Twice to everybody, for one datagram may be lost.
async fn ping(lan: &str, hosts: &[Ipv4Addr]) -> io::Result<BTreeMap<Ipv4Addr, Pong>> {
    let is_loopback = hosts.first().is_some_and(Ipv4Addr::is_loopback);
    let socket = tcp::udp(lan, is_loopback).await?;
    let mut heard = BTreeMap::new();
    for round in 0..2 {
        for (at, host) in hosts.iter().enumerate() {
            // Nobody there, or a full queue: the next round tells.
            let _ = socket.send_to(&ping_bytes(round), (*host, RMCP)).await;
            hear(&socket, &mut heard, hosts);
            if at % BURST == BURST - 1 {
                sleep(PACE).await;
            }
        }
    }
    let until = Instant::now() + LISTEN;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if timeout(left, socket.readable()).await.is_err() {
            break;
        }
        hear(&socket, &mut heard, hosts);
    }
    Ok(heard)
}

fn hear(socket: &UdpSocket, heard: &mut BTreeMap<Ipv4Addr, Pong>, hosts: &[Ipv4Addr]) {
    let mut bytes = [0; 64];
    while let Ok((length, peer)) = socket.try_recv_from(&mut bytes) {
        let IpAddr::V4(host) = peer.ip() else {
            continue;
        };
        if peer.port() == RMCP && hosts.binary_search(&host).is_ok() {
            let pong = bytes.get(..length).and_then(pong);
            heard.extend(pong.map(|pong| (host, pong)));
        }
    }
}

async fn probe(lan: &str, hosts: &[Ipv4Addr]) -> BTreeMap<Ipv4Addr, Found> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let lan: Arc<str> = lan.into();
    let mut tries = JoinSet::new();
    for host in hosts.iter().copied() {
        for port in [PLAIN, TLS] {
            let (room, lan) = (room.clone(), lan.clone());
            tries.spawn(async move {
                let _permit = room.acquire_owned().await.ok()?;
                let words = knock(&lan, (host, port).into(), port == TLS).await?;
                Some((host, port, words))
            });
        }
    }
    let mut found: BTreeMap<Ipv4Addr, Found> = BTreeMap::new();
    while let Some(tried) = tries.join_next().await {
        let Ok(Some((host, port, words))) = tried else {
            continue;
        };
        let Words {
            version,
            realm,
            key,
            legacy,
        } = words;
        let one = found.entry(host).or_default();
        one.plain |= port == PLAIN;
        one.tls |= port == TLS;
        one.legacy |= legacy;
        for (known, said) in [
            (&mut one.version, version),
            (&mut one.realm, realm),
            (&mut one.key, key),
        ] {
            if !said.is_empty() {
                *known = said;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_networks() {
        let of = |network: &str, prefix| hosts(network.parse().unwrap(), prefix);
        let two = of("10.0.0.7", 30).unwrap();
        assert_eq!(
            two,
            ["10.0.0.5", "10.0.0.6"].map(|ip| ip.parse::<Ipv4Addr>().unwrap())
        );
        assert_eq!(of("10.0.0.7", 32).unwrap().len(), 1);
        assert_eq!(of("10.0.0.7", 31).unwrap().len(), 2);
        assert_eq!(of("10.0.0.0", 24).unwrap().len(), 254);
        assert_eq!(of("10.0.0.0", 22).unwrap().len(), 1022);
        for prefix in [0, 8, 21, 33, 255] {
            assert_eq!(of("10.0.0.0", prefix), None, "{prefix}");
        }
    }

    #[test]
    fn pongs_of_intel_and_of_others() {
        let mut bytes = [0; 28];
        bytes[..12].copy_from_slice(&[6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x40, 1, 0, 16]);
        bytes[12..20].copy_from_slice(&[0, 0, 1, 0x57, 0x42, 0x60, 0x72, 2]);
        let read = pong(&bytes).unwrap();
        assert_eq!((read.port, read.version), (16992, (7, 2)));
        assert_eq!(read.provisioning, Provisioning::After);
        for end in 0..20 {
            assert!(pong(&bytes[..end]).is_none(), "{end}");
        }
        // A BMC names nobody.
        bytes[15] = 0xbe;
        assert!(pong(&bytes).is_none());
    }
}
