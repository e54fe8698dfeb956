//! Power and the identify lamp. §28.

use super::Client;
use crate::ipmi::message::netfn;
use crate::ipmi::read::Reader;
use crate::ipmi::{Ask, Error};

/// Get Chassis Status, Chassis Control, Chassis Identify. §28.2, §28.3, §28.5.
const STATUS: u8 = 0x01;
const CONTROL: u8 = 0x02;
const IDENTIFY: u8 = 0x04;

/// What a machine does when mains comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    StaysOff,
    AsBefore,
    TurnsOn,
    Unknown,
}

/// The identify lamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indicator {
    Off,
    /// For some seconds.
    Timed,
    On,
    /// The BMC does not tell.
    Unknown,
}

/// How a machine stands. §28.2 table 28-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChassisStatus {
    pub power_on: bool,
    pub power_overload: bool,
    /// Off because a cover is open.
    pub interlock: bool,
    /// The main power subsystem reports a fault.
    pub power_fault: bool,
    /// The BMC could not switch power as it was told.
    pub control_fault: bool,
    pub restore: Restore,
    /// Why it last went off or on.
    pub last_event: LastEvent,
    /// The chassis is open. Many BMCs have this as a sensor only.
    pub intrusion: bool,
    pub front_panel_locked: bool,
    pub drive_fault: bool,
    pub cooling_fault: bool,
    pub identify: Indicator,
}

/// Causes, any number at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastEvent {
    pub mains_failed: bool,
    pub overload: bool,
    pub interlock: bool,
    pub fault: bool,
    /// Turned on by an IPMI command.
    pub commanded_on: bool,
}

impl ChassisStatus {
    /// Of the data of the answer.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let [power, last, more] = Reader::new(data).array()?;
        let bit = |byte: u8, bit: u8| byte >> bit & 1 == 1;
        Some(Self {
            power_on: bit(power, 0),
            power_overload: bit(power, 1),
            interlock: bit(power, 2),
            power_fault: bit(power, 3),
            control_fault: bit(power, 4),
            restore: match power >> 5 & 3 {
                0 => Restore::StaysOff,
                1 => Restore::AsBefore,
                2 => Restore::TurnsOn,
                _ => Restore::Unknown,
            },
            last_event: LastEvent {
                mains_failed: bit(last, 0),
                overload: bit(last, 1),
                interlock: bit(last, 2),
                fault: bit(last, 3),
                commanded_on: bit(last, 4),
            },
            intrusion: bit(more, 0),
            front_panel_locked: bit(more, 1),
            drive_fault: bit(more, 2),
            cooling_fault: bit(more, 3),
            identify: match (bit(more, 6), more >> 4 & 3) {
                (true, 0) => Indicator::Off,
                (true, 1) => Indicator::Timed,
                (true, 2) => Indicator::On,
                _ => Indicator::Unknown,
            },
        })
    }
}

/// What to do with power. §28.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Off at once, as by holding the button.
    PowerDown,
    PowerUp,
    /// Off and, after a second or more, on. Nothing happens to a machine that is off.
    PowerCycle,
    HardReset,
    /// A non-maskable interrupt.
    DiagnosticInterrupt,
    /// As by a short press of the button: the operating system shuts down, if it listens.
    SoftShutdown,
}

impl Verb {
    fn number(self) -> u8 {
        match self {
            Self::PowerDown => 0,
            Self::PowerUp => 1,
            Self::PowerCycle => 2,
            Self::HardReset => 3,
            Self::DiagnosticInterrupt => 4,
            Self::SoftShutdown => 5,
        }
    }

    /// Does it come to the same when it is done twice? All others are sent once, whatever gets lost.
    fn is_repeatable(self) -> bool {
        matches!(self, Self::PowerDown | Self::PowerUp)
    }
}

/// What the identify lamp shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    Off,
    /// For so many seconds.
    For(u8),
    /// Until it is told to stop. Old BMCs refuse that.
    On,
}

impl Client {
    /// How the machine stands.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]; [`Error::Nonsense`].
    pub async fn chassis_status(&mut self) -> Result<ChassisStatus, Error> {
        let asked = Ask::new("how its machine stands", netfn::CHASSIS, STATUS, &[]);
        self.ask(&asked, ChassisStatus::parse).await
    }

    /// Tells the BMC what to do with power. That it agrees does not mean it is done: read the status until it is.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`]. [`Error::Unanswered`] for all verbs but on and off: it may have been done, so
    /// look before it is said again.
    pub async fn chassis_control(&mut self, verb: Verb) -> Result<(), Error> {
        let data = [verb.number()];
        let asked = Ask::new("to switch power", netfn::CHASSIS, CONTROL, &data);
        let asked = if verb.is_repeatable() {
            asked
        } else {
            asked.once()
        };
        self.ask(&asked, |_| Some(())).await
    }

    /// Switches the identify lamp.
    ///
    /// # Errors
    /// As [`crate::ipmi::Session::request`].
    pub async fn identify(&mut self, wanted: Identify) -> Result<(), Error> {
        let (data, length) = match wanted {
            Identify::Off => ([0, 0], 1),
            Identify::For(seconds) => ([seconds, 0], 1),
            Identify::On => ([0, 1], 2),
        };
        let data = data.get(..length).unwrap_or_default();
        let asked = Ask::new("to identify its machine", netfn::CHASSIS, IDENTIFY, data);
        self.ask(&asked, |_| Some(())).await
    }
}
