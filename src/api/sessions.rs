//! Who is signed in with a token, and the tickets that open one WebSocket each. Keeps hashes of tokens, never tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio_util::sync::CancellationToken;

use crate::access::Directory;
use crate::clock::{Instant, Timestamp};
use crate::session::Standing;

/// Sessions on the whole board, and of one user; past that the one that was used longest ago makes room.
const MOST: usize = 256;
const MOST_PER_USER: usize = 32;
/// A session ends after this long, used or not.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A ticket that nobody redeemed is void after this; a browser redeems it at once.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(30);
const MOST_TICKETS: usize = 256;

/// 256 random bits, as text that fits a header, a cookie and an address.
pub(crate) type Token = String;
type Hash = [u8; 32];

#[derive(Debug)]
struct Session {
    id: u64,
    proof: Standing,
    from: String,
    since: Timestamp,
    begun: Instant,
    used: Instant,
    /// Open WebSockets and event streams: while there are any the session is in use.
    held: usize,
    cut: CancellationToken,
}

#[derive(Debug)]
struct Ticket {
    proof: Standing,
    session: Option<u64>,
    until: Instant,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    sessions: HashMap<Hash, Session>,
    tickets: HashMap<Hash, Ticket>,
}

/// All sessions of the door. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<Table>>);

/// A session as a request finds it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: u64,
    pub(super) proof: Standing,
    /// Cancelled when the session ends.
    pub(super) cut: CancellationToken,
}

/// A session as it is listed.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Listed {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) from: String,
    pub(crate) since: Timestamp,
    pub(crate) idle_seconds: u64,
}

impl Sessions {
    /// Opens a session.
    ///
    /// # Errors
    /// No randomness.
    pub(crate) fn begin(&self, proof: Standing, from: String) -> Result<(Token, u64), String> {
        let (token, hash) = fresh()?;
        let now = Instant::now();
        let mut table = self.table();
        table.make_room(&proof.person.name);
        table.next += 1;
        let id = table.next;
        let session = Session {
            id,
            proof,
            from,
            since: Timestamp::now(),
            begun: now,
            used: now,
            held: 0,
            cut: CancellationToken::new(),
        };
        table.sessions.insert(hash, session);
        Ok((token, id))
    }

    /// The session of this token, used now.
    pub(super) fn find(&self, token: &str, idle: Duration) -> Option<Found> {
        let mut table = self.table();
        table.expire(idle);
        let session = table.sessions.get_mut(&hash(token))?;
        session.used = Instant::now();
        Some(session.found())
    }

    /// Makes a ticket that stands for this proof once.
    ///
    /// # Errors
    /// No randomness, or too many tickets out.
    pub(super) fn ticket(&self, proof: Standing, session: Option<u64>) -> Result<Token, String> {
        let (token, hash) = fresh()?;
        let now = Instant::now();
        let mut table = self.table();
        table.tickets.retain(|_, ticket| ticket.until > now);
        if table.tickets.len() >= MOST_TICKETS {
            return Err("too many tickets at once".into());
        }
        let ticket = Ticket {
            proof,
            session,
            until: now + TICKET_LIFE,
        };
        table.tickets.insert(hash, ticket);
        Ok(token)
    }

    /// Takes a ticket back: what it stood for, if it is good. The session it came from must be there still.
    pub(super) fn redeem(&self, token: &str) -> Option<(Standing, Option<Found>)> {
        let mut table = self.table();
        let ticket = table.tickets.remove(&hash(token))?;
        if ticket.until <= Instant::now() {
            return None;
        }
        let Some(id) = ticket.session else {
            return Some((ticket.proof, None));
        };
        let session = table.sessions.values_mut().find(|one| one.id == id)?;
        session.used = Instant::now();
        let found = session.found();
        Some((found.proof.clone(), Some(found)))
    }

