//! One file for one controller: served over HTTP under a path that nobody guesses, to one address, on the LAN's interface only.
//! It ends when it is dropped. Lists nothing, takes nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::tcp;

/// Bytes read from the file at once.
const PIECE: u64 = 128 * 1024;
/// Connections at once; controllers open one to four.
const CONNECTIONS: usize = 8;
/// For the headers of a request, and between two.
const HEADERS: Duration = Duration::from_secs(60);
/// Pause after an accept error.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest file name in the URL: some controllers keep 255 bytes of URL.
const NAME: usize = 64;

/// Why the file is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot listen for {client} on {lan}")]
    Listen {
        client: IpAddr,
        lan: String,
        source: io::Error,
    },
}

/// A file on offer. Dropping it ends all connections.
#[derive(Debug)]
pub struct Served {
    url: String,
    sent: Arc<AtomicU64>,
    _cut: DropGuard,
}

impl Served {
    /// What to tell the controller. It has neither `?` nor `&`, which some refuse.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes of the file that were sent, twice where they were asked for twice.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The file as it was opened; who replaces it by another one changes nothing here.
struct Offer {
    file: std::fs::File,
    length: u64,
    tag: String,
    path: String,
    sent: Arc<AtomicU64>,
}

/// Serves `file` to `client`, by the interface `lan`. A loopback address is served on `lo`.
///
/// # Errors
/// [`Error`]
pub async fn serve(
    file: &Path,
    lan: &str,
    client: IpAddr,
    tracker: &TaskTracker,
) -> Result<Served, Error> {
    let path = file.to_owned();
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let opened = opened.map_err(io::Error::other).flatten();
    let (opened, length, tag) = opened.map_err(|source| Error::File {
        path: file.to_owned(),
        source,
    })?;
    let listener = listen(lan, client).await.map_err(|source| Error::Listen {
        client,
        lan: lan.to_owned(),
        source,
    })?;
    let (listener, address) = listener;
    let path = format!("/{:032x}/{}", rand::random::<u128>(), name(file));
    let sent = Arc::new(AtomicU64::new(0));
    let offer = Arc::new(Offer {
        file: opened,
        length,
        tag,
        path: path.clone(),
        sent: sent.clone(),
    });
    let cut = CancellationToken::new();
    let stop = cut.clone();
    let inner = tracker.clone();
    tracker.spawn(async move {
        tokio::select! {
            // cancel-safe: waits for the token only
            () = stop.cancelled() => {}
            () = accept(listener, client, offer, &inner, &stop) => {}
        }
    });
    Ok(Served {
        url: format!("http://{address}{path}"),
        sent,
        _cut: cut.drop_guard(),
    })
}

fn open(path: &Path) -> io::Result<(std::fs::File, u64, String)> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no plain file"));
    }
    let tag = format!(
        "\"{:x}-{:x}-{:x}\"",
        about.ino(),
        about.len(),
        about.mtime()
    );
    Ok((file, about.len(), tag))
}

/// The file's name as it can stand in a URL; controllers tell an image by its ending.
fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let safe = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let name: Vec<char> = name
        .chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect();
    name.get(name.len().saturating_sub(NAME)..)
        .unwrap_or_default()
        .iter()
        .collect()
}

