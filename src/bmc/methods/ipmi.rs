//! A machine's controller by IPMI, as one way. Keeps one session, opens it anew when the controller forgot it, and keeps
//! what was read of the log, so that a reading costs one question when nothing is new.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use crate::bmc::device::{Answer, Asking, Device, Fault, Power, Request, Skill};
use crate::bmc::ipmi::{self, BootDevice, Client, Error, Identify, Limits};
use crate::clock::Instant;
use crate::config::Ipmi as Wanted;
use crate::fault::chain;
use crate::ipmi::{Agreed, Login};
use crate::machine::{Boot, BootTarget, Health, LogEntry, Sensor};
use crate::reset::{PowerState, Verb};

/// A question to a controller that is silent takes as long as all tries together: 3.75 s.
const PATIENCE: Limits = Limits {
    tries: 3,
    first: Duration::from_millis(800),
    pause: Duration::from_millis(300),
};
/// A controller forgets a session after 60 s without a question (IPMI 2.0 §6.12.15).
const FORGOTTEN: Duration = Duration::from_secs(45);
/// Entries of the log that are kept; logs of controllers are smaller.
const MOST_ENTRIES: usize = 4096;

const SKILLS: &[Skill] = &[
    Skill::Power,
    Skill::Act,
    Skill::Sensors,
    Skill::Log,
    Skill::Boot,
    Skill::Identify,
];

pub(super) struct Ipmi {
    wanted: Wanted,
    lan: String,
    client: Option<Client>,
    agreed: Option<Agreed>,
    used: Instant,
    log: Vec<LogEntry>,
    mark: Option<ipmi::Mark>,
}

impl Ipmi {
    #[must_use]
    pub(super) fn new(wanted: Wanted, lan: &str) -> Self {
        Self {
            wanted,
            lan: lan.to_owned(),
            client: None,
            agreed: None,
            used: Instant::now(),
            log: Vec::new(),
            mark: None,
        }
    }

    /// The open session, or a new one.
    async fn client(&mut self) -> Result<&mut Client, Error> {
        if self.used.elapsed() > FORGOTTEN
            && let Some(old) = self.client.take()
        {
            old.close().await;
        }
        if self.client.is_none() {
            let bmc: SocketAddr = self.wanted.host;
            let login = login(&self.wanted)?;
            let opened = Client::connect(&self.lan, bmc, &login, PATIENCE, self.agreed).await;
            let client = opened?;
            self.agreed = Some(client.agreed());
            self.client = Some(client);
        }
        self.used = Instant::now();
        let bmc = self.wanted.host;
        let what = "to open a session";
        self.client.as_mut().ok_or(Error::NoAnswer { bmc, what })
    }

    async fn carry_out(&mut self, request: Request) -> Result<Answer, Fault> {
        // What fails before anything is asked has done nothing.
        if let Err(error) = self.client().await {
            return Err(fault(&error, true));
        }
        let reads = request.is_read();
        let answer = self.question(request).await;
        answer.map_err(|error| {
            if error.is_lost() {
                self.client = None;
            }
            fault(&error, reads)
        })
    }

