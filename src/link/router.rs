//! Listens for router advertisements on one link and asks for them. Reports what it reads, never touches routes.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::advert::{Advert, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION};
use super::dhcp::Subject;
use super::netlink::socket_error;
use super::{Error, Report, Word};
use crate::clock::Instant;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Time between solicitations: doubles up to the longest (RFC 7559), because a hotspot's first seconds lose frames.
const FIRST_ASK: Duration = Duration::from_millis(500);
const LONGEST_ASK: Duration = Duration::from_secs(60);

/// Runs until stopped; a socket that fails is opened again.
pub(super) async fn run(
    subject: Subject,
    generation: u64,
    out: mpsc::Sender<Report>,
    stop: CancellationToken,
) {
    let mut wait = FIRST_ASK;
    loop {
        let failed = match open(subject.index, &subject.interface) {
            Ok(socket) => listen(&socket, &subject, generation, &out, &stop).await,
            Err(error) => Err(error),
        };
        match failed {
            Ok(()) => return,
            Err(error) => tracing::warn!(interface = subject.interface, "router listener: {error}"),
        }
        tokio::select! {
            // Cancel-safe, both.
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST_ASK);
    }
}

async fn listen(
    socket: &UdpSocket,
    subject: &Subject,
    generation: u64,
    out: &mpsc::Sender<Report>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let failed = |error| socket_error("an ICMPv6 socket")(error);
    let mut wait = FIRST_ASK;
    let mut ask_at = Some(Instant::now());
    loop {
        let heard = tokio::select! {
            // Cancel-safe: a token that stays cancelled.
            () = stop.cancelled() => return Ok(()),
            // Cancel-safe: a message is taken off the socket only when it is returned.
            heard = hear(socket) => heard.map_err(failed)?,
            // Cancel-safe: a timer has nothing to lose.
            () = sleep_until(ask_at.unwrap_or_else(Instant::now)), if ask_at.is_some() => {
                ask(socket, subject);
                ask_at = Some(Instant::now() + wait);
                wait = (wait * 2).min(LONGEST_ASK);
                continue;
            }
        };
        let Some((router, advert)) = heard else {
            continue;
        };
        if advert.lifetime > 0 {
            ask_at = None;
        }
        let report = Report {
            interface: subject.interface.clone(),
            generation,
            word: Word::Advertised { router, advert },
        };
        if out.send(report).await.is_err() {
            return Ok(());
        }
    }
}

fn open(index: u32, interface: &str) -> Result<UdpSocket, Error> {
    let open = || {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        // Classic BPF over the ICMPv6 header: type 134 only.
        let op = SockFilter::new;
        socket.attach_filter(&[
            op(0x30, 0, 0, 0),
            op(0x15, 0, 1, u32::from(ROUTER_ADVERTISEMENT)),
            op(0x06, 0, 0, 0xffff),
            op(0x06, 0, 0, 0),
        ])?;
        socket.set_recv_hoplimit_v6(true)?;
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_nonblocking(true)?;
        // Only a name: tokio needs something it can poll.
        UdpSocket::from_std(socket.into())
    };
    open().map_err(socket_error("an ICMPv6 socket"))
}

/// A solicitation without our link-layer address: the answer then goes to all nodes, us among them. It is lost when
/// the link has no address yet; the next one is not.
fn ask(socket: &UdpSocket, subject: &Subject) {
    let message = [ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    let to = SocketAddrV6::new(ALL_ROUTERS, 0, 0, subject.index);
    if let Err(error) = SockRef::from(socket).send_to(&message, &to.into()) {
        tracing::debug!(
            interface = subject.interface,
            "router solicitation: {error}"
        );
    }
}

/// The next message; `None` for one that must be ignored.
async fn hear(socket: &UdpSocket) -> io::Result<Option<(Ipv6Addr, Advert)>> {
    let receive = || receive(socket);
    socket.async_io(Interest::READABLE, receive).await
}

fn receive(socket: &UdpSocket) -> io::Result<Option<(Ipv6Addr, Advert)>> {
    let mut buffer = [0u8; 1500];
    let mut space = nix::cmsg_space!(i32);
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::empty(),
    )?;
    let from = message.address.map(|address| address.ip());
    let hops = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv6HopLimit(hops) => Some(hops),
        _ => None,
    });
    let length = message.bytes;
    // RFC 4861 §6.1.2: only a neighbour can send hop limit 255, and only a router's link-local address counts.
    let router = from.filter(|from| from.is_unicast_link_local() && hops == Some(255));
    Ok(router.and_then(|router| Some((router, Advert::read(buffer.get(..length)?)?))))
}
