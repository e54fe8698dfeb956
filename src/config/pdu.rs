//! The sections `[pdu.NAME]` and `[ups.NAME]`: what switches outlets, and what keeps them alive. A kind of PDU is one file
//! in here, one variant of [`PduKind`] and one line of [`KINDS`].

use std::time::Duration;

use super::reader::{Field, Named, Table, suggest};
use super::secret::Resolver;
use super::values;

mod nut;
mod outlet;
mod plug;
mod powerman;
mod profile;
mod relay;
mod script;
mod snmp;

pub use nut::Nut;
pub(super) use outlet::items;
pub use outlet::{OutletRef, Wired};
pub use plug::{Shelly, Tasmota};
pub use powerman::Powerman;
pub use profile::{ObjectId, POE, Profile, families, family_of};
pub use relay::{Gpio, GpioAt, GpioLine, UsbRelay, UsbRelayKind};
pub use script::Script;
pub use snmp::{Snmp, SnmpAccess, SnmpAuth, SnmpPrivacy};

/// What an outlet may feed that the board itself lives on.
pub const OURS: [&str; 3] = ["appliance", "switch", "uplink"];
/// Each is a task and a connection.
const MOST: usize = 32;

/// Anything that switches outlets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    pub name: String,
    pub kind: PduKind,
    /// How often its outlets are read.
    pub poll: Duration,
    /// How long a verb may take to show.
    pub confirm: Duration,
    /// Darkness of a cycle.
    pub off_time: Duration,
    /// Pause between outlets that are switched by one command.
    pub stagger: Duration,
    /// What the file says of outlets, in its order.
    pub outlets: Vec<Wired>,
}

/// Which protocol it speaks, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PduKind {
    Nut(Nut),
    Powerman(Powerman),
    Snmp(Box<Snmp>),
    Shelly(Shelly),
    Tasmota(Tasmota),
    Gpio(Gpio),
    UsbRelay(UsbRelay),
    Script(Script),
}

type Read = fn(&Field<'_>, &Resolver<'_>) -> Option<PduKind>;

/// The kinds by their keys, and who reads each.
const KINDS: &[(&str, Read)] = &[
    ("nut", |field, resolver| {
        Nut::read(field, resolver).map(PduKind::Nut)
    }),
    ("powerman", |field, _| {
        Powerman::read(field).map(PduKind::Powerman)
    }),
    ("snmp", |field, resolver| {
        let snmp = Snmp::read(field, resolver)?;
        Some(PduKind::Snmp(Box::new(snmp)))
    }),
    ("shelly", |field, resolver| {
        Shelly::read(field, resolver).map(PduKind::Shelly)
    }),
    ("tasmota", |field, resolver| {
        Tasmota::read(field, resolver).map(PduKind::Tasmota)
    }),
    ("gpio", |field, _| Gpio::read(field).map(PduKind::Gpio)),
    ("usb_relay", |field, _| {
        UsbRelay::read(field).map(PduKind::UsbRelay)
    }),
    ("script", |field, resolver| {
        Script::read(field, resolver).map(PduKind::Script)
    }),
];

impl PduKind {
    /// The word of oobd.toml, and host and port (or device file) for people.
    #[must_use]
    pub fn place(&self) -> (&'static str, String) {
        match self {
            Self::Nut(nut) => ("nut", format!("{} {}", nut.host, nut.ups)),
            Self::Powerman(powerman) => ("powerman", powerman.host.to_string()),
            Self::Snmp(snmp) => ("snmp", snmp.host.to_string()),
            Self::Shelly(shelly) => ("shelly", shelly.host.to_string()),
            Self::Tasmota(tasmota) => ("tasmota", tasmota.host.to_string()),
            Self::Gpio(gpio) => ("gpio", gpio.place()),
            Self::UsbRelay(board) => ("usb_relay", board.device.display().to_string()),
            Self::Script(script) => ("script", script.program.display().to_string()),
        }
    }
}

impl Pdu {
    fn read(name: String, mut table: Table<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let [poll, confirm, off_time, stagger, outlets] =
            ["poll", "confirm", "off_time", "stagger", "outlet"].map(|key| table.take(key));
        let keys: Vec<&'static str> = KINDS.iter().map(|(key, _)| *key).collect();
        let kind = table.one_of(&keys, &[]);
        table.finish();
        let second = Duration::from_secs;
        let poll = span(poll, second(2)..=second(3600), second(30));
        let confirm = span(confirm, second(1)..=second(120), second(10));
        let off_time = span(off_time, second(1)..=second(300), second(5));
        let stagger = span(stagger, second(0)..=second(60), second(1));
        let outlets = outlets.map_or_else(Vec::new, |field| outlet::read(&field));
        let (key, field) = kind?;
        let (_, read) = KINDS.iter().find(|(word, _)| *word == key)?;
        Some(Self {
            name,
            kind: read(&field, resolver)?,
            poll,
            confirm,
            off_time,
            stagger,
            outlets,
        })
    }
}

