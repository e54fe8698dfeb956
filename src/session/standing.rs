//! What somebody signed in by, and whether it still opens the same rights. Never shows a secret.

use std::sync::Arc;

use crate::access::{Directory, Person};
use crate::config::Secret;

/// A person who signed in with a password.
#[derive(Clone, Debug)]
pub struct Standing {
    pub person: Arc<Person>,
    /// The stored hash at that moment.
    hash: Option<Secret>,
}

impl Standing {
    #[must_use]
    pub fn new(person: Arc<Person>) -> Self {
        let hash = person.hash().cloned();
        Self { person, hash }
    }

    /// The same person under another password, as when it was just changed by who stands here.
    #[must_use]
    pub fn with_hash(&self, phc: &str) -> Self {
        Self {
            person: self.person.clone(),
            hash: Some(Secret::new(phc)),
        }
    }

    /// Would the same password still open the same rights?
    #[must_use]
    pub fn holds(&self, access: &Directory) -> bool {
        access.person(&self.person.name).is_some_and(|now| {
            let proven = self
                .hash
                .as_ref()
                .is_some_and(|hash| now.has_hash(hash.expose()));
            proven && now.rights_as(&self.person)
        })
    }

    /// Waits until the person was changed or removed; then the sentence for them. Cancel-safe: it only watches.
    pub async fn lost(&self, access: &Directory) -> String {
        let mut changes = access.changes();
        loop {
            if let Some(why) = self.loss(access) {
                return why;
            }
            changes.next().await;
        }
    }

    /// Why it does not hold any more, if so.
    #[must_use]
    pub fn loss(&self, access: &Directory) -> Option<String> {
        (!self.holds(access)).then(|| "your user was changed or removed; sign in again".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Role, User};

    fn alice(phc: &str, role: Role) -> User {
        User {
            name: "alice".into(),
            role,
            keys: vec![],
            password: Some(Secret::new(phc)),
            consoles: vec!["*".into()],
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        }
    }

    #[tokio::test]
    async fn a_reload_that_changes_nothing_of_hers_ends_nothing() {
        let access = Directory::new(&[alice("$a", Role::Operator)]);
        let standing = Standing::new(access.person("alice").unwrap());
        let mut bob = alice("$b", Role::Operator);
        bob.name = "bob".into();
        access.replace(&[alice("$a", Role::Operator), bob]);
        assert!(standing.holds(&access));
        for users in [
            vec![],
            vec![alice("$other", Role::Operator)],
            vec![alice("$a", Role::ReadOnly)],
        ] {
            let access = Arc::new(Directory::new(&[alice("$a", Role::Operator)]));
            let (theirs, standing) = (access.clone(), standing.clone());
            let lost = tokio::spawn(async move { standing.lost(&theirs).await });
            access.replace(&users);
            assert!(lost.await.unwrap().contains("sign in again"));
        }
    }
}
