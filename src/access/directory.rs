//! The users in force. Readers get the newest table; a reload replaces it whole. Never reads the configuration file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::PublicKey;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::clock::Instant;
use crate::config::{Role, Secret, User, split_grant};
use crate::keymap::Keymap;

use super::limit::{Limiter, Source};
use super::{credential, glob, heap, key};

/// Passwords hashed at once; each takes 19 MiB or what its stored hash asks for.
const HASHERS: usize = 1;
/// Passwords that may wait for a hasher; past that the board says it is busy. A small board hashes three a second, so these
/// are through within [`HASHER_LIMIT`].
const WAITING: usize = 64;
/// Longest wait for a hasher.
const HASHER_LIMIT: Duration = Duration::from_secs(20);
/// A refused password is answered no sooner than this, whatever was wrong with it.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// One user as the rooms need them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub role: Role,
    pub(super) keys: Vec<PublicKey>,
    pub(super) password: Option<Secret>,
    pub(super) consoles: Vec<String>,
    /// Globs over `PDU/OUTLET`.
    pub(super) outlets: Vec<String>,
    pub(super) machines: Vec<String>,
    pub(super) forward: bool,
    /// Keys of the menu inside a session.
    pub keys_inside: Option<Keymap>,
}

impl Person {
    /// An administrator who needs no sign-in: root at the local control socket.
    #[must_use]
    pub fn root(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Administrator,
            keys: vec![],
            password: None,
            consoles: vec!["*".into()],
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        }
    }

    /// Is this console within the grants?
    #[must_use]
    pub fn sees(&self, console: &str) -> bool {
        grants(&self.consoles, console).next().is_some()
    }

    /// Do the grants let this person type there? The role has its say, too.
    #[must_use]
    pub(super) fn writes(&self, console: &str) -> bool {
        grants(&self.consoles, console).any(|writes| writes)
    }

    /// Is this outlet within the grants?
    #[must_use]
    pub fn sees_outlet(&self, pdu: &str, outlet: &str) -> bool {
        grants(&self.outlets, &format!("{pdu}/{outlet}"))
            .next()
            .is_some()
    }

    /// Do the grants let this person switch it? The role has its say, too.
    #[must_use]
    pub(super) fn switches_outlet(&self, pdu: &str, outlet: &str) -> bool {
        grants(&self.outlets, &format!("{pdu}/{outlet}")).any(|writes| writes)
    }

    /// Is this machine within the grants?
    #[must_use]
    pub fn sees_machine(&self, machine: &str) -> bool {
        grants(&self.machines, machine).next().is_some()
    }

    /// As [`Person::switches_outlet`].
    #[must_use]
    pub(super) fn switches_machine(&self, machine: &str) -> bool {
        grants(&self.machines, machine).any(|writes| writes)
    }

    /// May this key sign in as this person? Comments do not count.
    #[must_use]
    pub fn holds(&self, offered: &PublicKey) -> bool {
        self.keys
            .iter()
            .any(|known| known.key_data() == offered.key_data())
    }

    /// Are role and grants the same as the other's? Keys and passwords may differ.
    #[must_use]
    pub fn rights_as(&self, other: &Self) -> bool {
        let rights = |person: &Self| {
            let Self {
                consoles,
                outlets,
                machines,
                ..
            } = person.clone();
            (person.role, consoles, outlets, machines, person.forward)
        };
        rights(self) == rights(other)
    }

    /// The stored hash, for remembering what somebody signed in by.
    #[must_use]
    pub fn hash(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// Is this still the stored password hash (that somebody signed in by)?
    #[must_use]
    pub fn has_hash(&self, phc: &str) -> bool {
        self.password
            .as_ref()
            .is_some_and(|hash| hash.expose() == phc)
    }
}

/// For each of these grants that fits the name, whether it lets do more than look.
fn grants(grants: &[String], name: &str) -> impl Iterator<Item = bool> {
    let grants = grants.iter().map(|grant| split_grant(grant));
    let fitting = grants.filter(move |(pattern, _)| glob::matches(pattern, name));
    fitting.map(|(_, more)| more)
}

