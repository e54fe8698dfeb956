//! Reads all sensor records, in as large pieces as the BMC gives, and keeps them until they change. §33, §35.2 to §35.4.

use std::collections::HashSet;

use super::Client;
use super::sdr::{LONGEST, Locator, Record, SensorRecord};
use crate::ipmi::message::{code, netfn};
use crate::ipmi::read::Reader;
use crate::ipmi::{Ask, Error};

/// Get SDR Repository Info, Reserve, Get SDR; the two latter have other numbers among the sensor commands.
const INFO: u8 = 0x20;
const REPOSITORY: Source = Source {
    netfn: netfn::STORAGE,
    reserve: 0x22,
    get: 0x23,
};
/// Get Device SDR: the BMC's own sensors, where there is no repository. §35.3, §35.4.
const DEVICE: Source = Source {
    netfn: netfn::SENSOR,
    reserve: 0x22,
    get: 0x21,
};

/// Bytes asked for at once, until the BMC says that it is too much.
pub(super) const FIRST_PIECE: u8 = 32;
const SMALLEST_PIECE: u8 = 4;
/// Bytes before the rest of a record.
const HEADER: u8 = 5;
/// More records than any BMC has.
const MOST_RECORDS: usize = 4096;
/// How often a record is begun anew whose reservation was lost.
const RESERVATIONS: u32 = 8;
/// After the last record.
const LAST: u16 = 0xffff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    netfn: u8,
    reserve: u8,
    get: u8,
}

/// All that the records say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// Sensors that can be read, in the order of the records.
    pub sensors: Vec<SensorRecord>,
    /// Sensors that only make events.
    pub event_only: Vec<SensorRecord>,
    pub locators: Vec<Locator>,
    /// Records that could not be read: damaged, or cut off.
    pub unread: usize,
    /// When the repository last changed, as the BMC counts: added, erased.
    changed: (u32, u32),
}

impl Inventory {
    /// Takes in a record; `None` for one that cannot be read.
    pub fn add(&mut self, record: Option<Record>) {
        match record {
            Some(Record::Sensors(sensors)) => self.sensors.extend(sensors),
            Some(Record::EventOnly(sensors)) => self.event_only.extend(sensors),
            Some(Record::Locator(locator)) => self.locators.push(locator),
            Some(Record::Other(_)) => {}
            None => self.unread += 1,
        }
    }

    /// The sensor that an event is of.
    #[must_use]
    pub fn find(&self, owner: u8, number: u8) -> Option<&SensorRecord> {
        let mut all = self.sensors.iter().chain(&self.event_only);
        all.find(|sensor| sensor.owner == owner && sensor.number == number)
    }
}

/// How many records there are, and when one was last added and erased. §33.9.
fn info(data: &[u8]) -> Option<(u16, (u32, u32))> {
    let mut reader = Reader::new(data);
    reader.u8()?;
    let count = reader.u16()?;
    reader.u16()?;
    Some((count, (reader.u32()?, reader.u32()?)))
}

impl Client {
    /// All sensor records. Read once, and again when the BMC says that they changed: that takes a second or more.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`].
    pub async fn inventory(&mut self) -> Result<&Inventory, Error> {
        let asked = Ask::new("its sensor records", netfn::STORAGE, INFO, &[]);
        let (source, changed) = match self.ask(&asked, info).await {
            Ok((0, changed)) => (DEVICE, changed),
            Ok((_, changed)) => (REPOSITORY, changed),
            Err(Error::Refused { .. }) => (DEVICE, (0, 0)),
            Err(error) => return Err(error),
        };
        // An inventory that changes hands in one step: a call that is cancelled leaves the old one or none.
        let kept = self.inventory.take();
        let kept = kept.filter(|kept| kept.changed == changed);
        let inventory = match kept {
            Some(kept) => kept,
            None => self.read_records(source, changed).await?,
        };
        Ok(self.inventory.insert(inventory))
    }

