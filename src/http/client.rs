//! The client: one request at a time, over a connection of its own or a kept one; redirects, logins, limits.

use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use hyper::http::response::Parts;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::digest::Challenge;
use super::login::{Login, Scheme};
use super::stream::{self, Pinned, Stream, Trust};
use super::{Error, Reply, Request, Url};
use crate::fault::chain;
use crate::tcp::Route;

/// Redirects that are followed for one request.
const HOPS: usize = 3;
/// Answers to challenges for one request: one for a nonce that ran out, one for the fresh one.
const ANSWERS: usize = 2;
/// Bytes and number of a reply's headers.
const HEADER_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;

type Wire = Connection<TokioIo<Stream>, Full<Bytes>>;

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the connection, the handshake of TLS included.
    pub connect: Duration,
    /// For all of it: connection, question, whole answer, redirects.
    pub whole: Duration,
    /// Bytes of an answer's body.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            whole: Duration::from_secs(30),
            body: 4 << 20,
        }
    }
}

/// A client of one device.
pub struct Client {
    base: Url,
    route: Route,
    trust: Trust,
    login: Option<Login>,
    limits: Limits,
    /// Ask for the connection to be kept, and use it again.
    keep: bool,
    open: Option<Open>,
    challenge: Option<Challenge>,
    pinned: Option<Pinned>,
}

/// A connection between two requests. Nobody polls it then: what the device does is seen with the next request.
struct Open {
    to: Url,
    sender: SendRequest<Full<Bytes>>,
    wire: Pin<Box<Wire>>,
}

/// Why a request failed, and on what kind of connection.
struct Broken {
    error: Error,
    /// The connection was over before the request left.
    unsent: bool,
}

impl Client {
    /// A client of the device at `base`, reached by the interface of the LAN or through its tunnel. Opens nothing yet. By default connections are not
    /// kept: management controllers choke on kept ones.
    #[must_use]
    pub fn new(base: Url, route: impl Into<Route>, trust: Trust) -> Self {
        Self {
            base,
            route: route.into(),
            trust,
            login: None,
            limits: Limits::default(),
            keep: false,
            open: None,
            challenge: None,
            pinned: None,
        }
    }

    #[must_use]
    pub fn login(mut self, login: Login) -> Self {
        self.set_login(Some(login));
        self
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps the connection open between requests, for devices that bear it.
    #[must_use]
    pub fn keep_alive(mut self) -> Self {
        self.keep = true;
        self
    }

    /// Signs requests in as this one from now on, or not at all.
    pub fn set_login(&mut self, login: Option<Login>) {
        self.login = login;
        self.challenge = None;
    }

    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The key that was pinned since the last call: tell of it.
    pub fn take_pinned(&mut self) -> Option<Pinned> {
        self.pinned.take()
    }

    /// Closes a kept connection.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Asks, follows redirects on the same host, answers challenges, and reads the whole reply, whatever its status.
    ///
    /// Dropping the future closes the connection; what was asked may have been done.
    ///
    /// # Errors
    /// [`Error`], but never [`Error::Refused`]: see [`Reply::accept`].
    pub async fn send(&mut self, request: &Request) -> Result<Reply, Error> {
        let limit = request.limit.unwrap_or(self.limits.whole);
        let host = self.base.authority();
        let mut sent = false;
        let asked = timeout(limit, Box::pin(self.follow(request, &mut sent))).await;
        asked.unwrap_or(Err(Error::Late { host, limit, sent }))
    }

    async fn follow(&mut self, request: &Request, sent: &mut bool) -> Result<Reply, Error> {
        let astray = |to: &str| Error::Astray {
            host: self.base.authority(),
            to: printable(to),
        };
        let mut url = match self.base.join(&request.reference) {
            Ok(url) if may_follow(&self.base, &url) => url,
            _ => return Err(astray(&request.reference)),
        };
        for _ in 0..=HOPS {
            let reply = self.sign(&url, request, sent).await?;
            let moved = match reply.status {
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
                    request.method == Method::GET || request.method == Method::HEAD
                }
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
                _ => false,
            };
            let Some(to) = reply.headers.get(LOCATION).filter(|_| moved) else {
                return Ok(reply);
            };
            let text = String::from_utf8_lossy(to.as_bytes());
            url = match url.join(&text) {
                Ok(next) if may_follow(&url, &next) => next,
                _ => {
                    return Err(Error::Astray {
                        host: self.base.authority(),
                        to: printable(&text),
                    });
                }
            };
        }
        Err(Error::Astray {
            host: self.base.authority(),
            to: format!("{url}, the redirect after {HOPS} others"),
        })
    }