/// Listens on the address that the client sees us by.
async fn listen(lan: &str, client: IpAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let interface = if client.is_loopback() { "lo" } else { lan };
    let any: IpAddr = match client {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a datagram socket sends nothing; the kernel picks the address.
    let probe = UdpSocket::bind((any, 0)).await?;
    probe.bind_device(Some(interface.as_bytes()))?;
    probe.connect((client, 9)).await?;
    let own = SocketAddr::new(probe.local_addr()?.ip(), 0);
    let socket = match own {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    SockRef::from(&socket).bind_device(Some(interface.as_bytes()))?;
    socket.bind(own)?;
    let listener = socket.listen(16)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Takes connections of the client until it is dropped. Others are closed without a word.
async fn accept(
    listener: TcpListener,
    client: IpAddr,
    offer: Arc<Offer>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!("media: cannot accept: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        if peer.ip().to_canonical() != client.to_canonical() {
            tracing::warn!(%peer, "media: not for this one");
            continue;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let (offer, stop) = (offer.clone(), stop.clone());
        tracker.spawn(async move {
            tokio::select! {
                // cancel-safe: waits for the token only
                () = stop.cancelled() => {}
                () = talk(stream, offer) => {}
            }
            drop(place);
        });
    }
}

async fn talk(stream: TcpStream, offer: Arc<Offer>) {
    if tcp::prepare(&stream).is_err() {
        return;
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&offer, &request);
        async move { answer }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("media: connection ended: {error}");
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn answer(
    offer: &Arc<Offer>,
    request: &Request<Incoming>,
) -> Result<Response<Body>, hyper::http::Error> {
    let reply = Response::builder();
    if request.uri().path() != offer.path {
        return reply.status(StatusCode::NOT_FOUND).body(empty());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let reply = reply.status(StatusCode::METHOD_NOT_ALLOWED);
        return reply.header(ALLOW, "GET, HEAD").body(empty());
    }
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let same = header(IF_RANGE).is_none_or(|tag| tag == offer.tag);
    let part = match header(RANGE).filter(|_| same) {
        Some(range) => wanted(range, offer.length),
        None => Part::Whole,
    };
    let reply = reply
        .header(ACCEPT_RANGES, "bytes")
        .header(ETAG, &offer.tag)
        .header(CONTENT_TYPE, "application/octet-stream");
    let length = offer.length;
    let (reply, from, count) = match part {
        Part::Whole => (reply.status(StatusCode::OK), 0, length),
        Part::Of(from, count) => {
            let last = (from + count).saturating_sub(1);
            let reply = reply
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes {from}-{last}/{length}"));
            (reply, from, count)
        }
        Part::None => {
            let reply = reply.status(StatusCode::RANGE_NOT_SATISFIABLE);
            return reply
                .header(CONTENT_RANGE, format!("bytes */{length}"))
                .body(empty());
        }
    };
    let reply = reply.header(CONTENT_LENGTH, count);
    if request.method() == Method::HEAD {
        return reply.body(empty());
    }
    reply.body(body(offer.clone(), from, count))
}

/// The bytes from here on, read as they are sent.
fn body(offer: Arc<Offer>, from: u64, count: u64) -> Body {
    let pieces = stream::try_unfold((offer, from, count), |(offer, from, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let reader = offer.clone();
        let read = tokio::task::spawn_blocking(move || {
            let size = usize::try_from(left.min(PIECE)).map_err(io::Error::other)?;
            let mut piece = vec![0; size];
            reader.file.read_exact_at(&mut piece, from)?;
            Ok::<_, io::Error>(piece)
        });
        let piece = read.await.map_err(io::Error::other).flatten()?;
        let size = piece.len() as u64;
        offer.sent.fetch_add(size, Ordering::Relaxed);
        let frame = Frame::data(Bytes::from(piece));
        Ok::<_, io::Error>(Some((frame, (offer, from + size, left - size))))
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces))
}

/// What of the file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From here, so many bytes; at least one.
    Of(u64, u64),
    /// Beyond its end.
    None,
}

/// `Range` (RFC 9110 §14.2). What is no single range of bytes is not understood, and then the whole is right.
fn wanted(range: &str, length: u64) -> Part {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (from, to) = match (first, last) {
        ("", last) => match number(last) {
            Some(0) => return Part::None,
            Some(count) => (length.saturating_sub(count), length),
            None => return Part::Whole,
        },
        (first, "") => match number(first) {
            Some(from) => (from, length),
            None => return Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(from), Some(last)) if last >= from => (from, last.saturating_add(1).min(length)),
            _ => return Part::Whole,
        },
    };
    if from >= to {
        return Part::None;
    }
    Part::Of(from, to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        for (range, part) in [
            ("bytes=0-0", Part::Of(0, 1)),
            ("bytes=0-", Part::Of(0, 100)),
            ("bytes=90-200", Part::Of(90, 10)),
            ("bytes=-5", Part::Of(95, 5)),
            ("bytes=-500", Part::Of(0, 100)),
            ("bytes=100-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=0-18446744073709551615", Part::Of(0, 100)),
            ("bytes=18446744073709551616-", Part::Whole),
        ] {
            assert_eq!(wanted(range, 100), part, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Part::None);
    }

    #[test]
    fn names_are_safe_in_a_url() {
        assert_eq!(name(Path::new("/x/Debian 12?.iso")), "Debian_12_.iso");
        let long = format!("/{}.img", "x".repeat(300));
        let short = name(Path::new(&long));
        assert!(short.len() == NAME && short.ends_with("x.img"));
    }
}
