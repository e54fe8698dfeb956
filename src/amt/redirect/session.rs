//! A session from the first byte to the end message: connects, asks for the service, signs in, and then moves messages.
//! Knows no service.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::message::{self, Message, Splitter, kind};
use super::{Error, Service, Target, auth};
use crate::http::{self, Pinned, Stream};
use crate::tcp;

/// For the connection; firmware in a sleeping machine wakes up for it.
const CONNECT: Duration = Duration::from_secs(10);
/// From there until it is signed in.
const SIGN_IN: Duration = Duration::from_secs(20);
/// Bytes read at once.
const PIECE: usize = 16 * 1024;

/// A session that is signed in. Dropping it tells the device so and closes: a session that only breaks off holds the
/// service for minutes.
#[derive(Debug)]
pub struct Session {
    machine: String,
    service: Service,
    stream: Stream,
    inbox: Splitter,
    out: VecDeque<u8>,
    /// A message is half out.
    amid: bool,
    over: bool,
}

impl Session {
    /// Connects, asks for the service and signs in.
    ///
    /// # Errors
    /// [`Error`], all but [`Error::Unexpected`]'s likes of a running service.
    pub async fn open(target: &Target, service: Service) -> Result<(Self, Option<Pinned>), Error> {
        let machine = target.machine.clone();
        let opened = Box::pin(http::dial(
            &target.dial(),
            &target.route,
            &target.trust,
            CONNECT,
        ))
        .await;
        let (stream, pinned) = opened.map_err(|source| Error::Unreached {
            machine,
            source: Box::new(source),
        })?;
        let mut session = Self {
            machine: target.machine.clone(),
            service,
            stream,
            inbox: Splitter::new(service),
            out: VecDeque::new(),
            amid: false,
            over: false,
        };
        let signing_in = timeout(SIGN_IN, session.begin(target)).await;
        signing_in.unwrap_or_else(|_| {
            Err(Error::Late {
                machine: target.machine.clone(),
                service,
                limit: SIGN_IN,
            })
        })?;
        Ok((session, pinned))
    }

    async fn begin(&mut self, target: &Target) -> Result<(), Error> {
        let (machine, service) = (self.machine.clone(), self.service);
        let started = self.ask(&message::start(service), kind::STARTED).await?;
        match started.status() {
            0 => {}
            2 => return Err(Error::Busy { machine, service }),
            5 => return Err(Error::Consent { machine, service }),
            status => {
                return Err(Error::Off {
                    machine,
                    service,
                    status,
                });
            }
        }
        let reply = self.ask(&auth::query(), kind::AUTH_REPLY).await?;
        let offered = auth::methods(&reply).to_vec();
        let unsendable = || Error::Unsendable {
            machine: machine.clone(),
        };
        let (user, password) = (&target.user, &target.password);
        let said = if offered.contains(&auth::method::DIGEST) {
            let begin = auth::begin(user).ok_or_else(unsendable)?;
            let reply = self.ask(&begin, kind::AUTH_REPLY).await?;
            let Some(challenge) = auth::challenge(&reply) else {
                return Err(self.unexpected("a challenge that is not whole"));
            };
            let cnonce = format!("{:032x}", rand::random::<u128>());
            auth::answer(user, password, &challenge, &cnonce)
        } else if offered.contains(&auth::method::PLAIN) {
            // Whoever stands in between could offer this method alone: nothing but TLS (or a tunnel in it) keeps the password from him.
            if !self.stream.is_private() {
                return Err(Error::PlainOnly { machine });
            }
            auth::plain(user, password)
        } else {
            return Err(Error::NoMethod { machine, offered });
        };
        let reply = self
            .ask(&said.ok_or_else(unsendable)?, kind::AUTH_REPLY)
            .await;
        let user = user.clone();
        match reply {
            Ok(reply) if reply.status() == 0 => Ok(()),
            // Some firmware says nothing to a wrong password and hangs up.
            Ok(_) | Err(Error::Lost { .. }) => Err(Error::Login { machine, user }),
            Err(error) => Err(error),
        }
    }

