//! The channels of one tunnel: opens one for each stream that is wished, and moves bytes both ways as the windows allow.
//!
//! What a device sends is kept until who reads the stream takes it, a window at most for each channel; what is said to it is taken
//! from the streams only as it may be sent.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::message::{self, Message, WINDOW};
use super::{Error, Line};
use crate::clock::Instant;
use crate::tcp::{Wish, Wishes};

/// Channels at once. A machine has a use for five: WS-Man, serial line, drives, screen, and one of these that ends.
const CHANNELS: usize = 16;
/// Bytes between a channel and who uses its stream, each way.
const PIPE: usize = 16 * 1024;
/// Most bytes in a message of ours. Intel's own client never sends more.
const PIECE: usize = 4096;
/// A device that was silent for so long is asked if it is there, and for so long is gone. It shall speak up every 30 s.
const ASK: Duration = Duration::from_secs(45);
const SILENT: Duration = Duration::from_secs(90);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// For a channel to be opened; firmware in a sleeping machine wakes up for it. Who wished has a shorter limit of his own.
const OPEN: Duration = Duration::from_secs(20);
/// A channel that took nothing for so long, although something waited, is broken.
const STUCK: Duration = Duration::from_secs(60);

/// A global request of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Streams may go to this port.
    Forward(u32),
    Cancel(u32),
}

/// One tunnel, from the sign-in to its end.
#[derive(Debug)]
pub struct Tunnel<S> {
    line: Line<S>,
    wishes: Wishes,
    channels: BTreeMap<u32, Channel>,
    next: u32,
    heard: Instant,
    asked: bool,
    timer: Pin<Box<Sleep>>,
}

#[derive(Debug)]
struct Channel {
    port: u16,
    stage: Stage,
    /// Our end of the stream.
    near: DuplexStream,
    /// Its number at the device.
    theirs: u32,
    /// Bytes that we may send.
    credit: u32,
    /// Bytes that the device may send.
    window: u32,
    /// Bytes that were taken and not told yet.
    owed: u32,
    /// Of the device, for who reads the stream.
    pending: VecDeque<u8>,
    /// For the device, as soon as it takes them; a message at most.
    typed: VecDeque<u8>,
    /// Nobody reads the stream any more.
    deaf: bool,
    /// Nobody writes to it any more.
    done: bool,
    /// Bytes wait since then, and the device took none.
    stuck: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    /// Nobody has the stream before the device has agreed. Who wished may be gone by then.
    Opening {
        wished: Option<(oneshot::Sender<io::Result<DuplexStream>>, DuplexStream)>,
        since: Instant,
    },
    Open,
    /// The device closed it; what it said before is for the reader still.
    Closed,
}

