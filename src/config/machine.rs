//! The sections `[machine.NAME]`: managed computers and the ways to their power. A machine may have all of them at once; a
//! way is one file in here, one variant of [`Method`] and one key.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::pdu::OutletRef;
use super::reader::{Field, Named, Table, suggest};
use super::secret::{Found, Resolver, Secret};
use super::transport::SolBy;
use crate::tls::is_key_pin;

mod amt;
mod ipmi;
mod redfish;
mod vnc;
mod wol;

pub use amt::{Amt, AmtAt, CiraLogin};
pub use ipmi::Ipmi;
pub use redfish::Redfish;
pub use vnc::Vnc;
pub use wol::Wol;

/// Each is a task, a queue per way and now and then a session.
const MOST: usize = 256;

/// A way to the power of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Redfish,
    Ipmi,
    Amt,
    /// All outlets that feed it.
    Outlets,
    Wol,
}

/// All of them, in the order in which they are tried where the file does not say.
const METHODS: [(&str, Method); 5] = [
    ("redfish", Method::Redfish),
    ("ipmi", Method::Ipmi),
    ("amt", Method::Amt),
    ("outlets", Method::Outlets),
    ("wol", Method::Wol),
];

impl Method {
    /// The word of oobd.toml.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Redfish => "redfish",
            Self::Ipmi => "ipmi",
            Self::Amt => "amt",
            Self::Outlets => "outlets",
            Self::Wol => "wol",
        }
    }

    /// Is there something that answers for the machine itself?
    #[must_use]
    pub fn is_bmc(self) -> bool {
        matches!(self, Self::Redfish | Self::Ipmi | Self::Amt)
    }
}

/// A managed computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    /// In the order in which they are tried; each has its settings below.
    pub methods: Vec<Method>,
    pub redfish: Option<Redfish>,
    pub ipmi: Option<Ipmi>,
    pub amt: Option<Amt>,
    pub wol: Option<Wol>,
    /// Switched as one; on as many PDUs as the machine has feeds.
    pub outlets: Vec<OutletRef>,
    /// How often its power is read.
    pub poll: Duration,
    /// How long a verb may take to show.
    pub confirm: Duration,
    /// The same, of what the operating system does itself.
    pub shutdown: Duration,
    /// A port for viewers of its screen.
    pub vnc: Option<Vnc>,
}

impl Machine {
    /// A machine that has no more than its name and its methods.
    #[must_use]
    pub fn new(name: &str, methods: Vec<Method>) -> Self {
        Self {
            name: name.to_owned(),
            methods,
            redfish: None,
            ipmi: None,
            amt: None,
            wol: None,
            outlets: Vec::new(),
            poll: Duration::from_secs(30),
            confirm: Duration::from_mins(1),
            shutdown: Duration::from_mins(3),
            vnc: None,
        }
    }

    fn read(name: &str, field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let [redfish, ipmi, amt, outlets, wol] =
            ["redfish", "ipmi", "amt", "outlets", "wol"].map(|key| table.take(key));
        let [methods, poll, confirm, shutdown] =
            ["methods", "poll", "confirm", "shutdown"].map(|key| table.take(key));
        let vnc = table.take("vnc");
        let given = [&redfish, &ipmi, &amt, &outlets, &wol].map(Option::is_some);
        if !given.contains(&true) {
            table.missing(
                "has no way to its power".to_owned(),
                "write ipmi = { … }, redfish = { … }, amt = { … }, outlets = [\"PDU/OUTLET\"] or wol = { … }",
            );
        }
        table.finish();
        if let (Some(vnc), None) = (&vnc, &amt) {
            vnc.wrong("needs `amt`: the board shows the screens of machines with Intel AMT");
        }
        let have: Vec<Method> = METHODS
            .iter()
            .zip(given)
            .filter_map(|((_, method), given)| given.then_some(*method))
            .collect();
        let methods = match methods {
            Some(field) => read_methods(&field, &have)?,
            None => have,
        };
        let unsaid = Self::new(name, methods);
        let second = Duration::from_secs;
        let poll = span(poll, second(5)..=second(3600), unsaid.poll);
        let confirm = span(confirm, second(5)..=second(900), unsaid.confirm);
        let shutdown = span(shutdown, second(10)..=second(3600), unsaid.shutdown);
        // All of them are read before any of them ends it.
        let redfish = redfish.map(|field| Redfish::read(&field, resolver));
        let ipmi = ipmi.map(|field| Ipmi::read(&field, resolver));
        let amt = amt.map(|field| Amt::read(&field, resolver));
        let wol = wol.map(|field| Wol::read(&field, resolver));
        let vnc = vnc.map(|field| Vnc::read(&field, resolver));
        let outlets = outlets.map(|field| read_outlets(&field));
        Some(Self {
            redfish: whole(redfish)?,
            ipmi: whole(ipmi)?,
            amt: whole(amt)?,
            wol: whole(wol)?,
            vnc: whole(vnc)?,
            outlets: outlets.unwrap_or_default(),
            poll,
            confirm,
            shutdown,
            ..unsaid
        })
    }
}

