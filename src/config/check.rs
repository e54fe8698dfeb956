//! What several sections must agree on: interfaces, ports, names. Notes faults at the later one of two.

use std::collections::BTreeMap;

use super::console::doors::check_ports;
use super::reader::{Table, suggest};
use super::secret::Resolver;
use super::split_grant;
use super::transport::Machines;
use super::values;
use super::{Console, Lan, MOST_UPLINKS, Mode, Uplink, User};

/// Each console is a task, a ring and a folder; a bigger rack has a second board.
const MOST_CONSOLES: usize = 64;
/// Memory of all rings together; boards have 512 MiB and more.
const MOST_RINGS: usize = 64 << 20;
const MOST_USERS: usize = 256;
/// Smallest transcript that is worth the name.
const QUOTA_LEAST: u64 = 64 << 10;

pub(super) fn uplinks(table: &Table<'_>, lan: &Lan, resolver: &Resolver<'_>) -> Vec<Uplink> {
    let mut taken = BTreeMap::from([(lan.interface.clone(), "lan".to_owned())]);
    let mut uplinks = Vec::new();
    for (position, (name, field)) in table.named().into_iter().enumerate() {
        if position == MOST_UPLINKS {
            name.wrong(format!("more than {MOST_UPLINKS} uplinks"), None);
            break;
        }
        let slot = u8::try_from(position).unwrap_or(u8::MAX);
        name.check();
        let Some(section) = field.table() else {
            continue;
        };
        let Some(uplink) = Uplink::read(name.text(), slot, section, resolver) else {
            continue;
        };
        let interface = uplink.interface().to_owned();
        let owner = format!("uplink.{}", uplink.name);
        if let Some(first) = taken.get(&interface) {
            let message = format!("interface `{interface}` is in use by `{first}` already");
            match field.inner(&["wifi", "interface"]) {
                Some(place) => place.wrong(message),
                None => name.wrong(message, Some("name another `interface`".to_owned())),
            }
        }
        taken.entry(interface).or_insert(owner);
        uplinks.push(uplink);
    }
    uplinks
}

/// The uplinks of a file that says nothing about them.
pub(super) fn uplinks_unsaid(lan: &Lan, mode: Mode) -> Vec<Uplink> {
    let hotspot = Uplink::hotspot();
    if mode == Mode::Off || hotspot.interface() == lan.interface {
        return Vec::new();
    }
    vec![hotspot]
}

pub(super) fn consoles(
    table: &Table<'_>,
    doors: &[(u16, String)],
    resolver: &Resolver<'_>,
    machines: &Machines,
) -> Vec<Console> {
    let mut ports: BTreeMap<u16, String> = doors.iter().cloned().collect();
    let mut numbers = BTreeMap::new();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut consoles = Vec::new();
    let mut rings = 0_usize;
    for (position, (name, field)) in table.named().into_iter().enumerate() {
        if position == MOST_CONSOLES {
            name.wrong(format!("more than {MOST_CONSOLES} consoles"), None);
            break;
        }
        name.check();
        let Some(section) = field.table() else {
            continue;
        };
        let place = u16::try_from(position + 1).unwrap_or(u16::MAX);
        let Some(console) = Console::read(name.text(), place, section, resolver, machines) else {
            continue;
        };
        let claim = console.transport.claim();
        if let Some((port, keys)) = &claim
            && let Some(first) = taken.get(port)
            && let Some(place) = keys.iter().find_map(|keys| field.inner(keys))
        {
            place.wrong(format!("in use by `console.{first}` already"));
        }
        check_ports(&console.name, &console.doors, &field, &mut ports);
        if let Some(first) = numbers.get(&console.number) {
            let message = format!("number {} is `console.{first}` already", console.number);
            match field.inner(&["number"]) {
                Some(place) => place.wrong(message),
                None => name.wrong(message, Some("give it a `number` of its own".to_owned())),
            }
        }
        numbers
            .entry(console.number)
            .or_insert_with(|| console.name.clone());
        if let Some(port) = console.sessions.ssh_port {
            if let Some(first) = ports.get(&port)
                && let Some(place) = field.inner(&["ssh_port"])
            {
                place.wrong(format!("port {port} is in use by `{first}` already"));
            }
            ports
                .entry(port)
                .or_insert_with(|| format!("console.{}.ssh_port", console.name));
        }
        rings = rings.saturating_add(console.ring);
        if rings > MOST_RINGS && rings - console.ring <= MOST_RINGS {
            let message = format!(
                "the rings of all consoles need more than {} MiB of memory",
                MOST_RINGS >> 20
            );
            match field.inner(&["ring"]) {
                Some(place) => place.wrong(message),
                None => name.wrong(message, Some("make some `ring` smaller".to_owned())),
            }
        }
        if let Some((port, _)) = claim {
            taken.entry(port).or_insert_with(|| console.name.clone());
        }
        consoles.push(console);
    }
    consoles
}

