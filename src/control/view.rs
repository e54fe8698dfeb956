//! What of the state and the events one person may see: consoles, outlets and machines outside the grants do not exist for
//! them. Pure.

use crate::access::Person;
use crate::config::OURS;
use crate::event::{Event, Kind};
use crate::fact::Alarm;
use crate::state::State;

use super::names::names_hidden;
use super::wire::Query;

/// The state without what this person may not see.
pub(super) fn state(mut state: State, person: &Person) -> State {
    state.consoles.retain(|name, _| person.sees(name));
    for console in state.consoles.values_mut() {
        let seen = |name: &String| {
            let outlet = name.split_once('/');
            outlet.is_none_or(|(pdu, outlet)| person.sees_outlet(pdu, outlet))
        };
        console.outlets.retain(seen);
    }
    state.owners.retain(|name, _| {
        name.strip_prefix("console.")
            .is_none_or(|name| person.sees(name))
    });
    for (name, pdu) in &mut state.pdus {
        pdu.outlets
            .retain(|outlet| person.sees_outlet(name, &outlet.key));
        for outlet in &mut pdu.outlets {
            // What is ours is no machine.
            let seen = |feed: &String| OURS.contains(&feed.as_str()) || person.sees_machine(feed);
            outlet.feeds.retain(seen);
        }
    }
    let heard = |alarm: &Alarm| shows(&alarm.event, &Query::default(), person);
    state.alarms.retain(|_, alarm| heard(alarm));
    state.machines.retain(|name, _| person.sees_machine(name));
    state.ider.retain(|name, _| person.sees_machine(name));
    state
        .owners
        .retain(|name, _| machine_of(name).is_none_or(|name| person.sees_machine(name)));
    state
        .config_problems
        .retain(|problem| !names_hidden(problem, person));
    state
}

