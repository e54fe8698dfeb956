//! TLS keys of one controller: what was pinned, what was not trusted, and the word to trust it. Asks nobody.

use crate::bmc::device::Fault;
use crate::event::Kind;
use crate::http::{Error, Pinned};
use crate::pin::Pins;

/// The keys that a controller showed.
#[derive(Debug)]
pub(super) struct Keys {
    pins: Pins,
    /// The key that was shown last and is not trusted: its name among the pins, and its fingerprint.
    distrusted: Option<(String, String)>,
    events: Vec<Kind>,
}

impl Keys {
    #[must_use]
    pub(super) fn new(pins: Pins) -> Self {
        Self {
            pins,
            distrusted: None,
            events: Vec::new(),
        }
    }

    /// What is to be journaled since the last call.
    pub(super) fn events(&mut self) -> Vec<Kind> {
        std::mem::take(&mut self.events)
    }

    /// Notes a key that was pinned.
    pub(super) fn pinned(&mut self, pinned: Option<Pinned>) {
        self.events.extend(pinned.map(|pinned| Kind::Pinned {
            what: pinned.what,
            fingerprint: pinned.fingerprint,
        }));
    }

    /// Is the error a key that is not trusted? Then it is kept, for who trusts it later.
    pub(super) fn distrusts(&mut self, error: &Error) -> bool {
        let Error::Distrusted {
            what,
            pinned,
            found,
            by_config,
            ..
        } = error
        else {
            return false;
        };
        let new = (what.clone(), found.clone());
        if self.distrusted.as_ref() != Some(&new) {
            self.events.push(Kind::PinMismatch {
                what: what.clone(),
                pinned: pinned.clone(),
                found: found.clone(),
            });
        }
        self.distrusted = (!by_config).then_some(new);
        true
    }

    /// Trusts the key that was shown last.
    ///
    /// # Errors
    /// There is none, or it cannot be kept.
    pub(super) async fn trust(&mut self) -> Result<(), Fault> {
        let Some((what, found)) = self.distrusted.take() else {
            let why = "it showed no certificate that is not trusted";
            return Err(Fault::Declined(why.into()));
        };
        let (pins, name, print) = (self.pins.clone(), what.clone(), found.clone());
        let set = tokio::task::spawn_blocking(move || pins.set(&name, &print)).await;
        if let Err(error) = set.map_err(std::io::Error::other).flatten() {
            return Err(Fault::Declined(format!("it cannot be kept: {error}")));
        }
        self.events.push(Kind::Pinned {
            what,
            fingerprint: found,
        });
        Ok(())
    }
}
