//! What every PDU protocol offers its owner. A driver is one file and one line of registration; it holds one connection
//! at most, has a time limit on everything it asks, and never decides whether something may be switched.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::reset::{PowerState, Verb};

/// What a device said of its outlets, in its own order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub outlets: Vec<OutletReading>,
}

impl Reading {
    /// Of no outlet is anything known any more: that is unknown, and never off.
    pub(super) fn forget(&mut self) {
        for outlet in &mut self.outlets {
            outlet.state = PowerState::Unknown;
            outlet.in_transition = false;
            (outlet.watts, outlet.amps) = (None, None);
        }
    }

    /// Outlets of an earlier reading that this one lacks stay, unknown.
    pub(super) fn keep(&mut self, mut former: Self) {
        former.outlets.retain(|old| {
            let mut outlets = self.outlets.iter();
            outlets.all(|outlet| outlet.key != old.key)
        });
        former.forget();
        self.outlets.append(&mut former.outlets);
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutletReading {
    /// As printed on the device, or as near as its protocol says: `3`, `A1`, `rack3`. Unique in the reading.
    pub key: String,
    /// What the device calls it; empty when it does not say.
    pub label: String,
    pub state: PowerState,
    /// The device says that it is on its way to another state.
    pub in_transition: bool,
    /// [`Driver::switch`] with [`Verb::PowerCycle`] is carried out by the device itself.
    pub cycles: bool,
    pub watts: Option<f64>,
    pub amps: Option<f64>,
}

/// How an outlet stands, and whether the device says that it is on its way to another state.
pub type Standing = (PowerState, bool);

/// Why a device was not read or switched. The texts are for a person and name no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No answer, or the connection broke: nobody knows whether it was done.
    #[error("{0}")]
    Silent(String),
    /// It answered that it will not serve us: a wrong password, no right. Not tried again soon, for devices lock accounts.
    #[error("{0}")]
    Refused(String),
    /// It cannot do this, or has no such outlet. Nothing was done.
    #[error("{0}")]
    NotPossible(String),
    /// It said something that its protocol does not have, or that it failed.
    #[error("{0}")]
    Odd(String),
    /// This board has no address on the LAN: nothing was asked of anybody.
    #[error("{0}")]
    Offline(String),
    /// Its certificate or key is not the pinned one. Nothing was asked of it.
    #[error("{what} is not who it was: pinned {pinned}, found {found}")]
    Changed {
        what: String,
        pinned: String,
        found: String,
    },
}

/// What a driver is doing.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// One protocol's side of one device. Not cancel-safe: the owner waits for what it asked, at most [`Driver::limit`].
pub trait Driver: Send {
    /// All outlets, read anew.
    fn read(&mut self) -> Doing<'_, Reading>;

    /// How one outlet of the last reading stands now, and whether it is on its way; of one that is not there any more, none. A driver
    /// that can ask for that alone, and with less than for all, does.
    fn look<'a>(&'a mut self, _outlet: &'a str) -> Option<Doing<'a, Option<Standing>>> {
        None
    }

    /// Has an outlet switched: on, off, or cycled by the device with about `off` of darkness between. `Ok` means that the device took
    /// it, no more: the owner reads back.
    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, off: Duration) -> Doing<'a, ()>;

    /// Longest that one call may take; then the owner drops the driver and opens another.
    fn limit(&self) -> Duration {
        Duration::from_secs(15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlet_that_is_not_listed_any_more_stays_and_is_unknown() {
        let outlet = |key: &str, state| OutletReading {
            key: key.into(),
            state,
            watts: Some(40.0),
            in_transition: true,
            ..OutletReading::default()
        };
        let former = Reading {
            outlets: vec![outlet("1", PowerState::On), outlet("2", PowerState::On)],
        };
        let mut now = Reading {
            outlets: vec![outlet("2", PowerState::Off)],
        };
        now.keep(former);
        let gone = OutletReading {
            watts: None,
            in_transition: false,
            ..outlet("1", PowerState::Unknown)
        };
        assert_eq!(now.outlets, [outlet("2", PowerState::Off), gone]);
    }
}
