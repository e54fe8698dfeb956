//! Who signed in, by what, and what the user name asks for (`alice:core-switch`). Pure.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use russh::ChannelId;
use russh::keys::PublicKey;

use crate::access::{Directory, Person, fingerprint};
use crate::config::Secret;

/// What the user name asks for beside the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing: straight to the only console, or the chooser.
    Any,
    /// `alice:serial`: the chooser, always.
    Chooser,
    /// `alice:core-switch`.
    Console(String),
}

/// Splits `alice:core-switch` or `alice+core-switch`. A user whose name is the whole text wins, so that no name is lost.
pub(super) fn parse(text: &str, is_user: impl Fn(&str) -> bool) -> (&str, Target) {
    if is_user(text) {
        return (text, Target::Any);
    }
    let Some((user, console)) = text.split_once(':').or_else(|| text.split_once('+')) else {
        return (text, Target::Any);
    };
    let target = match console {
        "" => Target::Any,
        "serial" => Target::Chooser,
        name => Target::Console(name.to_owned()),
    };
    (user, target)
}

/// The credential that opened the connection.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    Key(Box<PublicKey>),
    /// The stored hash at that moment.
    Password(Secret),
}

impl Proof {
    /// For the event: names the key, never a secret.
    pub(super) fn method(&self) -> String {
        match self {
            Self::Key(key) => format!("publickey {} {}", key.algorithm(), fingerprint(key)),
            Self::Password(_) => "password".into(),
        }
    }
}

/// One signed-in connection.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) person: Person,
    pub(super) target: Target,
    pub(super) peer: SocketAddr,
    proof: Mutex<Proof>,
    /// Forwards refused on this connection.
    refusals: AtomicU32,
    /// Channels whose terminal shows a whole-screen picture of ours.
    screens: Mutex<Vec<ChannelId>>,
}

/// Refused forwards of one connection that are journaled each; a browser behind `-D` makes hundreds a minute.
pub(super) const JOURNALED_REFUSALS: u32 = 32;

impl Login {
    pub(super) fn new(person: Person, target: Target, peer: SocketAddr, proof: Proof) -> Self {
        Self {
            person,
            target,
            peer,
            proof: Mutex::new(proof),
            refusals: AtomicU32::new(0),
            screens: Mutex::default(),
        }
    }

    /// Counts a refused forward; `Some` with its number when it is to be journaled: the first ones, then each time the
    /// number has doubled.
    pub(super) fn count_refusal(&self) -> Option<u32> {
        let number = self
            .refusals
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        (number <= JOURNALED_REFUSALS || number.is_power_of_two()).then_some(number)
    }

    /// Looks at or changes the list of channels whose terminal must be restored when the connection is cut.
    pub(super) fn screens<T>(&self, act: impl FnOnce(&mut Vec<ChannelId>) -> T) -> T {
        act(&mut self.screens.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Did a password open this connection?
    pub(super) fn by_password(&self) -> bool {
        matches!(*self.proof(), Proof::Password(_))
    }

    /// The person's own password was just changed to this hash; the connection that did it goes on.
    pub(super) fn password_changed(&self, phc: &str) {
        *self.proof() = Proof::Password(Secret::new(phc));
    }

    /// Would the same credential still open the same rights? Asked after each reload.
    pub(super) fn still_stands(&self, access: &Directory) -> bool {
        access.person(&self.person.name).is_some_and(|person| {
            let proven = match &*self.proof() {
                Proof::Key(key) => person.holds(key),
                Proof::Password(hash) => person.has_hash(hash.expose()),
            };
            proven && person.rights_as(&self.person)
        })
    }

    /// As events and other operators see it.
    pub(super) fn from(&self) -> String {
        format!("ssh {}", self.peer)
    }

    fn proof(&self) -> std::sync::MutexGuard<'_, Proof> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_carry_a_console() {
        let is_user = |name: &str| name == "alice" || name == "a+b";
        for (text, user, target) in [
            ("alice", "alice", Target::Any),
            ("alice:", "alice", Target::Any),
            ("alice:serial", "alice", Target::Chooser),
            ("alice+serial", "alice", Target::Chooser),
            (
                "alice:core-switch",
                "alice",
                Target::Console("core-switch".into()),
            ),
            (
                "alice+core-switch",
                "alice",
                Target::Console("core-switch".into()),
            ),
            ("alice:a+b", "alice", Target::Console("a+b".into())),
            ("alice:a:b", "alice", Target::Console("a:b".into())),
            ("a+b", "a+b", Target::Any),
            ("a+b:x", "a+b", Target::Console("x".into())),
            ("mallory", "mallory", Target::Any),
            ("", "", Target::Any),
            (":x", "", Target::Console("x".into())),
        ] {
            assert_eq!(parse(text, is_user), (user, target), "{text}");
        }
    }
}
