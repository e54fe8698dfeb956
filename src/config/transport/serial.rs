//! `serial = { … }` of a console: which port, how the line is set, what the wires mean.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::position::Position;
use super::read_line;
use crate::config::reader::Table;
use crate::line::Line;

/// A console's serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial {
    pub port: PortName,
    pub line: Line,
    pub dtr: Dtr,
    /// The wire that tells whether a device is plugged in; `None` asks none.
    pub cable: Option<CableWire>,
}

impl Serial {
    /// A port with the usual wires.
    #[must_use]
    pub fn new(port: PortName, line: Line) -> Self {
        Self {
            port,
            line,
            dtr: Dtr::On,
            cable: Some(CableWire::Dsr),
        }
    }
}

/// How oobd.toml names a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortName {
    Path(PathBuf),
    Usb(Position),
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Usb(position) => write!(f, "usb {position}"),
        }
    }
}

/// When our DTR is up: many devices end a login when it falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtr {
    #[default]
    On,
    /// While somebody is attached.
    Session,
    Off,
}

/// The wire that shows a plugged-in device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CableWire {
    Dsr,
    Cts,
    Dcd,
}

impl fmt::Display for CableWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dsr => "DSR",
            Self::Cts => "CTS",
            Self::Dcd => "DCD",
        })
    }
}

impl Serial {
    pub(super) fn read(mut table: Table<'_>) -> Option<Self> {
        let (port, usb) = (table.take("port"), table.take("usb"));
        let [line, flow, dtr, cable] = ["line", "flow", "dtr", "cable"].map(|key| table.take(key));
        if port.is_none() && usb.is_none() {
            table.missing(
                "`port` is missing".to_owned(),
                "write port = \"/dev/serial/by-path/…\", or usb = \"1.2\" for the place it is plugged in",
            );
        }
        table.finish();
        if let (Some(_), Some(usb)) = (&port, &usb) {
            usb.wrong("the port is named by `port` already");
        }
        let path = port.map(|field| field.parsed(read_port).map(PortName::Path));
        let place = usb.map(|field| field.parsed(str::parse).map(PortName::Usb));
        let line = read_line(line, flow);
        let dtr = dtr.map_or(Some(Dtr::On), |field| field.choice(&DTRS));
        let cable = cable.map_or(Some(Some(CableWire::Dsr)), |field| field.choice(&CABLES));
        Some(Self {
            port: path.or(place)??,
            line: line?,
            dtr: dtr?,
            cable: cable?,
        })
    }
}

fn read_port(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain || text.contains('\0') || path.file_name().is_none() {
        return Err(format!(
            "`{}` is no device; write its whole path, as in \"/dev/serial/by-path/…\" or \"/dev/ttyUSB0\"",
            text.escape_debug()
        ));
    }
    // `components` takes doubled slashes out, so that one port has one name.
    Ok(path.components().collect())
}

const DTRS: [(&str, Dtr); 3] = [
    ("on", Dtr::On),
    ("session", Dtr::Session),
    ("off", Dtr::Off),
];

const CABLES: [(&str, Option<CableWire>); 4] = [
    ("dsr", Some(CableWire::Dsr)),
    ("cts", Some(CableWire::Cts)),
    ("dcd", Some(CableWire::Dcd)),
    ("off", None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(
            read_port("/dev//ttyUSB0"),
            Ok(PathBuf::from("/dev/ttyUSB0"))
        );
        for text in ["", "ttyUSB0", "/", "/dev/../etc/shadow", "/dev/a\0b"] {
            assert!(read_port(text).is_err(), "{text}");
        }
    }
}
