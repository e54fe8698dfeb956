//! One uplink's life as a pure state machine: no clock, no I/O. Says what shall be done and what has happened.
//!
//! Failure is a state with a timer out of it. An input that means nothing in a state changes nothing.

use std::time::Duration;

use super::book::Target;
use super::wpa::Bssid;
use crate::clock::Instant;
use crate::event::HotspotFault;

/// Longest from "join" to "connected". A wrong WPA2 passphrase takes 4 s to show, WPA3 on a small board 2 s.
const JOIN_LIMIT: Duration = Duration::from_secs(12);
/// After a connection breaks while it is being made, the supplicant's verdict on why follows within this.
const VERDICT: Duration = Duration::from_millis(300);
/// Longest a hotspot may take to give an address.
pub(super) const LEASE_LIMIT: Duration = Duration::from_secs(20);
/// An IPv6 router without DHCPv4 beside it is taken as the way out after this.
const ROUTER_GRACE: Duration = Duration::from_secs(6);

/// Where the uplink stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not wanted.
    Off,
    /// wpa_supplicant or the radio is not there.
    Absent {
        reason: String,
    },
    Searching,
    Joining {
        target: Target,
        seen: Instant,
        until: Instant,
        /// It broke; why, and when we stop waiting for a better explanation.
        broken: Option<(String, Instant)>,
    },
    Leasing {
        target: Target,
        seen: Instant,
        until: Instant,
        /// IPv6 prefix of a router, and when it will do.
        router: Option<(String, Instant)>,
    },
    Up {
        target: Target,
        address: String,
        /// By DHCP; else by an IPv6 router alone, and no lease can be lost.
        leased: bool,
    },
    /// Goes on looking; `retry_at` is when the same hotspot is tried again.
    Failed {
        reason: String,
        retry_at: Instant,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The mode or an operator wants it, or not.
    Wanted(bool),
    SupplicantFound,
    SupplicantLost(String),
    /// A hotspot to join is on air.
    Sighted(Target),
    Connected(Bssid),
    /// `local`: our own side said so, which is what leaving looks like.
    Disconnected {
        bssid: Bssid,
        reason: u16,
        local: bool,
    },
    /// Joining failed and it is known why. `None` when the access point was not named.
    Refused {
        bssid: Option<Bssid>,
        fault: HotspotFault,
    },
    LeaseAcquired(String),
    LeaseLost(String),
    RouterFound(String),
    /// The link owner was restarted and forgot us.
    LinkForgot,
    Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Search {
        afresh: bool,
    },
    /// No scans from now on.
    Rest,
    Join(Target),
    Leave,
    Address,
    Unaddress,
    /// Joined: the access point is a good one.
    Accepted(Target),
    /// To be remembered against this access point; the answer is [`Machine::retry_at`].
    Penalise(Target, HotspotFault),
    Up {
        target: Target,
        address: String,
        after: Duration,
    },
    /// It was up.
    Down {
        reason: String,
    },
    Failed {
        reason: String,
    },
    /// A hotspot that was in use is gone.
    Lost(Target),
}

/// The state and what outlives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    wanted: bool,
    present: Option<String>,
    state: State,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            wanted: false,
            present: Some("wpa_supplicant was not seen yet".into()),
            state: State::Off,
        }
    }
}

impl Machine {
    #[must_use]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// When the machine wants a [`Input::Tick`].
    #[must_use]
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match &self.state {
            State::Off | State::Absent { .. } | State::Searching | State::Up { .. } => None,
            State::Joining { until, broken, .. } => {
                Some(broken.as_ref().map_or(*until, |(_, at)| *at))
            }
            State::Leasing { until, router, .. } => {
                Some(router.as_ref().map_or(*until, |(_, at)| (*until).min(*at)))
            }
            State::Failed { retry_at, .. } => Some(*retry_at),
        }
    }

    /// Sets when a failure is over; the book of faults knows.
    pub(super) fn retry_at(&mut self, at: Instant) {
        if let State::Failed { retry_at, .. } = &mut self.state {
            *retry_at = at;
        }
    }

    /// One step. Pure.
    #[must_use]
    pub(super) fn step(mut self, input: Input, now: Instant) -> (Self, Vec<Effect>) {
        match &input {
            Input::Wanted(wanted) => self.wanted = *wanted,
            Input::SupplicantFound => self.present = None,
            Input::SupplicantLost(reason) => self.present = Some(reason.clone()),
            _ => {}
        }
        let (state, effects) = match (self.wanted, &self.present) {
            (false, present) => {
                let reachable = present.is_none();
                self.state
                    .let_go(State::Off, reachable, "it is switched off")
            }
            (true, Some(reason)) => {
                let text = format!("wpa_supplicant is gone: {reason}");
                let absent = State::Absent {
                    reason: reason.clone(),
                };
                self.state.let_go(absent, false, &text)
            }
            (true, None) => self.state.live(input, now),
        };
        self.state = state;
        (self, effects)
    }
}

