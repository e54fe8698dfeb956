//! What a console sits on: the keys `serial`, `network`, `ssh` and `sol` of `[console.NAME]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::machine::{Amt, Ipmi};
use super::reader::{Field, Table, suggest};
use super::secret::{Found, Resolver, Secret};
use crate::line::{Flow, Line};

mod position;
mod serial;

pub use position::Position;
pub use serial::{CableWire, Dtr, PortName, Serial};

/// Where the port of a console is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Serial(Serial),
    /// Bytes as they are over TCP.
    Tcp {
        address: SocketAddr,
    },
    /// A serial line at a terminal server, with its settings.
    Rfc2217 {
        address: SocketAddr,
        line: Line,
    },
    Ssh(SshPort),
    Sol(SolPort),
}

/// The kinds of this version.
pub(super) const KINDS: &[&str] = &["serial", "network", "ssh", "sol"];

/// The machines of the file by name: has it a way to its console, and what is said of that if it is good.
pub(super) type Machines = BTreeMap<String, (bool, Option<SolBy>)>;

/// The console of a machine by Serial over LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolPort {
    pub machine: String,
    pub by: SolBy,
    /// Ends the session of whoever has the console. Not with AMT, which has no word for that.
    pub take_over: bool,
}

/// Whose Serial over LAN it is, with the settings of that machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SolBy {
    Ipmi(Ipmi),
    Amt(Amt),
}

/// A shell on another host. It has a password, a key or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshPort {
    pub address: SocketAddr,
    pub user: String,
    pub password: Option<Secret>,
    /// A private key without passphrase, in the format of OpenSSH or PEM.
    pub key: Option<Secret>,
    /// `SHA256:…`; otherwise the first key seen is pinned.
    pub host_key: Option<String>,
    /// Run instead of the user's shell.
    pub command: Option<String>,
}

impl Transport {
    pub(super) fn read(
        kind: &str,
        table: Table<'_>,
        resolver: &Resolver<'_>,
        machines: &Machines,
    ) -> Option<Self> {
        match kind {
            "sol" => read_sol(table, machines).map(Self::Sol),
            "ssh" => read_ssh(table, resolver),
            "network" => read_network(table),
            _ => Serial::read(table).map(Self::Serial),
        }
    }

    /// Is it reached over the LAN?
    #[must_use]
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Serial(_) => false,
            Self::Tcp { .. } | Self::Rfc2217 { .. } | Self::Ssh(_) | Self::Sol(_) => true,
        }
    }

    /// What no two consoles can share, and the keys it may stand at.
    pub(super) fn claim(&self) -> Option<(String, Keys)> {
        match self {
            Self::Serial(serial) => Some((
                serial.port.to_string(),
                &[&["serial", "port"], &["serial", "usb"]],
            )),
            Self::Tcp { address } => Some((address.to_string(), &[&["network", "tcp"]])),
            Self::Rfc2217 { address, .. } => {
                Some((address.to_string(), &[&["network", "rfc2217"]]))
            }
            // A host has as many shells as are asked of it.
            Self::Ssh(_) => None,
            // A BMC gives its console to one.
            Self::Sol(sol) => Some((format!("sol {}", sol.machine), &[&["sol", "machine"]])),
        }
    }
}