    async fn question(&mut self, request: Request) -> Result<Answer, Error> {
        let client = self.client().await?;
        Ok(match request {
            Request::Power => {
                let status = client.chassis_status().await?;
                Answer::Power(Power {
                    state: match status.power_on {
                        true => PowerState::On,
                        false => PowerState::Off,
                    },
                    changing: false,
                    mark: None,
                })
            }
            Request::Act(verb) => {
                let Some(verb) = control(verb) else {
                    return Err(self.cannot("this verb"));
                };
                client.chassis_control(verb).await?;
                Answer::Done
            }
            Request::Sensors => {
                let sensors = client.sensors().await?;
                Answer::Sensors(sensors.into_iter().map(sensor).collect())
            }
            Request::Log { limit } => {
                self.read_log().await?;
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let from = self.log.len().saturating_sub(limit);
                Answer::Log(self.log.get(from..).unwrap_or_default().to_vec())
            }
            Request::ClearLog => {
                client.clear_log().await?;
                (self.log, self.mark) = (Vec::new(), None);
                Answer::Done
            }
            Request::Boot => {
                let (boot, _) = client.boot().await?;
                Answer::Boot(Boot {
                    target: target(boot.device),
                    once: boot.device != BootDevice::None && !boot.is_persistent,
                })
            }
            Request::SetBoot(boot) => {
                let Some(device) = device(boot.target) else {
                    return Err(self.cannot("to start from there"));
                };
                let is_efi = client.boot().await.is_ok_and(|(boot, _)| boot.is_efi);
                let boot = ipmi::Boot {
                    device,
                    is_persistent: !boot.once,
                    is_efi,
                };
                client.set_boot(boot).await?;
                Answer::Done
            }
            Request::Identify { seconds } => {
                let wanted = match seconds {
                    0 => Identify::Off,
                    seconds => Identify::For(seconds),
                };
                client.identify(wanted).await?;
                Answer::Done
            }
            _ => return Err(self.cannot("this")),
        })
    }

    /// What came since the last time goes to the end.
    async fn read_log(&mut self) -> Result<(), Error> {
        let mark = self.mark;
        let client = self.client().await?;
        let news = client.follow_log(mark.as_ref()).await?;
        let entries = match news.entries.is_empty() {
            true => Vec::new(),
            false => {
                let inventory = client.inventory().await?;
                let read = |raw| entry(ipmi::Entry::parse(raw, inventory));
                news.entries.iter().map(read).collect()
            }
        };
        if news.erased || mark.is_none() {
            self.log.clear();
        }
        self.log.extend(entries);
        let over = self.log.len().saturating_sub(MOST_ENTRIES);
        self.log.drain(..over);
        self.mark = Some(news.mark);
        Ok(())
    }

    fn cannot(&self, what: &'static str) -> Error {
        // As a controller says that it does not know a command.
        Error::Refused {
            bmc: self.wanted.host,
            what,
            code: 0xc1,
        }
    }
}

/// The sign-in of oobd.toml.
pub(super) fn login(wanted: &Wanted) -> Result<Login, Error> {
    let password = wanted.password.expose().as_bytes();
    Login::new(wanted.host, &wanted.username, password)
}

/// What an error means for what was asked. `harmless`: nothing was asked that changes anything.
fn fault(error: &Error, harmless: bool) -> Fault {
    let text = chain(error);
    match error {
        Error::Unanswered { .. } => Fault::Unsure(text),
        Error::NoAnswer { .. } | Error::Unreached { .. } | Error::Nonsense { .. } if !harmless => {
            Fault::Unsure(text)
        }
        Error::NoAnswer { .. } | Error::Unreached { .. } | Error::Busy { .. } => Fault::Gone(text),
        Error::WrongPassword { .. } | Error::UserTooLong { .. } | Error::PasswordTooLong { .. } => {
            Fault::Locked(text)
        }
        // A user who may read and not switch is let in.
        Error::NotPermitted { .. } if harmless => Fault::Locked(text),
        _ => Fault::Declined(text),
    }
}

fn control(verb: Verb) -> Option<ipmi::Verb> {
    Some(match verb {
        Verb::On => ipmi::Verb::PowerUp,
        Verb::ForceOff => ipmi::Verb::PowerDown,
        Verb::GracefulShutdown => ipmi::Verb::SoftShutdown,
        Verb::ForceRestart => ipmi::Verb::HardReset,
        Verb::PowerCycle => ipmi::Verb::PowerCycle,
        Verb::Nmi => ipmi::Verb::DiagnosticInterrupt,
        Verb::GracefulRestart => return None,
    })
}