    /// Ends one session; `false` when it is not there, or is not one of this user's.
    pub(crate) fn end(&self, id: u64, of: Option<&str>) -> bool {
        let mut table = self.table();
        let before = table.sessions.len();
        table.keep(|one| one.id != id || of.is_some_and(|user| one.proof.person.name != user));
        table.sessions.len() < before
    }

    /// Ends the sessions of users who were removed or changed, and tickets with them.
    pub(super) fn review(&self, access: &Directory) {
        let mut table = self.table();
        table.keep(|one| one.proof.holds(access));
        table.tickets.retain(|_, ticket| ticket.proof.holds(access));
    }

    /// Ends the sessions that nobody used for so long.
    pub(super) fn expire(&self, idle: Duration) {
        self.table().expire(idle);
    }

    /// The password of this session's user was changed in it: it goes on under the new one, all others end.
    pub(crate) fn password_changed(&self, id: u64, hash: &str) {
        let mut table = self.table();
        if let Some(session) = table.sessions.values_mut().find(|one| one.id == id) {
            session.proof = session.proof.with_hash(hash);
        }
    }

    /// The sessions, oldest first; of one user or of all.
    pub(crate) fn list(&self, of: Option<&str>) -> Vec<Listed> {
        let now = Instant::now();
        let table = self.table();
        let mut listed: Vec<Listed> = table
            .sessions
            .values()
            .filter(|one| of.is_none_or(|user| one.proof.person.name == user))
            .map(|one| Listed {
                id: one.id,
                user: one.proof.person.name.clone(),
                from: one.from.clone(),
                since: one.since,
                idle_seconds: if one.held > 0 {
                    0
                } else {
                    now.duration_since(one.used).as_secs()
                },
            })
            .collect();
        listed.sort_by_key(|one| one.id);
        listed
    }