    /// Says something and waits for the answer of this kind.
    ///
    /// # Errors
    /// The session is gone, or something else was answered.
    pub async fn ask(&mut self, bytes: &[u8], wanted: u8) -> Result<Message, Error> {
        self.say(bytes);
        let answer = poll_fn(|context| {
            if let Poll::Ready(Err(error)) = self.poll_flush(context) {
                return Poll::Ready(Err(error));
            }
            self.poll_hear(context)
        });
        let answer = answer.await?;
        if answer.kind() != wanted {
            return Err(self.unexpected(&format!("a message {:#04x}", answer.kind())));
        }
        Ok(answer)
    }

    /// Sends all that waits. Cancel-safe.
    ///
    /// # Errors
    /// The session is gone.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    /// The next message. Cancel-safe.
    ///
    /// # Errors
    /// The session is gone.
    pub async fn hear(&mut self) -> Result<Message, Error> {
        poll_fn(|context| self.poll_hear(context)).await
    }

    /// As errors name it.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.machine
    }

    pub(super) fn unexpected(&self, what: &str) -> Error {
        Error::Unexpected {
            machine: self.machine.clone(),
            what: what.to_owned(),
        }
    }

    /// Has a whole message sent with the next [`Session::poll_flush`]. Not bounded: see [`Session::backlog`].
    pub fn say(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.out.len()
    }

    /// Why the device is left though the connection may stand: it is still told the end.
    pub(super) fn leave(&self, why: &str) -> Error {
        Error::Lost {
            machine: self.machine.clone(),
            why: why.to_owned(),
        }
    }

    fn lost(&mut self, why: String) -> Error {
        self.over = true;
        Error::Lost {
            machine: self.machine.clone(),
            why,
        }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// The session is gone.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let (piece, _) = self.out.as_slices();
            if piece.is_empty() {
                self.amid = false;
                let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
                return Poll::Ready(flushed.map_err(|error| self.lost(tcp::reason(&error))));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(context, piece)) {
                Ok(0) => return Poll::Ready(Err(self.lost("it takes nothing more".into()))),
                Ok(count) => {
                    self.out.drain(..count);
                    self.amid = !self.out.is_empty();
                }
                Err(error) => return Poll::Ready(Err(self.lost(tcp::reason(&error)))),
            }
        }
    }

    /// Bytes of another protocol that follows the last message; at least one.
    pub(super) fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Error>> {
        let early = std::mem::replace(&mut self.inbox, Splitter::new(self.service)).into_rest();
        if !early.is_empty() {
            return Poll::Ready(Ok(early));
        }
        let mut piece = [0; PIECE];
        let count = ready!(self.poll_read(context, &mut piece))?;
        Poll::Ready(Ok(piece.get(..count).unwrap_or_default().to_vec()))
    }

    /// Reads once; at least one byte.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        Poll::Ready(match ready!(read(&mut self.stream, context, into)) {
            Ok(0) => Err(self.lost("it closed the connection".into())),
            Ok(count) => Ok(count),
            Err(error) => Err(self.lost(tcp::reason(&error))),
        })
    }

    /// The next message, as soon as it is whole.
    ///
    /// # Errors
    /// The session is gone, or the device says what cannot be understood.
    pub fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        loop {
            match self.inbox.next_message() {
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Ok(None) => {}
                Err(source) => {
                    let machine = self.machine.clone();
                    return Poll::Ready(Err(Error::Garbled { machine, source }));
                }
            }
            let mut piece = [0; PIECE];
            let count = ready!(self.poll_read(context, &mut piece))?;
            self.inbox.push(piece.get(..count).unwrap_or_default());
        }
    }
}

fn read(
    stream: &mut Stream,
    context: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(into);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.over || self.amid {
            return;
        }
        // Into the socket's buffer, or not at all; nobody is left to wait.
        let mut context = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut self.stream);
        let _ = stream.as_mut().poll_write(&mut context, &message::END);
        let _ = stream.as_mut().poll_flush(&mut context);
        let _ = stream.poll_shutdown(&mut context);
    }
}
