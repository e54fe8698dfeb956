//! Where the machine boots from: parameter 5 of the system boot options. §28.12 to §28.14.

use super::Client;
use crate::ipmi::message::netfn;
use crate::ipmi::read::Reader;
use crate::ipmi::{Ask, Error};

/// Set and Get System Boot Options. §28.12, §28.13.
const SET: u8 = 0x08;
const GET: u8 = 0x09;
/// Parameters. §28.13 table 28-14.
const IN_PROGRESS: u8 = 0;
const ACKNOWLEDGE: u8 = 4;
const FLAGS: u8 = 5;
/// Somebody else is at it, or was and did not say that he is done. §28.12.
const NOT_COMPLETE: u8 = 0x81;

/// A place to boot from. §28.13, boot flags, data 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootDevice {
    /// As the firmware has it.
    None,
    Pxe,
    Disk,
    DiskSafe,
    Diagnostic,
    Cd,
    BiosSetup,
    Floppy,
    /// Another number, remote media among them.
    Other(u8),
}

impl BootDevice {
    /// Its number, 0 to 15.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pxe => 1,
            Self::Disk => 2,
            Self::DiskSafe => 3,
            Self::Diagnostic => 4,
            Self::Cd => 5,
            Self::BiosSetup => 6,
            Self::Floppy => 15,
            Self::Other(number) => number & 0x0f,
        }
    }

    #[must_use]
    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Pxe,
            2 => Self::Disk,
            3 => Self::DiskSafe,
            4 => Self::Diagnostic,
            5 => Self::Cd,
            6 => Self::BiosSetup,
            15 => Self::Floppy,
            other => Self::Other(other),
        }
    }
}

/// What the next boot, or every boot, begins from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    pub device: BootDevice,
    /// For every boot, not the next one alone.
    pub is_persistent: bool,
    /// UEFI rather than legacy.
    pub is_efi: bool,
}

impl Boot {
    /// The five bytes of parameter 5.
    #[must_use]
    pub fn encode(self) -> [u8; 5] {
        // Nothing chosen: not valid, which forgets what was chosen before.
        let valid = u8::from(self.device != BootDevice::None) << 7;
        let flags = u8::from(self.is_persistent) << 6 | u8::from(self.is_efi) << 5;
        [valid | flags, self.device.number() << 2, 0, 0, 0]
    }

    /// Of parameter 5, and whether it is valid: some BMCs keep the choice and never set that bit.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<(Self, bool)> {
        let [flags, device, _, _, _] = Reader::new(data).array()?;
        let boot = Self {
            device: BootDevice::from_number(device >> 2 & 0x0f),
            is_persistent: flags & 0x40 != 0,
            is_efi: flags & 0x20 != 0,
        };
        Some((boot, flags & 0x80 != 0))
    }
}

impl Client {
    /// What was chosen, and whether the BMC calls it valid.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`].
    pub async fn boot(&mut self) -> Result<(Boot, bool), Error> {
        let asked = Ask::new("what it boots", netfn::CHASSIS, GET, &[FLAGS, 0, 0]);
        // Parameter version, its number, its data.
        let parse = |data: &[u8]| Boot::parse(data.get(2..)?);
        self.ask(&asked, parse).await
    }

    /// Chooses what the machine boots from. On most BMCs a choice that is not persistent ends after 60 s unless the machine
    /// is reset or powered on within them (§28.13, parameter 3): reset it right after.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`].
    pub async fn set_boot(&mut self, boot: Boot) -> Result<(), Error> {
        self.claim().await?;
        // Tells the firmware that the flags are new. Not every BMC has it.
        self.lenient(&[ACKNOWLEDGE, 1, 1]).await?;
        let flags = boot.encode();
        let data = [&[FLAGS], &flags[..]].concat();
        let set = self.set(&data).await;
        // Also after a refusal: who leaves `in progress` behind locks everybody out.
        let complete = self.lenient(&[IN_PROGRESS, 0]).await;
        set.and(complete)
    }

    /// Begins a change, and breaks off one that somebody left unfinished.
    async fn claim(&mut self) -> Result<(), Error> {
        match self.set(&[IN_PROGRESS, 1]).await {
            Err(error) if error.completion_code() == Some(NOT_COMPLETE) => {
                self.lenient(&[IN_PROGRESS, 0]).await?;
                self.lenient(&[IN_PROGRESS, 1]).await
            }
            Err(Error::Refused { .. }) => Ok(()),
            begun => begun,
        }
    }

    async fn set(&mut self, data: &[u8]) -> Result<(), Error> {
        let asked = Ask::new("what to boot", netfn::CHASSIS, SET, data);
        self.ask(&asked, |_| Some(())).await
    }

    /// A refusal is fine: these parameters are optional.
    async fn lenient(&mut self, data: &[u8]) -> Result<(), Error> {
        match self.set(data).await {
            Err(Error::Refused { .. }) => Ok(()),
            set => set,
        }
    }
}
