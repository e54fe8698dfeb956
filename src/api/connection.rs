//! One TCP connection from accept to end: the TLS handshake within its time, then HTTP/1.1. Never looks into requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::tcp::{Cuttable, Slot};

use super::house::{Guest, House};

/// From the first byte to the end of the handshake; the slowest phone link takes two.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for the headers of a request, and how long a connection may be idle between two.
const HEADERS: Duration = Duration::from_secs(15);
/// Bytes of request line and headers together, and their number.
const HEADER_BYTES: usize = 32 * 1024;
const HEADER_COUNT: usize = 64;
/// When the board stops, what was asked already is answered within this.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// Serves one connection to its end. A WebSocket that comes out of it lives on with the slot.
pub(super) async fn serve(
    house: Arc<House>,
    acceptor: TlsAcceptor,
    router: Router,
    stream: Cuttable,
    peer: SocketAddr,
    slot: Slot,
) {
    let stream = tokio::select! {
        // cancel-safe: the connection is over
        () = house.stop.cancelled() => return,
        // cancel-safe: polled to its end or dropped for good
        shaken = timeout(HANDSHAKE, acceptor.accept(stream)) => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return tracing::debug!(%peer, "no TLS: {e}"),
            Err(_) => return tracing::debug!(%peer, "no TLS within {} s", HANDSHAKE.as_secs()),
        },
    };
    let guest = Guest {
        peer,
        slot: Arc::new(slot),
    };
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(guest.clone());
        inner.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .max_header_size(HEADER_BYTES)
        .max_headers(HEADER_COUNT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        // cancel-safe: a pinned connection goes on where it was
        ended = connection.as_mut() => ended,
        // cancel-safe: waits for the token only
        () = house.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_WORDS, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%peer, "connection ended: {e}");
    }
}
