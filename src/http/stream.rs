//! A connection to a device, plain or over TLS with a pinned key. Knows no HTTP.
//!
//! Protocols that are no HTTP have theirs by [`dial`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, AlertDescription};

use super::{Error, Url};
use crate::fault::chain;
use crate::pin::{Pins, Verdict};
use crate::tcp::{Route, Wire};
use crate::tls::LegacyStream;
use crate::{tcp, tls};

/// How a device's TLS key is trusted: the one that the configuration says, or the one that was seen first.
#[derive(Clone, Debug)]
pub struct Trust {
    pub pins: Pins,
    /// As [`tls::key_pin`] writes it.
    pub pin: Option<String>,
    pub legacy: Legacy,
}

/// May the device speak TLS that nobody should any more?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legacy {
    /// No, and nothing that a person could write allows it.
    #[default]
    Never,
    /// No, as its section does not say `legacy_tls = true`.
    Refused,
    Allowed,
}

impl Legacy {
    /// As `legacy_tls` of a section says.
    #[must_use]
    pub fn asked(allowed: bool) -> Self {
        if allowed {
            Self::Allowed
        } else {
            Self::Refused
        }
    }
}

/// A key that was seen for the first time and is trusted from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Its name among the pins, as in `tls 10.0.0.9:443`.
    pub what: String,
    pub fingerprint: String,
}

/// Name of a device's key among the pins.
#[must_use]
pub fn pin_name(address: SocketAddr) -> String {
    format!("tls {address}")
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Names the device in errors.
    pub host: String,
    pub address: SocketAddr,
    pub tls: bool,
    /// Its key's name among the pins; one for all ports of a device that show the same key. See [`pin_name`].
    pub what: String,
}

/// An open connection.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
    Legacy(Box<LegacyStream<Wire>>),
}

impl Stream {
    /// A connection as it is.
    #[must_use]
    pub fn plain(stream: impl Into<Wire>) -> Self {
        Self(Kind::Plain(stream.into()))
    }

    /// Can nobody on the way read along?
    #[must_use]
    pub fn is_private(&self) -> bool {
        !matches!(self.0, Kind::Plain(Wire::Tcp(_)))
    }
}

/// As [`dial`], to where a URL points.
///
/// # Errors
/// Those of [`dial`].
pub(super) async fn open(
    url: &Url,
    route: &Route,
    trust: &Trust,
    limit: Duration,
) -> Result<(Stream, Option<Pinned>), Error> {
    let to = Dial {
        host: url.authority(),
        address: url.address(),
        tls: url.is_tls(),
        what: url.pin_name(),
    };
    dial(&to, route, trust, limit).await
}

/// Connects by this route within `limit`, and checks the key: before this is back, nothing is asked of anybody.
///
/// # Errors
/// [`Error::Unreached`], [`Error::Offline`], [`Error::Distrusted`], [`Error::Pin`].
pub async fn dial(
    to: &Dial,
    route: &Route,
    trust: &Trust,
    limit: Duration,
) -> Result<(Stream, Option<Pinned>), Error> {
    let opening = async {
        let unreached = |why: String| Error::Unreached {
            host: to.host.clone(),
            why,
        };
        let stream = route.connect(to.address).await.map_err(|error| {
            if error.kind() == ErrorKind::AddrNotAvailable {
                return Error::Offline {
                    host: to.host.clone(),
                    why: error.to_string(),
                };
            }
            unreached(match (error.raw_os_error(), route) {
                (Some(libc::ENODEV), Route::Lan(lan)) => format!("there is no interface {lan}"),
                _ => tcp::reason(&error),
            })
        })?;
        if !to.tls {
            return Ok((Stream::plain(stream), None));
        }
        secure(to, trust, stream).await
    };
    let opened = timeout(limit, Box::pin(opening)).await;
    opened.unwrap_or_else(|_| {
        Err(Error::Unreached {
            host: to.host.clone(),
            why: format!("no connection within {} s", limit.as_secs_f32()),
        })
    })
}

/// Speaks TLS on a connection that is open already, as after STARTTLS, and checks the key as [`dial`] does. Has no limit of its own.
///
/// # Errors
/// Those of [`dial`].
pub async fn secure(
    to: &Dial,
    trust: &Trust,
    stream: impl Into<Wire>,
) -> Result<(Stream, Option<Pinned>), Error> {
    let (stream, pinned) = Box::pin(shake(to, trust, stream.into())).await?;
    Ok((Stream(stream), pinned))
}

