//! The owner of one port: opens it, drains it, types on it, serves asks. Never waits for a session or for flash.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::alarm::Alarm;
use super::breaks::Stage;
use super::desk::Desk;
use super::gather::Gather;
use super::last_line::LastLine;
use super::log::{self, Log};
use super::outbox::{Outbox, Then};
use super::plug::Plugs;
use super::port::{self, Moved, Opening, Place, Port};
use super::ring::length;
use super::session::{Report, Typed};
use super::stream::Stream;
use super::transcript::Fault;
use crate::clock::{Instant, Timestamp};
use crate::config::Console;
use crate::event::Kind;
use crate::fact::{self, Fact, PortPhase};
use crate::line::LineState;
use crate::supervisor::context::Context;
use crate::transcript;

/// Bytes read at once; what the kernel's line discipline holds.
const READ_MAX: usize = 4096;
/// What a reader gets before a fast line overtakes it; see [`super::patience`].
const MOMENT: Duration = Duration::from_millis(1);
/// How often a missing port is looked for.
const RETRY_GONE: Duration = Duration::from_millis(500);
/// How often a port that cannot be used is tried again.
const RETRY_FAILED: Duration = Duration::from_secs(2);
/// How often a host that refused us is asked again: each try may count as an attack there, and lock the user out.
const RETRY_REFUSED: Duration = Duration::from_secs(60);
/// Where somebody else has it: first this long, then twice as long each time, up to [`RETRY_REFUSED`].
const RETRY_TAKEN: Duration = Duration::from_secs(5);
/// A port that lives shorter than this has a bad cable: it is tried less and less often, down to [`SLOWEST`].
const STEADY: Duration = Duration::from_secs(5);
const SLOWEST: Duration = Duration::from_secs(4);
/// As [`SLOWEST`], for a host that takes the connection and ends it at once, as a terminal server does whose port is taken.
const SLOWEST_REMOTE: Duration = Duration::from_secs(30);
/// Counters and the last line reach the state at most this often.
const FACT_EVERY: Duration = Duration::from_millis(500);
/// What is looked through for the last line, when the state is told: a few lines, and not each byte of a running one.
const LAST_LINES: usize = 1024;
/// Sessions on one console; each costs at most 100 KiB when it stalls.
const SESSIONS_MAX: usize = 64;
/// A person who types at a missing port is told so at most this often.
const REMIND: Duration = Duration::from_secs(2);
/// How long sessions may take to end when the console stops.
const PARTING: Duration = Duration::from_secs(1);

mod hunting;
mod line;
mod presence;
mod serve;

use hunting::HuntBook;
use line::{Answering, LineBook};

/// Where the port stands.
enum Link {
    Open(Box<dyn Port>),
    Opening(Opening),
    Waiting(Instant),
}

/// What the port did.
enum Step {
    Moved(Moved),
    Opened(Result<Box<dyn Port>, port::Error>),
    Due,
}

