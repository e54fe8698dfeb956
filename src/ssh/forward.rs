//! `ssh -L`, `-D`, `-J`: one connection to one LAN host, opened by us, bound to the LAN interface, authorised and
//! journaled. Packets are never forwarded; a socket of ours can never leave by an uplink.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::access::{Right, printable};
use crate::event::Kind;
use crate::tcp;

use super::house::House;
use super::login::{JOURNALED_REFUSALS, Login};
use super::reach::{self, Lan, OutOfReach};
use super::{resolve, session};

/// Longest wait for a LAN host to take the connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A host that takes nothing for this long while bytes wait is dropped, for it holds up the whole SSH connection.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Bytes read from the host at once.
const CHUNK: usize = 16 * 1024;
/// RFC 4254: administratively prohibited, and connect failed.
const PROHIBITED: u32 = 1;
const UNREACHED: u32 = 2;

/// Where the client wants to go, as it wrote it.
pub(super) struct Wanted {
    pub(super) host: String,
    pub(super) port: u32,
}

impl Wanted {
    /// For events: bounded and harmless.
    fn shown(&self) -> String {
        format!("{}:{}", printable(&self.host), self.port)
    }
}

/// Why a connection was not opened.
enum Refused {
    /// Not allowed; journaled.
    Prohibited(String),
    /// Allowed, but nobody answered.
    Unreached(String),
}

/// Serves one forwarded connection to its end.
pub(super) async fn serve(
    house: Arc<House>,
    login: Arc<Login>,
    wanted: Wanted,
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    permit: Option<OwnedSemaphorePermit>,
) {
    let global = house.forwards.clone().try_acquire_owned().ok();
    let (user, from, to) = (login.person.name.clone(), login.from(), wanted.shown());
    let opened = if permit.is_none() || global.is_none() {
        Err(Refused::Prohibited(
            "too many forwarded connections at once".into(),
        ))
    } else {
        open(&house, &login, &wanted).await
    };
    let (stream, address) = match opened {
        Ok(opened) => opened,
        Err(refused) => {
            let (code, reason) = match refused {
                Refused::Prohibited(reason) => (PROHIBITED, reason),
                Refused::Unreached(reason) => (UNREACHED, reason),
            };
            let failure = ChannelOpenFailure::Other {
                code,
                reason: reason.clone(),
            };
            reply.reject(failure).await;
            if let Some(number) = login.count_refusal() {
                let reason = match number {
                    0..=JOURNALED_REFUSALS => reason,
                    _ => format!("{reason} (refusal {number} on this connection)"),
                };
                house
                    .publish(Kind::ForwardRefused {
                        user,
                        from,
                        to,
                        reason,
                    })
                    .await;
            }
            return;
        }
    };
    let to = if address.to_string() == to {
        to
    } else {
        format!("{to} ({address})")
    };
    house
        .publish(Kind::ForwardOpened {
            user: user.clone(),
            from,
            to: to.clone(),
        })
        .await;
    let mut closing = Closing {
        house: house.clone(),
        user,
        to,
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        armed: true,
    };
    reply.accept().await;
    carry(channel, stream, &closing.sent, &closing.received).await;
    closing.publish().await;
    drop((permit, global));
}

/// Journals the end of a forward, also when the connection above it was cut in the middle.
struct Closing {
    house: Arc<House>,
    user: String,
    to: String,
    sent: AtomicU64,
    received: AtomicU64,
    armed: bool,
}

