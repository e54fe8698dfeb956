//! What two pictures of the state do not have in common, for who has the older one. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, to_value};

use super::State;

/// One place of the state and what stands there now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// A key of the state, and the name below it where there is a map by name.
    pub path: Vec<String>,
    /// Left out: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

struct Changes(Vec<Change>);

impl Changes {
    fn put<T: Serialize>(&mut self, path: &[&str], value: &T) {
        let value = to_value(value).unwrap_or(Value::Null);
        self.push(path, Some(value));
    }

    fn push(&mut self, path: &[&str], value: Option<Value>) {
        let path = path.iter().map(ToString::to_string).collect();
        self.0.push(Change { path, value });
    }

    fn one<T: Serialize + PartialEq>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.put(&[key], new);
        }
    }

    fn map<T: Serialize + PartialEq>(
        &mut self,
        key: &str,
        old: &BTreeMap<String, T>,
        new: &BTreeMap<String, T>,
    ) {
        for (name, value) in new {
            if old.get(name) != Some(value) {
                self.put(&[key, name], value);
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.push(&[key, name], None);
        }
    }
}

impl State {
    /// What makes `old` this state, one change for each place.
    #[must_use]
    pub fn since(&self, old: &Self) -> Vec<Change> {
        // All of it by name: a new field that is forgotten here does not compile.
        let Self {
            device,
            version,
            started_at,
            ready,
            mode,
            oob,
            config_problems,
            links,
            uplinks,
            consoles,
            guard,
            doors,
            owners,
            ports,
            pdus,
            upses,
            machines,
            ider,
            cira,
            config_trial,
            alarms,
        } = self;
        let mut changes = Changes(Vec::new());
        changes.one("device", &old.device, device);
        changes.one("version", &old.version, version);
        changes.one("started_at", &old.started_at, started_at);
        changes.one("ready", &old.ready, ready);
        changes.one("mode", &old.mode, mode);
        changes.one("oob", &old.oob, oob);
        changes.one("config_problems", &old.config_problems, config_problems);
        changes.map("links", &old.links, links);
        changes.map("uplinks", &old.uplinks, uplinks);
        changes.map("consoles", &old.consoles, consoles);
        changes.one("guard", &old.guard, guard);
        changes.map("doors", &old.doors, doors);
        changes.map("owners", &old.owners, owners);
        changes.one("ports", &old.ports, ports);
        changes.map("pdus", &old.pdus, pdus);
        changes.map("upses", &old.upses, upses);
        changes.map("machines", &old.machines, machines);
        changes.map("ider", &old.ider, ider);
        changes.map("cira", &old.cira, cira);
        changes.one("config_trial", &old.config_trial, config_trial);
        changes.map("alarms", &old.alarms, alarms);
        changes.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{ConfigTrial, Door, Ups};

    /// What a client does with them.
    fn apply(mut picture: Value, changes: &[Change]) -> Value {
        for change in changes {
            let (last, above) = change.path.split_last().unwrap();
            let place = above
                .iter()
                .fold(&mut picture, |at, key| &mut at[key.as_str()]);
            let place = place.as_object_mut().unwrap();
            match &change.value {
                Some(value) => place.insert(last.clone(), value.clone()),
                None => place.remove(last),
            };
        }
        picture
    }

    #[test]
    fn the_old_picture_with_the_changes_is_the_new_one() {
        let door = |name: &str, address: &str| {
            let door = Door {
                name: name.into(),
                address: address.into(),
                fingerprint: None,
            };
            (name.to_owned(), door)
        };
        let ups = Ups {
            name: "u".into(),
            ..Ups::default()
        };
        let one = State {
            device: "rack7".into(),
            doors: [door("ssh", "[::]:22"), door("https", "[::]:443")].into(),
            upses: [("u".to_owned(), ups)].into(),
            config_trial: Some(ConfigTrial::default()),
            ..State::default()
        };
        let other = State {
            device: "rack8".into(),
            doors: [door("ssh", "[::]:2222"), door("https", "[::]:443")].into(),
            oob: true,
            ..one.clone()
        };
        let other = State {
            upses: BTreeMap::new(),
            config_trial: None,
            ..other
        };
        let changes = other.since(&one);
        let paths: Vec<String> = changes.iter().map(|change| change.path.join("/")).collect();
        assert_eq!(
            paths,
            ["device", "oob", "doors/ssh", "upses/u", "config_trial"]
        );
        let picture = |state: &State| to_value(state).unwrap();
        assert_eq!(apply(picture(&one), &changes), picture(&other));
        assert_eq!(apply(picture(&other), &one.since(&other)), picture(&one));
        assert_eq!(one.since(&one), []);
    }
}