/// Owns the port until the context is stopped.
pub(super) async fn run(
    mut context: Context,
    console: Console,
    place: Place,
    plugs: Plugs,
) -> Result<(), Error> {
    // What is rare goes boxed through a channel: each has room for 32 from its first day.
    let (typed, mut typing) = mpsc::channel(2);
    let (reports, mut reported) = mpsc::channel(64);
    let (broken, mut stages) = mpsc::channel(1);
    let (faults, mut faulty) = mpsc::channel(4);
    let dir = transcript::dir(&context.dirs.state, &console.name);
    let opening = log::open(&console.name, dir, console.transcript, console.ring, faults);
    let (stream, log) = tokio::select! {
        // cancel-safe: a store that is opened meanwhile is dropped, which closes it
        opened = opening => opened,
        // cancel-safe per docs on CancellationToken::cancelled()
        () = context.stop.cancelled() => return Ok(()),
    };
    super::watch::spawn(&context, &console.name, &console.record, stream.clone());
    let mut pulse = context.pulse.clone();
    let mut plugged = plugs.changes();
    let (book, mut settling) = LineBook::new(&place);
    let (hunts, mut errands) = HuntBook::new(console.discover);
    let standing = watch::Sender::new(LineState {
        line: place.line().unwrap_or_default(),
        dtr: true,
        rts: true,
        ..LineState::default()
    });
    let mut owner = Owner {
        outbox: Outbox::spawn(&context),
        desk: Desk::new(
            stream.clone(),
            typed,
            reports,
            standing.subscribe(),
            console.sessions.clone(),
        ),
        parting: console.sessions.on_last_detach,
        typed_since: false,
        parting_waits: false,
        number: console.number,
        outlets: console.outlets.iter().map(ToString::to_string).collect(),
        standing,
        link: Link::Waiting(Instant::now()),
        book,
        hunts,
        breaking: None,
        break_enders: Vec::new(),
        broken,
        output: Bytes::new(),
        keeps_typed: console.record.typed,
        typist: None,
        gather: Gather::new(Instant::now()),
        gather_until: None,
        room: stream.capacity(),
        reminded: None,
        phase: PortPhase::Gone,
        why: "not opened yet".into(),
        since: Timestamp::now(),
        reported: None,
        opened_at: None,
        retry: RETRY_GONE,
        distrusted: None,
        rx_bytes: 0,
        tx_bytes: 0,
        fact_due: Some(Instant::now()),
        stream,
        log,
        name: console.name,
        place,
        context: &mut context,
    };
    let mut buffer = vec![0; READ_MAX];
    let (mut gathered, mut fact_due, mut cable_due) = (Alarm::new(), Alarm::new(), Alarm::new());
    let mut hunt_due = Alarm::new();
    let mut stopped = pin!(owner.context.stop.clone().cancelled_owned());
    loop {
        let ready = owner.breaking.is_none() && owner.output.is_empty();
        let gathering = owner.gather_until;
        let writable = if owner.breaking.is_some() {
            Bytes::new()
        } else {
            owner.output.clone()
        };
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = &mut stopped => break,
            // cancel-safe per docs on Pulse::beat()
            () = pulse.beat() => {}
            // cancel-safe: see `Link::step`
            step = owner.link.step(&mut buffer, &writable, gathering.is_none()) => {
                match step {
                    Step::Moved(Moved::Read(count)) => owner.received(&buffer[..count]),
                    Step::Moved(Moved::Wrote(count)) => owner.sent(count),
                    Step::Moved(Moved::Told(state)) => owner.told(state),
                    Step::Moved(Moved::Lost(reason)) => owner.lost(&reason),
                    Step::Opened(Ok(port)) => owner.opened(port),
                    Step::Opened(Err(error)) => owner.unusable(&error),
                    Step::Due => owner.open(),
                }
            }
            // cancel-safe: a timer has nothing to lose
            () = gathered.ring(gathering) => owner.gather_until = owner.moment(),
            // cancel-safe per docs on Receiver::recv(); the desk holds a sender, so it never closes
            Some(piece) = typing.recv(), if ready => owner.typed(piece),
            // cancel-safe per docs on Receiver::recv(); likewise
            Some(report) = reported.recv() => owner.report(report, &mut typing),
            // cancel-safe per docs on Receiver::recv(); the owner holds a sender
            Some(stage) = stages.recv() => owner.break_stage(*stage),
            // cancel-safe per docs on Receiver::recv(); likewise
            Some(settled) = settling.recv() => owner.settled(*settled),
            // cancel-safe per docs on Receiver::recv(); the owner holds a sender
            Some(errand) = errands.recv() => owner.errand(*errand),
            // cancel-safe: a timer has nothing to lose
            () = hunt_due.ring(owner.hunts.due) => owner.discover(),
            // cancel-safe per docs on Receiver::changed(); `plugs` lives as long as this loop
            Ok(()) = plugged.changed() => owner.look_again(),
            // cancel-safe: a timer has nothing to lose
            () = cable_due.ring(owner.book.cable.wake_at()) => owner.look_at_cable(),
            // cancel-safe per docs on Receiver::recv()
            ask = owner.context.asks.recv() => match ask {
                Some(ask) => owner.ask(ask, &mut typing),
                None => return Err(Error::Channel { name: owner.name }),
            },
            // cancel-safe per docs on Receiver::recv(); closes with the transcript, if there is one
            Some(fault) = faulty.recv() => owner.fault(fault),
            // cancel-safe: a timer has nothing to lose
            () = fact_due.ring(owner.fact_due) => owner.tell_state(),
        }
    }
    // Boxed: it would double what each console keeps for all its life.
    Box::pin(owner.stop(&mut reported)).await;
    Ok(())
}

