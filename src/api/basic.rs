//! Passwords that were right a moment ago, so that a script that sends one with every request (`curl -u`) costs one slow
//! hash in five minutes and not one each. Keeps keyed digests, never a password.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;
use ring::hmac::{self, HMAC_SHA256};
use tokio::sync::Semaphore;

use crate::clock::Instant;
use crate::session::Standing;

/// How long a right password is remembered.
const LIFE: Duration = Duration::from_secs(300);
const MOST: usize = 64;

type Digest = Vec<u8>;

/// What was right lately.
#[derive(Debug)]
pub(super) struct Basic {
    /// Made at start and known to nobody; `None` without randomness: then nothing is remembered.
    key: Option<hmac::Key>,
    known: Mutex<HashMap<Digest, (Standing, Instant)>>,
    /// Pairs that are being checked; each has a turn, for the others that come with the same.
    turns: Mutex<HashMap<Digest, Arc<Semaphore>>>,
}

impl Default for Basic {
    fn default() -> Self {
        let mut bytes = [0; 32];
        let made = OsRng.try_fill_bytes(&mut bytes).ok();
        Self {
            key: made.map(|()| hmac::Key::new(HMAC_SHA256, &bytes)),
            known: Mutex::default(),
            turns: Mutex::default(),
        }
    }
}

impl Basic {
    /// What this pair proved lately. Whether that still stands is for the caller to ask.
    pub(super) fn recall(&self, user: &str, password: &str) -> Option<Standing> {
        let digest = self.digest(user, password)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (proof, until) = known.get(&digest)?;
        (*until > Instant::now()).then(|| proof.clone())
    }

    pub(super) fn remember(&self, user: &str, password: &str, proof: Standing) {
        let Some(digest) = self.digest(user, password) else {
            return;
        };
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, until)| *until > now);
        if known.len() < MOST {
            known.insert(digest, (proof, now + LIFE));
        }
    }

    /// One permit for all who bring this pair at the same time: who gets it checks the password, the others then find it
    /// remembered. Closed when it was wrong. `None` without randomness.
    pub(super) fn turn(&self, user: &str, password: &str) -> Option<Arc<Semaphore>> {
        let digest = self.digest(user, password)?;
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds any more are over.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1 && !turn.is_closed());
        let turn = turns
            .entry(digest)
            .or_insert_with(|| Arc::new(Semaphore::new(1)));
        Some(turn.clone())
    }

    fn digest(&self, user: &str, password: &str) -> Option<Digest> {
        let key = self.key.as_ref()?;
        // A user name has no NUL, so the two cannot be told apart wrongly.
        let tag = hmac::sign(key, format!("{user}\0{password}").as_bytes());
        Some(tag.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Directory;
    use crate::config::{Role, Secret, User};

    #[tokio::test(start_paused = true)]
    async fn remembers_the_right_pair_for_a_while() {
        let user = User {
            name: "alice".into(),
            role: Role::Operator,
            keys: vec![],
            password: Some(Secret::new("$a")),
            consoles: vec![],
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        };
        let person = Directory::new(&[user]).person("alice").unwrap();
        let basic = Basic::default();
        basic.remember("alice", "rescue", Standing::new(person));
        assert!(basic.recall("alice", "rescue").is_some());
        assert!(basic.recall("alice", "rescue ").is_none());
        assert!(basic.recall("alic", "erescue").is_none());
        tokio::time::advance(LIFE).await;
        assert!(basic.recall("alice", "rescue").is_none());
    }
}