/// Why a password was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Unknown user, user without a password and wrong password look the same from outside.
    #[error("wrong user name or password")]
    Wrong,
    /// Nothing was hashed.
    #[error("too many wrong passwords from this address; wait {} s", .wait.as_secs() + 1)]
    TooMany { wait: Duration },
    /// Nothing was hashed.
    #[error("too many sign-ins at once; try again")]
    Busy,
}

type Table = Arc<BTreeMap<String, Arc<Person>>>;

/// The users in force and the guard against guessing. One per board, shared by every door.
#[derive(Debug)]
pub struct Directory {
    table: watch::Sender<Table>,
    limiter: Mutex<Limiter>,
    hashers: Semaphore,
    waiting: Semaphore,
}

impl Directory {
    #[must_use]
    pub fn new(users: &[User]) -> Self {
        heap::give_back_large_blocks();
        Self {
            table: watch::Sender::new(table(users)),
            limiter: Mutex::default(),
            hashers: Semaphore::new(HASHERS),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Puts other users in force. Sessions look their rights up at each step, so those of a removed user end.
    pub fn replace(&self, users: &[User]) {
        let fresh = table(users);
        self.table.send_if_modified(|table| {
            let changed = *table != fresh;
            *table = fresh;
            changed
        });
    }

    /// Gives one user another password hash, as first boot does when its password is changed.
    pub fn set_password(&self, name: &str, phc: &str) {
        self.table.send_modify(|table| {
            let mut people = BTreeMap::clone(table);
            if let Some(person) = people.get_mut(name) {
                let mut changed = Person::clone(person);
                changed.password = Some(Secret::new(phc));
                *person = Arc::new(changed);
            }
            *table = Arc::new(people);
        });
    }

    /// Wakes when the users change; the value itself is read through [`Directory::person`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.table.subscribe())
    }

    /// Everybody, by name.
    #[must_use]
    pub fn people(&self) -> Vec<Arc<Person>> {
        self.table.borrow().values().cloned().collect()
    }

    #[must_use]
    pub fn person(&self, name: &str) -> Option<Arc<Person>> {
        self.table.borrow().get(name).cloned()
    }

    /// May a connection from here be taken at all?
    pub fn admits(&self, from: IpAddr) -> bool {
        self.limiter().connect(Source::from(from), Instant::now())
    }

    /// Should a refusal of this source be journaled, or is it flooding?
    pub fn reports(&self, from: IpAddr) -> bool {
        self.limiter().report(Source::from(from), Instant::now())
    }

    /// Checks a password. The rate limit of the source comes first, then one hash at a time. Every refusal takes at
    /// least a second, so that guessing learns nothing from the clock.
    ///
    /// # Errors
    /// [`Refused`]; only `Wrong` has cost a hash.
    pub async fn check_password(
        &self,
        name: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Arc<Person>, Refused> {
        let start = Instant::now();
        let outcome = self.hash_and_compare(name, password, from.into()).await;
        if outcome.is_err() {
            tokio::time::sleep_until(start + REFUSAL_TIME).await;
        }
        outcome
    }

    async fn hash_and_compare(
        &self,
        name: &str,
        password: &str,
        source: Source,
    ) -> Result<Arc<Person>, Refused> {
        self.admit_password(source)?;
        let waiting = self.waiting.try_acquire().map_err(|_| Refused::Busy)?;
        let hasher = timeout(HASHER_LIMIT, self.hashers.acquire()).await;
        let _hasher = hasher
            .map_err(|_| Refused::Busy)?
            .map_err(|_| Refused::Busy)?;
        drop(waiting);
        // Others of the same source may have failed while this one waited.
        self.admit_password(source)?;
        let person = self.person(name);
        let stored = person.as_ref().and_then(|person| person.password.clone());
        let candidate = Secret::new(password);
        let fits = spawn_blocking(move || {
            credential::verify(stored.as_ref().map(Secret::expose), candidate.expose())
        })
        .await
        .unwrap_or(false);
        match person.filter(|_| fits) {
            Some(person) => {
                self.limiter().succeed(source);
                Ok(person)
            }
            None => {
                self.limiter().fail(source, Instant::now());
                Err(Refused::Wrong)
            }
        }
    }

    fn admit_password(&self, source: Source) -> Result<(), Refused> {
        match self.limiter().wait(source, Instant::now()) {
            Some(wait) => Err(Refused::TooMany { wait }),
            None => Ok(()),
        }
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when the users were replaced.
#[derive(Clone, Debug)]
pub struct Changes(watch::Receiver<Table>);

impl Changes {
    /// Waits for the next change; for ever when the board stops. Cancel-safe: it waits in `changed` only.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn table(users: &[User]) -> Table {
    let people = users.iter().map(|user| {
        let keys = user.keys.iter().filter_map(|line| {
            key::parse(line)
                .inspect_err(|e| {
                    tracing::error!(user = user.name, "a key of this user is not used: {e}")
                })
                .ok()
        });
        let person = Person {
            name: user.name.clone(),
            role: user.role,
            keys: keys.collect(),
            password: user.password.clone(),
            consoles: user.consoles.clone(),
            outlets: user.outlets.clone(),
            machines: user.machines.clone(),
            forward: user.forward,
            keys_inside: user.keys_inside.clone(),
        };
        (user.name.clone(), Arc::new(person))
    });
    Arc::new(people.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn alice() -> User {
        User {
            name: "alice".into(),
            role: Role::Operator,
            keys: vec![KEY.into(), "from=\"*\" ssh-ed25519 AAAA".into()],
            password: Some(Secret::new(credential::make("rescue me").unwrap())),
            consoles: vec!["*".into()],
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        }
    }

    #[tokio::test]
    async fn right_wrong_unknown() {
        let directory = Directory::new(&[alice()]);
        let person = directory.check_password("alice", "rescue me", HERE).await;
        assert_eq!(person.unwrap().name, "alice");
        for (name, password) in [("alice", "wrong"), ("mallory", "rescue me")] {
            let start = std::time::Instant::now();
            let refused = directory.check_password(name, password, HERE).await;
            assert_eq!(refused.unwrap_err(), Refused::Wrong);
            assert!(start.elapsed() >= REFUSAL_TIME);
        }
    }

    #[tokio::test]
    async fn guessing_at_once_is_stopped_before_hashing() {
        let directory = Directory::new(&[alice()]);
        let tries = (0..12).map(|_| directory.check_password("alice", "guess", HERE));
        let outcomes = futures::future::join_all(tries).await;
        let hashed = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(Refused::Wrong)))
            .count();
        assert_eq!(hashed, 5, "{outcomes:?}");
        let right = directory.check_password("alice", "rescue me", HERE).await;
        let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
        if matches!(right, Err(Refused::TooMany { .. })) {
            assert!(
                directory
                    .check_password("alice", "rescue me", elsewhere)
                    .await
                    .is_ok()
            );
        } else {
            // The 1 s wait was over already on a busy machine.
            assert!(right.is_ok());
        }
    }

    #[tokio::test]
    async fn right_passwords_at_once_wait_for_their_turn() {
        let directory = Directory::new(&[alice()]);
        // A debug build on a busy machine hashes one a second; they are to be through within HASHER_LIMIT.
        let tries = (0..8).map(|_| directory.check_password("alice", "rescue me", HERE));
        let outcomes = futures::future::join_all(tries).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }

    #[tokio::test]
    async fn a_reload_wakes_and_replaces() {
        let directory = Directory::new(&[alice()]);
        let offered = key::parse(KEY).unwrap();
        assert!(directory.person("alice").unwrap().holds(&offered));
        let mut changes = directory.changes();
        directory.replace(&[alice()].map(|user| User {
            keys: vec![],
            ..user
        }));
        changes.next().await;
        assert!(!directory.person("alice").unwrap().holds(&offered));
        directory.set_password("alice", "$argon2id$other");
        assert!(
            directory
                .person("alice")
                .unwrap()
                .has_hash("$argon2id$other")
        );
        directory.replace(&[]);
        assert!(directory.person("alice").is_none());
    }
}
