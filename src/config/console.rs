//! The sections `[console.NAME]`: logical serial consoles and the ports they sit on.

use std::time::Duration;

use super::reader::{Field, Table};

mod position;
mod serial;

pub use position::Position;
pub use serial::{CableWire, Dtr, PortName, Serial};

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
    /// Ask the device by itself, and how often.
    pub discover: Option<Discover>,
}

/// What is found out without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discover {
    pub every: Duration,
    /// Look for the line settings when the device speaks no plain text.
    pub line: bool,
    /// Ask what the device calls itself.
    pub name: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Serial(Serial),
}

impl Console {
    pub(super) fn read(name: String, place: u16, mut table: Table<'_>) -> Option<Self> {
        let number = table.take("number");
        let ring = table.take("ring");
        let transcript = table.take("transcript");
        let discover = table.take("discover");
        table.later(&["telnet", "rfc2217", "raw"]);
        let kind = table.one_of(&["serial"], &["sol", "ssh", "network"]);
        table.finish();
        let number = number.and_then(|field| field.number(1..=999));
        let ring = ring.and_then(|field| field.size(16 * KIB..=8 * MIB));
        let ring = usize::try_from(ring.unwrap_or(256 * KIB)).ok()?;
        let transcript = transcript.and_then(|field| field.size(64 * KIB..=1024 * MIB));
        let discover = discover.map(|field| read_discover(&field));
        let (_, serial) = kind?;
        let serial = Serial::read(serial.table()?);
        Some(Self {
            name,
            number: number.unwrap_or(place),
            transport: Transport::Serial(serial?),
            ring,
            transcript: transcript.unwrap_or(8 * MIB),
            discover: match discover {
                Some(discover) => Some(discover?),
                None => None,
            },
        })
    }
}

/// Oftener would be a nuisance to the device, which may log each try.
const DISCOVER: std::ops::RangeInclusive<Duration> =
    Duration::from_mins(10)..=Duration::from_hours(24 * 365);

fn read_discover(field: &Field<'_>) -> Option<Discover> {
    let mut table = field.table()?;
    let every = table.take("every");
    let [line, name] = ["line", "name"].map(|key| table.take(key));
    table.finish();
    let flag = |field: Option<Field<'_>>, unsaid| field.map_or(Some(unsaid), |field| field.flag());
    let day = Duration::from_hours(24);
    Some(Discover {
        every: every.map_or(Some(day), |field| field.duration(DISCOVER))?,
        line: flag(line, false)?,
        name: flag(name, true)?,
    })
}
