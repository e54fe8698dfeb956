//! IDE redirection: a CD and a floppy of ours as drives of the machine. Opens them in a session and answers what the machine's
//! BIOS or operating system asks of them. Knows no owner.
//!
//! The disk is read and written on threads for that, a piece at a time, and read ahead only as far as the connection takes it.

mod medium;
pub mod scsi;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Sleep, sleep, timeout};

use super::message::{Message, kind};
use super::{Error, Service, Session, Target};
use crate::clock::Instant;
use crate::http::Pinned;

pub use medium::Medium;
pub use scsi::Kind;
pub use wire::Start;

use scsi::{Act, Drive, Sense, Span};
use wire::feature;

/// From the signed-in session to drives that the machine has taken.
const OPEN: Duration = Duration::from_secs(15);
/// How often we ask whether the device is there, and how long it may be silent: its own heartbeat is 20 s.
const PING: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(60);
/// For the end of the session.
const CLOSE: Duration = Duration::from_secs(2);
/// Bytes read from the disk at once.
const PIECE: u64 = 64 * 1024;
/// Bytes that wait for the connection; past that neither the disk nor the device is read.
const AHEAD: usize = 128 * 1024;
/// Commands that wait while one runs. Two drives on one bus have one each at most.
const WAITING: usize = 8;
/// Messages looked at in one turn.
const AT_ONCE: usize = 64;
/// The largest buffers of a device (MeshCommander).
const LARGEST: u16 = 8192;
/// What is written is asked for in whole blocks of a floppy.
const LEAST: u16 = 512;

/// What has gone over one drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub read: u64,
    pub written: u64,
    /// The block that was touched last.
    pub last: Option<u32>,
    /// The machine has ejected it.
    pub out: bool,
}

/// A drive and what is in it.
#[derive(Debug)]
struct Bay {
    drive: Drive,
    medium: Option<Medium>,
    moved: Moved,
}

impl Bay {
    fn new(kind: Kind, medium: Option<Medium>) -> Self {
        let blocks = medium.as_ref().map(Medium::blocks);
        let writable = medium.as_ref().is_some_and(Medium::is_writable);
        Self {
            drive: Drive::new(kind, blocks, writable),
            medium,
            moved: Moved::default(),
        }
    }

    fn touched(&mut self, upto: u64) {
        let block = u64::from(self.drive.kind().block());
        self.moved.last = u32::try_from(upto.saturating_sub(1) / block).ok();
    }
}

/// A command whose blocks are on their way.
#[derive(Debug)]
struct Job {
    kind: Kind,
    /// The host takes it by DMA.
    dma: bool,
    /// What is left.
    span: Span,
    /// Of a write: bytes that the host was asked for and has not sent yet, and what it has.
    write: Option<(usize, Vec<u8>)>,
}

#[derive(Debug)]
enum Done {
    Read(io::Result<Vec<u8>>),
    Wrote(io::Result<u64>),
}