fn target(device: BootDevice) -> BootTarget {
    match device {
        BootDevice::Pxe => BootTarget::Pxe,
        BootDevice::Disk | BootDevice::DiskSafe => BootTarget::Disk,
        BootDevice::Diagnostic => BootTarget::Diagnostic,
        BootDevice::Cd => BootTarget::Cd,
        BootDevice::BiosSetup => BootTarget::Bios,
        BootDevice::Floppy => BootTarget::Usb,
        BootDevice::None | BootDevice::Other(_) => BootTarget::None,
    }
}

fn device(target: BootTarget) -> Option<BootDevice> {
    Some(match target {
        BootTarget::None => BootDevice::None,
        BootTarget::Bios => BootDevice::BiosSetup,
        BootTarget::Pxe => BootDevice::Pxe,
        BootTarget::Disk => BootDevice::Disk,
        BootTarget::Cd => BootDevice::Cd,
        BootTarget::Diagnostic => BootDevice::Diagnostic,
        // 15 is "floppy or primary removable media" (§28.13).
        BootTarget::Usb => BootDevice::Floppy,
        BootTarget::Https => return None,
    })
}

fn sensor(read: ipmi::Sensor) -> Sensor {
    let kind = match read.kind {
        ipmi::Kind::Temperature => "temperature",
        ipmi::Kind::Voltage => "voltage",
        ipmi::Kind::Current => "current",
        ipmi::Kind::Fan => "fan",
        ipmi::Kind::Power => "power",
        ipmi::Kind::Intrusion => "intrusion",
        ipmi::Kind::PowerSupply => "power_supply",
        _ => "other",
    };
    Sensor {
        name: read.name,
        kind: kind.into(),
        value: read.value,
        unit: match read.unit.as_str() {
            "RPM" => "rpm".to_owned(),
            _ => read.unit,
        },
        health: match read.health {
            ipmi::Health::Ok => Health::Ok,
            ipmi::Health::Warning => Health::Warning,
            ipmi::Health::Critical => Health::Critical,
            ipmi::Health::Unavailable | ipmi::Health::Unknown => Health::Unknown,
        },
        text: read.states.join(", "),
    }
}

fn entry(read: ipmi::Entry) -> LogEntry {
    LogEntry {
        id: read.id.to_string(),
        at: read.time,
        health: match read.severity {
            ipmi::Severity::Ok => Health::Ok,
            ipmi::Severity::Warning => Health::Warning,
            ipmi::Severity::Critical => Health::Critical,
        },
        part: read.sensor,
        text: match read.asserted {
            true => read.text,
            false => format!("{} (over)", read.text),
        },
    }
}

impl Device for Ipmi {
    fn skills(&self) -> &'static [Skill] {
        SKILLS
    }

    fn verbs(&self) -> Vec<Verb> {
        let mut verbs = crate::reset::VERBS.to_vec();
        verbs.retain(|verb| control(*verb).is_some());
        verbs
    }

    fn ask(&mut self, request: Request) -> Asking<'_> {
        Box::pin(self.carry_out(request))
    }

    fn close(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let client = self.client.take();
        Box::pin(async {
            if let Some(client) = client {
                client.close().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_done_is_told_apart() {
        let bmc = "10.0.0.30:623".parse().unwrap();
        let what = "to switch power";
        let silent = Error::NoAnswer { bmc, what };
        assert!(matches!(fault(&silent, true), Fault::Gone(_)));
        assert!(matches!(fault(&silent, false), Fault::Unsure(_)));
        let lost = Error::Unanswered { bmc, what };
        assert!(matches!(fault(&lost, false), Fault::Unsure(_)));
        let user = "admin".into();
        let wrong = Error::WrongPassword { bmc, user };
        assert!(matches!(fault(&wrong, true), Fault::Locked(_)));
        let code = 0xd5;
        let refused = Error::Refused { bmc, what, code };
        assert!(matches!(fault(&refused, false), Fault::Declined(_)));
    }
}