/// Nothing where nothing was said, and no machine where it was wrong.
fn whole<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        read => Some(read.flatten()),
    }
}

fn span(field: Option<Field<'_>>, range: RangeInclusive<Duration>, unsaid: Duration) -> Duration {
    field
        .and_then(|field| field.duration(range))
        .unwrap_or(unsaid)
}

fn read_outlets(field: &Field<'_>) -> Vec<OutletRef> {
    let outlets = OutletRef::read_all(field);
    if outlets.is_empty() && field.list().is_some_and(|list| list.is_empty()) {
        field.wrong("needs at least one outlet");
    }
    outlets
}

fn read_methods(field: &Field<'_>, have: &[Method]) -> Option<Vec<Method>> {
    let mut methods = Vec::new();
    for item in field.list()? {
        let Some(method) = item.choice(&METHODS) else {
            continue;
        };
        if methods.contains(&method) {
            item.wrong(format!(
                "`{}` stands here for the second time",
                method.word()
            ));
        } else if !have.contains(&method) {
            let word = method.word();
            item.wrong_so(
                format!("there are no settings for `{word}`"),
                format!("add {word} = …, or take it out of the list"),
            );
        }
        methods.push(method);
    }
    if let Some(left) = have.iter().find(|method| !methods.contains(method)) {
        field.wrong_so(
            format!(
                "`{}` is not in the list, and would never be tried",
                left.word()
            ),
            "add it, or remove its settings",
        );
    }
    Some(methods)
}

/// A password that must be there. One that is only on the board reads as an empty one elsewhere.
fn password(
    field: Option<Field<'_>>,
    resolver: &Resolver<'_>,
    check: impl FnOnce(&str) -> Result<(), String>,
) -> Option<Secret> {
    let field = field?;
    match resolver.secret(&field)? {
        Found::Elsewhere => Some(Secret::new("")),
        Found::Text(secret) => match check(secret.expose()) {
            Ok(()) => Some(secret),
            Err(fault) => {
                field.wrong(fault);
                None
            }
        },
    }
}

fn read_pin(text: &str) -> Result<String, String> {
    if !is_key_pin(text) {
        return Err(format!(
            "`{}` is no fingerprint; write it as the event of the first contact shows it, \"sha256//\" and 44 characters",
            text.escape_debug()
        ));
    }
    Ok(text.to_owned())
}

fn printable(text: &str, most: usize, what: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > most || text.contains(char::is_control) {
        return Err(format!(
            "{what} has 1 to {most} characters, none of them control characters"
        ));
    }
    Ok(())
}

pub(super) fn machines(table: &Table<'_>, resolver: &Resolver<'_>) -> Vec<Machine> {
    let mut machines = Vec::new();
    for (position, (name, field)) in table.named().into_iter().enumerate() {
        if position == MOST {
            name.wrong(format!("more than {MOST} machines"), None);
            break;
        }
        name.check();
        machines.extend(Machine::read(&name.text(), &field, resolver));
    }
    machines
}

