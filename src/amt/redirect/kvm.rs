//! KVM: opens the channel in a session, speaks RFB on it and draws. Knows no viewer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep, timeout};

use super::message::{self, kind};
use super::{Error, Service, Session, Target};
use crate::clock::Instant;
use crate::http::Pinned;
use crate::rfb::{Client, Input, Picture};

/// From the signed-in session to a screen whose size is known.
const OPEN: Duration = Duration::from_secs(20);
/// How often the firmware is told that somebody is there: it ends what it takes for idle after three minutes.
const BEAT: Duration = Duration::from_secs(5);
/// A screen that shows nothing new for so long is asked for a corner of what it shows; one that has ever answered that, and
/// then says nothing for so long, is gone. An unchanged screen is none.
const LOOK: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(45);
/// A screen that changes all the time is asked for the next picture after so long: more of them nobody sees, and each is two million
/// pixels to draw. One that shows something for the first time in a while is asked again at once.
const FRAME: Duration = Duration::from_millis(40);
/// Bytes for the machine that may wait; past that keys are dropped.
const BACKLOG: usize = 16 * 1024;

/// An open screen. Dropping it ends the session, without waiting.
#[derive(Debug)]
pub struct Kvm {
    session: Session,
    client: Client,
    next_beat: Instant,
    next_frame: Instant,
    /// When it last said something, and whether it owes us a look since.
    heard: Instant,
    looked: bool,
    /// It has answered a look.
    shows: bool,
    timer: Pin<Box<Sleep>>,
}

impl Kvm {
    /// Opens a session and the screen in it; `picture` has its size then.
    ///
    /// # Errors
    /// What [`Session::open`] says; [`Error::Late`], [`Error::Screen`].
    pub async fn open(target: &Target, picture: &Picture) -> Result<(Self, Option<Pinned>), Error> {
        let (session, pinned) = Session::open(target, Service::Kvm).await?;
        let mut kvm = Self {
            session,
            client: Client::default(),
            next_beat: Instant::now() + BEAT,
            next_frame: Instant::now() + FRAME,
            heard: Instant::now(),
            looked: false,
            shows: false,
            timer: Box::pin(sleep(BEAT)),
        };
        let begun = timeout(OPEN, kvm.begin(picture)).await;
        begun.unwrap_or_else(|_| {
            Err(Error::Late {
                machine: target.machine.clone(),
                service: Service::Kvm,
                limit: OPEN,
            })
        })?;
        Ok((kvm, pinned))
    }

    async fn begin(&mut self, picture: &Picture) -> Result<(), Error> {
        let open = message::short(kind::OPEN, 0);
        self.session.ask(&open, kind::OPENED).await?;
        poll_fn(|context| {
            while !self.client.is_running() {
                match self.poll_draw(context, picture) {
                    Poll::Ready(drawn) => drop(drawn?),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Draws until an update is whole. Cancel-safe. Keeps the session alive, so keep calling it.
    ///
    /// # Errors
    /// The screen is gone.
    pub async fn turn(&mut self, picture: &Picture) -> Result<(), Error> {
        poll_fn(|context| {
            loop {
                let now = Instant::now();
                if self.client.is_done() && self.next_frame <= now {
                    self.next_frame = now + FRAME;
                    self.client.go_on(&picture.lock());
                }
                if self.next_beat <= now {
                    self.next_beat = now + BEAT;
                    self.client.keep_alive();
                    if let Some(error) = self.look(picture) {
                        return Poll::Ready(Err(error));
                    }
                }
                match self.poll_draw(context, picture) {
                    Poll::Ready(Ok(0)) => {}
                    Poll::Ready(drawn) => return Poll::Ready(drawn.map(drop)),
                    Poll::Pending => {
                        let frame = self.client.is_done().then_some(self.next_frame);
                        let wake = frame.map_or(self.next_beat, |at| at.min(self.next_beat));
                        self.timer.as_mut().reset(wake);
                        if self.timer.as_mut().poll(context).is_pending() {
                            return Poll::Pending;
                        }
                    }
                }
            }
        })
        .await
    }

    /// Asks a screen that says nothing whether it is there; what it is taken for when it does not say so.
    fn look(&mut self, picture: &Picture) -> Option<Error> {
        let silent = self.heard.elapsed();
        if silent >= SILENCE && self.shows {
            let why = "its screen has been silent for 45 seconds";
            return Some(self.session.leave(why));
        }
        if silent >= LOOK && !self.looked {
            self.looked = true;
            self.client.look(&picture.lock());
        }
        None
    }

    /// Takes one piece of what came in; how many updates became whole by it.
    fn poll_draw(
        &mut self,
        context: &mut task::Context<'_>,
        picture: &Picture,
    ) -> Poll<Result<u64, Error>> {
        let said = self.client.said();
        self.session.say(&said);
        if let Poll::Ready(Err(error)) = self.session.poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        let bytes = match self.session.poll_bytes(context) {
            Poll::Ready(bytes) => bytes?,
            Poll::Pending => return Poll::Pending,
        };
        self.heard = Instant::now();
        self.shows |= std::mem::take(&mut self.looked);
        let drawn = self.client.feed(&bytes, &mut picture.lock());
        let updates = drawn.map_err(|source| Error::Screen {
            machine: self.session.machine().to_owned(),
            source,
        })?;
        if updates > 0 {
            picture.tell();
        }
        Poll::Ready(Ok(updates))
    }

    /// Types or points, with the next turn.
    pub fn input(&mut self, input: Input) {
        if self.session.backlog() > BACKLOG {
            return;
        }
        match input {
            Input::Key { down, keysym } => self.client.key(down, keysym),
            Input::Pointer { buttons, x, y } => self.client.pointer(buttons, x, y),
        }
    }
}