/// What a look at a channel came to.
enum Look {
    Idle,
    Moved,
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tunnel<S> {
    /// Over the connection of a device that has signed in, for these wishes.
    #[must_use]
    pub fn new(line: Line<S>, wishes: Wishes) -> Self {
        Self {
            line,
            wishes,
            channels: BTreeMap::new(),
            next: 1,
            heard: Instant::now(),
            asked: false,
            timer: Box::pin(sleep(LOOK)),
        }
    }

    /// What is under it.
    #[must_use]
    pub fn stream(&self) -> &S {
        self.line.stream()
    }

    /// Says that it is over, within a moment; all streams in it end when it is dropped.
    pub async fn part(&mut self) {
        self.line.say(&message::disconnect());
        let _ = tokio::time::timeout(Duration::from_secs(1), self.line.flush()).await;
    }

    /// Serves until the device asks for something that is of the tunnel. Cancel-safe.
    ///
    /// # Errors
    /// The tunnel is over.
    pub async fn serve(&mut self) -> Result<Asked, Error> {
        poll_fn(|context| self.poll_serve(context)).await
    }

    fn poll_serve(&mut self, context: &mut Context<'_>) -> Poll<Result<Asked, Error>> {
        loop {
            let mut moved = false;
            if let Poll::Ready(Err(error)) = self.line.poll_flush(context) {
                return Poll::Ready(Err(error));
            }
            while let Poll::Ready(wish) = self.wishes.poll_next(context) {
                match wish {
                    Some(wish) => self.open(wish),
                    None => return Poll::Ready(Err(Error::Replaced)),
                }
                moved = true;
            }
            // Nothing is read that could not be answered.
            while !self.line.is_full() {
                match self.line.poll_hear(context) {
                    Poll::Pending => break,
                    Poll::Ready(message) => match message.and_then(|message| self.take(message)) {
                        Ok(None) => moved = true,
                        Ok(Some(asked)) => return Poll::Ready(Ok(asked)),
                        Err(error) => return Poll::Ready(Err(error)),
                    },
                }
            }
            moved |= self.move_all(context);
            while self.timer.as_mut().poll(context).is_ready() {
                self.timer.as_mut().reset(Instant::now() + LOOK);
                if let Err(error) = self.look() {
                    return Poll::Ready(Err(error));
                }
                moved = true;
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    fn move_all(&mut self, context: &mut Context<'_>) -> bool {
        let (line, mut moved) = (&mut self.line, false);
        self.channels.retain(|_, channel| {
            loop {
                match channel.turn(line, context) {
                    Look::Idle => break true,
                    Look::Moved => moved = true,
                    Look::Over => break false,
                }
            }
        });
        moved
    }

    fn open(&mut self, Wish { port, reply }: Wish) {
        if self.channels.len() >= CHANNELS {
            let why = format!("its tunnel has {CHANNELS} channels already");
            // Who wished may be gone.
            let _ = reply.send(Err(io::Error::other(why)));
            return;
        }
        let id = self.next;
        self.next = id.wrapping_add(1);
        let (near, far) = duplex(PIPE);
        self.line.say(&message::open(id, port));
        let stage = Stage::Opening {
            wished: Some((reply, far)),
            since: Instant::now(),
        };
        self.channels.insert(
            id,
            Channel {
                port,
                stage,
                near,
                theirs: 0,
                credit: 0,
                window: WINDOW,
                owed: 0,
                pending: VecDeque::new(),
                typed: VecDeque::new(),
                deaf: false,
                done: false,
                stuck: None,
            },
        );
    }

    /// What the device said. Of channels that are over it may speak until it knows.
    fn take(&mut self, message: Message) -> Result<Option<Asked>, Error> {
        self.heard = Instant::now();
        self.asked = false;
        match message {
            Message::Confirmation {
                recipient,
                sender,
                window,
            } => {
                let Some(channel) = self.channels.get_mut(&recipient) else {
                    self.line.say(&message::close(sender));
                    return Ok(None);
                };
                let Stage::Opening { wished, .. } = &mut channel.stage else {
                    return Err(Error::Unexpected("a second confirmation of a channel"));
                };
                let wished = wished.take();
                (channel.theirs, channel.credit) = (sender, window);
                channel.stage = Stage::Open;
                // Without anybody who wished it, the far end is gone, which ends it with the next turn.
                if let Some((reply, far)) = wished {
                    let _ = reply.send(Ok(far));
                }
            }
            Message::Failure { recipient, reason } => {
                if let Some(channel) = self.channels.remove(&recipient)
                    && let Stage::Opening {
                        wished: Some((reply, _)),
                        ..
                    } = channel.stage
                {
                    let why = format!("it opens no channel to its port (reason {reason})");
                    let refused = io::Error::new(io::ErrorKind::ConnectionRefused, why);
                    let _ = reply.send(Err(refused));
                }
            }
            Message::Adjust { recipient, bytes } => {
                if let Some(channel) = self.channels.get_mut(&recipient) {
                    channel.credit = channel.credit.saturating_add(bytes);
                }
            }
            Message::Data { recipient, data } => {
                if let Some(channel) = self.channels.get_mut(&recipient) {
                    channel.hear(&data)?;
                }
            }
            Message::Close { recipient } => {
                if let Some(channel) = self.channels.get_mut(&recipient)
                    && matches!(channel.stage, Stage::Open)
                {
                    self.line.say(&message::close(channel.theirs));
                    channel.stage = Stage::Closed;
                }
            }
            Message::Open { sender } => self.line.say(&message::open_failure(sender)),
            Message::KeepaliveRequest { cookie } => {
                self.line.say(&message::keepalive_reply(cookie));
            }
            Message::Forward { port, wants_reply } => {
                if wants_reply {
                    self.line.say(&message::request_success(Some(port)));
                }
                return Ok(Some(Asked::Forward(port)));
            }
            Message::CancelForward { port, wants_reply } => {
                if wants_reply {
                    self.line.say(&message::request_success(None));
                }
                return Ok(Some(Asked::Cancel(port)));
            }
            Message::KeepaliveReply | Message::OptionsReply | Message::Datagram => {}
            Message::Disconnect { reason } => return Err(Error::Ended(reason)),
            Message::ServiceRequest { name } => self.line.say(&message::service_accept(&name)),
            Message::SignIn { .. } => return Err(Error::Unexpected("a second sign-in")),
            Message::ProtocolVersion { .. } => {
                return Err(Error::Unexpected("a second protocol version"));
            }
        }
        Ok(None)
    }

    /// Ends what takes too long, and asks a silent device if it is there.
    fn look(&mut self) -> Result<(), Error> {
        let silent = self.heard.elapsed();
        if silent >= SILENT {
            return Err(Error::Silent);
        }
        if silent >= ASK && !self.asked {
            self.asked = true;
            self.line.say(&message::keepalive_request(self.next));
        }
        for channel in self.channels.values_mut() {
            if let Stage::Opening { wished, since } = &mut channel.stage
                && since.elapsed() >= OPEN
                && let Some((reply, _)) = wished.take()
            {
                let why = format!("it does not say if it opens its port {}", channel.port);
                let _ = reply.send(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
        }
        let line = &mut self.line;
        self.channels.retain(|_, channel| {
            let over = match &channel.stage {
                // An answer after that finds nobody, and the channel is closed then.
                Stage::Opening { since, .. } => since.elapsed() >= OPEN + STUCK,
                Stage::Open | Stage::Closed => {
                    channel.stuck.is_some_and(|since| since.elapsed() >= STUCK)
                }
            };
            if over && matches!(channel.stage, Stage::Open) {
                line.say(&message::close(channel.theirs));
            }
            !over
        });
        Ok(())
    }
}

impl Channel {
    /// Keeps what the device sent for who reads the stream.
    fn hear(&mut self, data: &[u8]) -> Result<(), Error> {
        if !matches!(self.stage, Stage::Open) {
            return Ok(());
        }
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.window = self.window.checked_sub(length).ok_or(Error::Overrun)?;
        self.pending.extend(data);
        Ok(())
    }

    /// Moves bytes once, one way or the other.
    fn turn<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        line: &mut Line<S>,
        context: &mut Context<'_>,
    ) -> Look {
        if matches!(self.stage, Stage::Opening { .. }) {
            return Look::Idle;
        }
        if self.hand_over(context) {
            if self.owed >= WINDOW / 2 && matches!(self.stage, Stage::Open) {
                line.say(&message::adjust(self.theirs, self.owed));
                self.window = self.window.saturating_add(self.owed);
                self.owed = 0;
            }
            return Look::Moved;
        }
        if matches!(self.stage, Stage::Closed) {
            return if self.pending.is_empty() || self.deaf {
                Look::Over
            } else {
                Look::Idle
            };
        }
        if self.typed.is_empty() && !self.done {
            let mut piece = [0; PIECE];
            let mut buffer = ReadBuf::new(&mut piece);
            if let Poll::Ready(read) = Pin::new(&mut self.near).poll_read(context, &mut buffer) {
                self.typed.extend(buffer.filled());
                self.done = read.is_err() || self.typed.is_empty();
            }
        }
        if self.typed.is_empty() {
            if self.done {
                line.say(&message::close(self.theirs));
                return Look::Over;
            }
            return Look::Idle;
        }
        if self.credit == 0 {
            self.stuck.get_or_insert_with(Instant::now);
            return Look::Idle;
        }
        self.stuck = None;
        if line.is_full() {
            return Look::Idle;
        }
        let most = usize::try_from(self.credit).unwrap_or(usize::MAX);
        let piece: Vec<u8> = self.typed.drain(..most.min(self.typed.len())).collect();
        let count = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.credit = self.credit.saturating_sub(count);
        line.say(&message::data(self.theirs, &piece));
        Look::Moved
    }

    /// Gives some of what the device sent to who reads the stream; was there any?
    fn hand_over(&mut self, context: &mut Context<'_>) -> bool {
        let (first, _) = self.pending.as_slices();
        if first.is_empty() {
            return false;
        }
        let mut count = first.len();
        if !self.deaf {
            match Pin::new(&mut self.near).poll_write(context, first) {
                Poll::Pending => return false,
                Poll::Ready(Ok(taken)) => count = taken,
                Poll::Ready(Err(_)) => self.deaf = true,
            }
        }
        self.pending.drain(..count);
        self.owed = self
            .owed
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        true
    }
}
