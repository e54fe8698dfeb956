//! The event log of the BMC: reads it, follows it, clears it. §31, §32.

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Client;
use super::repository::Inventory;
use super::sel_text;
use super::words::Severity;
use crate::clock::{Instant, Timestamp};
use crate::ipmi::message::{code, netfn};
use crate::ipmi::read::Reader;
use crate::ipmi::{Ask, Error};

/// Get SEL Info, Reserve SEL, Get SEL Entry, Clear SEL. §31.2, §31.4, §31.5, §31.9.
const INFO: u8 = 0x40;
const RESERVE: u8 = 0x42;
const GET: u8 = 0x43;
const CLEAR: u8 = 0x47;
/// First and last entry. §31.5.
const FIRST: u16 = 0;
const LAST: u16 = 0xffff;
/// More entries than any BMC has.
const MOST_ENTRIES: usize = 65_535;
/// How long a log may take to be empty, and how often it is asked.
const CLEAR_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
const CLEAR_PACE: std::time::Duration = std::time::Duration::from_millis(250);

/// What is known of a log without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    pub entries: u16,
    /// Bytes; 65535 for that much or more.
    pub free: u16,
    /// As the BMC counts: seconds since 1970 of its own clock.
    pub added_at: u32,
    pub erased_at: u32,
    /// Events were dropped because it was full.
    pub overflowed: bool,
}

impl Log {
    /// Of the data of the answer.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(data);
        let _version = reader.u8()?;
        Some(Self {
            entries: reader.u16()?,
            free: reader.u16()?,
            added_at: reader.u32()?,
            erased_at: reader.u32()?,
            overflowed: reader.u8()? & 0x80 != 0,
        })
    }
}

/// An entry as the BMC keeps it. §32.1.
pub type Raw = [u8; 16];

/// How far a log was read. Keep it, also over restarts: the next reading goes on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    last: Option<Raw>,
    entries: u16,
    added_at: u32,
    erased_at: u32,
}

/// An entry as people read it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub id: u16,
    /// By the BMC's clock; `None` when it had none yet.
    pub time: Option<Timestamp>,
    pub severity: Severity,
    /// The sensor's name, or what stands for it.
    pub sensor: String,
    pub text: String,
    /// The state began, rather than ended.
    pub asserted: bool,
}

impl Entry {
    /// Reads an entry. `inventory` knows the names of the sensors.
    #[must_use]
    pub fn parse(raw: &Raw, inventory: &Inventory) -> Self {
        sel_text::entry(raw, inventory)
    }
}

/// What came since the mark.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    pub entries: Vec<Raw>,
    /// The log was cleared since, by whomever: entries may have been lost, and these are all there are.
    pub erased: bool,
    pub mark: Mark,
}

fn id_of(raw: &Raw) -> u16 {
    u16::from_le_bytes([raw[0], raw[1]])
}

impl Client {
    /// How full the log is.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`].
    pub async fn log(&mut self) -> Result<Log, Error> {
        let asked = Ask::new("its event log", netfn::STORAGE, INFO, &[]);
        self.ask(&asked, Log::parse).await
    }

    /// What is new since `mark`; all there is for `None`. Costs one question when nothing is.
    ///
    /// An entry that was added and cleared between two calls is never seen.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`]. The mark stays good.
    pub async fn follow_log(&mut self, mark: Option<&Mark>) -> Result<News, Error> {
        let log = self.log().await?;
        let mut news = News {
            entries: Vec::new(),
            erased: false,
            mark: Mark {
                last: mark.and_then(|mark| mark.last),
                entries: log.entries,
                added_at: log.added_at,
                erased_at: log.erased_at,
            },
        };
        if let Some(mark) = mark {
            if news.mark == *mark {
                return Ok(news);
            }
            news.erased = mark.erased_at != log.erased_at || log.entries < mark.entries;
        }
        let mut next = FIRST;
        if let Some(last) = news.mark.last.filter(|_| !news.erased) {
            // The entry read last tells whether it is still the same log.
            match self.entry(id_of(&last)).await? {
                Some((raw, following)) if raw == last => next = following,
                _ => news.erased = true,
            }
        }
        if log.entries == 0 {
            news.mark.last = None;
            return Ok(news);
        }
        let mut seen = std::collections::HashSet::new();
        while next != LAST && seen.insert(next) && seen.len() <= MOST_ENTRIES {
            let Some((raw, following)) = self.entry(next).await? else {
                break;
            };
            news.entries.push(raw);
            news.mark.last = Some(raw);
            next = following;
        }
        Ok(news)
    }

    /// The whole log, read out with the names of sensors.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`].
    pub async fn entries(&mut self) -> Result<Vec<Entry>, Error> {
        let news = self.follow_log(None).await?;
        let inventory = self.inventory().await?;
        let read = |raw| Entry::parse(raw, inventory);
        Ok(news.entries.iter().map(read).collect())
    }

    /// One entry and the number of the next; `None` when there is none.
    async fn entry(&mut self, id: u16) -> Result<Option<(Raw, u16)>, Error> {
        // Whole entries need no reservation, and one would be lost with every event (§31.5).
        let place = [[0, 0], id.to_le_bytes(), [0, 0xff]].concat();
        let asked = Ask::new("its event log", netfn::STORAGE, GET, &place);
        let parse = |data: &[u8]| {
            let mut reader = Reader::new(data);
            let next = reader.u16()?;
            Some((reader.array()?, next))
        };
        match self.ask(&asked, parse).await {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error.completion_code() == Some(code::NOT_PRESENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Clears the log and waits until that is done.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Busy`] when it is not done in half a minute.
    pub async fn clear_log(&mut self) -> Result<(), Error> {
        let what = "to clear its event log";
        let until = Instant::now() + CLEAR_LIMIT;
        let mut action = 0xaa;
        let mut reservation = self.reserve_log(what).await?;
        while Instant::now() < until {
            let data = [&reservation.to_le_bytes()[..], b"CLR", &[action]].concat();
            let asked = Ask::new(what, netfn::STORAGE, CLEAR, &data);
            match self.ask(&asked, |data| Reader::new(data).u8()).await {
                Ok(progress) if progress & 0x0f == 1 => return Ok(()),
                Ok(_) => action = 0,
                // Lost to an event that came meanwhile, or to the clearing itself.
                Err(error) if error.completion_code() == Some(code::RESERVATION_LOST) => {
                    reservation = self.reserve_log(what).await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            sleep(CLEAR_PACE).await;
        }
        let bmc = self.bmc();
        Err(Error::Busy { bmc, what })
    }

    async fn reserve_log(&mut self, what: &'static str) -> Result<u16, Error> {
        let asked = Ask::new(what, netfn::STORAGE, RESERVE, &[]);
        match self.ask(&asked, |data| Reader::new(data).u16()).await {
            Err(Error::Refused { .. }) => Ok(0),
            reserved => reserved,
        }
    }
}