/// The machines that consoles may sit on, by name.
pub(super) fn consoles_of(
    section: Option<&Field<'_>>,
    machines: &[Machine],
) -> super::transport::Machines {
    let named = section.filter(|field| field.is_table());
    let named = named.and_then(Field::table).map(|table| table.named());
    let named = named.unwrap_or_default();
    let one = |(name, field): &(Named<'_>, Field<'_>)| {
        let name = name.text();
        let read = machines.iter().find(|machine| machine.name == name);
        // Of one that could not be read, another fault would only repeat the first.
        let has = ["ipmi", "amt"].map(|key| field.inner(&[key]).is_some());
        let by = read.and_then(|machine| {
            let ipmi = machine.ipmi.clone().map(SolBy::Ipmi);
            ipmi.or_else(|| machine.amt.clone().map(SolBy::Amt))
        });
        (name, (has.contains(&true), by))
    };
    named.iter().map(one).collect()
}

/// Notes ports of VNC that another door has; `taken` are those of the others, and all are given, with who has them.
pub(super) fn check_ports(table: &Table<'_>, taken: &[(u16, &str)]) -> Vec<(u16, String)> {
    let taken = taken.iter().map(|(port, door)| (*port, (*door).to_owned()));
    let mut all: Vec<(u16, String)> = taken.collect();
    for (name, machine) in table.named() {
        let Some(vnc) = machine.inner(&["vnc"]) else {
            continue;
        };
        let field = if vnc.is_table() {
            vnc.inner(&["port"])
        } else {
            Some(vnc)
        };
        // What is no port is told where it is read.
        let Some((field, port)) = field.and_then(|field| Some((field.clone(), field.port()?)))
        else {
            continue;
        };
        if let Some((_, door)) = all.iter().find(|(one, _)| *one == port) {
            field.wrong(format!("port {port} is in use by `{door}` already"));
        }
        all.push((port, format!("machine.{}.vnc", name.text())));
    }
    all
}

/// Notes machines that call in while nobody listens, and two that are the same device.
pub(super) fn check_callers(table: &Table<'_>, listens: bool) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for (name, machine) in table.named() {
        let Some(cira) = machine.inner(&["amt", "cira"]) else {
            continue;
        };
        if !listens {
            cira.wrong_so(
                "nobody listens for its calls",
                "add a section [cira], which may be empty",
            );
        }
        let Some(field) = cira.inner(&["uuid"]) else {
            continue;
        };
        let uuid = field.str().unwrap_or_default().to_ascii_lowercase();
        if let Some((_, first)) = seen.iter().find(|(one, _)| *one == uuid) {
            field.wrong(format!("is `machine.{first}` already"));
        }
        seen.push((uuid, name.text()));
    }
}

/// Notes outlets whose PDU is not there. `known` are the names of all `[pdu.…]` sections.
pub(super) fn check_outlets(table: &Table<'_>, known: &[String]) {
    let mut users: Vec<(OutletRef, String)> = Vec::new();
    for (name, machine) in table.named() {
        let Some(field) = machine.inner(&["outlets"]) else {
            continue;
        };
        for item in super::pdu::items(&field) {
            let Some(outlet) = item.str().and_then(|text| OutletRef::parse(text).ok()) else {
                continue;
            };
            if !known.contains(&outlet.pdu) {
                let hint = match known {
                    [] => "this file has no [pdu.…] section".to_owned(),
                    _ => suggest(&outlet.pdu, known, '"'),
                };
                let pdu = outlet.pdu.escape_debug();
                item.wrong_so(format!("there is no PDU \"{pdu}\""), hint);
            }
            let first = users.iter().find(|(used, _)| *used == outlet);
            if let Some((_, first)) = first
                && *first != name.text()
            {
                item.wrong(format!("{outlet} feeds `machine.{first}` already"));
            }
            users.push((outlet, name.text()));
        }
    }
}
