//! The connection that messages of APF come over. Knows what is a message, and none of them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Error;
use super::message::{Message, Splitter};
use crate::tcp;

/// Bytes read at once.
const PIECE: usize = 8 * 1024;
/// Bytes that may wait to be sent before nothing is asked, answered or moved any more.
pub(super) const BACKLOG: usize = 64 * 1024;

/// A connection of a device.
#[derive(Debug)]
pub struct Line<S> {
    stream: S,
    inbox: Splitter,
    out: VecDeque<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            inbox: Splitter::default(),
            out: VecDeque::new(),
        }
    }

    /// What is under it.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Has a message sent with the next flush.
    pub fn say(&mut self, message: &[u8]) {
        self.out.extend(message);
    }

    /// Does so much wait to be sent that no more should be said?
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= BACKLOG
    }

    /// Sends what waits, then waits for the next message. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, or what came is no message.
    pub async fn hear(&mut self) -> Result<Message, Error> {
        poll_fn(|context| {
            if let Poll::Ready(Err(error)) = self.poll_flush(context) {
                return Poll::Ready(Err(error));
            }
            self.poll_hear(context)
        })
        .await
    }

    /// Sends what waits. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let lost = |error: &std::io::Error| Error::Lost(tcp::reason(error));
        loop {
            let (piece, _) = self.out.as_slices();
            if piece.is_empty() {
                let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
                return Poll::Ready(flushed.map_err(|error| lost(&error)));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(context, piece)) {
                Ok(0) => return Poll::Ready(Err(Error::Lost("it takes nothing more".into()))),
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) => return Poll::Ready(Err(lost(&error))),
            }
        }
    }

    pub(super) fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        loop {
            match self.inbox.next_message() {
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Ok(None) => {}
                Err(bad) => return Poll::Ready(Err(Error::Garbled(bad))),
            }
            let mut piece = [0; PIECE];
            let mut buffer = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if let Err(error) = read {
                return Poll::Ready(Err(Error::Lost(tcp::reason(&error))));
            }
            if buffer.filled().is_empty() {
                let why = "it closed the connection".into();
                return Poll::Ready(Err(Error::Lost(why)));
            }
            self.inbox.push(buffer.filled());
        }
    }
}
