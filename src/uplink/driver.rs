//! Ties the uplink's pure parts (state, book of faults, scan plan) to the supplicant, the link owner, the bus and the probe. Decides nothing itself.

mod asks;
mod hears;

use std::path::Path;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;
use super::address::Addresser;
use super::book::{Book, Finding, Target};
use super::probe::{self, Verdict};
use super::radio;
use super::scan::{Cure, Plan};
use super::state::{Effect, Input, Machine, State};
use super::why;
use super::wpa::{Order, Supplicant};
use crate::bus::Bus;
use crate::clock::{Instant, Timestamp};
use crate::config::{Mode, Oob, Probe, Uplink, Wifi};
use crate::event::Kind;
use crate::fact::{self, Fact, Internet, UplinkPhase};
use crate::supervisor::context::Context;

/// Events that may wait for the journal. The uplink never waits for flash; past this it drops and says so.
const WAITING_EVENTS: usize = 256;
/// How often the supplicant is asked where it stands, in case an event was lost.
const POLL: Duration = Duration::from_secs(2);
/// Every so many polls the signal is asked for too.
const SIGNAL_EACH: u32 = 3;

/// What an operator asked for, above the configured mode.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    AsMode,
    Up { by: String },
    Down { by: String },
}

pub(super) async fn run(
    mut ctx: Context,
    uplink: Uplink,
    wifi: Wifi,
    oob: Oob,
    probe: Probe,
    control_dir: &Path,
) -> Result<(), Error> {
    let name = uplink.name.clone();
    let mut events = ctx.bus.subscribe();
    let (supplicant, mut reports) = Supplicant::spawn(wifi.clone(), control_dir, &ctx.dirs.run)
        .map_err(|source| Error::Thread {
            uplink: name.clone(),
            source,
        })?;
    let (verdicts, mut probed) = mpsc::channel(8);
    let mut pulse = ctx.pulse.clone();
    let mut owner = Owner::new(&ctx, uplink, wifi, oob, probe, supplicant, verdicts);
    owner.want();
    loop {
        owner.tick();
        let wake = owner.wake_at();
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe per docs on mpsc::Receiver::recv()
            Some(ask) = ctx.asks.recv() => owner.asked(ask),
            // cancel-safe per docs on mpsc::Receiver::recv()
            report = reports.recv() => match report {
                Some(report) => owner.reported(report),
                None => return Err(Error::ThreadEnded { uplink: name }),
            },
            // cancel-safe per docs on broadcast::Receiver::recv()
            event = events.recv() => match event {
                Ok(event) => owner.heard(&event),
                // What we missed may have been our lease: ask again, the link owner repeats itself.
                Err(RecvError::Lagged(_)) => owner.step(Input::LinkForgot),
                // The journal is gone: the board stops.
                Err(RecvError::Closed) => break,
            },
            // cancel-safe per docs on mpsc::Receiver::recv()
            Some(verdict) = probed.recv() => owner.probed(verdict),
            // cancel-safe: a timer has nothing to lose
            () = tokio::time::sleep_until(wake) => {}
        }
    }
    owner.step(Input::Wanted(false));
    ctx.observe(Fact::UplinkGone { name });
    Ok(())
}

struct Owner {
    bus: Bus,
    tracker: TaskTracker,
    stop: CancellationToken,
    uplink: Uplink,
    oob: Oob,
    probe: Probe,
    wifi: Wifi,
    machine: Machine,
    book: Book,
    plan: Plan,
    supplicant: Supplicant,
    addresser: Addresser,
    journal: mpsc::Sender<Kind>,
    verdicts: mpsc::Sender<Verdict>,
    probing: Option<CancellationToken>,
    wish: Wish,
    /// The supplicant was there before; its loss is news.
    found: bool,
    /// SSID on air, as told.
    visible: Option<String>,
    trouble: Option<Finding>,
    poll_at: Instant,
    polls: u32,
    signal_dbm: Option<i32>,
    security: Option<String>,
    internet: Internet,
    shown: Option<fact::Uplink>,
    listeners: Vec<asks::Listener>,
}