async fn shake(to: &Dial, trust: &Trust, stream: Wire) -> Result<(Kind, Option<Pinned>), Error> {
    let (host, what) = (to.host.clone(), to.what.clone());
    let kept = |source| Error::Pin {
        host: host.clone(),
        source,
    };
    let pins = (trust.pins.clone(), what.clone());
    let expected = match &trust.pin {
        Some(pin) => Some(pin.clone()),
        None => blocking(move || pins.0.get(&pins.1)).await.map_err(kept)?,
    };
    let distrusted = |pinned: String, found: String| Error::Distrusted {
        host: host.clone(),
        what: what.clone(),
        by_config: trust.pin.is_some(),
        pinned,
        found,
    };
    let shaken = match trust.legacy {
        Legacy::Allowed => old(stream).await,
        legacy => modern(to.address, expected.clone(), legacy, stream).await,
    };
    let unreached = |why: String| Error::Unreached {
        host: host.clone(),
        why: format!("no TLS: {why}"),
    };
    let (stream, found) = match (shaken, &expected) {
        (Shaken { found, .. }, Some(pinned))
            if found.as_ref().is_some_and(|found| found != pinned) =>
        {
            return Err(distrusted(pinned.clone(), found.unwrap_or_default()));
        }
        (Shaken { stream, found }, _) => (stream.map_err(unreached)?, found),
    };
    let Some(found) = found else {
        return Err(unreached("it showed no certificate".into()));
    };
    if expected.is_some() {
        return Ok((stream, None));
    }
    let (pins, name, shown) = (trust.pins.clone(), what.clone(), found.clone());
    match blocking(move || pins.judge(&name, &shown)).await {
        Ok(Verdict::First) => {
            let fingerprint = found;
            Ok((stream, Some(Pinned { what, fingerprint })))
        }
        Ok(Verdict::Same) => Ok((stream, None)),
        // Somebody else pinned another one meanwhile.
        Ok(Verdict::Changed { pinned }) => Err(distrusted(pinned, found)),
        Err(source) => Err(kept(source)),
    }
}

/// What came of a handshake.
struct Shaken {
    /// Or why there is none.
    stream: Result<Kind, String>,
    /// The key that was shown, as far as it came.
    found: Option<String>,
}

async fn modern(
    address: SocketAddr,
    expected: Option<String>,
    legacy: Legacy,
    stream: Wire,
) -> Shaken {
    // Seen by the judge, told by us: the TLS library has no word for it.
    let found = Arc::new(OnceLock::new());
    let seen = found.clone();
    let judge = move |certificate: &[u8]| {
        tls::key_pin(certificate).is_some_and(|pin| {
            let pin = seen.get_or_init(|| pin);
            expected.as_ref().is_none_or(|wanted| wanted == pin)
        })
    };
    let stream = match tls::judged(judge) {
        Ok(config) => {
            let name = ServerName::from(address.ip());
            let connector = TlsConnector::from(Arc::new(config));
            let shaken = Box::pin(connector.connect(name, stream)).await;
            let shaken = shaken.map(|stream| Kind::Tls(Box::new(stream)));
            shaken.map_err(|error| words(&error) + hint(&error, legacy))
        }
        Err(error) => Err(chain(&error)),
    };
    let found = found.get().cloned();
    Shaken { stream, found }
}

/// What a person can do about a device that speaks nothing that we do.
fn hint(error: &io::Error, legacy: Legacy) -> &'static str {
    let inner = error.get_ref();
    let old = match inner.and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::PeerIncompatible(_)) => true,
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity
        ),
        // Some know no other word for it.
        None => matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ),
        _ => false,
    };
    if old && legacy == Legacy::Refused {
        "; if it is old firmware that speaks nothing newer than TLS 1.1, or CBC ciphers alone, legacy_tls = true in its section lets it"
    } else {
        ""
    }
}

async fn old(stream: Wire) -> Shaken {
    match tls::shake_legacy(stream).await {
        Ok((stream, certificate)) => Shaken {
            stream: Ok(Kind::Legacy(Box::new(stream))),
            found: tls::key_pin(&certificate),
        },
        Err(why) => Shaken {
            stream: Err(why),
            found: None,
        },
    }
}

/// What the TLS library says, without the shell around it.
fn words(error: &io::Error) -> String {
    match error.get_ref() {
        Some(inner) => inner.to_string(),
        None => tcp::reason(error),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten()
}

impl AsyncRead for Stream {
    /// A TLS connection that ends without a word counts as ended: many controllers do so, and HTTP knows what is missing.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => match Pin::new(stream).poll_read(cx, buf) {
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                other => other,
            },
            Kind::Legacy(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Legacy(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Legacy(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Legacy(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
