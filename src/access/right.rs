//! What may be asked of the board, and which role may ask it. Pure: no lookup, no I/O.

use crate::command::Command;
use crate::config::Role;

use super::Person;

/// One thing a person wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right<'a> {
    /// See the state of the board and its events; consoles outside the grants stay hidden.
    Look,
    /// Watch a console and read its history.
    WatchConsole(&'a str),
    /// Type on a console, take the writer, send break.
    TypeOnConsole(&'a str),
    /// End another one's session on a console, accept its host's new key.
    KickSession(&'a str),
    /// Open connections to LAN hosts through the board.
    Forward,
    /// Scan, dial, hang up.
    SteerUplinks,
    /// Leave a remark in the journal.
    WriteNote,
    /// Have the configuration read again, the guard check now.
    Administer,
    /// What only owners ask of each other.
    Internal,
}

impl<'a> Right<'a> {
    /// The right that a command needs when a person gives it.
    #[must_use]
    pub fn of(command: &'a Command) -> Self {
        match command {
            Command::WriteNote { .. } => Self::WriteNote,
            Command::ReloadConfig | Command::CheckGuard => Self::Administer,
            Command::RescanUplink { .. }
            | Command::TakeUplinkUp { .. }
            | Command::TakeUplinkDown { .. }
            | Command::ReleaseUplink { .. } => Self::SteerUplinks,
            Command::AddressLink { .. } | Command::UnaddressLink { .. } => Self::Internal,
            Command::KickSession { console, .. }
            | Command::GiveWriter { console, .. }
            | Command::TrustHost { console } => Self::KickSession(console),
            Command::SendBreak { console, .. }
            | Command::SetLine { console, .. }
            | Command::FindLine { console }
            | Command::FindName { console }
            | Command::ResetCounters { console } => Self::TypeOnConsole(console),
        }
    }
}

impl Person {
    /// Whether this person may do it; otherwise the sentence to tell them.
    ///
    /// # Errors
    /// The refusal, for the person. A console outside the grants is said not to exist, so that names do not leak.
    pub fn may(&self, right: Right<'_>) -> Result<(), String> {
        if let Right::WatchConsole(console)
        | Right::TypeOnConsole(console)
        | Right::KickSession(console) = right
            && !self.sees(console)
        {
            return Err(format!("there is no console {}", super::printable(console)));
        }
        if let Right::TypeOnConsole(console) | Right::KickSession(console) = right
            && !self.writes(console)
        {
            let (name, console) = (&self.name, super::printable(console));
            return Err(format!("{name} may only watch console {console}"));
        }
        let least = match right {
            Right::Look | Right::WatchConsole(_) => Role::ReadOnly,
            Right::TypeOnConsole(_) | Right::Forward | Right::SteerUplinks | Right::WriteNote => {
                Role::Operator
            }
            Right::KickSession(_) | Right::Administer => Role::Administrator,
            Right::Internal => return Err("this command is not for people".into()),
        };
        if self.role < least {
            let (role, needed) = (role_name(self.role), role_name(least));
            return Err(format!(
                "{} has the role {role}; this needs {needed}",
                self.name
            ));
        }
        if right == Right::Forward && !self.forward {
            return Err(format!(
                "{} may not reach LAN hosts (forward = false)",
                self.name
            ));
        }
        Ok(())
    }
}

/// The word that oobd.toml uses.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::ReadOnly => "readonly",
        Role::Operator => "operator",
        Role::Administrator => "administrator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Role, consoles: &[&str]) -> Person {
        Person {
            name: "alice".into(),
            role,
            keys: vec![],
            password: None,
            consoles: consoles.iter().map(ToString::to_string).collect(),
            forward: true,
            keys_inside: None,
        }
    }

    #[test]
    fn roles_are_steps() {
        for (role, looks, types, administers) in [
            (Role::ReadOnly, true, false, false),
            (Role::Operator, true, true, false),
            (Role::Administrator, true, true, true),
        ] {
            let alice = person(role, &["*"]);
            assert_eq!(alice.may(Right::WatchConsole("a")).is_ok(), looks);
            assert_eq!(alice.may(Right::TypeOnConsole("a")).is_ok(), types);
            assert_eq!(alice.may(Right::Forward).is_ok(), types);
            assert_eq!(alice.may(Right::Administer).is_ok(), administers);
            assert_eq!(alice.may(Right::KickSession("a")).is_ok(), administers);
            assert!(alice.may(Right::Internal).is_err());
        }
    }

    #[test]
    fn a_console_outside_the_grants_does_not_exist() {
        let alice = person(Role::Administrator, &["core-*"]);
        assert!(alice.may(Right::TypeOnConsole("core-switch")).is_ok());
        let refusal = alice.may(Right::WatchConsole("edge")).unwrap_err();
        assert_eq!(refusal, "there is no console edge");
    }

    #[test]
    fn a_grant_to_read_lets_watch_whatever_the_role() {
        let alice = person(
            Role::Administrator,
            &["core-*", "edge-*:read", "edge-1:write"],
        );
        let may = |right| alice.may(right).is_ok();
        assert!(may(Right::TypeOnConsole("core-switch")));
        assert!(may(Right::WatchConsole("edge-2")) && !may(Right::TypeOnConsole("edge-2")));
        assert!(!may(Right::KickSession("edge-2")));
        // The wider of two grants counts.
        assert!(may(Right::TypeOnConsole("edge-1")));
        let refusal = alice.may(Right::TypeOnConsole("edge-2")).unwrap_err();
        assert_eq!(refusal, "alice may only watch console edge-2");
        let eve = person(Role::ReadOnly, &["core-*:write"]);
        assert!(eve.may(Right::TypeOnConsole("core-switch")).is_err());
    }

    #[test]
    fn forwarding_can_be_taken_away() {
        let mut alice = person(Role::Administrator, &["*"]);
        alice.forward = false;
        assert!(
            alice
                .may(Right::Forward)
                .unwrap_err()
                .contains("forward = false")
        );
    }

    #[test]
    fn layer_commands_are_not_for_people() {
        let command = Command::AddressLink {
            interface: "wlan0".into(),
        };
        assert_eq!(Right::of(&command), Right::Internal);
    }
}
