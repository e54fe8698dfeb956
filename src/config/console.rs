//! The sections `[console.NAME]`: logical serial consoles and the ports they sit on.

use std::path::{Component, Path, PathBuf};

use super::reader::{Field, Table};
use crate::line::{Flow, Line};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    pub name: String,
    /// 1, 2, 3 …: what `port02` and telnet port 2002 mean. `number` in the file, else the place in the file.
    pub number: u16,
    pub transport: Transport,
    /// Bytes kept in memory per console.
    pub ring: usize,
    /// Bytes kept on flash per console.
    pub transcript: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Serial { port: PathBuf, line: Line },
}

impl Console {
    pub(super) fn read(name: String, place: u16, mut table: Table<'_>) -> Option<Self> {
        let number = table.take("number");
        let ring = table.take("ring");
        let transcript = table.take("transcript");
        table.later(&["telnet", "rfc2217", "raw"]);
        let kind = table.one_of(&["serial"], &["sol", "ssh", "network"]);
        table.finish();
        let number = number.and_then(|field| field.number(1..=999));
        let ring = ring.and_then(|field| field.size(16 * KIB..=8 * MIB));
        let ring = usize::try_from(ring.unwrap_or(256 * KIB)).ok()?;
        let transcript = transcript.and_then(|field| field.size(64 * KIB..=1024 * MIB));
        let (_, serial) = kind?;
        Some(Self {
            name,
            number: number.unwrap_or(place),
            transport: read_serial(serial.table()?)?,
            ring,
            transcript: transcript.unwrap_or(8 * MIB),
        })
    }
}

fn read_serial(mut table: Table<'_>) -> Option<Transport> {
    let port = table.need("port", "write port = \"/dev/serial/by-path/…\"");
    let line = table.take("line");
    let flow = table.take("flow");
    table.finish();
    let port = port.and_then(|field| field.parsed(read_port));
    let line = line.map_or(Some(Line::default()), |field| field.parsed(str::parse));
    let flow = flow.map_or(Some(Flow::None), |field: Field<'_>| field.choice(&FLOWS));
    Some(Transport::Serial {
        port: port?,
        line: Line {
            flow: flow?,
            ..line?
        },
    })
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

const FLOWS: [(&str, Flow); 3] = [
    ("none", Flow::None),
    ("rtscts", Flow::RtsCts),
    ("xonxoff", Flow::XonXoff),
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
