//! What a console sits on: the keys `serial` and `network` of `[console.NAME]`.

use std::net::{IpAddr, SocketAddr};

use super::reader::{Field, Table};
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
}

/// The kinds of this version, and those that are to come.
pub(super) const KINDS: &[&str] = &["serial", "network"];
pub(super) const LATER: &[&str] = &["sol", "ssh"];

impl Transport {
    pub(super) fn read(kind: &str, table: Table<'_>) -> Option<Self> {
        match kind {
            "network" => read_network(table),
            _ => Serial::read(table).map(Self::Serial),
        }
    }

    /// Is it reached over the LAN?
    #[must_use]
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Serial(_) => false,
            Self::Tcp { .. } => true,
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
        }
    }
}

/// Paths of keys.
type Keys = &'static [&'static [&'static str]];

fn read_network(mut table: Table<'_>) -> Option<Transport> {
    let tcp = table.take("tcp");
    table.later(&["rfc2217"]);
    if tcp.is_none() {
        table.missing(
            "says not where to connect to".to_owned(),
            "write tcp = \"10.0.0.9:4001\"",
        );
    }
    table.finish();
    Some(Transport::Tcp {
        address: tcp?.parsed(read_address)?,
    })
}

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