/// Drives that the machine has. Dropping it ends the session, without waiting; [`Ider::close`] ends it properly.
#[derive(Debug)]
pub struct Ider {
    session: Session,
    seq: u32,
    start: Start,
    /// Most bytes of one message, to the host and from it.
    room: (usize, u16),
    cd: Bay,
    floppy: Bay,
    job: Option<Job>,
    disk: Option<JoinHandle<Done>>,
    waiting: VecDeque<Message>,
    /// The host has reset its bus, and waits for us to be done.
    reset: bool,
    /// The device says that it has taken the drives.
    taken: bool,
    heard: Instant,
    next_ping: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Ider {
    /// Opens a session and shows the machine these media.
    ///
    /// # Errors
    /// What [`Session::open`] says; [`Error::Late`], [`Error::Refused`] when the device does not take the drives.
    pub async fn open(
        target: &Target,
        cd: Option<Medium>,
        floppy: Option<Medium>,
        start: Start,
    ) -> Result<(Self, Option<Pinned>), Error> {
        let service = Service::Ider;
        let (mut session, pinned) = Session::open(target, service).await?;
        let late = || Error::Late {
            machine: target.machine.clone(),
            service,
            limit: OPEN,
        };
        let asked = timeout(OPEN, session.ask(&wire::open(0), kind::OPENED)).await;
        let opened = asked.unwrap_or_else(|_| Err(late()))?;
        let room = (opened.u16(16), opened.u16(18));
        let is_known = opened.byte(21) == 0 && room.0.max(room.1) <= LARGEST;
        if !is_known || room.0 == 0 {
            let what = format!(
                "protocol {} and buffers of {} and {} bytes for IDE redirection",
                opened.byte(21),
                room.0,
                room.1
            );
            return Err(session.unexpected(&what));
        }
        let now = Instant::now();
        let mut ider = Self {
            session,
            seq: 1,
            start,
            room: (room.0.into(), room.1.max(LEAST)),
            cd: Bay::new(Kind::Cd, cd),
            floppy: Bay::new(Kind::Floppy, floppy),
            job: None,
            disk: None,
            waiting: VecDeque::new(),
            reset: false,
            taken: false,
            heard: now,
            next_ping: now + PING,
            timer: Box::pin(sleep(PING)),
        };
        ider.say(|seq| wire::enable(seq, start));
        let taking = poll_fn(|context| match ider.poll_turn(context) {
            Poll::Pending if ider.taken => Poll::Ready(Ok(())),
            other => other,
        });
        timeout(OPEN, taking)
            .await
            .unwrap_or_else(|_| Err(late()))?;
        Ok((ider, pinned))
    }

    /// What has gone over the drive of this kind so far.
    #[must_use]
    pub fn moved(&self, kind: Kind) -> Moved {
        let bay = match kind {
            Kind::Cd => &self.cd,
            Kind::Floppy => &self.floppy,
        };
        Moved {
            out: bay.drive.is_out(),
            ..bay.moved
        }
    }

    /// Serves the machine until the session is gone. Cancel-safe. Keeps the session alive, so keep calling it.
    ///
    /// # Errors
    /// Why it is gone; it returns with nothing else.
    pub async fn serve(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_turn(context)).await
    }

    /// Takes the drives from the machine: finishes what is being written, then ends the session.
    pub async fn close(mut self) {
        let farewell = async {
            if let Some(disk) = self.disk.take() {
                let _ = disk.await;
            }
            self.say(|seq| wire::bare(kind::IDER_END, seq));
            self.session.flush().await?;
            while self.session.hear().await?.kind() != kind::IDER_ENDED {}
            Ok::<_, Error>(())
        };
        // Who does not answer is left all the same; dropping the session says its end.
        let _ = timeout(CLOSE, farewell).await;
    }

    fn say(&mut self, message: impl FnOnce(u32) -> Vec<u8>) {
        let message = message(self.seq);
        self.seq = self.seq.wrapping_add(1);
        self.session.say(&message);
    }

    fn bay(&mut self, kind: Kind) -> &mut Bay {
        match kind {
            Kind::Cd => &mut self.cd,
            Kind::Floppy => &mut self.floppy,
        }
    }