impl State {
    /// Gives up whatever stands, for a state in which nothing is joined.
    fn let_go(self, next: Self, reachable: bool, reason: &str) -> (Self, Vec<Effect>) {
        let mut effects = vec![];
        if let State::Up { target, .. } = &self {
            effects.push(Effect::Lost(target.clone()));
            effects.push(Effect::Down {
                reason: reason.to_owned(),
            });
        }
        if matches!(self, State::Up { .. } | State::Leasing { .. }) {
            effects.push(Effect::Unaddress);
        }
        let joined = matches!(
            self,
            State::Up { .. } | State::Leasing { .. } | State::Joining { .. }
        );
        if joined && reachable {
            effects.push(Effect::Leave);
        }
        let resting = matches!(self, State::Off | State::Absent { .. });
        if !resting {
            effects.push(Effect::Rest);
        }
        (next, effects)
    }

    /// Steps while the uplink is wanted and the supplicant is there.
    fn live(self, input: Input, now: Instant) -> (Self, Vec<Effect>) {
        match (self, input) {
            (Self::Off | Self::Absent { .. }, _) => {
                (Self::Searching, vec![Effect::Search { afresh: true }])
            }
            // A supplicant found while one is in use is another one: what was joined is gone with the old one.
            (state, Input::SupplicantFound) => {
                let (_, mut effects) =
                    state.let_go(Self::Searching, false, "wpa_supplicant was restarted");
                effects.push(Effect::Search { afresh: true });
                (Self::Searching, effects)
            }
            (Self::Searching | Self::Failed { .. }, Input::Sighted(target)) => (
                Self::Joining {
                    target: target.clone(),
                    seen: now,
                    until: now + JOIN_LIMIT,
                    broken: None,
                },
                vec![Effect::Rest, Effect::Join(target)],
            ),
            (Self::Failed { retry_at, .. }, Input::Tick) if now >= retry_at => {
                (Self::Searching, vec![Effect::Search { afresh: false }])
            }
            (state @ Self::Joining { .. }, input) => state.joining(input, now),
            (state @ Self::Leasing { .. }, input) => state.leasing(input, now),
            (state @ Self::Up { .. }, input) => state.up(input, now),
            (state, _) => (state, vec![]),
        }
    }

    fn joining(self, input: Input, now: Instant) -> (Self, Vec<Effect>) {
        let Self::Joining {
            target,
            seen,
            until,
            broken,
        } = self
        else {
            return (self, vec![]);
        };
        match (input, broken) {
            (Input::Connected(bssid), _) if bssid == target.bssid => (
                Self::Leasing {
                    target: target.clone(),
                    seen,
                    until: now + LEASE_LIMIT,
                    router: None,
                },
                vec![Effect::Address, Effect::Accepted(target)],
            ),
            (Input::Refused { bssid, fault }, _) if bssid.is_none_or(|b| b == target.bssid) => {
                refused(target, fault, now)
            }
            // Reason 3 from our own side is the echo of an earlier leave.
            (
                Input::Disconnected {
                    bssid,
                    reason,
                    local,
                },
                None,
            ) if bssid == target.bssid && !(local && reason == 3) => (
                Self::Joining {
                    target,
                    seen,
                    until,
                    broken: Some((format!("it broke off (reason {reason})"), now + VERDICT)),
                },
                vec![],
            ),
            (Input::Tick, Some((why, at))) if now >= at => {
                refused(target, HotspotFault::Rejected(why), now)
            }
            (Input::Tick, None) if now >= until => {
                let limit = JOIN_LIMIT.as_secs();
                let why = format!("no connection within {limit} s");
                refused(target, HotspotFault::Rejected(why), now)
            }
            (_, broken) => (
                Self::Joining {
                    target,
                    seen,
                    until,
                    broken,
                },
                vec![],
            ),
        }
    }