/// Makes all transcripts fit into `total`: what the file names must, and the others share what is left.
pub(super) fn quotas(table: &Table<'_>, consoles: &mut [Console], total: u64) {
    let mut named = 0_u64;
    let mut unnamed = Vec::new();
    for (name, field) in table.named() {
        let text = name.text();
        let Some(at) = consoles.iter().position(|console| console.name == text) else {
            continue;
        };
        let Some(place) = field.inner(&["transcript"]) else {
            unnamed.push((at, name));
            continue;
        };
        if place.is_table() && place.inner(&["keep"]).is_none() {
            unnamed.push((at, name));
            continue;
        }
        let Some(console) = consoles.get(at) else {
            continue;
        };
        named = named.saturating_add(console.transcript);
        if named > total && named - console.transcript <= total {
            place.wrong_so(
                format!(
                    "all transcripts together need more than {}",
                    values::show_size(total)
                ),
                "make some `transcript` smaller, or [transcripts] total bigger",
            );
        }
    }
    let count = u64::try_from(unnamed.len()).unwrap_or(u64::MAX).max(1);
    let share = total.saturating_sub(named) / count;
    let quota = share.min(super::console::QUOTA);
    if let Some((_, name)) = unnamed.first()
        && quota < QUOTA_LEAST
        && named <= total
    {
        let message = format!(
            "no room is left for its transcript in {} for all of them",
            values::show_size(total)
        );
        let hint = "make some `transcript` smaller, or [transcripts] total bigger".to_owned();
        name.wrong(message, Some(hint));
    }
    for (at, _) in unnamed {
        if let Some(console) = consoles.get_mut(at) {
            console.transcript = quota.max(QUOTA_LEAST);
        }
    }
}

pub(super) fn users(table: &Table<'_>, consoles: &[Console], resolver: &Resolver<'_>) -> Vec<User> {
    let names: Vec<&str> = consoles
        .iter()
        .map(|console| console.name.as_str())
        .collect();
    let mut users = Vec::new();
    for (position, (name, field)) in table.named().into_iter().enumerate() {
        if position == MOST_USERS {
            name.wrong(format!("more than {MOST_USERS} users"), None);
            break;
        }
        name.check();
        let Some(section) = field.table() else {
            continue;
        };
        let Some((user, grants)) = User::read(name.text(), section, resolver) else {
            continue;
        };
        for grant in grants {
            // A pattern may wait for consoles to come; a plain name that fits none is a slip.
            if let Some(text) = grant.text()
                && user.consoles.iter().any(|read| read == text)
                && let (text, _) = split_grant(text)
                && !text.contains(['*', '?'])
                && !names.contains(&text)
            {
                let hint = match names.as_slice() {
                    [] => "this file has no [console.…] section".to_owned(),
                    _ => suggest(text, &names, '"'),
                };
                grant.wrong_so(
                    format!("there is no console \"{}\"", text.escape_debug()),
                    hint,
                );
            }
        }
        users.push(user);
    }
    users
}