/// Does this person get this event for this question?
pub(super) fn shows(event: &Event, query: &Query, person: &Person) -> bool {
    let from_source = |wanted: &String| {
        let rest = event.source.strip_prefix(wanted.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    query.after.is_none_or(|after| event.seq > after)
        && query.since.is_none_or(|since| event.at >= since)
        && query.severity.is_none_or(|least| event.severity <= least)
        && query.source.as_ref().is_none_or(from_source)
        && console(event).is_none_or(|console| person.sees(console))
        && outlet(event).is_none_or(|(pdu, outlet)| person.sees_outlet(pdu, outlet))
        && machine(event).is_none_or(|machine| person.sees_machine(machine))
        && !texts(&event.kind).any(|text| names_hidden(text, person))
}

/// Is this event about a console, an outlet or a machine of this state?
pub(crate) fn concerns(event: &Event, state: &State) -> bool {
    console(event).is_some_and(|name| state.consoles.contains_key(name))
        || machine(event).is_some_and(|name| state.machines.contains_key(name))
        || outlet(event).is_some_and(|(pdu, key)| {
            let outlets = state.pdus.get(pdu).map(|pdu| pdu.outlets.iter());
            outlets.into_iter().flatten().any(|one| one.key == key)
        })
}

/// What an event says in words of its own, where it may name what is hidden.
fn texts(kind: &Kind) -> impl Iterator<Item = &str> {
    let (one, many): (&str, &[String]) = match kind {
        Kind::CommandGiven { command, .. } => (command, &[]),
        Kind::OwnerFailed { owner, .. } => (owner, &[]),
        Kind::ConfigChanged { what, .. } => (what, &[]),
        Kind::ConfigApplied { restarted } => ("", restarted),
        Kind::ConfigRefused { problems, .. } => ("", problems),
        _ => ("", &[]),
    };
    std::iter::once(one).chain(many.iter().map(String::as_str))
}

/// The console an event is about.
fn console(event: &Event) -> Option<&str> {
    match &event.kind {
        Kind::ConsoleOpened { console, .. }
        | Kind::ConsoleLost { console, .. }
        | Kind::SessionOpened { console, .. }
        | Kind::SessionClosed { console, .. }
        | Kind::WriterChanged { console, .. }
        | Kind::BreakSent { console, .. } => Some(console),
        _ => event.source.strip_prefix("console."),
    }
}

/// The outlet an event is about.
fn outlet(event: &Event) -> Option<(&str, &str)> {
    match &event.kind {
        Kind::OutletSwitching { pdu, outlet, .. }
        | Kind::OutletSwitched { pdu, outlet, .. }
        | Kind::OutletChanged { pdu, outlet, .. } => Some((pdu, outlet)),
        _ => None,
    }
}

/// The machine an event is about.
fn machine(event: &Event) -> Option<&str> {
    machine_of(&event.source)
}

/// The machine that an owner serves, its power, its screen or its drives.
fn machine_of(owner: &str) -> Option<&str> {
    let names = ["machine.", "screen.", "ider."];
    names.iter().find_map(|kind| owner.strip_prefix(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Directory;
    use crate::clock::Timestamp;
    use crate::config::{Role, User};
    use crate::event::Severity;

    fn event(seq: u64, source: &str, kind: Kind) -> Event {
        Event {
            seq,
            at: Timestamp(seq * 1000),
            severity: kind.severity(),
            source: source.into(),
            kind,
        }
    }

    #[test]
    fn a_question_filters_and_grants_hide() {
        let alice = User {
            name: "alice".into(),
            role: Role::Operator,
            keys: vec![],
            password: None,
            consoles: vec!["core-*".into()],
            forward: true,
            outlets: vec!["rack/3".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        };
        let alice = Directory::new(&[alice]).person("alice").unwrap();
        let lost = |console: &str| Kind::ConsoleLost {
            console: console.into(),
            reason: "unplugged".into(),
        };
        let given = |command: &str| Kind::CommandGiven {
            actor: "root".into(),
            command: command.into(),
            outcome: "done".into(),
        };
        for (text, shown) in [
            ("end session 1 on console core-switch", true),
            ("end session 1 on console edge", false),
            ("find out what the device on console edge is called", false),
            ("scan for uplink hotspot", true),
            ("console", true),
        ] {
            let event = event(3, "control", given(text));
            assert_eq!(shows(&event, &Query::default(), &alice), shown, "{text}");
        }
        let restarted = |names: &[&str]| Kind::ConfigApplied {
            restarted: names.iter().map(ToString::to_string).collect(),
        };
        for (names, shown) in [
            (&["link", "console.core-switch"][..], true),
            (&["link", "console.edge"], false),
        ] {
            let event = event(4, "supervisor", restarted(names));
            assert_eq!(shows(&event, &Query::default(), &alice), shown, "{names:?}");
        }
        let mut picture = State {
            config_problems: vec![
                "line 3, column 1: console.edge.serial.port: `x` is no device".into(),
                "line 9, column 1: console.core-switch.line: no".into(),
            ],
            ..State::default()
        };
        picture = state(picture, &alice);
        assert_eq!(picture.config_problems.len(), 1);
        let off = |outlet: &str| {
            let kind = Kind::OutletChanged {
                pdu: "rack".into(),
                outlet: outlet.into(),
                state: crate::reset::PowerState::Off,
            };
            event(5, "pdu.rack", kind)
        };
        assert!(shows(&off("3"), &Query::default(), &alice));
        assert!(!shows(&off("4"), &Query::default(), &alice));
        let switched = event(6, "control", given("outlet off: rack/3,4"));
        assert!(!shows(&switched, &Query::default(), &alice));
        let core = event(7, "console.core-switch", lost("core-switch"));
        let edge = event(8, "console.edge", lost("edge"));
        let all = Query::default();
        assert!(shows(&core, &all, &alice));
        assert!(!shows(&edge, &all, &alice));
        assert!(shows(&edge, &all, &Person::root("root")));
        for (query, shown) in [
            (
                Query {
                    after: Some(6),
                    ..all.clone()
                },
                true,
            ),
            (
                Query {
                    after: Some(7),
                    ..all.clone()
                },
                false,
            ),
            (
                Query {
                    since: Some(Timestamp(7000)),
                    ..all.clone()
                },
                true,
            ),
            (
                Query {
                    since: Some(Timestamp(7001)),
                    ..all.clone()
                },
                false,
            ),
            (
                Query {
                    severity: Some(Severity::Warning),
                    ..all.clone()
                },
                true,
            ),
            (
                Query {
                    severity: Some(Severity::Error),
                    ..all.clone()
                },
                false,
            ),
            (
                Query {
                    source: Some("console".into()),
                    ..all.clone()
                },
                true,
            ),
            (
                Query {
                    source: Some("console.core-switch".into()),
                    ..all.clone()
                },
                true,
            ),
            (
                Query {
                    source: Some("console.core".into()),
                    ..all.clone()
                },
                false,
            ),
        ] {
            assert_eq!(shows(&core, &query, &alice), shown, "{query:?}");
        }
    }
}
