//! Sends what consoles receive to a syslog server on the LAN, as it comes. The transcripts are the spool: a cursor per
//! console on flash says how far each has come. Reads transcripts and never a port; slows no console down.
//!
//! Nothing a syslog server says acknowledges a message. So a line counts as there when the server's kernel has had it for
//! [`GRACE`] and the connection still stands; after a break everything younger is sent again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::clock::Instant;
use crate::config::Syslog;
use crate::event::Kind;
use crate::supervisor::context::Context;
use crate::transcript::{self, Reader};

mod cursor;
mod feed;
mod link;
mod message;
mod prune;
mod tls;
mod unsent;

use cursor::{Cursor, Cursors};
use feed::{Feed, Message};
use link::Link;
use message::{Head, framed};

/// How long a line waits before it counts as there. Longer than a transcript goes without a sync, so that no cursor
/// is ahead of what a power cut leaves.
const GRACE: Duration = Duration::from_secs(8);
/// New lines are looked for this often.
const TICK: Duration = Duration::from_millis(500);
/// Cursors are saved at most this often.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// Bytes of one console that are read in a turn; then the next has its turn.
const TURN: usize = 16 * 1024;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Datagrams that are sent without a pause. A receiver of Linux has room for some 250 of them, and says nothing when that is
/// full: what a rising server gets at once of all that it missed must leave it time to read.
const BURST: usize = 16;
const BURST_PAUSE: Duration = Duration::from_millis(10);
/// A connection that lasts shorter is none.
const STEADY: Duration = Duration::from_secs(3);
/// At the start of the board the LAN may need so long: until then nobody is told that the server does not answer.
const START: Duration = Duration::from_secs(15);
/// Lost bytes of a server that is up are told at most this often.
const TELL_LOST_EVERY: Duration = Duration::from_secs(60);
/// Transcripts of consoles that are no more are looked at this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// What is kept of all consoles together, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    pub syslog: Option<Syslog>,
    /// Name of the board.
    pub host: String,
    /// Leads to the server.
    pub lan_interface: String,
    /// Consoles that are sent.
    pub consoles: Vec<String>,
    /// All consoles and their quotas.
    pub quotas: Vec<(String, u64)>,
    /// All transcripts together, those of consoles that are no more included.
    pub total: u64,
}

/// Why it ended; something inside is broken.
#[derive(Debug, thiserror::Error)]
#[error("the export has lost its own channel")]
pub struct Error;

/// Keeps the transcripts within their quota and sends them on, until it is stopped.
///
/// # Errors
/// [`Error`]; never because of the server or of flash.
pub async fn run(mut context: Context, keeping: Keeping) -> Result<(), Error> {
    let mut pulse = context.pulse.clone();
    let stop = context.stop.clone();
    let state = context.dirs.state.clone();
    let told = Told {
        source: context.name.clone(),
        bus: context.bus.clone(),
    };
    let mut export = keeping
        .syslog
        .clone()
        .map(|syslog| Export::new(&keeping, syslog, &state, told));
    {
        let mut prune = pin!(prune(&state, &keeping));
        let mut work = pin!(async {
            match &mut export {
                Some(export) => export.work().await,
                None => std::future::pending().await,
            }
        });
        loop {
            tokio::select! {
                // cancel-safe per docs on CancellationToken::cancelled()
                () = stop.cancelled() => break,
                // cancel-safe as Pulse::beat() says
                () = pulse.beat() => {}
                // cancel-safe per docs on Receiver::recv(); nothing is asked of it, and a dropped ask says so
                ask = context.asks.recv() => if ask.is_none() { return Err(Error) },
                // pinned and polled on where it stood
                () = &mut work => {}
                // likewise
                () = &mut prune => {}
            }
        }
    }
    if let Some(export) = &mut export {
        export.save().await;
    }
    Ok(())
}

async fn prune(state: &Path, keeping: &Keeping) {
    loop {
        let (state, keeping) = (state.to_owned(), keeping.clone());
        let work = spawn_blocking(move || prune::prune(&state, &keeping.quotas, keeping.total));
        match work.await {
            Ok(Ok(0)) => {}
            Ok(Ok(bytes)) => tracing::info!(
                bytes,
                "dropped old transcripts of consoles that are no more"
            ),
            Ok(Err(error)) => tracing::warn!(
                error = crate::fault::chain(&error),
                "cannot look after old transcripts"
            ),
            Err(error) => tracing::error!(%error, "looking after old transcripts failed"),
        }
        sleep(PRUNE_EVERY).await;
    }
}

/// Events of the export.
#[derive(Clone, Debug)]
struct Told {
    source: String,
    bus: crate::bus::Bus,
}

impl Told {
    async fn publish(&self, kind: Kind) {
        // An error means that the board stops.
        let _ = self.bus.publish(&self.source, kind).await;
    }
}

/// A console on its way.
#[derive(Debug)]
struct Source {
    console: String,
    /// What counts as there.
    cursor: Option<Cursor>,
    /// Bytes it may send now.
    budget: u64,
}