    /// Keeps a session from being idle while a stream of it is open.
    pub(super) fn hold(&self, id: u64) -> Hold {
        self.table().held(id, |held| held + 1);
        Hold {
            id,
            sessions: self.clone(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Sessions::hold`].
#[derive(Debug)]
pub(crate) struct Hold {
    id: u64,
    sessions: Sessions,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.sessions
            .table()
            .held(self.id, |held| held.saturating_sub(1));
    }
}

impl Session {
    fn found(&self) -> Found {
        Found {
            id: self.id,
            proof: self.proof.clone(),
            cut: self.cut.clone(),
        }
    }
}

impl Table {
    /// Ends every session that does not stay.
    fn keep(&mut self, stays: impl Fn(&Session) -> bool) {
        self.sessions.retain(|_, session| {
            let stay = stays(session);
            if !stay {
                session.cut.cancel();
            }
            stay
        });
    }

    fn expire(&mut self, idle: Duration) {
        let now = Instant::now();
        self.keep(|one| {
            let in_use = one.held > 0 || now.duration_since(one.used) < idle;
            in_use && now.duration_since(one.begun) < LONGEST
        });
    }

    fn make_room(&mut self, user: &str) {
        let of_user = |one: &&Session| one.proof.person.name == user;
        let crowded = self.sessions.values().filter(of_user).count() >= MOST_PER_USER;
        if !crowded && self.sessions.len() < MOST {
            return;
        }
        let oldest = self
            .sessions
            .values()
            .filter(|one| !crowded || of_user(one))
            .min_by_key(|one| (one.held > 0, one.used))
            .map(|one| one.id);
        self.keep(|one| Some(one.id) != oldest);
    }

    fn held(&mut self, id: u64, change: impl Fn(usize) -> usize) {
        if let Some(session) = self.sessions.values_mut().find(|one| one.id == id) {
            session.held = change(session.held);
            session.used = Instant::now();
        }
    }
}

fn fresh() -> Result<(Token, Hash), String> {
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| format!("no randomness: {e}"))?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let hash = hash(&token);
    Ok((token, hash))
}

/// A token has 256 random bits, so a plain hash of it can neither be turned back nor found by trying.
fn hash(token: &str) -> Hash {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Role, Secret, User};

    const IDLE: Duration = Duration::from_secs(600);

    fn user(name: &str, password: &str) -> User {
        User {
            name: name.into(),
            role: Role::Operator,
            keys: vec![],
            password: Some(Secret::new(password)),
            consoles: vec!["*".into()],
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        }
    }

    fn proof(access: &Directory, name: &str) -> Standing {
        Standing::new(access.person(name).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_idleness_age_and_hand() {
        let access = Directory::new(&[user("alice", "$a"), user("bob", "$b")]);
        let sessions = Sessions::default();
        let begin = |name: &str| sessions.begin(proof(&access, name), "here".into()).unwrap();
        let ((token, id), (other, _)) = (begin("alice"), begin("bob"));
        assert_eq!(token.len(), 43);
        assert!(sessions.find("nonsense", IDLE).is_none());
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        let found = sessions.find(&token, IDLE).unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(sessions.find(&token, IDLE).is_some(), "it was used");
        assert!(sessions.find(&other, IDLE).is_none(), "it was not");
        let hold = sessions.hold(id);
        tokio::time::advance(IDLE * 2).await;
        assert!(sessions.find(&token, IDLE).is_some(), "a stream is open");
        drop(hold);
        assert!(!sessions.end(id, Some("bob")));
        assert!(sessions.end(id, Some("alice")));
        assert!(found.cut.is_cancelled());
        let (token, id) = begin("alice");
        let _hold = sessions.hold(id);
        tokio::time::advance(LONGEST).await;
        assert!(sessions.find(&token, IDLE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_ends_the_sessions_of_who_was_changed() {
        let access = Directory::new(&[user("alice", "$a"), user("bob", "$b"), user("eve", "$e")]);
        let sessions = Sessions::default();
        let begin = |name: &str| sessions.begin(proof(&access, name), String::new()).unwrap();
        let [alice, bob, eve] = ["alice", "bob", "eve"].map(begin);
        let ticket = sessions.ticket(proof(&access, "bob"), None).unwrap();
        let weaker = User {
            consoles: vec!["core-*".into()],
            ..user("eve", "$e")
        };
        access.replace(&[user("alice", "$a"), user("bob", "$other"), weaker]);
        sessions.review(&access);
        assert!(sessions.find(&alice.0, IDLE).is_some());
        assert!(sessions.find(&bob.0, IDLE).is_none());
        assert!(sessions.find(&eve.0, IDLE).is_none());
        assert!(sessions.redeem(&ticket).is_none());
        assert_eq!(sessions.list(None).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_and_for_a_while() {
        let access = Directory::new(&[user("alice", "$a")]);
        let sessions = Sessions::default();
        let alice = || proof(&access, "alice");
        let (_, id) = sessions.begin(alice(), String::new()).unwrap();
        let ticket = sessions.ticket(alice(), Some(id)).unwrap();
        let (_, found) = sessions.redeem(&ticket).unwrap();
        assert_eq!(found.unwrap().id, id);
        assert!(sessions.redeem(&ticket).is_none());
        let late = sessions.ticket(alice(), Some(id)).unwrap();
        tokio::time::advance(TICKET_LIFE).await;
        assert!(sessions.redeem(&late).is_none());
        let orphan = sessions.ticket(alice(), Some(id)).unwrap();
        sessions.end(id, None);
        assert!(sessions.redeem(&orphan).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_user_cannot_push_others_out() {
        let access = Directory::new(&[user("alice", "$a"), user("bob", "$b")]);
        let sessions = Sessions::default();
        let begin = |name: &str| sessions.begin(proof(&access, name), String::new()).unwrap();
        let bob = begin("bob");
        for _ in 0..MOST_PER_USER * 2 {
            begin("alice");
        }
        assert_eq!(sessions.list(Some("alice")).len(), MOST_PER_USER);
        assert!(sessions.find(&bob.0, IDLE).is_some());
    }
}
