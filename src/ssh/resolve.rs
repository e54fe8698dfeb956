//! Names of LAN hosts, asked of the LAN's own name servers through the LAN interface. Never asks by way of an uplink, and
//! decides nothing: who may be reached is judged afterwards, address by address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::TryRngCore;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

/// Longest name RFC 1035 knows.
const LONGEST_NAME: usize = 253;
/// A server that does not answer is asked once more, then the next one.
const ANSWER_LIMIT: Duration = Duration::from_millis(1500);
const TRIES: usize = 2;
/// Servers asked, and the time for all of it.
const SERVERS: usize = 3;
const TOTAL_LIMIT: Duration = Duration::from_secs(8);
/// More addresses than that no host has.
const ADDRESSES: usize = 16;
/// Largest answer over UDP without EDNS is 512 bytes; some servers send more.
const ANSWER_SIZE: usize = 4096;

/// Why a name has no address. The text is for the operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("{0} is no host name")]
    NoName(String),
    #[error("the LAN names no DNS server; use the address of the host")]
    NoServer,
    #[error("the LAN's DNS knows no {0}")]
    Unknown(String),
    #[error("the LAN's DNS gives no answer ({0})")]
    NoAnswer(String),
}

/// Addresses of a name, IPv4 first.
pub(super) async fn look_up(
    interface: &str,
    servers: &[IpAddr],
    name: &str,
) -> Result<Vec<IpAddr>, Error> {
    let shown = crate::access::printable(name);
    let plain = name.strip_suffix('.').unwrap_or(name);
    if !is_host_name(plain) {
        return Err(Error::NoName(shown));
    }
    if servers.is_empty() {
        return Err(Error::NoServer);
    }
    let mut last = Error::Unknown(shown.clone());
    let ask_all = async {
        for server in servers.iter().take(SERVERS) {
            let (v4, v6) = tokio::join!(
                ask(interface, *server, plain, TYPE::A),
                ask(interface, *server, plain, TYPE::AAAA)
            );
            match (v4, v6) {
                (Err(e), Err(_)) => last = Error::NoAnswer(e.to_string()),
                (v4, v6) => {
                    let found = [v4, v6].into_iter().flatten().flatten();
                    let found: Vec<IpAddr> = found.take(ADDRESSES).collect();
                    if !found.is_empty() {
                        return Some(found);
                    }
                    // An answer that there is none is an answer.
                    last = Error::Unknown(shown.clone());
                    return None;
                }
            }
        }
        None
    };
    match timeout(TOTAL_LIMIT, ask_all).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(last),
        Err(_) => Err(Error::NoAnswer("time is up".into())),
    }
}

/// Letters, digits, hyphens and underscores in labels: what a host may be called.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(fits) && !label.starts_with('-')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(label)
}

/// One question to one server, through the LAN interface.
async fn ask(interface: &str, server: IpAddr, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let socket = Socket::new(
        if server.is_ipv4() {
            Domain::IPV4
        } else {
            Domain::IPV6
        },
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    let socket = UdpSocket::from_std(socket.into())?;
    // Connected: only this server's answers arrive, and a closed port is an error at once.
    socket.connect(SocketAddr::new(server, 53)).await?;
    let mut buffer = vec![0; ANSWER_SIZE];
    for _ in 0..TRIES {
        let id = random_id()?;
        socket.send(&question(id, name, kind)?).await?;
        let deadline = Instant::now() + ANSWER_LIMIT;
        while let Ok(got) = timeout_at(deadline, socket.recv(&mut buffer)).await {
            match read_answer(&buffer[..got?], id, name) {
                Some(Ok(found)) => return Ok(found),
                Some(Err(code)) => {
                    let text = format!("{server} says {code:?}");
                    return Err(io::Error::other(text));
                }
                None => {}
            }
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        format!("{server} is silent"),
    ))
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    rand::rngs::OsRng
        .try_fill_bytes(&mut id)
        .map_err(io::Error::other)?;
    Ok(u16::from_be_bytes(id))
}

fn question(id: u16, name: &str, kind: TYPE) -> io::Result<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(io::Error::other)?;
    let question = Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false);
    packet.questions.push(question);
    packet.build_bytes_vec().map_err(io::Error::other)
}

/// Addresses in an answer to our question; empty when the server knows none, its code when it will or can not say.
/// `None` for anything that is not the answer.
fn read_answer(bytes: &[u8], id: u16, name: &str) -> Option<Result<Vec<IpAddr>, RCODE>> {
    let packet = Packet::parse(bytes).ok()?;
    let asked = packet.questions.first()?;
    let ours = packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && asked.qname.to_string().eq_ignore_ascii_case(name);
    if !ours {
        return None;
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Some(Ok(vec![])),
        // The next server may know.
        code => return Some(Err(code)),
    }
    // Whatever their owner name: behind a CNAME it is another one.
    let addresses = packet
        .answers
        .iter()
        .filter_map(|answer| match &answer.rdata {
            RData::A(a) => Some(IpAddr::V4(a.address.into())),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.address.into())),
            _ => None,
        });
    Some(Ok(addresses
        .map(|address| address.to_canonical())
        .collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, AAAA, CNAME};

    use super::*;

    fn answer(id: u16, name: &str, records: Vec<RData<'_>>) -> Vec<u8> {
        let asked = question(id, name, TYPE::A).unwrap();
        let mut packet = Packet::parse(&asked).unwrap().into_reply();
        for record in records {
            packet.answers.push(ResourceRecord::new(
                Name::new_unchecked("other.lan"),
                CLASS::IN,
                60,
                record,
            ));
        }
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn addresses_come_out_of_an_answer() {
        let a = A {
            address: u32::from_be_bytes([10, 0, 0, 9]),
        };
        let aaaa = AAAA {
            address: 1 << 64 | 9,
        };
        let cname = CNAME(Name::new_unchecked("other.lan"));
        let bytes = answer(
            7,
            "switch.lan",
            vec![RData::CNAME(cname), RData::A(a), RData::AAAA(aaaa)],
        );
        let found = read_answer(&bytes, 7, "Switch.LAN").unwrap().unwrap();
        assert_eq!(
            found,
            [
                "10.0.0.9".parse::<IpAddr>().unwrap(),
                "0:0:0:1::9".parse().unwrap()
            ]
        );
        assert_eq!(read_answer(&bytes, 8, "switch.lan"), None);
        assert_eq!(read_answer(&bytes, 7, "router.lan"), None);
        assert_eq!(
            read_answer(
                &question(7, "switch.lan", TYPE::A).unwrap(),
                7,
                "switch.lan"
            ),
            None
        );
        assert_eq!(
            read_answer(&answer(7, "switch.lan", vec![]), 7, "switch.lan"),
            Some(Ok(vec![]))
        );
    }

    #[test]
    fn host_names() {
        for name in ["switch", "switch.lan", "a-b.c_d.example", "10-0-0-1.lan"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "a..b",
            "-a",
            "a b",
            "a/b",
            "switch\0",
            "é",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    proptest! {
        /// Whatever a hostile server sends, nothing panics.
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..600), real in any::<bool>()) {
            if real {
                let mut whole = answer(7, "switch.lan", vec![RData::A(A { address: 1 })]);
                for (at, byte) in bytes.iter().enumerate().take(8) {
                    let place = usize::from(*byte) % whole.len();
                    whole[place] = bytes[at];
                }
                bytes = whole;
            }
            let _ = read_answer(&bytes, 7, "switch.lan");
        }
    }
}
