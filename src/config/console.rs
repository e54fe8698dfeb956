//! The sections `[console.NAME]`: logical serial consoles. What they sit on is in [`transport`].

use super::pdu::OutletRef;
use super::reader::Table;
use super::record::{Keys, Record};
use super::secret::Resolver;
use super::transport::{self, Machines, Transport};

mod discover;
pub(super) mod doors;
mod sessions;

pub use discover::Discover;
pub use doors::{Network, PlainDoor, PlainKind};
pub use sessions::{Sessions, Sharing};

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
    pub record: Record,
    /// How people share it.
    pub sessions: Sessions,
    /// Ask the device by itself, and how often.
    pub discover: Option<Discover>,
    /// Plain TCP ports that lead to it.
    pub doors: Vec<PlainDoor>,
    /// What powers the device on it, for the menu inside a session.
    pub outlets: Vec<OutletRef>,
}

/// Kept on flash per console, where the file does not say.
pub(super) const QUOTA: u64 = 8 * MIB;

impl Console {
    pub(super) fn read(
        name: String,
        place: u16,
        mut table: Table<'_>,
        resolver: &Resolver<'_>,
        machines: &Machines,
    ) -> Option<Self> {
        let number = table.take("number");
        let ring = table.take("ring");
        let keys = Keys::take(&mut table);
        let sessions = Sessions::read(&mut table);
        let discover = table.take("discover");
        let doors = PlainDoor::read_all(&mut table);
        let outlet = table.take("outlet");
        let kind = table.one_of(transport::KINDS, &[]);
        table.finish();
        let number = number.and_then(|field| field.number(1..=999));
        let ring = ring.and_then(|field| field.size(16 * KIB..=8 * MIB));
        let ring = usize::try_from(ring.unwrap_or(256 * KIB)).ok()?;
        let (record, quota) = keys.read();
        let discover = discover.map(|field| Discover::read(&field));
        let (kind, settings) = kind?;
        let transport = Transport::read(kind, settings.table()?, resolver, machines);
        Some(Self {
            name,
            number: number.unwrap_or(place),
            transport: transport?,
            ring,
            transcript: quota.unwrap_or(QUOTA),
            record,
            sessions,
            discover: match discover {
                Some(discover) => Some(discover?),
                None => None,
            },
            doors,
            outlets: outlet.map_or_else(Vec::new, |field| OutletRef::read_all(&field)),
        })
    }
}
