//! The sections `[console.NAME]`: logical serial consoles and the ports they sit on.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::reader::{Field, Table};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Rates between those that a 16550 can count down to and the fastest that USB bridges name.
const BAUDS: std::ops::RangeInclusive<u32> = 50..=4_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    pub name: String,
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
    pub(super) fn read(name: String, mut table: Table<'_>) -> Option<Self> {
        let ring = table.take("ring");
        let transcript = table.take("transcript");
        table.later(&["telnet", "rfc2217", "raw"]);
        let kind = table.one_of(&["serial"], &["sol", "ssh", "network"]);
        table.finish();
        let ring = ring.and_then(|field| field.size(16 * KIB..=8 * MIB));
        let ring = usize::try_from(ring.unwrap_or(256 * KIB)).ok()?;
        let transcript = transcript.and_then(|field| field.size(64 * KIB..=1024 * MIB));
        let (_, serial) = kind?;
        Some(Self {
            name,
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

/// Line settings, written `115200n8`: baud, parity `n` `e` `o`, data bits, and a `2` at the end for two stop bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub baud: u32,
    pub parity: Parity,
    pub data_bits: u8,
    pub stop_bits: u8,
    pub flow: Flow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    None,
    RtsCts,
    XonXoff,
}

const FLOWS: [(&str, Flow); 3] = [
    ("none", Flow::None),
    ("rtscts", Flow::RtsCts),
    ("xonxoff", Flow::XonXoff),
];

impl Default for Line {
    /// What most network gear speaks from the factory: `9600n8`.
    fn default() -> Self {
        Self {
            baud: 9600,
            parity: Parity::None,
            data_bits: 8,
            stop_bits: 1,
            flow: Flow::None,
        }
    }
}

/// Without flow control, which has a key of its own.
impl std::str::FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{}` are no line settings; write baud, parity (n, e or o), data bits (5 to 8) and a 2 for two stop bits, as in \"9600n8\", \"115200e7\" or \"9600n82\"",
                text.escape_debug()
            )
        };
        let letter = text
            .find(|letter: char| !letter.is_ascii_digit())
            .ok_or_else(bad)?;
        let (baud, rest) = text.split_at(letter);
        let baud = baud.parse().map_err(|_| bad())?;
        if !BAUDS.contains(&baud) {
            return Err(format!(
                "{baud} baud is not {} to {}",
                BAUDS.start(),
                BAUDS.end()
            ));
        }
        let (parity, bits) = match rest.as_bytes() {
            [b'n' | b'N', bits @ ..] => (Parity::None, bits),
            [b'e' | b'E', bits @ ..] => (Parity::Even, bits),
            [b'o' | b'O', bits @ ..] => (Parity::Odd, bits),
            _ => return Err(bad()),
        };
        let (data, stop_bits) = match bits {
            [data] | [data, b'1'] => (data, 1),
            [data, b'2'] => (data, 2),
            _ => return Err(bad()),
        };
        if !(b'5'..=b'8').contains(data) {
            return Err(bad());
        }
        Ok(Self {
            baud,
            parity,
            data_bits: data - b'0',
            stop_bits,
            flow: Flow::None,
        })
    }
}

/// As [`Line::from_str`] reads it; flow control is left out.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'n',
            Parity::Even => 'e',
            Parity::Odd => 'o',
        };
        write!(f, "{}{parity}{}", self.baud, self.data_bits)?;
        match self.stop_bits {
            1 => Ok(()),
            more => write!(f, "{more}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_settings() {
        for text in ["9600n8", "115200e7", "9600n82", "1200o5", "1500000n8"] {
            let line: Line = text.parse().unwrap();
            assert_eq!(line.to_string(), text);
        }
        assert_eq!("9600N81".parse::<Line>().unwrap().to_string(), "9600n8");
        for text in [
            "",
            "9600",
            "n8",
            "9600x8",
            "9600n9",
            "9600n4",
            "9600n83",
            "9600n8 ",
            "99999999999n8",
            "1n8",
            "9600né",
        ] {
            assert!(text.parse::<Line>().is_err(), "{text}");
        }
    }

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
