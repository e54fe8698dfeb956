//! `oobd.toml` as typed values. Reading it reports every problem at once; it starts nothing and changes nothing.

use std::path::Path;

use toml::de::DeTable;

mod check;
mod cira;
mod console;
mod device;
mod escape;
mod https;
mod lan;
mod machine;
mod oob;
mod pdu;
mod problem;
mod reader;
mod record;
mod redact;
mod remark;
pub mod revision;
mod secret;
pub mod store;
pub mod surgery;
mod transport;
mod uplink;
mod user;
mod values;

pub use crate::line::{Flow, Line, Parity};
pub use cira::Cira;
pub use console::{Console, Discover, Network, PlainDoor, PlainKind, Sessions, Sharing};
pub use device::{Device, Mdns, Ssh};
pub use https::{Https, Pair};
pub use lan::{Lan, LanAddress};
pub use machine::{Amt, AmtAt, CiraLogin, Ipmi, Machine, Method, Redfish, Vnc, Wol};
pub use oob::{Mode, Oob, Probe};
pub use pdu::{
    Gpio, GpioAt, GpioLine, Nut, OURS, ObjectId, OutletRef, POE, Pdu, PduKind, Powerman, Profile,
    Script, Shelly, Snmp, SnmpAccess, SnmpAuth, SnmpPrivacy, Tasmota, Ups, UsbRelay, UsbRelayKind,
    Wired, families, family_of,
};
pub use problem::{Place, Problem, render};
pub use record::{Carrier, Pattern, Proof, Record, Syslog, Transcripts};
pub use redact::{Redacted, redact};
pub use secret::{Folders, Secret};
pub use transport::{
    CableWire, Dtr, PortName, Position, Serial, SolBy, SolPort, SshPort, Transport,
};
pub use uplink::{DoorName, MOST_UPLINKS, Sae, Uplink, UplinkKind, Wifi};
pub use user::{Role, User, split_grant};

use problem::{Log, Sort};
use reader::Table;
use secret::Resolver;

/// The only schema so far.
const SCHEMA: u16 = 1;

/// A checked configuration: cross-references hold, ranges hold, secrets are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub device: Device,
    pub lan: Lan,
    pub oob: Oob,
    /// In order of preference, as they stand in the file. Without any `[uplink…]` section: the hotspot `remote.it`.
    pub uplinks: Vec<Uplink>,
    pub probe: Probe,
    pub ssh: Ssh,
    pub https: Https,
    pub consoles: Vec<Console>,
    pub transcripts: Transcripts,
    pub syslog: Option<Syslog>,
    pub pdus: Vec<Pdu>,
    pub upses: Vec<Ups>,
    pub machines: Vec<Machine>,
    /// Where machines with AMT call in; `None`: nowhere.
    pub cira: Option<Cira>,
    pub users: Vec<User>,
    pub mdns: Mdns,
}

impl Config {
    /// What a board without any usable file runs: DHCP on `eth0`, the hotspot `remote.it` on `wlan0`, no users.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            device: Device::default(),
            lan: Lan::default(),
            oob: Oob::default(),
            uplinks: vec![Uplink::hotspot()],
            probe: Probe::default(),
            ssh: Ssh::default(),
            https: Https::default(),
            consoles: Vec::new(),
            transcripts: Transcripts::default(),
            syslog: None,
            pdus: Vec::new(),
            upses: Vec::new(),
            machines: Vec::new(),
            cira: None,
            users: Vec::new(),
            mdns: Mdns::default(),
        }
    }
}

impl Config {
    /// The TCP port of each door that an uplink may open.
    #[must_use]
    pub fn door_ports(&self) -> DoorPorts {
        DoorPorts {
            ssh: self.ssh.port,
            https: self.https.port,
            mdns: self.mdns.enabled,
        }
    }
}

/// See [`Config::door_ports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorPorts {
    pub ssh: u16,
    pub https: u16,
    /// The board tells of itself where it has doors.
    pub mdns: bool,
}

/// Reads a configuration. Opens the files that secrets refer to, nothing else.
///
/// # Errors
/// Every problem of the text, in the order of the file.
pub fn load(text: &str, folders: &Folders) -> Result<Config, Vec<Problem>> {
    let resolver = Resolver::new(folders);
    read(text, &resolver)
}

/// Checks a file without applying it, for `oobd check FILE` and `oobctl config check FILE`. Gives what a person
/// should know besides. Away from the board (no state folder) `@secret:` references are taken on trust.
///
/// # Errors
/// Every problem of the file; see [`render`].
pub fn check_file(path: &Path, state_dir: &Path) -> Result<Vec<String>, Vec<Problem>> {
    let mut folders = Folders::of(path, state_dir);
    let mut notes = Vec::new();
    let text = store::read_text(path)?;
    if !state_dir.is_dir() {
        folders.secrets = None;
        if text.contains("@secret:") {
            notes.push(format!(
                "secrets were not looked up: they are on the board, and there is no {} here",
                state_dir.display()
            ));
        }
    }
    let config = load(&text, &folders)?;
    notes.extend(remark::remarks(&config));
    Ok(notes)
}