    /// Asks with the login, if there is one.
    async fn sign(
        &mut self,
        url: &Url,
        request: &Request,
        sent: &mut bool,
    ) -> Result<Reply, Error> {
        let Some(login) = self.login.clone().filter(|_| !request.anonymous) else {
            return self.once(url, request, None, sent).await;
        };
        if login.scheme == Scheme::Basic {
            return self.once(url, request, Some(login.basic()), sent).await;
        }
        let (mut answers, mut fresh) = (0, false);
        loop {
            let answer = self.challenge.as_mut().map(|challenge| {
                let method = request.method.as_str();
                challenge.answer(&login.user, login.expose(), method, url.target(), &random())
            });
            answers += usize::from(answer.is_some());
            let reply = self.once(url, request, answer, sent).await?;
            if reply.status != StatusCode::UNAUTHORIZED {
                return Ok(reply);
            }
            let headers = reply.headers.get_all(WWW_AUTHENTICATE).iter();
            let next = Challenge::strongest(headers.filter_map(|value| value.to_str().ok()));
            let Some(next) = next else {
                return Ok(reply);
            };
            // A nonce of this very request that is refused means the password.
            let again = answers < ANSWERS && (!fresh || next.stale);
            self.challenge = Some(next);
            fresh = true;
            if !again {
                return Ok(reply);
            }
        }
    }

