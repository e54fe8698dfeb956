//! Finds Intel AMT on a network: an RMCP ping to everybody, and connections to its two ports. Signs in nowhere, pins no key,
//! and asks no more at once than a small network bears.
//!
//! Layouts: MeshCentral `amtscanner.js`, ASF 2.0 §3.2.4.2 and §3.2.4.3.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

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
const CONNECT: Duration = Duration::from_millis(400);
/// For the first words of a device that took the connection.
const WORDS: Duration = Duration::from_millis(1500);
/// Datagrams in a row, the pause after them, and how long answers to the last ones are waited for.
const BURST: usize = 4;
const PACE: Duration = Duration::from_millis(1);
const LISTEN: Duration = Duration::from_millis(700);
/// Intel, as the pong names who made it (IANA enterprise number).
const INTEL: u32 = 343;
const HEAD: usize = 4096;

/// What answered at one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Empty when it does not say.
    pub version: String,
    /// By its pong: not yet, in the middle, done.
    pub provisioning: Option<Provisioning>,
    pub plain: bool,
    pub tls: bool,
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
                let version = knock(&lan, (host, port).into()).await?;
                Some((host, port, version))
            });
        }
    }
    let mut found: BTreeMap<Ipv4Addr, Found> = BTreeMap::new();
    while let Some(tried) = tries.join_next().await {
        let Ok(Some((host, port, version))) = tried else {
            continue;
        };
        let one = found.entry(host).or_default();
        one.plain |= port == PLAIN;
        one.tls |= port == TLS;
        if !version.is_empty() {
            one.version = version;
        }
    }
    found
}

/// The version, or an empty one behind TLS; `None` where nobody answers as AMT does.
async fn knock(lan: &str, target: SocketAddr) -> Option<String> {
    let opened = timeout(CONNECT, tcp::connect(lan, target)).await;
    let mut stream = opened.ok()?.ok()?;
    if target.port() == TLS {
        return Some(String::new());
    }
    let asking = async {
        let ask = format!("GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.ok()?;
        let mut head = Vec::new();
        let mut some = (&mut stream).take(u64::try_from(HEAD).unwrap_or_default());
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            let got = some.read_buf(&mut head).await.ok()?;
            if got == 0 {
                break;
            }
        }
        version(&String::from_utf8_lossy(&head))
    };
    timeout(WORDS, asking).await.ok()?
}

/// From the head of a page of its own; of another server `None`.
fn version(head: &str) -> Option<String> {
    let server = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("server").then_some(value.trim())
    })?;
    let makes = [
        "Intel(R) Active Management Technology",
        "Intel(R) Standard Manageability",
    ];
    let rest = makes.iter().find_map(|make| server.strip_prefix(make))?;
    let version = rest.trim().chars().take(32);
    Some(
        version
            .filter(|c| c.is_ascii_digit() || *c == '.')
            .collect(),
    )
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

    #[test]
    fn servers_are_told_apart() {
        let of = |server: &str| {
            version(&format!(
                "HTTP/1.1 303 See Other\r\nServer: {server}\r\n\r\n"
            ))
        };
        let amt = "Intel(R) Active Management Technology";
        assert_eq!(
            of(&format!("{amt} 15.0.23.1706")).as_deref(),
            Some("15.0.23.1706")
        );
        assert_eq!(of(amt).as_deref(), Some(""));
        assert_eq!(
            of("Intel(R) Standard Manageability 9.1.34").as_deref(),
            Some("9.1.34")
        );
        assert_eq!(of("nginx"), None);
        assert_eq!(version(""), None);
    }
}