fn read(text: &str, resolver: &Resolver<'_>) -> Result<Config, Vec<Problem>> {
    let log = Log::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let (message, hint) = syntax(error.message(), text.get(span.clone()).unwrap_or_default());
        log.add(span, Sort::Syntax, "", message, hint);
    }
    let config = read_root(&log, document.get_ref(), resolver);
    let problems = log.finish();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ if problems.is_empty() => Err(vec![Problem::of_file("cannot be read", None)]),
        _ => Err(problems),
    }
}

/// Says a parser's error in words for somebody who has never heard of TOML.
fn syntax(message: &str, found: &str) -> (String, Option<String>) {
    let found = found.lines().next().unwrap_or_default().trim();
    match message {
        "duplicate key" => (format!("`{found}` stands here for the second time"), None),
        _ if message.starts_with("string values must be quoted") => (
            "this is no value".to_owned(),
            Some("text needs quotes around it: \"…\"".to_owned()),
        ),
        _ => (message.to_owned(), None),
    }
}

fn section(field: Option<reader::Field<'_>>) -> Option<Table<'_>> {
    field.and_then(|field| field.table())
}

fn read_root(log: &Log<'_>, document: &DeTable<'_>, resolver: &Resolver<'_>) -> Option<Config> {
    let mut root = Table::root(log, document);
    let schema = root.need("schema", "put `schema = 1` on the first line");
    if let Some(field) = schema
        && let Some(schema) = field.number(1..=9999)
        && schema > SCHEMA
    {
        // Everything else would be judged by rules it was not written for.
        field.wrong_so(
            format!("schema {schema} is newer than this oobd knows ({SCHEMA})"),
            "update oobd, or use a file written for this version",
        );
        return None;
    }
    root.later(&["tunnel", "service", "contact", "rule"]);
    let [device, lan, oob, probe, ssh, https] =
        ["device", "lan", "oob", "probe", "ssh", "https"].map(|key| root.take(key));
    let [uplinks, consoles, users] = ["uplink", "console", "user"].map(|key| root.take(key));
    let [transcripts, syslog] = ["transcripts", "syslog"].map(|key| root.take(key));
    let [pdus, upses, machines, cira] = ["pdu", "ups", "machine", "cira"].map(|key| root.take(key));
    let mdns = root.take("mdns");
    root.finish();

    let transcripts = section(transcripts).map_or_else(Transcripts::default, Transcripts::read);
    let syslog = section(syslog).and_then(|table| Syslog::read(table, resolver));
    let oob = section(oob).map_or_else(Oob::default, Oob::read);
    let lan = section(lan).map_or_else(Lan::default, Lan::read);
    let uplinks = match section(uplinks) {
        Some(table) => check::uplinks(&table, &lan, resolver),
        None => check::uplinks_unsaid(&lan, oob.mode),
    };
    let ssh = section(ssh).map_or_else(Ssh::default, Ssh::read);
    let https_port = https.as_ref().and_then(|field| field.inner(&["port"]));
    let https = section(https).map_or_else(Https::default, |table| Https::read(table, resolver));
    if ssh.port == https.port
        && let Some(field) = https_port
    {
        field.wrong(format!("port {} is in use by `ssh` already", ssh.port));
    }
    let listens = cira.is_some();
    let cira_port = cira.as_ref().and_then(|field| field.inner(&["port"]));
    let cira = section(cira).map(|table| Cira::read(table, resolver));
    let taken = [(ssh.port, "ssh"), (https.port, "https")];
    if let (Some(cira), Some(field)) = (&cira, cira_port)
        && let Some((port, door)) = taken.iter().find(|(port, _)| *port == cira.port)
    {
        field.wrong(format!("port {port} is in use by `{door}` already"));
    }
    let pdu_names = pdu::names(pdus.as_ref());
    let machine_names = pdu::names(machines.as_ref());
    let pdus = section(pdus).map_or_else(Vec::new, |table| {
        pdu::check_feeds(&table, &machine_names);
        pdu::pdus(&table, resolver)
    });
    let upses = section(upses).map_or_else(Vec::new, |table| pdu::upses(&table, resolver));
    let machine_section = machines.clone();
    let mut doors = taken.to_vec();
    doors.extend(cira.as_ref().map(|cira| (cira.port, "cira")));
    let mut ports = doors
        .iter()
        .map(|(port, door)| (*port, (*door).to_owned()))
        .collect();
    let machines = section(machines).map_or_else(Vec::new, |table| {
        machine::check_outlets(&table, &pdu_names);
        machine::check_callers(&table, listens);
        ports = machine::check_ports(&table, &doors);
        machine::machines(&table, resolver)
    });
    let sol = machine::consoles_of(machine_section.as_ref(), &machines);
    let consoles = section(consoles).map_or_else(Vec::new, |table| {
        pdu::check_outlets(&table, &pdu_names);
        let mut consoles = check::consoles(&table, &ports, resolver, &sol);
        check::quotas(&table, &mut consoles, transcripts.total);
        consoles
    });
    let users =
        section(users).map_or_else(Vec::new, |table| check::users(&table, &consoles, resolver));
    Some(Config {
        device: section(device).map_or_else(Device::default, Device::read),
        lan,
        oob,
        uplinks,
        probe: section(probe).map_or_else(Probe::default, Probe::read),
        ssh,
        https,
        consoles,
        transcripts,
        syslog,
        pdus,
        upses,
        machines,
        cira,
        users,
        mdns: section(mdns).map_or_else(Mdns::default, Mdns::read),
    })
}