impl Closing {
    fn kind(&self) -> Kind {
        Kind::ForwardClosed {
            user: self.user.clone(),
            to: self.to.clone(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    async fn publish(&mut self) {
        self.armed = false;
        self.house.publish(self.kind()).await;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if self.armed {
            let (house, kind) = (self.house.clone(), self.kind());
            self.house
                .tracker
                .spawn(async move { house.publish(kind).await });
        }
    }
}

async fn open(
    house: &House,
    login: &Login,
    wanted: &Wanted,
) -> Result<(TcpStream, SocketAddr), Refused> {
    let prohibited = |e: OutOfReach| Refused::Prohibited(e.to_string());
    login
        .person
        .may(Right::Forward)
        .map_err(Refused::Prohibited)?;
    if session::must_change(house, login).await {
        let text = "choose a password of your own first: sign in with a terminal";
        return Err(Refused::Prohibited(text.into()));
    }
    let port = u16::try_from(wanted.port).ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| prohibited(OutOfReach::Port(wanted.port)))?;
    let lan = lan(house).await;
    let found = match reach::literal(&wanted.host) {
        Some(address) => vec![address],
        None => resolve::look_up(&house.lan_interface, lan.dns(), &wanted.host)
            .await
            .map_err(|e| Refused::Unreached(e.to_string()))?,
    };
    let mut refused = Refused::Unreached("the name has no address".into());
    for address in found {
        match lan.judge(address) {
            Err(e) => refused = prohibited(e),
            Ok(()) => match reach_out(&house.lan_interface, lan.target(address, port)).await {
                Ok(opened) => return Ok(opened),
                Err(e) => refused = Refused::Unreached(e),
            },
        }
    }
    Err(refused)
}

async fn reach_out(interface: &str, target: SocketAddr) -> Result<(TcpStream, SocketAddr), String> {
    match timeout(CONNECT_LIMIT, tcp::connect(interface, target)).await {
        Ok(Ok(stream)) => Ok((stream, target)),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err("the host does not answer".into()),
    }
}

/// The LAN as the state and the kernel have it now.
pub(super) async fn lan(house: &House) -> Lan {
    let ours = spawn_blocking(|| {
        let addresses = tcp::addresses()?.map(|(_, address)| address);
        Ok::<Vec<IpAddr>, io::Error>(addresses.collect())
    });
    let ours = match ours.await {
        Ok(Ok(ours)) => ours,
        Ok(Err(e)) => {
            tracing::warn!("own addresses are unknown: {e}");
            vec![]
        }
        Err(_) => vec![],
    };
    Lan::new(&house.store.now(), &house.lan_interface, &ours)
}

/// Both directions until both have ended, or one failed.
async fn carry(channel: Channel<Msg>, stream: TcpStream, sent: &AtomicU64, received: &AtomicU64) {
    let (mut read, write) = channel.split();
    let (host_read, host_write) = stream.into_split();
    let down = downward(host_read, &write, received);
    tokio::pin!(down);
    let mut down_whole = None;
    let up_whole = {
        let up = upward(&mut read, host_write, sent);
        tokio::pin!(up);
        loop {
            tokio::select! {
                // Both are pinned and polled until they are done: nothing is cancelled but by a failure.
                whole = &mut up => break whole,
                whole = &mut down, if down_whole.is_none() => {
                    down_whole = Some(whole);
                    if !whole {
                        break false;
                    }
                }
            }
        }
    };
    while up_whole && down_whole.is_none() {
        tokio::select! {
            // As above.
            whole = &mut down => down_whole = Some(whole),
            // cancel-safe: recv loses nothing. The client may give up before the host has said all.
            message = read.wait() => if matches!(message, None | Some(ChannelMsg::Close)) {
                break;
            }
        }
    }
    let _ = write.eof().await;
    let _ = write.close().await;
}

/// From the client to the host. `true` when it ended in order, otherwise the connection is worth nothing any more.
async fn upward(read: &mut ChannelReadHalf, mut host: OwnedWriteHalf, count: &AtomicU64) -> bool {
    loop {
        match read.wait().await {
            Some(ChannelMsg::Data { data }) => {
                if !matches!(
                    timeout(STALL_LIMIT, host.write_all(&data)).await,
                    Ok(Ok(()))
                ) {
                    return false;
                }
                count.fetch_add(u64::try_from(data.len()).unwrap_or(0), Ordering::Relaxed);
            }
            Some(ChannelMsg::Eof) => return host.shutdown().await.is_ok(),
            Some(ChannelMsg::Close) | None => return false,
            Some(_) => {}
        }
    }
}

/// From the host to the client; as [`upward`].
async fn downward(
    mut host: OwnedReadHalf,
    write: &ChannelWriteHalf<Msg>,
    count: &AtomicU64,
) -> bool {
    let mut buffer = vec![0; CHUNK];
    loop {
        let Ok(got) = host.read(&mut buffer).await else {
            return false;
        };
        if got == 0 {
            return write.eof().await.is_ok();
        }
        let bytes = bytes::Bytes::copy_from_slice(&buffer[..got]);
        if write.data_bytes(bytes).await.is_err() {
            return false;
        }
        count.fetch_add(u64::try_from(got).unwrap_or(0), Ordering::Relaxed);
    }
}