    fn leasing(self, input: Input, now: Instant) -> (Self, Vec<Effect>) {
        let Self::Leasing {
            target,
            seen,
            until,
            mut router,
        } = self
        else {
            return (self, vec![]);
        };
        let up = |target: Target, address: String, leased: bool| {
            let effect = Effect::Up {
                target: target.clone(),
                address: address.clone(),
                after: now.duration_since(seen),
            };
            let state = Self::Up {
                target,
                address,
                leased,
            };
            (state, vec![effect])
        };
        let mut effects = vec![];
        match input {
            Input::LeaseAcquired(address) => return up(target, address, true),
            Input::Disconnected { bssid, reason, .. } if bssid == target.bssid => {
                return lost(target, reason, false);
            }
            Input::RouterFound(prefix) if router.is_none() => {
                router = Some((prefix, now + ROUTER_GRACE));
            }
            Input::Tick => match &router {
                Some((prefix, at)) if now >= *at => return up(target, prefix.clone(), false),
                _ if now >= until => return no_lease(target, now),
                _ => {}
            },
            Input::LinkForgot => effects.push(Effect::Address),
            _ => {}
        }
        let state = Self::Leasing {
            target,
            seen,
            until,
            router,
        };
        (state, effects)
    }

    fn up(self, input: Input, now: Instant) -> (Self, Vec<Effect>) {
        let Self::Up {
            target,
            address,
            leased,
        } = self
        else {
            return (self, vec![]);
        };
        let stay = |target, address, leased, effects| {
            let state = Self::Up {
                target,
                address,
                leased,
            };
            (state, effects)
        };
        match input {
            Input::Disconnected { bssid, reason, .. } if bssid == target.bssid => {
                lost(target, reason, true)
            }
            Input::LeaseAcquired(address) => stay(target, address, true, vec![]),
            // The link owner goes on asking for one.
            Input::LeaseLost(reason) if leased => (
                Self::Leasing {
                    target,
                    seen: now,
                    until: now + LEASE_LIMIT,
                    router: None,
                },
                vec![Effect::Down {
                    reason: format!("its address is gone: {reason}"),
                }],
            ),
            Input::LinkForgot => stay(target, address, leased, vec![Effect::Address]),
            _ => stay(target, address, leased, vec![]),
        }
    }
}

/// The connection ended after it had been made: the hotspot is gone, or threw us out.
fn lost(target: Target, reason: u16, up: bool) -> (State, Vec<Effect>) {
    let text = format!("hotspot `{}` is gone (reason {reason})", target.name);
    let mut effects = vec![Effect::Lost(target)];
    if up {
        effects.push(Effect::Down { reason: text });
    }
    effects.extend([
        Effect::Unaddress,
        Effect::Leave,
        Effect::Search { afresh: true },
    ]);
    (State::Searching, effects)
}

fn refused(target: Target, fault: HotspotFault, now: Instant) -> (State, Vec<Effect>) {
    let reason = super::why::refusal(&target.name, target.bssid, &fault);
    let failed = State::Failed {
        reason,
        retry_at: now,
    };
    let effects = vec![
        Effect::Leave,
        Effect::Penalise(target, fault),
        Effect::Search { afresh: false },
    ];
    (failed, effects)
}

fn no_lease(target: Target, now: Instant) -> (State, Vec<Effect>) {
    let reason = super::why::no_address(&target.name, LEASE_LIMIT);
    let fault = HotspotFault::Rejected("no answer to DHCP".into());
    let failed = State::Failed {
        reason: reason.clone(),
        retry_at: now,
    };
    let effects = vec![
        Effect::Unaddress,
        Effect::Leave,
        Effect::Penalise(target, fault),
        Effect::Failed { reason },
        Effect::Search { afresh: false },
    ];
    (failed, effects)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