impl Link {
    /// The next thing the port does. Cancel-safe: a turn is, the opening is kept, and a timer loses nothing.
    async fn step(&mut self, input: &mut [u8], output: &[u8], read: bool) -> Step {
        match self {
            Self::Open(port) => Step::Moved(port.turn(input, output, read).await),
            Self::Opening(opening) => Step::Opened(opening.await),
            Self::Waiting(until) => {
                sleep_until(*until).await;
                Step::Due
            }
        }
    }
}

/// The line that the device writes, or wrote last, as text.
fn last_line(stream: &Stream) -> String {
    let from = stream.end().saturating_sub(length(LAST_LINES));
    let mut line = LastLine::default();
    line.push(&stream.read(from, LAST_LINES).bytes);
    line.text()
}

struct Owner<'a> {
    context: &'a mut Context,
    outbox: Outbox,
    desk: Desk,
    stream: Arc<Stream>,
    log: Log,
    name: String,
    number: u16,
    /// What powers the device, as the file says.
    outlets: Vec<String>,
    /// Typed when the last session has left.
    parting: Option<String>,
    /// Has anybody typed since then?
    typed_since: bool,
    /// Is it among what the port has not taken yet?
    parting_waits: bool,
    /// How the line stands, for sessions and for the state.
    standing: watch::Sender<LineState>,
    place: Place,
    link: Link,
    book: LineBook,
    hunts: HuntBook,
    /// Ends the break that is being held.
    breaking: Option<CancellationToken>,
    /// Who asked for its end.
    break_enders: Vec<Answering>,
    broken: mpsc::Sender<Box<Stage>>,
    /// Typed bytes that the port has not taken yet.
    output: Bytes,
    /// What is typed is kept in the transcript.
    keeps_typed: bool,
    /// Who typed them, where that is kept.
    typist: Option<String>,
    gather: Gather,
    gather_until: Option<Instant>,
    /// Bytes that the ring holds.
    room: u64,
    reminded: Option<Instant>,
    phase: PortPhase,
    why: String,
    since: Timestamp,
    /// The phase that the journal and the sessions know of; `None` before the first.
    reported: Option<PortPhase>,
    opened_at: Option<Instant>,
    retry: Duration,
    /// The name among the pins and the key that the host showed, when it is not the trusted one.
    distrusted: Option<(String, String)>,
    rx_bytes: u64,
    tx_bytes: u64,
    fact_due: Option<Instant>,
}