/// An uninterruptible power supply, read through `upsd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ups {
    pub name: String,
    pub nut: Nut,
    /// How often it is read.
    pub poll: Duration,
}

impl Ups {
    fn read(name: String, mut table: Table<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let poll = table.take("poll");
        let kind = table.one_of(&["nut"], &[]);
        table.finish();
        let poll = span(
            poll,
            Duration::from_secs(2)..=Duration::from_secs(3600),
            Duration::from_secs(10),
        );
        let (_, field) = kind?;
        let nut = Nut::read(&field, resolver)?;
        Some(Self { name, nut, poll })
    }
}

/// A duration of the file, or what it is without one.
fn span(
    field: Option<Field<'_>>,
    range: std::ops::RangeInclusive<Duration>,
    unsaid: Duration,
) -> Duration {
    field
        .and_then(|field| field.duration(range))
        .unwrap_or(unsaid)
}

pub(super) fn pdus(table: &Table<'_>, resolver: &Resolver<'_>) -> Vec<Pdu> {
    sections(table, "PDUs", |name, table| {
        Pdu::read(name, table, resolver)
    })
}

pub(super) fn upses(table: &Table<'_>, resolver: &Resolver<'_>) -> Vec<Ups> {
    sections(table, "UPSes", |name, table| {
        Ups::read(name, table, resolver)
    })
}

fn sections<T>(
    table: &Table<'_>,
    what: &str,
    read: impl Fn(String, Table<'_>) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    for (position, (name, field)) in table.named().into_iter().enumerate() {
        if position == MOST {
            name.wrong(format!("more than {MOST} {what}"), None);
            break;
        }
        name.check();
        let section = field.table();
        found.extend(section.and_then(|section| read(name.text(), section)));
    }
    found
}

/// Notes the outlets of consoles whose PDU is not there. `known` are the names of all `[pdu.…]` sections.
pub(super) fn check_outlets(consoles: &Table<'_>, known: &[String]) {
    for (_, console) in consoles.named() {
        let Some(field) = console.inner(&["outlet"]) else {
            continue;
        };
        let items = items(&field);
        for item in items {
            if let Some(text) = item.str()
                && let Ok(outlet) = OutletRef::parse(text)
                && !known.contains(&outlet.pdu)
            {
                let hint = match known {
                    [] => "this file has no [pdu.…] section".to_owned(),
                    _ => suggest(&outlet.pdu, known, '"'),
                };
                let pdu = outlet.pdu.escape_debug();
                item.wrong_so(format!("there is no PDU \"{pdu}\""), hint);
            }
        }
    }
}

/// Notes what outlets feed that is neither the board's own nor a machine. `machines` are the names of all `[machine.…]` sections.
pub(super) fn check_feeds(pdus: &Table<'_>, machines: &[String]) {
    let known: Vec<&str> = OURS
        .into_iter()
        .chain(machines.iter().map(String::as_str))
        .collect();
    for (_, pdu) in pdus.named() {
        let outlets = pdu.inner(&["outlet"]).filter(Field::is_table);
        let outlets = outlets.as_ref().and_then(Field::table);
        for (_, outlet) in outlets.map(|table| table.named()).unwrap_or_default() {
            let Some(field) = outlet.inner(&["feeds"]) else {
                continue;
            };
            for item in items(&field) {
                if let Some(text) = item.str()
                    && values::name(text).is_ok()
                    && !known.contains(&text)
                {
                    let hint = suggest(text, &known, '"');
                    let text = text.escape_debug();
                    item.wrong_so(format!("there is no machine \"{text}\""), hint);
                }
            }
        }
    }
}

/// The names of the sections, good or not: a reference to a bad one is no second fault.
pub(super) fn names(table: Option<&Field<'_>>) -> Vec<String> {
    let table = table
        .filter(|field| field.is_table())
        .and_then(Field::table);
    let named = table.map(|table| table.named()).unwrap_or_default();
    named.iter().map(|(name, _)| Named::text(name)).collect()
}

/// The key of an outlet: what [`crate::access`] grants and files may carry.
fn key(text: &str) -> Result<String, String> {
    values::name(text)
        .map_err(|fault| fault.replace("the name", "the outlet"))
        .map(|()| text.to_owned())
}