    fn poll_turn(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let mut moved = self.poll_disk(context);
            moved |= self.begin_read();
            if let Poll::Ready(Err(error)) = self.session.poll_flush(context) {
                return Poll::Ready(Err(error));
            }
            for _ in 0..AT_ONCE {
                // Nothing is asked of us that there is no room to answer.
                if self.session.backlog() >= AHEAD {
                    break;
                }
                let Poll::Ready(message) = self.session.poll_hear(context) else {
                    break;
                };
                self.heard = Instant::now();
                self.take(message?)?;
                moved = true;
            }
            let now = Instant::now();
            if now >= self.heard + SILENCE {
                return Poll::Ready(Err(self.session.leave("it has been silent for a minute")));
            }
            if now >= self.next_ping {
                self.next_ping = now + PING;
                self.say(|seq| wire::bare(kind::IDER_PING, seq));
                moved = true;
            }
            if !moved {
                let next = self.next_ping.min(self.heard + SILENCE);
                self.timer.as_mut().reset(next);
                ready!(self.timer.as_mut().poll(context));
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        match message.kind() {
            kind::IDER_COMMAND if self.job.is_none() && self.disk.is_none() => {
                self.command(&message);
            }
            kind::IDER_COMMAND if self.waiting.len() >= WAITING => {
                return Err(self
                    .session
                    .unexpected("more commands at once than a bus has"));
            }
            kind::IDER_COMMAND => self.waiting.push_back(message),
            kind::IDER_WRITTEN => self.written(message.rest(14))?,
            kind::IDER_RESET => {
                self.waiting.clear();
                // What the disk does now is waited for; see `poll_disk`.
                self.reset = true;
                self.job = None;
                self.settle();
            }
            kind::IDER_PING => self.say(|seq| wire::bare(kind::IDER_PONG, seq)),
            kind::IDER_PONG | kind::IDER_BEAT => {}
            kind::IDER_FEATURES_REPLY => self.features(message.byte(8), message.u32(9))?,
            kind::IDER_ERROR => {
                let machine = self.session.machine();
                let what = message.byte(8);
                tracing::warn!(machine, what, "the device reports an error of its own");
            }
            kind::IDER_ENDED => return Err(self.session.leave("it ended IDE redirection")),
            other => return Err(self.session.unexpected(&format!("a message {other:#04x}"))),
        }
        Ok(())
    }

    /// A word of the register of features.
    fn features(&mut self, about: u8, value: u32) -> Result<(), Error> {
        match about {
            feature::SUPPORTED if value & 1 != 0 => {
                let start = self.start;
                self.say(|seq| wire::enable(seq, start));
            }
            feature::SET if value == 1 => self.taken = true,
            feature::SUPPORTED | feature::SET => {
                return Err(Error::Refused {
                    machine: self.session.machine().to_owned(),
                    value,
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn command(&mut self, message: &Message) {
        // Who asks has the drives.
        self.taken = true;
        let (dma, register) = (message.byte(9) & 1 != 0, message.byte(14));
        let kind = Kind::of(register);
        let packet = message.rest(16);
        let is_capacity = packet.first() == Some(&0x25);
        match self.bay(kind).drive.answer(packet) {
            Act::Good => self.say(|seq| wire::good(seq, kind)),
            Act::Fail(sense) => self.say(|seq| wire::failed(seq, kind, sense)),
            Act::Say(said) => {
                // The capacity is told with the register as it came, as MeshCommander does.
                let register = if is_capacity {
                    register
                } else {
                    kind.register()
                };
                self.say(|seq| wire::data(seq, register, dma, true, &said));
            }
            Act::Read(span) => {
                self.job = Some(Job {
                    kind,
                    dma,
                    span,
                    write: None,
                })
            }
            Act::Write(span) => {
                let write = Some((0, Vec::new()));
                self.job = Some(Job {
                    kind,
                    dma,
                    span,
                    write,
                });
                self.want();
            }
        }
    }

    /// Has the disk read the next piece, when one is wanted and there is room for it.
    fn begin_read(&mut self) -> bool {
        let Some(job) = self.job.as_ref().filter(|job| job.write.is_none()) else {
            return false;
        };
        if self.disk.is_some() || self.session.backlog() >= AHEAD {
            return false;
        }
        let (kind, Span { at, length }) = (job.kind, job.span);
        let Some(medium) = self.bay(kind).medium.clone() else {
            self.fail(kind, Sense::NO_MEDIUM);
            return true;
        };
        let count = usize::try_from(length.min(PIECE)).unwrap_or_default();
        self.disk = Some(spawn_blocking(move || Done::Read(medium.read(at, count))));
        true
    }

    /// Asks the host for the next piece of what it writes.
    fn want(&mut self) {
        let most = self.room.1;
        let Some(job) = &mut self.job else { return };
        let Some((wanted, _)) = &mut job.write else {
            return;
        };
        let count = u16::try_from(job.span.length).unwrap_or(u16::MAX).min(most);
        let count = count - count % LEAST;
        *wanted = count.into();
        let kind = job.kind;
        self.say(|seq| wire::wants(seq, kind, count));
    }

    /// A piece of what the host writes came in.
    fn written(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(Job {
            kind,
            span,
            write: Some((wanted, had)),
            ..
        }) = &mut self.job
        else {
            // Of a command that a reset has ended.
            return Ok(());
        };
        let (kind, at) = (*kind, span.at);
        let Some(left) = wanted.checked_sub(bytes.len()) else {
            return Err(self
                .session
                .unexpected("more bytes to write than it was asked for"));
        };
        *wanted = left;
        had.extend_from_slice(bytes);
        if left > 0 || had.is_empty() {
            return Ok(());
        }
        let (had, is_last) = (std::mem::take(had), span.length <= had.len() as u64);
        let Some(medium) = self.bay(kind).medium.clone() else {
            self.fail(kind, Sense::NO_MEDIUM);
            return Ok(());
        };
        self.disk = Some(spawn_blocking(move || {
            let wrote = medium.write(at, &had, is_last);
            Done::Wrote(wrote.map(|()| had.len() as u64))
        }));
        Ok(())
    }

    /// Takes what the disk has done; says whether it has.
    fn poll_disk(&mut self, context: &mut task::Context<'_>) -> bool {
        let Some(disk) = &mut self.disk else {
            return false;
        };
        let Poll::Ready(done) = Pin::new(disk).poll(context) else {
            return false;
        };
        self.disk = None;
        if self.reset {
            self.settle();
            return true;
        }
        match done {
            Ok(Done::Read(read)) => self.read(read),
            Ok(Done::Wrote(wrote)) => self.wrote(wrote),
            Err(error) => self.read(Err(io::Error::other(error))),
        }
        self.next_command();
        true
    }

    /// Hands on what the disk has read.
    fn read(&mut self, read: io::Result<Vec<u8>>) {
        let Some(job) = &mut self.job else { return };
        let (kind, dma) = (job.kind, job.dma);
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(?kind, "cannot read the image: {error}");
                return self.fail(kind, Sense::UNREADABLE);
            }
        };
        let count = bytes.len() as u64;
        job.span.at += count;
        job.span.length = job.span.length.saturating_sub(count);
        let (upto, is_end) = (job.span.at, job.span.length == 0);
        if is_end {
            self.job = None;
        }
        let mut pieces = bytes.chunks(self.room.0).peekable();
        while let Some(piece) = pieces.next() {
            let is_last = is_end && pieces.peek().is_none();
            self.say(|seq| wire::data(seq, kind.register(), dma, is_last, piece));
        }
        let bay = self.bay(kind);
        bay.moved.read += count;
        bay.touched(upto);
    }

    /// The disk has written a piece, or not.
    fn wrote(&mut self, wrote: io::Result<u64>) {
        let Some(job) = &mut self.job else { return };
        let kind = job.kind;
        let count = match wrote {
            Ok(count) => count,
            Err(error) => {
                tracing::warn!(?kind, "cannot write to the image: {error}");
                return self.fail(kind, Sense::UNWRITABLE);
            }
        };
        job.span.at += count;
        job.span.length = job.span.length.saturating_sub(count);
        let (upto, is_end) = (job.span.at, job.span.length == 0);
        let bay = self.bay(kind);
        bay.moved.written += count;
        bay.touched(upto);
        if is_end {
            self.job = None;
            self.say(|seq| wire::good(seq, kind));
        } else {
            self.want();
        }
    }

    /// Ends the command that runs.
    fn fail(&mut self, kind: Kind, sense: Sense) {
        self.job = None;
        self.bay(kind).drive.failed(sense);
        self.say(|seq| wire::failed(seq, kind, sense));
    }

    /// Answers a reset of the host, once nothing is on its way to or from the disk.
    fn settle(&mut self) {
        if self.reset && self.disk.is_none() {
            self.reset = false;
            self.say(|seq| wire::bare(kind::IDER_RESET_DONE, seq));
            self.next_command();
        }
    }

    /// Does what has waited.
    fn next_command(&mut self) {
        while self.job.is_none() && self.disk.is_none() {
            let Some(message) = self.waiting.pop_front() else {
                return;
            };
            self.command(&message);
        }
    }
}