/// Paths of keys.
type Keys = &'static [&'static [&'static str]];

fn read_network(mut table: Table<'_>) -> Option<Transport> {
    let tcp = table.take("tcp");
    let rfc2217 = table.take("rfc2217");
    let line = table.take("line");
    let flow = table.take("flow");
    if tcp.is_none() && rfc2217.is_none() {
        table.missing(
            "says not where to connect to".to_owned(),
            "write rfc2217 = \"10.0.0.9:5001\" or tcp = \"10.0.0.9:4001\"",
        );
    }
    table.finish();
    let Some(tcp) = tcp else {
        let line = read_line(line, flow);
        let address = rfc2217?.parsed(read_address)?;
        return line.map(|line| Transport::Rfc2217 { address, line });
    };
    if let Some(second) = rfc2217 {
        second.wrong_so(
            "has an address already: `tcp`",
            "make a second section of its own for it",
        );
        return None;
    }
    if let Some(field) = line.or(flow) {
        field.wrong_so(
            "raw TCP carries no line settings",
            "remove it, or write rfc2217 in place of tcp",
        );
        return None;
    }
    Some(Transport::Tcp {
        address: tcp.parsed(read_address)?,
    })
}

fn read_sol(mut table: Table<'_>, machines: &Machines) -> Option<SolPort> {
    let machine = table.need("machine", "write machine = \"NAME\" as in [machine.NAME]");
    let take = table.take("take_over");
    table.finish();
    let take_over = take.as_ref().map_or(Some(false), Field::flag);
    let machine = machine?;
    let name = machine.text()?;
    let Some((has, by)) = machines.get(name) else {
        let known: Vec<&String> = machines.keys().collect();
        let hint = match known.as_slice() {
            [] => "this file has no [machine.…] section".to_owned(),
            known => suggest(name, known, '"'),
        };
        let shown = name.escape_debug();
        machine.wrong_so(format!("there is no machine \"{shown}\""), hint);
        return None;
    };
    if !has {
        machine.wrong_so(
            format!("machine {name} has neither `ipmi` nor `amt`, which give its console"),
            format!("add ipmi = {{ … }} or amt = {{ … }} to [machine.{name}]"),
        );
    }
    if take_over == Some(true)
        && let (Some(SolBy::Amt(_)), Some(field)) = (by, &take)
    {
        field.wrong_so(
            "AMT gives its console to one session and has no word that ends another's",
            "remove it; the console is opened once it is free",
        );
    }
    Some(SolPort {
        machine: name.to_owned(),
        by: by.clone()?,
        take_over: take_over?,
    })
}

fn read_ssh(mut table: Table<'_>, resolver: &Resolver<'_>) -> Option<Transport> {
    let host = table.need("host", "write host = \"10.0.0.9\"");
    let user = table.need("user", "write user = \"admin\"");
    let port = table.take("port");
    let password = table.take("password");
    let key = table.take("key");
    let host_key = table.take("host_key");
    let command = table.take("command");
    if password.is_none() && key.is_none() {
        table.missing(
            "has no way to sign in".to_owned(),
            "write key = \"@file:…\" or password = \"@secret:…\"",
        );
    }
    table.finish();
    let host = host.and_then(|field| field.parsed(read_host));
    let user = user.and_then(|field| field.parsed(read_user));
    let port = port.map_or(Some(22), |field| field.number(1..=u16::MAX));
    let password = checked(password, |field| resolver.secret(field), check_password);
    let key = checked(key, |field| resolver.text(field), check_key);
    let host_key = host_key.map_or(Some(None), |field| field.parsed(read_pin).map(Some));
    let command = command.map_or(Some(None), |field| field.parsed(read_command).map(Some));
    Some(Transport::Ssh(SshPort {
        address: SocketAddr::new(host?, port?),
        user: user?,
        password,
        key,
        host_key: host_key?,
        command: command?,
    }))
}

/// A secret that is here and passes its check.
fn checked(
    field: Option<Field<'_>>,
    find: impl FnOnce(&Field<'_>) -> Option<Found>,
    check: impl FnOnce(&str) -> Result<(), String>,
) -> Option<Secret> {
    let field = field?;
    let Found::Text(secret) = find(&field)? else {
        return None;
    };
    match check(secret.expose()) {
        Ok(()) => Some(secret),
        Err(fault) => {
            field.wrong(fault);
            None
        }
    }
}

pub(super) fn read_host(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| {
        format!(
            "`{}` is no address; write as in \"10.0.0.9\" or \"fd00::9\" (names are not looked up)",
            text.escape_debug()
        )
    })?;
    one_host(address)?;
    Ok(address.to_canonical())
}

fn read_user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 128 || text.contains(char::is_control) {
        return Err("a user has 1 to 128 characters, none of them control characters".to_owned());
    }
    Ok(text.to_owned())
}