impl Owner {
    fn new(
        ctx: &Context,
        uplink: Uplink,
        wifi: Wifi,
        oob: Oob,
        probe: Probe,
        supplicant: Supplicant,
        verdicts: mpsc::Sender<Verdict>,
    ) -> Self {
        let now = Instant::now();
        let addresser = Addresser::spawn(
            &ctx.tracker,
            ctx.stop.clone(),
            ctx.commands.clone(),
            ctx.name.clone(),
            wifi.interface.clone(),
        );
        let (journal, mut kinds) = mpsc::channel::<Kind>(WAITING_EVENTS);
        let (bus, source) = (ctx.bus.clone(), ctx.name.clone());
        // Ends when the owner drops its sender; what was published before is still journaled.
        ctx.tracker.spawn(async move {
            while let Some(kind) = kinds.recv().await {
                let _ = bus.publish(&source, kind).await;
            }
        });
        Self {
            bus: ctx.bus.clone(),
            tracker: ctx.tracker.clone(),
            stop: ctx.stop.clone(),
            plan: Plan::new(&oob, now),
            book: Book::new(wifi.clone()),
            machine: Machine::default(),
            uplink,
            oob,
            probe,
            wifi,
            supplicant,
            addresser,
            journal,
            verdicts,
            probing: None,
            wish: Wish::AsMode,
            found: false,
            visible: None,
            trouble: None,
            poll_at: now,
            polls: 0,
            signal_dbm: None,
            security: None,
            internet: Internet::Unknown,
            shown: None,
            listeners: vec![],
        }
    }

    fn want(&mut self) {
        let wanted = match self.wish {
            Wish::AsMode => self.oob.mode != Mode::Off,
            Wish::Up { .. } => true,
            Wish::Down { .. } => false,
        };
        self.plan.eager(matches!(self.wish, Wish::Up { .. }));
        self.step(Input::Wanted(wanted));
    }

    fn step(&mut self, input: Input) {
        let now = Instant::now();
        tracing::debug!(uplink = self.uplink.name, ?input, "step");
        let (machine, effects) = std::mem::take(&mut self.machine).step(input, now);
        self.machine = machine;
        for effect in effects {
            self.carry_out(effect, now);
        }
        self.show();
    }

    fn carry_out(&mut self, effect: Effect, now: Instant) {
        match effect {
            Effect::Search { afresh } => self.plan.search(afresh, now),
            Effect::Rest => self.plan.rest(),
            Effect::Join(target) => {
                self.supplicant.order(Order::Join {
                    ssid: target.ssid,
                    method: target.method,
                    bssid: target.bssid,
                    frequency_mhz: target.frequency_mhz,
                });
                (self.poll_at, self.security) = (now + POLL, None);
                self.signal_dbm = Some(target.signal_dbm);
            }
            Effect::Leave => self.supplicant.order(Order::Leave),
            Effect::Address => self.addresser.ask(true),
            Effect::Unaddress => self.addresser.ask(false),
            Effect::Accepted(target) => {
                self.supplicant.order(Order::Status);
                self.plan.remember(target.frequency_mhz);
                self.trouble = None;
                for twin in self.book.accepted(&target, now) {
                    self.tell_finding(twin);
                }
            }
            Effect::Penalise(target, fault) => {
                let (news, until) = self.book.refused(&target, fault, now);
                self.machine.retry_at(until);
                if let Some(finding) = news {
                    self.tell_finding(finding);
                }
            }
            Effect::Up {
                target,
                address,
                after,
            } => self.up(&target, address, after, now),
            Effect::Down { reason } => self.down(reason),
            Effect::Failed { reason } => {
                let retry_in = match self.machine.state() {
                    State::Failed { retry_at, .. } => retry_at.duration_since(now),
                    _ => Duration::ZERO,
                };
                self.tell(Kind::UplinkFailed {
                    uplink: self.uplink.name.clone(),
                    reason,
                    retry_in_ms: millis(retry_in),
                });
            }
            Effect::Lost(target) => {
                self.visible = None;
                self.tell(Kind::HotspotLost {
                    uplink: self.uplink.name.clone(),
                    ssid: target.name,
                });
            }
        }
    }

    fn up(&mut self, target: &Target, address: String, after: Duration, now: Instant) {
        self.tell(Kind::UplinkUp {
            uplink: self.uplink.name.clone(),
            address,
            after_ms: millis(after),
        });
        self.tell(Kind::OobEntered {
            uplink: self.uplink.name.clone(),
        });
        self.plan.watch(target.frequency_mhz, now);
        self.tracker
            .spawn(radio::power_save_off(self.wifi.interface.clone()));
        let probing = self.stop.child_token();
        self.tracker.spawn(probe::run(
            self.probe.clone(),
            self.uplink.mark(),
            self.wifi.interface.clone(),
            self.verdicts.clone(),
            probing.clone(),
        ));
        if let Some(before) = self.probing.replace(probing) {
            before.cancel();
        }
    }

