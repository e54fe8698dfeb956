//! Which right a command needs of this person now: one's own session and keyboard are not somebody else's. Pure.

use crate::access::{Person, Right};
use crate::command::Command;
use crate::state::State;

/// The right that this person needs for this command.
///
/// Whoever may watch a console may end sessions of their own on it; who may type there may give the keyboard away
/// while it is theirs, or take it to a session of theirs. Everything else is as [`Right::of`] says.
#[must_use]
pub fn needed<'a>(command: &'a Command, state: &State, person: &Person) -> Right<'a> {
    match command {
        Command::KickSession { console, session }
            if owns(state, person, console, |id, _| id == *session) =>
        {
            Right::WatchConsole(console)
        }
        Command::GiveWriter { console, session }
            if owns(state, person, console, |id, writes| {
                writes || id == *session
            }) =>
        {
            Right::TypeOnConsole(console)
        }
        _ => Right::of(command),
    }
}

/// Has this person a session on the console that `fits` (its id, whether it writes)?
fn owns(state: &State, person: &Person, console: &str, fits: impl Fn(u64, bool) -> bool) -> bool {
    state.consoles.get(console).is_some_and(|console| {
        let mut sessions = console.sessions.iter();
        sessions.any(|session| session.user == person.name && fits(session.id, session.writer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Directory;
    use crate::clock::Timestamp;
    use crate::config::{Role, User};
    use crate::fact::{Console, Fact, PortPhase, Session};
    use crate::line::LineState;

    fn state() -> State {
        let session = |id, user: &str, writer| Session {
            id,
            user: user.into(),
            from: "ssh".into(),
            writer,
            since: Timestamp(0),
            typed_at: Timestamp(0),
        };
        let mut state = State::default();
        state.apply(Fact::Console(Console {
            name: "sw".into(),
            port: "/dev/ttyS1".into(),
            line: "9600n8".into(),
            phase: PortPhase::Open,
            since: Timestamp(0),
            why: String::new(),
            sessions: vec![session(1, "alice", true), session(2, "bob", false)],
            rx_bytes: 0,
            tx_bytes: 0,
            last_line: String::new(),
            state: LineState::default(),
            number: 1,
            device: None,
            outlets: vec![],
        }));
        state
    }

    #[test]
    fn own_sessions_are_ones_own() {
        let user = |name: &str, role| User {
            name: name.into(),
            role,
            keys: vec![],
            password: None,
            consoles: vec!["*".into()],
            forward: false,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        };
        let people = Directory::new(&[
            user("alice", Role::Operator),
            user("bob", Role::ReadOnly),
            user("carol", Role::Administrator),
        ]);
        let kick = |session| Command::KickSession {
            console: "sw".into(),
            session,
        };
        let give = |session| Command::GiveWriter {
            console: "sw".into(),
            session,
        };
        for (name, command, allowed) in [
            ("alice", kick(1), true),
            ("alice", kick(2), false),
            ("bob", kick(2), true),
            ("bob", kick(1), false),
            ("carol", kick(1), true),
            ("carol", kick(9), true),
            // Hers to give; not his to take by command, for his role only watches.
            ("alice", give(2), true),
            ("bob", give(2), false),
            ("carol", give(2), true),
        ] {
            let person = people.person(name).unwrap();
            let may = person.may(needed(&command, &state(), &person));
            assert_eq!(may.is_ok(), allowed, "{name} {command:?}: {may:?}");
        }
    }
}