/// Messages of a console that do not count as there yet.
#[derive(Debug)]
struct Sent {
    source: usize,
    at: Instant,
    after: Cursor,
}

struct Export {
    syslog: Syslog,
    to: String,
    head: Arc<Head>,
    interface: String,
    state: PathBuf,
    told: Told,
    sources: Vec<Source>,
    saved: Cursors,
    saved_at: Instant,
    /// Since the server does not take anything, and that was told.
    down: bool,
    lost: u64,
    lost_told: Option<Instant>,
    begun: Instant,
    /// It was connected to at least once.
    seen: bool,
}

impl Export {
    fn new(keeping: &Keeping, syslog: Syslog, state: &Path, told: Told) -> Self {
        let carrier = format!("{:?}", syslog.carrier).to_lowercase();
        let source = |console: &String| Source {
            console: console.clone(),
            cursor: None,
            budget: 0,
        };
        Self {
            to: format!("{carrier}:{}", syslog.server),
            head: Arc::new(Head::new(&syslog, &keeping.host)),
            interface: keeping.lan_interface.clone(),
            state: state.to_owned(),
            told,
            sources: keeping.consoles.iter().map(source).collect(),
            saved: Cursors::new(),
            saved_at: Instant::now(),
            down: false,
            lost: 0,
            lost_told: None,
            begun: Instant::now(),
            seen: false,
            syslog,
        }
    }

