//! The port's coming and going: opened, lost, tried again, and who is told. Moves no bytes.

use bytes::Bytes;

use super::{
    Link, Owner, RETRY_FAILED, RETRY_GONE, RETRY_REFUSED, RETRY_TAKEN, SLOWEST, SLOWEST_REMOTE,
    STEADY,
};
use crate::clock::{Instant, Timestamp};
use crate::command::Refusal;
use crate::console::outbox::Then;
use crate::console::port::{self, Port};
use crate::event::Kind;
use crate::fact::PortPhase;
use crate::fault;

impl Owner<'_> {
    pub(super) fn open(&mut self) {
        self.link = Link::Opening(self.place.open(!self.desk.is_empty()));
    }

    /// A port was plugged in somewhere: look for ours without waiting for the next turn.
    pub(super) fn look_again(&mut self) {
        if !self.place.is_remote() && matches!(self.link, Link::Waiting(_)) {
            self.link = Link::Waiting(Instant::now());
        }
    }

    /// Trusts what the host showed, and opens the port with it.
    pub(super) fn trust(&mut self) -> Result<String, Refusal> {
        let Some((what, fingerprint)) = self.distrusted.take() else {
            let text = format!(
                "console {}: no new host key is waiting to be trusted",
                self.name
            );
            return Err(Refusal::Failed(text));
        };
        let said = format!("{what} is trusted with {fingerprint} from now on");
        self.link = Link::Opening(self.place.trust(what.clone(), fingerprint.clone()));
        self.publish(Kind::Pinned { what, fingerprint }, Then::Nothing);
        Ok(said)
    }

    pub(super) fn opened(&mut self, mut port: Box<dyn Port>) {
        self.why = match port.remark() {
            Some(remark) => format!("open, {remark}"),
            None => "open".into(),
        };
        self.distrusted = None;
        let events = port.events();
        let state = port.state();
        self.link = Link::Open(port);
        self.line_opened(state);
        self.opened_at = Some(Instant::now());
        self.reminded = None;
        self.phase = PortPhase::Open;
        self.since = Timestamp::now();
        let event = Kind::ConsoleOpened {
            console: self.name.clone(),
            port: self.place.to_string(),
        };
        for event in events.into_iter().chain([event]) {
            self.publish(event, Then::Nothing);
        }
        if self.reported.is_some() {
            self.desk.tell_all("port back");
        }
        self.reported = Some(PortPhase::Open);
        self.changed();
    }

    pub(super) fn unusable(&mut self, error: &port::Error) {
        let phase = if error.is_gone() {
            PortPhase::Gone
        } else {
            PortPhase::Failed
        };
        let taken = matches!(error, port::Error::Taken { .. });
        if taken {
            self.retry = self.retry.max(RETRY_TAKEN);
        }
        let wait = match phase {
            PortPhase::Failed if taken => self.retry,
            PortPhase::Failed if self.place.is_remote() => RETRY_REFUSED,
            PortPhase::Failed => RETRY_FAILED,
            PortPhase::Open | PortPhase::Gone => self.retry,
        };
        if taken {
            self.retry = (self.retry * 2).min(RETRY_REFUSED);
        } else if self.place.is_remote() {
            // What an early end has set, stays.
            self.retry = (self.retry * 2).min(SLOWEST.max(self.retry));
        }
        self.link = Link::Waiting(Instant::now() + wait);
        self.distrusted = match error {
            port::Error::Distrusted {
                what,
                found,
                by_config: false,
                ..
            } => Some((what.clone(), found.clone())),
            _ => None,
        };
        let why = fault::chain(error);
        if (self.reported != Some(phase) || self.why != why)
            && let Some(event) = error.event()
        {
            self.publish(event, Then::Nothing);
        }
        self.away(phase, &why);
    }

    pub(super) fn lost(&mut self, reason: &str) {
        // Dropping the port closes it now: while we held it the kernel would give the device another number.
        let steady = self.opened_at.is_some_and(|at| at.elapsed() >= STEADY);
        let slowest = if self.place.is_remote() {
            SLOWEST_REMOTE
        } else {
            SLOWEST
        };
        self.retry = if steady {
            RETRY_GONE
        } else {
            (self.retry * 2).min(slowest)
        };
        self.link = Link::Waiting(Instant::now() + self.retry);
        self.output = Bytes::new();
        self.gather_until = None;
        if let Some(cut) = &self.breaking {
            cut.cancel();
        }
        self.line_lost();
        self.hunts.cut();
        let why = format!("{}: {reason}", self.place);
        self.away(PortPhase::Gone, &why);
    }

    /// Tells everybody once per phase that the port cannot be used.
    pub(super) fn away(&mut self, phase: PortPhase, why: &str) {
        if self.reported == Some(phase) && self.why == why {
            return;
        }
        if self.phase != phase || self.reported.is_none() {
            self.since = Timestamp::now();
        }
        let was = self.reported;
        self.phase = phase;
        self.why = why.to_owned();
        self.reported = Some(phase);
        self.changed();
        if was == Some(phase) {
            return;
        }
        tracing::warn!(console = self.name, why, "port cannot be used");
        let event = Kind::ConsoleLost {
            console: self.name.clone(),
            reason: self.why.clone(),
        };
        self.publish(event, Then::Nothing);
        self.desk.tell_all(&self.away_notice());
    }

    pub(super) fn away_notice(&self) -> String {
        match self.phase {
            PortPhase::Open | PortPhase::Gone => "port gone".into(),
            PortPhase::Failed => format!("port failed: {}", self.why),
        }
    }
}