    async fn read_records(
        &mut self,
        source: Source,
        changed: (u32, u32),
    ) -> Result<Inventory, Error> {
        let mut inventory = Inventory {
            changed,
            ..Inventory::default()
        };
        let mut seen = HashSet::new();
        let mut reservation = None;
        let mut id = 0;
        // A BMC whose records go round in a circle is left when it comes back to one.
        while id != LAST && seen.insert(id) && seen.len() <= MOST_RECORDS {
            let record = match self.read_record(source, id, &mut reservation).await {
                // Neither a repository nor records of its own: a BMC without sensors.
                Err(Error::Refused { .. }) if id == 0 && source == DEVICE => break,
                record => record?,
            };
            let Some((bytes, next)) = record else {
                break;
            };
            inventory.add(Record::parse(&bytes));
            id = next;
        }
        Ok(inventory)
    }

    /// One record, and the number of the next; `None` when there is none of this number.
    async fn read_record(
        &mut self,
        source: Source,
        id: u16,
        reservation: &mut Option<u16>,
    ) -> Result<Option<(Vec<u8>, u16)>, Error> {
        let bmc = self.bmc();
        for _ in 0..RESERVATIONS {
            let held = match *reservation {
                Some(held) => held,
                None => *reservation.insert(self.reserve(source).await?),
            };
            match self.read_pieces(source, id, held).await {
                Err(error) if error.completion_code() == Some(code::RESERVATION_LOST) => {
                    *reservation = None;
                }
                Err(error) if error.completion_code() == Some(code::NOT_PRESENT) => {
                    return Ok(None);
                }
                read => return read.map(Some),
            }
        }
        let what = "its sensor records change all the time";
        Err(Error::Busy { bmc, what })
    }

    async fn reserve(&mut self, source: Source) -> Result<u16, Error> {
        let what = "to reserve its sensor records";
        let asked = Ask::new(what, source.netfn, source.reserve, &[]);
        let reserved = self.ask(&asked, |data| Reader::new(data).u16()).await;
        match reserved {
            // Optional, and then no reservation is looked at.
            Err(Error::Refused { .. }) => Ok(0),
            reserved => reserved,
        }
    }

    async fn read_pieces(
        &mut self,
        source: Source,
        id: u16,
        reservation: u16,
    ) -> Result<(Vec<u8>, u16), Error> {
        let (next, mut bytes) = self.piece(source, (reservation, id), 0, HEADER).await?;
        let length = match bytes.get(..usize::from(HEADER)) {
            Some(&[_, _, _, _, length]) => usize::from(HEADER) + usize::from(length),
            _ => return Ok((bytes, next)),
        };
        bytes.truncate(usize::from(HEADER));
        while bytes.len() < length.min(LONGEST) {
            let Ok(offset) = u8::try_from(bytes.len()) else {
                break;
            };
            let left = u8::try_from(length - bytes.len()).unwrap_or(u8::MAX);
            let count = left.min(self.piece);
            match self.piece(source, (reservation, id), offset, count).await {
                Ok((_, more)) if more.is_empty() => break,
                Ok((_, more)) => bytes.extend(more.into_iter().take(usize::from(count))),
                Err(error) if is_too_much(&error) && count > SMALLEST_PIECE => {
                    self.piece = (count / 2).max(SMALLEST_PIECE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((bytes, next))
    }

    /// So many bytes from this one on, and the number of the next record. §33.12.
    async fn piece(
        &mut self,
        source: Source,
        (reservation, id): (u16, u16),
        offset: u8,
        count: u8,
    ) -> Result<(u16, Vec<u8>), Error> {
        let place = [reservation.to_le_bytes(), id.to_le_bytes(), [offset, count]].concat();
        let asked = Ask::new("its sensor records", source.netfn, source.get, &place);
        let parse = |data: &[u8]| {
            let mut reader = Reader::new(data);
            Some((reader.u16()?, reader.rest().to_vec()))
        };
        self.ask(&asked, parse).await
    }
}

/// CAh by the standard; others say that a length is wrong, or nothing in particular.
fn is_too_much(error: &Error) -> bool {
    matches!(
        error.completion_code(),
        Some(
            code::CANNOT_RETURN_SO_MANY
                | code::LENGTH_INVALID
                | code::TOO_LONG
                | code::OUT_OF_RANGE
                | 0xff
        )
    )
}