    async fn work(&mut self) {
        self.begin().await;
        let mut pause = FIRST_PAUSE;
        loop {
            let reason = match Link::open(&self.syslog, &self.interface).await {
                Ok(link) => {
                    self.seen = true;
                    let begun = Instant::now();
                    let reason = self.carry(link).await;
                    if begun.elapsed() >= STEADY {
                        pause = FIRST_PAUSE;
                        tracing::info!(
                            to = self.to,
                            reason,
                            "the syslog server is connected to anew"
                        );
                        continue;
                    }
                    reason
                }
                Err(reason) => reason,
            };
            self.failed(reason).await;
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Finds out how far each console had come. One that was never sent begins here and now.
    async fn begin(&mut self) {
        let path = cursor::path(&self.state);
        let names: Vec<String> = self
            .sources
            .iter()
            .map(|source| source.console.clone())
            .collect();
        let state = self.state.clone();
        let found = spawn_blocking(move || {
            let saved = cursor::load(&path);
            let mut cursors = saved.clone();
            for name in names {
                let end = || {
                    let reader = Reader::new(&transcript::dir(&state, &name));
                    reader.span().map(|(_, end)| end).unwrap_or(0)
                };
                cursors.entry(name.clone()).or_insert_with(|| Cursor {
                    offset: end(),
                    ..Cursor::default()
                });
            }
            (saved, cursors)
        });
        let Ok((saved, cursors)) = found.await else {
            return;
        };
        self.saved = saved;
        for source in &mut self.sources {
            source.cursor = cursors.get(&source.console).cloned();
        }
        self.save().await;
    }

    async fn failed(&mut self, reason: String) {
        let starting = !self.seen && self.begun.elapsed() < START;
        if starting || std::mem::replace(&mut self.down, true) {
            return;
        }
        tracing::warn!(to = self.to, reason, "the syslog server does not answer");
        let (console, to) = ("*".to_owned(), self.to.clone());
        let kind = Kind::ExportFailed {
            console,
            to,
            reason,
        };
        self.told.publish(kind).await;
    }

    /// Sends what there is and what comes, until the link breaks; says why it did.
    async fn carry(&mut self, mut link: Link) -> String {
        let begun = Instant::now();
        let mut sent: VecDeque<Sent> = VecDeque::new();
        // So many of `sent` are with the server's kernel.
        let mut through = 0;
        let mut feeds: Vec<Option<Feed>> = self.sources.iter().map(|_| None).collect();
        let mut refilled = Instant::now();
        loop {
            self.refill(&mut refilled);
            let gathered = self.gather(feeds).await;
            let Ok((same, batch, lost)) = gathered else {
                return "reading the transcripts failed".into();
            };
            feeds = same;
            self.lost += lost;
            let more = !batch.is_empty();
            if let Err(error) = send(&mut link, &batch).await {
                return error.to_string();
            }
            let now = Instant::now();
            // One entry a console and turn: messages may be many.
            let mut batch = batch.into_iter().peekable();
            while let Some((source, message)) = batch.next() {
                if batch.peek().is_none_or(|(next, _)| *next != source) {
                    sent.push_back(Sent {
                        source,
                        at: now,
                        after: message.after,
                    });
                }
            }
            if link.is_through() {
                through = sent.len();
            }
            let came = self.count(&mut sent, &mut through);
            self.recovered(came, link.is_stream() && begun.elapsed() >= STEADY)
                .await;
            if self.saved_at.elapsed() >= SAVE_EVERY {
                self.save().await;
            }
            // A console that has more waits for its budget at most.
            let pause = if more { TICK / 10 } else { TICK };
            tokio::select! {
                biased;
                // cancel-safe as Link::broken() says
                reason = link.broken() => return reason,
                // cancel-safe: a timer has nothing to lose
                () = sleep(pause) => {}
            }
        }
    }

    fn refill(&mut self, refilled: &mut Instant) {
        let passed = refilled.elapsed();
        *refilled = Instant::now();
        let rate = u128::from(self.syslog.rate);
        let more = u64::try_from(rate * passed.as_micros() / 1_000_000).unwrap_or(u64::MAX);
        for source in &mut self.sources {
            // A quiet console saves up a second.
            source.budget = source.budget.saturating_add(more).min(self.syslog.rate);
        }
    }

    /// One turn of each console, off the reactor.
    async fn gather(
        &mut self,
        mut feeds: Vec<Option<Feed>>,
    ) -> Result<(Vec<Option<Feed>>, Vec<(usize, Message)>, u64), tokio::task::JoinError> {
        type Wish = (String, Option<Cursor>, u64);
        let wishes: Vec<Wish> = self
            .sources
            .iter()
            .map(|source| (source.console.clone(), source.cursor.clone(), source.budget))
            .collect();
        let (state, head, typed) = (self.state.clone(), self.head.clone(), self.syslog.typed);
        let work = spawn_blocking(move || {
            let (mut batch, mut lost, now) = (Vec::new(), 0, Instant::now());
            for (nth, ((console, cursor, budget), feed)) in
                wishes.into_iter().zip(&mut feeds).enumerate()
            {
                let read = |feed: &mut Option<Feed>| {
                    if feed.is_none() {
                        *feed = Some(Feed::open(&state, &console, &head, typed, cursor)?);
                    }
                    let Some(feed) = feed else {
                        return Ok(Vec::new());
                    };
                    let turn = usize::try_from(budget).unwrap_or(TURN).min(TURN);
                    let messages = feed.next(turn, now)?;
                    lost += feed.take_lost();
                    Ok::<_, transcript::Error>(messages)
                };
                match read(feed) {
                    Ok(messages) => {
                        batch.extend(messages.into_iter().map(|message| (nth, message)))
                    }
                    // No transcript yet, or storage that fails: the next turn tries again.
                    Err(error) => {
                        tracing::debug!(console, error = crate::fault::chain(&error), "cannot read")
                    }
                }
            }
            (feeds, batch, lost)
        });
        let (feeds, batch, lost) = work.await?;
        for (nth, message) in &batch {
            if let Some(source) = self.sources.get_mut(*nth) {
                let size = u64::try_from(message.text.len()).unwrap_or(u64::MAX);
                source.budget = source.budget.saturating_sub(size);
            }
        }
        Ok((feeds, batch, lost))
    }

    /// Moves cursors over what counts as there now. Did any move?
    fn count(&mut self, sent: &mut VecDeque<Sent>, through: &mut usize) -> bool {
        let mut moved = false;
        while *through > 0
            && let Some(first) = sent.pop_front_if(|first| first.at.elapsed() >= GRACE)
        {
            *through -= 1;
            moved = true;
            if let Some(source) = self.sources.get_mut(first.source) {
                source.cursor = Some(first.after);
            }
        }
        moved
    }

    /// Tells that the server is back, and what was lost meanwhile.
    async fn recovered(&mut self, came: bool, stands: bool) {
        let back = self.down && (came || stands);
        let quiet = self
            .lost_told
            .is_none_or(|at| at.elapsed() >= TELL_LOST_EVERY);
        if !back && (self.down || self.lost == 0 || !quiet) {
            return;
        }
        self.down = false;
        self.lost_told = Some(Instant::now());
        let kind = Kind::ExportResumed {
            console: "*".into(),
            to: self.to.clone(),
            lost_bytes: std::mem::take(&mut self.lost),
        };
        self.told.publish(kind).await;
    }

    /// Puts the cursors on flash if they moved.
    async fn save(&mut self) {
        self.saved_at = Instant::now();
        // Consoles that are not sent now keep their place.
        let mut cursors = self.saved.clone();
        for source in &self.sources {
            if let Some(cursor) = &source.cursor {
                cursors.insert(source.console.clone(), cursor.clone());
            }
        }
        if cursors == self.saved {
            return;
        }
        let (path, saving) = (cursor::path(&self.state), cursors.clone());
        match spawn_blocking(move || cursor::save(&path, &saving)).await {
            Ok(Ok(())) => self.saved = cursors,
            Ok(Err(error)) => tracing::warn!(%error, "cannot save how far the export is"),
            Err(error) => tracing::error!(%error, "saving how far the export is failed"),
        }
    }
}

async fn send(link: &mut Link, batch: &[(usize, Message)]) -> std::io::Result<()> {
    if link.is_stream() {
        let bytes: String = batch
            .iter()
            .map(|(_, message)| framed(&message.text))
            .collect();
        return if bytes.is_empty() {
            Ok(())
        } else {
            link.send(bytes.as_bytes()).await
        };
    }
    for (nth, (_, message)) in batch.iter().enumerate() {
        if nth > 0 && nth % BURST == 0 {
            sleep(BURST_PAUSE).await;
        }
        link.send(message.text.as_bytes()).await?;
    }
    Ok(())
}