fn read_command(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 1024 || text.contains(char::is_control) {
        return Err("a command is one line of 1 to 1024 characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The length of a SHA-256 in base64 without padding, as OpenSSH shows it.
const DIGEST: usize = 43;

fn read_pin(text: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '+' || letter == '/';
    let digest = text.strip_prefix("SHA256:").unwrap_or_default();
    if digest.len() != DIGEST || !digest.chars().all(good) {
        return Err(format!(
            "`{}` is no fingerprint; write it as `ssh-keygen -lf` shows it, \"SHA256:\" and 43 characters",
            text.escape_debug()
        ));
    }
    Ok(text.to_owned())
}

fn check_password(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 1024 || text.contains(char::is_control) {
        return Err(
            "a password has 1 to 1024 characters, none of them control characters".to_owned(),
        );
    }
    Ok(())
}

fn check_key(text: &str) -> Result<(), String> {
    match russh::keys::decode_secret_key(text, None) {
        Ok(key) if key.is_encrypted() => Err(ENCRYPTED.to_owned()),
        Ok(_) => Ok(()),
        Err(russh::keys::Error::KeyIsEncrypted) => Err(ENCRYPTED.to_owned()),
        Err(_) => Err(
            "no private key that can be read; `ssh-keygen -t ed25519 -N \"\" -f FILE` makes one"
                .to_owned(),
        ),
    }
}

const ENCRYPTED: &str = "the private key has a passphrase, and nobody is there to type it; take it off with `ssh-keygen -p`";

fn read_line(line: Option<Field<'_>>, flow: Option<Field<'_>>) -> Option<Line> {
    let line = line.map_or(Some(Line::default()), |field| field.parsed(str::parse));
    let flow = flow.map_or(Some(Flow::None), |field| field.choice(&FLOWS));
    Some(Line {
        flow: flow?,
        ..line?
    })
}

/// An address and a port. No names: the name server may be among what is broken.
fn read_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!(
            "`{}` is no address with a port; write as in \"10.0.0.9:4001\" or \"[fd00::9]:4001\" (names are not looked up)",
            text.escape_debug()
        )
    })?;
    one_host(address.ip())?;
    if address.port() == 0 {
        return Err("port 0 is no port".to_owned());
    }
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// As [`read_address`]; without a port it is `port`.
pub(super) fn read_address_or(text: &str, port: u16) -> Result<SocketAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) => {
            one_host(ip)?;
            Ok(SocketAddr::new(ip.to_canonical(), port))
        }
        Err(_) => read_address(text),
    }
}

fn one_host(address: IpAddr) -> Result<(), String> {
    let vague = match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
    };
    if vague {
        return Err(format!("{address} is not the address of one host"));
    }
    Ok(())
}

const FLOWS: [(&str, Flow); 3] = [
    ("none", Flow::None),
    ("rtscts", Flow::RtsCts),
    ("xonxoff", Flow::XonXoff),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("10.0.0.9:4001", "10.0.0.9:4001"),
            ("[fd00::9]:4001", "[fd00::9]:4001"),
            ("[::ffff:10.0.0.9]:1", "10.0.0.9:1"),
            ("127.0.0.1:3001", "127.0.0.1:3001"),
        ] {
            assert_eq!(read_address(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "10.0.0.9",
            "10.0.0.9:",
            "10.0.0.9:0",
            "10.0.0.9:65536",
            "fd00::9:4001",
            "switch:4001",
            "0.0.0.0:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[::]:1",
            "[ff02::1]:1",
            " 10.0.0.9:1",
        ] {
            assert!(read_address(text).is_err(), "{text}");
        }
    }
}