impl Owner<'_> {
    fn received(&mut self, data: &[u8]) {
        self.stream.push(data);
        self.log.received(self.stream.end());
        self.hunts.heard();
        self.rx_bytes += length(data.len());
        let pause = self.gather.read(Instant::now(), data.len());
        self.gather_until = pause.or_else(|| self.moment());
        self.counted();
    }

    /// When to read on, if not at once: the next read must not overtake who deserves a moment.
    fn moment(&mut self) -> Option<Instant> {
        let floor = (self.stream.end() + length(READ_MAX)).saturating_sub(self.room);
        let waits = self.desk.waits(floor) | self.log.waits(floor);
        waits.then(|| Instant::now() + MOMENT)
    }

    fn sent(&mut self, count: usize) {
        let sent = self.output.split_to(count.min(self.output.len()));
        if let Some(user) = &self.typist {
            self.log.typed(user, &sent);
        }
        self.parting_waits &= !self.output.is_empty();
        self.tx_bytes += length(count);
        self.counted();
    }

    fn typed(&mut self, piece: Typed) {
        if !self.desk.writes(piece.session) {
            return;
        }
        if let Link::Open(_) = self.link {
            self.output = piece.bytes;
            self.typed_since = true;
            let user = self.desk.user(piece.session);
            self.typist = user.filter(|_| self.keeps_typed).map(str::to_owned);
            // The echo of this is read at once.
            self.gather.typed(Instant::now());
            self.gather_until = None;
            return;
        }
        let now = Instant::now();
        if self
            .reminded
            .is_none_or(|at| now.saturating_duration_since(at) >= REMIND)
        {
            self.reminded = Some(now);
            let text = format!("{}: not sent", self.away_notice());
            self.desk.tell_one(piece.session, &text);
        }
    }

    /// Journals an event and marks its place in the transcript.
    fn publish(&self, event: Kind, then: Then) {
        self.log.mark(&event);
        self.outbox.publish(event, then);
    }

    fn fault(&self, fault: Fault) {
        let console = self.name.clone();
        let event = match fault {
            Fault::Failed(reason) => Kind::TranscriptFailed { console, reason },
            Fault::Resumed { lost: lost_bytes } => Kind::TranscriptResumed {
                console,
                lost_bytes,
            },
        };
        self.outbox.publish(event, Then::Nothing);
    }

    /// Forgets what was typed and has not reached the port.
    fn discard(&mut self, typing: &mut mpsc::Receiver<Typed>) {
        self.output = Bytes::new();
        while typing.try_recv().is_ok() {}
    }

    /// Something that people wait for has changed: tell the state at once.
    fn changed(&mut self) {
        self.fact_due = Some(Instant::now());
    }

    /// A counter has moved: tell the state before long.
    fn counted(&mut self) {
        if self.fact_due.is_none() {
            self.fact_due = Some(Instant::now() + FACT_EVERY);
        }
    }

    fn tell_state(&mut self) {
        self.fact_due = None;
        self.context.observe(Fact::Console(fact::Console {
            name: self.name.clone(),
            port: self.place.to_string(),
            line: (self.place.line()).map_or_else(String::new, |line| match self.phase {
                // What is in effect, which may have been set since.
                PortPhase::Open => self.standing.borrow().line.to_string(),
                PortPhase::Gone | PortPhase::Failed => line.to_string(),
            }),
            phase: self.phase,
            since: self.since,
            why: self.why.clone(),
            sessions: self.desk.facts(),
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            last_line: last_line(&self.stream),
            state: self.standing.borrow().clone(),
            number: self.number,
            device: self.hunts.device.clone(),
            outlets: self.outlets.clone(),
        }));
    }

    /// Ends every session, closes the port and leaves the state.
    async fn stop(mut self, reported: &mut mpsc::Receiver<Report>) {
        if let Some(cut) = &self.breaking {
            cut.cancel();
        }
        self.desk.end_all("oobd stops serving this console");
        let parting = async {
            while !self.desk.is_empty() {
                match reported.recv().await {
                    Some(Report::Ended { session, reason }) => self.ended(session, reason),
                    Some(_) => {}
                    None => break,
                }
            }
        };
        if timeout(PARTING, parting).await.is_err() {
            tracing::warn!("sessions took too long to end");
        }
        // Closed before the flash is waited for.
        self.link = Link::Waiting(Instant::now());
        self.log.finish().await;
        self.context.observe(Fact::ConsoleGone { name: self.name });
    }
}