    fn down(&mut self, reason: String) {
        if let Some(probing) = self.probing.take() {
            probing.cancel();
        }
        self.internet = Internet::Unknown;
        let uplink = self.uplink.name.clone();
        self.tell(Kind::UplinkDown {
            uplink: uplink.clone(),
            reason,
        });
        self.tell(Kind::OobLeft { uplink });
    }

    fn wake_at(&self) -> Instant {
        let poll = self.connecting().then_some(self.poll_at);
        let listeners = self.listeners_wake_at();
        let wakes = [self.machine.wake_at(), self.plan.wake_at(), poll, listeners];
        let far = Instant::now() + Duration::from_secs(30);
        wakes.into_iter().flatten().fold(far, Instant::min)
    }

    fn connecting(&self) -> bool {
        matches!(
            self.machine.state(),
            State::Joining { .. } | State::Leasing { .. } | State::Up { .. }
        )
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.machine.wake_at().is_some_and(|at| now >= at) {
            self.step(Input::Tick);
        }
        if self.connecting() && now >= self.poll_at {
            self.poll_at = now + POLL;
            self.supplicant.order(Order::Status);
            self.polls = self.polls.wrapping_add(1);
            if self.polls.is_multiple_of(SIGNAL_EACH) {
                self.supplicant.order(Order::Signal);
            }
        }
        self.tire(now);
        if let Some(cure) = self.plan.cure(now) {
            tracing::warn!(uplink = self.uplink.name, ?cure, "the radio yields no scan");
            match cure {
                Cure::AbortScan => self.supplicant.order(Order::AbortScan),
                Cure::Reopen => self.supplicant.order(Order::Reopen),
                Cure::ResetLink => {
                    self.tracker
                        .spawn(radio::reset(self.wifi.interface.clone()));
                }
            }
        }
        if let Some(frequencies) = self.plan.next(now) {
            self.supplicant.order(Order::Scan { frequencies });
        }
    }

    fn tell(&self, kind: Kind) {
        if self.journal.try_send(kind).is_err() {
            tracing::error!(
                uplink = self.uplink.name,
                "the journal is stuck, event dropped"
            );
        }
    }

    fn tell_finding(&self, finding: Finding) {
        self.tell(Kind::HotspotRefused {
            uplink: self.uplink.name.clone(),
            ssid: finding.name,
            bssid: finding.bssid.to_string(),
            fault: finding.fault,
        });
    }

    fn phase(&self) -> (UplinkPhase, String) {
        let mode = match (&self.wish, self.oob.mode) {
            (Wish::Down { by }, _) => format!("taken down by {by}"),
            (Wish::Up { by }, _) => format!("taken up by {by}"),
            (Wish::AsMode, Mode::Off) => "oob.mode is off".into(),
            (Wish::AsMode, _) => "not started".into(),
        };
        why::phase(
            self.machine.state(),
            &self.wifi,
            self.trouble.as_ref(),
            &mode,
        )
    }

    /// Writes the fact when it changed.
    fn show(&mut self) {
        let (phase, why) = self.phase();
        let since = match &self.shown {
            Some(shown) if shown.phase == phase => shown.since,
            _ => Timestamp::now(),
        };
        let (target, address) = match self.machine.state() {
            State::Joining { target, .. } | State::Leasing { target, .. } => (Some(target), None),
            State::Up {
                target, address, ..
            } => (Some(target), Some(address.clone())),
            _ => (None, None),
        };
        let fact = fact::Uplink {
            name: self.uplink.name.clone(),
            kind: "wifi".into(),
            interface: self.wifi.interface.clone(),
            phase,
            since,
            why,
            ssid: target.map(|t| t.name.clone()),
            bssid: target.map(|t| t.bssid.to_string()),
            signal_dbm: target.and(self.signal_dbm),
            frequency_mhz: target.map(|t| t.frequency_mhz),
            security: target.and(self.security.clone()),
            address,
            internet: self.internet,
        };
        if self.shown.as_ref() != Some(&fact) {
            self.bus.observe(Fact::Uplink(fact.clone()));
            self.shown = Some(fact);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