    /// Asks once, over the kept connection if there is one. One that turns out to be over is replaced, where that repeats
    /// nothing.
    async fn once(
        &mut self,
        url: &Url,
        request: &Request,
        authorization: Option<String>,
        sent: &mut bool,
    ) -> Result<Reply, Error> {
        let message = || self.message(url, request, authorization.as_deref());
        let (first, second) = (message()?, message()?);
        let kept = self.open.take().filter(|open| {
            open.to.address() == url.address()
                && open.to.is_tls() == url.is_tls()
                && !open.sender.is_closed()
        });
        if let Some(open) = kept {
            match self.carry(open, url, first, sent).await {
                Err(Broken { unsent: true, .. }) => *sent = false,
                Err(broken)
                    if request.method == Method::GET
                        && matches!(broken.error, Error::Lost { .. }) => {}
                done => return done.map_err(|broken| broken.error),
            }
        }
        let opened = stream::open(url, &self.route, &self.trust, self.limits.connect).await;
        let (stream, pinned) = opened?;
        if pinned.is_some() {
            self.pinned = pinned;
        }
        let shaken = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(HEADER_BYTES)
            .max_header_size(HEADER_BYTES)
            .max_headers(HEADERS)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, wire) = shaken.map_err(|error| Error::Unreached {
            host: url.authority(),
            why: chain(&error),
        })?;
        let open = Open {
            to: url.clone(),
            sender,
            wire: Box::pin(wire),
        };
        let done = self.carry(open, url, second, sent).await;
        done.map_err(|broken| broken.error)
    }

    fn message(
        &self,
        url: &Url,
        request: &Request,
        authorization: Option<&str>,
    ) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut builder = hyper::Request::builder()
            .method(request.method.clone())
            .uri(url.target())
            .header(HOST, url.authority())
            .header(USER_AGENT, "oobd");
        if !self.keep {
            builder = builder.header(CONNECTION, "close");
        }
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let message = builder.body(Full::new(request.body.clone()));
        message.map_err(|error| Error::Unsendable {
            host: url.authority(),
            what: format!("{} {url}: {error}", request.method),
        })
    }

    /// Sends, and drives the connection until the reply is whole.
    async fn carry(
        &mut self,
        open: Open,
        url: &Url,
        message: hyper::Request<Full<Bytes>>,
        sent: &mut bool,
    ) -> Result<Reply, Broken> {
        let Open {
            to,
            mut sender,
            wire,
        } = open;
        let most = self.limits.body;
        let mut wire = Some(wire);
        let done = {
            let mut asking = Box::pin(ask(&mut sender, message, most, sent));
            tokio::select! {
                biased;
                // cancel-safe: a boxed future goes on where it was
                done = asking.as_mut() => done,
                // cancel-safe: polled on from where it was
                () = drive(&mut wire) => {
                    // What it had received is with the question by now; the rest ends with it.
                    wire = None;
                    asking.await
                }
            }
        };
        let (parts, body) = done.map_err(|failed| failed.broken(url.authority()))?;
        self.open = wire
            .filter(|_| self.keep && !sender.is_closed())
            .map(|wire| Open { to, sender, wire });
        Ok(Reply {
            host: url.authority(),
            url: url.clone(),
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

/// Why a conversation failed, before it has a name.
enum Failed {
    Hyper(hyper::Error),
    TooLong(usize),
}

impl Failed {
    fn broken(self, host: String) -> Broken {
        let (error, unsent) = match self {
            Self::TooLong(limit) => (Error::TooLong { host, limit }, false),
            Self::Hyper(error) if error.is_parse_too_large() => {
                let limit = HEADER_BYTES;
                (Error::TooLong { host, limit }, false)
            }
            Self::Hyper(error) => {
                let unsent = error.is_canceled();
                let why = if error.is_incomplete_message() {
                    "the connection ended before the answer was whole".to_owned()
                } else if unsent {
                    "the connection ended".to_owned()
                } else {
                    chain(&error)
                };
                let error = if error.is_parse() {
                    Error::Garbled { host, why }
                } else {
                    Error::Lost { host, why }
                };
                (error, unsent)
            }
        };
        Broken { error, unsent }
    }
}

/// Moves bytes until the connection is over.
async fn drive(wire: &mut Option<Pin<Box<Wire>>>) {
    if let Some(wire) = wire {
        // Its error comes out of the question.
        let _ = wire.await;
    }
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    message: hyper::Request<Full<Bytes>>,
    most: usize,
    sent: &mut bool,
) -> Result<(Parts, Bytes), Failed> {
    sender.ready().await.map_err(Failed::Hyper)?;
    *sent = true;
    let reply = sender.send_request(message).await;
    let (parts, body) = reply.map_err(Failed::Hyper)?.into_parts();
    Ok((parts, whole(body, most).await?))
}

async fn whole(mut body: Incoming, most: usize) -> Result<Bytes, Failed> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are of no use to us.
        let Ok(data) = frame.map_err(Failed::Hyper)?.into_data() else {
            continue;
        };
        if read.len() + data.len() > most {
            return Err(Failed::TooLong(most));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Only on the same host, and never out of TLS.
fn may_follow(from: &Url, to: &Url) -> bool {
    from.address().ip() == to.address().ip()
        && (to.is_tls() || !from.is_tls())
        && (from.address().port() == to.address().port() || from.is_tls() != to.is_tls())
}

/// What a device named, for a message: without a query and what cannot be shown.
fn printable(text: &str) -> String {
    let path = text.split('?').next().unwrap_or_default();
    path.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn random() -> String {
    let mut hex = String::with_capacity(32);
    for byte in rand::random::<[u8; 16]>() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
