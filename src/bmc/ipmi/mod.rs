//! A machine through its BMC by IPMI 2.0: power, boot, sensors, event log. Says what the BMC says and keeps no state of its
//! own but what saves questions; the session and Serial over LAN are in [`crate::ipmi`].
//!
//! One question at a time: every call takes the client for itself. Every call may also fail as [`Session::request`] does.

use std::net::SocketAddr;

use crate::ipmi::message::netfn;
use crate::ipmi::read::Reader;
use crate::ipmi::{Agreed, Ask, Login, Session};

mod boot;
mod chassis;
mod linear;
mod repository;
mod sdr;
mod sel;
mod sel_text;
mod sensor;
#[cfg(test)]
mod tests;
mod units;
pub(in crate::bmc) mod words;

pub use crate::ipmi::{Error, Limits};
pub use boot::{Boot, BootDevice};
pub use chassis::{ChassisStatus, Identify, Indicator, LastEvent, Restore, Verb};
pub use linear::{Format, Linearity};
pub use repository::Inventory;
pub use sdr::{Analog, Locator, Record, SensorRecord};
pub use sel::{Entry, Log, Mark, News, Raw};
pub use sensor::{Health, Kind, Sensor, Thresholds};
pub use words::Severity;

/// Get Device ID. §20.1.
const DEVICE_ID: u8 = 0x01;

/// What the BMC is. §20.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: u8,
    pub revision: u8,
    /// Major and minor version of the firmware.
    pub firmware: (u8, u8),
    /// Its firmware is being replaced, or it is starting up.
    pub is_updating: bool,
    /// Major and minor version of IPMI.
    pub ipmi: (u8, u8),
    /// IANA enterprise number of who made it.
    pub manufacturer: u32,
    pub product: u16,
    /// It has a repository of sensor records, rather than records of its own sensors only.
    pub has_repository: bool,
    /// It has an event log.
    pub has_log: bool,
}

impl Device {
    /// Of the data of the answer.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(data);
        let [id, revision, major, minor, version, support] = reader.array()?;
        let [m0, m1, m2] = reader.array()?;
        Some(Self {
            id,
            revision: revision & 0x0f,
            firmware: (
                major & 0x7f,
                (minor >> 4).wrapping_mul(10).wrapping_add(minor & 0x0f),
            ),
            is_updating: major & 0x80 != 0,
            ipmi: (version & 0x0f, version >> 4),
            manufacturer: u32::from_le_bytes([m0, m1, m2 & 0x0f, 0]),
            product: reader.u16()?,
            has_repository: support & 2 != 0,
            has_log: support & 4 != 0,
        })
    }
}

/// An open session with what it has learned.
#[derive(Debug)]
pub struct Client {
    session: Session,
    inventory: Option<Inventory>,
    /// Bytes of a sensor record that the BMC gives at once, found out.
    piece: u8,
}

impl Client {
    /// As [`Session::connect`].
    ///
    /// # Errors
    /// As there.
    pub async fn connect(
        interface: &str,
        bmc: SocketAddr,
        login: &Login,
        limits: Limits,
        known: Option<Agreed>,
    ) -> Result<Self, Error> {
        let session = Session::connect(interface, bmc, login, limits, known).await?;
        Ok(Self {
            session,
            inventory: None,
            piece: repository::FIRST_PIECE,
        })
    }

    /// Suite and privilege of the session, for the next connect.
    #[must_use]
    pub fn agreed(&self) -> Agreed {
        self.session.agreed()
    }

    /// Where the BMC is.
    #[must_use]
    pub fn bmc(&self) -> SocketAddr {
        self.session.bmc()
    }

    /// What the BMC is. Also what keeps a session alive: ask every 20 s or so, a BMC forgets after 60 (§6.12.15).
    ///
    /// # Errors
    /// As [`Session::request`]; [`Error::Nonsense`].
    pub async fn device_id(&mut self) -> Result<Device, Error> {
        let asked = Ask::new("what it is", netfn::APP, DEVICE_ID, &[]);
        self.ask(&asked, Device::parse).await
    }

    /// Closes the session. It also closes when it is dropped.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// Asks, and reads the answer.
    async fn ask<T>(
        &mut self,
        ask: &Ask<'_>,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let data = self.session.request(ask).await?;
        parse(&data).ok_or(Error::Nonsense {
            bmc: self.session.bmc(),
            what: ask.what,
        })
    }
}
