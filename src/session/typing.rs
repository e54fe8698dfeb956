//! The client's side of a session: what is typed, queued for the line. Never waits for the device with the keyboard in its
//! hands: `~.` works however full the line is.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::power::Panel;
use super::show::set;
use super::{BREAK_MILLIS, Ended, Gone, Heard, Keyboard, Screen};
use crate::command::Input;
use crate::escape::{Escape, HOLD, Piece};

/// Bytes that wait for a slow line in this session; past that the client waits.
const WAITING: usize = 128 * 1024;
/// Typed pieces that may wait, however small.
const PIECES: usize = 4096;
/// After a program's end of input: quiet on the line for this long means that the answer is complete …
const QUIET: Duration = Duration::from_millis(1000);
/// … and a device that talks for ever is left after this.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// A line that takes nothing for this long while all queues before it are full is stuck. The session then ends, for it
/// could not even see any more that its client is gone.
const STUCK: Duration = Duration::from_secs(60);

/// The keyboard side.
pub(super) struct Typing<'a, S, K> {
    pub(super) keyboard: &'a mut K,
    pub(super) screen: &'a S,
    pub(super) input: &'a mpsc::Sender<Input>,
    pub(super) types: bool,
    /// Why a program's input would be lost; its first byte ends the session with this.
    pub(super) unheard: Option<String>,
    /// None for a program: every byte is the device's.
    pub(super) escape: Option<Escape>,
    pub(super) doubled: bool,
    pub(super) chooser: bool,
    pub(super) console: &'a str,
    /// See [`super::Manner::answer`].
    pub(super) answer: bool,
    pub(super) queue: VecDeque<Input>,
    /// Bytes in the queue.
    pub(super) waiting: usize,
    /// A watcher was told once that typing does nothing.
    pub(super) told: bool,
    /// The power menu: has the keys while it is open.
    pub(super) panel: Panel,
}

impl<S: Screen, K: Keyboard> Typing<'_, S, K> {
    pub(super) async fn run(mut self, heard: &Mutex<Instant>) -> Result<Ended, Gone> {
        let mut moved = Instant::now();
        loop {
            let held = self.escape.as_ref().and_then(Escape::pending_since);
            let has_room = self.waiting < WAITING && self.queue.len() < PIECES;
            tokio::select! {
                // cancel-safe: see Keyboard::next
                heard_now = self.keyboard.next(), if has_room => {
                    if self.queue.is_empty() {
                        moved = Instant::now();
                    }
                    let heard_now = heard_now?;
                    if heard_now == Heard::Eof {
                        // Boxed, as all that is rare: a session has its room for all its life.
                        return Box::pin(self.drain(heard)).await;
                    }
                    if let Some(ended) = self.take(heard_now).await? {
                        return Ok(ended);
                    }
                }
                // cancel-safe: a permit that is not used is given back
                permit = self.input.reserve(), if !self.queue.is_empty() => {
                    let Ok(permit) = permit else {
                        // The console is going; `show` has its reason.
                        return std::future::pending().await;
                    };
                    if let Some(piece) = self.queue.pop_front() {
                        self.waiting -= weight(&piece);
                        permit.send(piece);
                    }
                    moved = Instant::now();
                }
                // cancel-safe: see Panel::over
                lines = self.panel.over() => {
                    for line in lines {
                        self.say_line(&line).await?;
                    }
                }
                // cancel-safe: a timer has nothing to lose
                () = sleep_until(moved + STUCK), if !has_room => return Ok(stuck()),
                // cancel-safe: a timer has nothing to lose
                () = sleep_until(held.map_or_else(Instant::now, |since| since + HOLD)), if held.is_some() => {
                    let bytes = self.escape.as_mut().map(Escape::flush).unwrap_or_default();
                    self.send(bytes).await?;
                }
            }
        }
    }

    /// Takes what the client did; `Some` when that ends the session.
    async fn take(&mut self, heard: Heard) -> Result<Option<Ended>, Gone> {
        if heard == Heard::Discard {
            self.discard();
            return Ok(None);
        }
        if let Some(why) = self.unheard.take() {
            return Ok(Some(Ended::Refused(why)));
        }
        let bytes = match heard {
            Heard::Bytes(bytes) => bytes,
            Heard::Break { millis } => {
                self.send_break(millis.unwrap_or(BREAK_MILLIS)).await?;
                return Ok(None);
            }
            Heard::TakeWriter => {
                self.take_writer().await?;
                return Ok(None);
            }
            Heard::Power => {
                self.open_menu().await?;
                return Ok(None);
            }
            Heard::Discard | Heard::Eof => return Ok(None),
        };
        let Some(escape) = &mut self.escape else {
            let rest = self.menu_keys(&bytes).await?.len();
            let rest = bytes.slice(bytes.len() - rest..);
            self.send(rest).await?;
            return Ok(None);
        };
        for piece in escape.feed(&bytes, Instant::now()) {
            match piece {
                Piece::Bytes(bytes) if self.panel.is_open() => {
                    let rest = self.menu_keys(&bytes).await?.to_vec();
                    self.send(rest).await?;
                }
                Piece::Bytes(bytes) => self.send(bytes).await?,
                Piece::Action(action) => {
                    self.panel.close();
                    if let Some(ended) = self.act(action).await? {
                        return Ok(Some(ended));
                    }
                }
            }
        }
        Ok(None)
    }

    async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.types {
            return self.tell().await;
        }
        self.waiting += bytes.len();
        self.queue.push_back(Input::Bytes(bytes));
        Ok(())
    }

    /// What was typed and is still waiting here is not wanted any more.
    pub(super) fn discard(&mut self) {
        self.queue.clear();
        self.waiting = 0;
    }

    /// Says once that this session never types.
    pub(super) async fn tell(&mut self) -> Result<(), Gone> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        self.screen
            .remark("\n[-- your role only watches --]\n")
            .await
    }

    /// The client has said all: let the line take it, wait for the answer.
    async fn drain(mut self, heard: &Mutex<Instant>) -> Result<Ended, Gone> {
        if let Some(escape) = &mut self.escape {
            let held = escape.flush();
            self.send(held).await?;
        }
        while let Some(piece) = self.queue.pop_front() {
            match timeout(STUCK, self.input.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => return Ok(stuck()),
            }
        }
        // All of it out of the console's own queue, too: every permit is free again.
        let all = self.input.max_capacity();
        match timeout(STUCK, self.input.reserve_many(all)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return Ok(stuck()),
        }
        if !self.answer {
            return Ok(Ended::Eof);
        }
        let limit = Instant::now() + DRAIN_LIMIT;
        set(heard);
        loop {
            let last = *heard.lock().unwrap_or_else(PoisonError::into_inner);
            let quiet_at = (last + QUIET).min(limit);
            if Instant::now() >= quiet_at {
                return Ok(Ended::Eof);
            }
            sleep_until(quiet_at).await;
        }
    }
}

fn stuck() -> Ended {
    Ended::Port("the line takes no input".into())
}

fn weight(piece: &Input) -> usize {
    match piece {
        Input::Bytes(bytes) => bytes.len(),
        Input::Break { .. } | Input::TakeWriter | Input::Replay { .. } | Input::Who => 0,
    }
}
