//! A machine's controller by Redfish, as one way. Keeps one session and gives it back; serves files of this board to that
//! controller while they are in its drives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::bmc::device::{Answer, Asking, Device, Fault, Power, Request, Skill};
use crate::bmc::media::{self, Served};
use crate::bmc::redfish::types::{
    BootFor, LogSeverity, MediaSlot, Scalar, SensorKind, SensorState,
};
use crate::bmc::redfish::{Access, Bmc, Error, Intent, Patience, is_untaken, types};
use crate::bmc::trust::Keys;
use crate::config::Redfish as Wanted;
use crate::event::Kind;
use crate::fault::chain;
use crate::file::{IMAGES, inside};
use crate::http::{Legacy, Trust};
use crate::machine::{
    BiosAttribute, BiosKind, Boot, BootTarget, Health, LogEntry, Medium, Part, Sensor,
};
use crate::pin::Pins;
use crate::reset::{PowerState, Verb};

/// A question of a person has 20 s in all.
const PATIENCE: Patience = Patience {
    request: Duration::from_secs(10),
    step: Duration::from_secs(1),
    task: Duration::from_secs(16),
};

/// The last one is for those alone that have such settings.
const SKILLS: &[Skill] = &[
    Skill::Power,
    Skill::Act,
    Skill::Model,
    Skill::Sensors,
    Skill::Log,
    Skill::Boot,
    Skill::Media,
    Skill::Parts,
    Skill::Trust,
    Skill::Bios,
];

pub(super) struct Redfish {
    access: Access,
    bmc: Option<Bmc>,
    verbs: Vec<Verb>,
    /// Read at the first question.
    verbs_known: bool,
    /// Has the machine settings of its firmware? As long as nobody has looked it may.
    has_bios: bool,
    keys: Keys,
    /// Where images of this board are.
    images: PathBuf,
    /// Files in drives, by the drive's URI. After a restart of oobd a controller asks for them in vain.
    served: BTreeMap<String, (String, Served)>,
    tracker: TaskTracker,
}

impl Redfish {
    #[must_use]
    pub(super) fn new(
        wanted: Wanted,
        lan: &str,
        state: &std::path::Path,
        tracker: &TaskTracker,
    ) -> Self {
        let pins = Pins::new(state);
        let Wanted {
            url,
            username,
            password,
            system,
            pin,
            legacy_tls,
        } = wanted;
        Self {
            access: Access {
                url,
                user: username,
                password,
                system,
                lan: lan.to_owned(),
                trust: Trust {
                    pins: pins.clone(),
                    pin,
                    legacy: Legacy::asked(legacy_tls),
                },
                patience: PATIENCE,
            },
            bmc: None,
            verbs: crate::reset::VERBS.to_vec(),
            verbs_known: false,
            has_bios: true,
            keys: Keys::new(pins),
            images: state.join(IMAGES),
            served: BTreeMap::new(),
            tracker: tracker.clone(),
        }
    }

    async fn carry_out(&mut self, request: Request) -> Result<Answer, Fault> {
        if request == Request::Trust {
            self.keys.trust().await?;
            self.bmc = None;
            return Ok(Answer::Done);
        }
        let reads = request.is_read();
        if self.bmc.is_none() {
            match Bmc::open(self.access.clone()).await {
                Ok(bmc) => self.bmc = Some(bmc),
                Err(error) => return Err(self.fault(&error, true)),
            }
        }
        let answer = self.question(request).await;
        if let Some(has) = self.bmc.as_ref().and_then(Bmc::has_bios) {
            self.has_bios = has;
        }
        self.keys
            .pinned(self.bmc.as_mut().and_then(Bmc::take_pinned));
        answer.map_err(|error| match error {
            Trouble::Bmc(error) => {
                let fault = self.fault(&error, reads);
                if !matches!(fault, Fault::Declined(_)) {
                    (self.bmc, self.verbs_known) = (None, false);
                }
                fault
            }
            Trouble::Ours(why) => Fault::Declined(why),
        })
    }

    async fn question(&mut self, request: Request) -> Result<Answer, Trouble> {
        let bmc = self
            .bmc
            .as_mut()
            .ok_or(Trouble::Ours("no session".into()))?;
        if !self.verbs_known {
            let allowed = bmc.reset_types().await?;
            self.verbs = crate::reset::VERBS.to_vec();
            self.verbs.retain(|verb| is_plain(*verb, &allowed));
            self.verbs_known = true;
        }
        Ok(match request {
            Request::Power => Answer::Power(power(bmc.power().await?)),
            Request::Act(verb) => match bmc.reset(intent(verb)).await {
                Ok(_) => Answer::Done,
                Err(error) => {
                    // What it takes of these is learnt by asking where it does not say: they are put together from others then.
                    if is_untaken(&error) && matches!(verb, Verb::PowerCycle | Verb::ForceRestart) {
                        self.verbs.retain(|had| *had != verb);
                    }
                    return Err(error.into());
                }
            },
            Request::Model => {
                let systems = bmc.systems().await?;
                let wanted = self.access.system.as_deref();
                let ours = |system: &&types::System| {
                    wanted.is_none_or(|wanted| system.id == wanted || system.uri == wanted)
                };
                let model = systems.iter().find(ours).map(|system| {
                    let words = [system.vendor.as_deref(), system.model.as_deref()];
                    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
                });
                Answer::Model(model.unwrap_or_default())
            }
            Request::Sensors => {
                let sensors = bmc.sensors().await?;
                Answer::Sensors(sensors.into_iter().map(sensor).collect())
            }
            Request::Log { limit } => Answer::Log(read_log(bmc, limit).await?),
            Request::ClearLog => {
                for (_, log) in bmc.logs().await? {
                    bmc.clear_log(&log).await?;
                }
                Answer::Done
            }
            Request::Boot => Answer::Boot(boot(&bmc.boot().await?)),
            Request::SetBoot(boot) => {
                let held = match (boot.target, boot.once) {
                    (BootTarget::None, _) => BootFor::Disabled,
                    (_, true) => BootFor::Once,
                    (_, false) => BootFor::Continuous,
                };
                let Some(target) = target(boot.target) else {
                    return Err(Trouble::Ours(format!(
                        "Redfish has no target {}",
                        boot.target
                    )));
                };
                bmc.set_boot(target, held, None).await?;
                Answer::Done
            }
            Request::Media => {
                let slots = bmc.media().await?.into_iter();
                Answer::Media(slots.map(|slot| medium(slot, &self.served)).collect())
            }
            Request::Insert { slot, image } => self.insert(slot.as_deref(), &image).await?,
            Request::Eject { slot } => {
                let slot = chosen(bmc.media().await?, slot.as_deref(), true)?;
                bmc.eject(&slot.uri).await?;
                self.served.remove(&slot.uri);
                Answer::Done
            }
            Request::Bios => {
                let attributes = bmc.bios(false).await?;
                Answer::Bios(attributes.into_iter().map(attribute).collect())
            }
            Request::Stage(settings) => {
                let now = bmc.bios(false).await?;
                let typed = settings.into_iter().map(|(name, value)| {
                    let like = now.iter().find(|attribute| attribute.name == name);
                    let value = scalar(value, like.map(|attribute| &attribute.value));
                    (name, value)
                });
                let typed: Vec<_> = typed.collect();
                bmc.set_bios(&typed).await?;
                Answer::Done
            }
            Request::Parts => Answer::Parts(parts(bmc.storage().await?)),
            Request::Identify { .. } | Request::Trust | Request::Amt(_) | Request::BootFrom(_) => {
                return Err(Trouble::Ours("Redfish cannot do this here".into()));
            }
        })
    }

    /// A URL as it is; otherwise a file of this board, served to that controller alone.
    async fn insert(&mut self, slot: Option<&str>, image: &str) -> Result<Answer, Trouble> {
        let bmc = self
            .bmc
            .as_mut()
            .ok_or(Trouble::Ours("no session".into()))?;
        let slot = chosen(bmc.media().await?, slot, false)?;
        if image.contains("://") {
            bmc.insert(&slot.uri, image).await?;
            return Ok(Answer::Done);
        }
        let Some(file) = inside(&self.images, image) else {
            return Err(Trouble::Ours(format!(
                "{} is neither a URL nor the name of a file in {}",
                image.escape_debug(),
                self.images.display()
            )));
        };
        let client = self.access.url.address().ip();
        let served = media::serve(&file, &self.access.lan, client, &self.tracker).await;
        let served = served.map_err(|error| Trouble::Ours(chain(&error)))?;
        bmc.insert(&slot.uri, served.url()).await?;
        self.served.insert(slot.uri, (image.to_owned(), served));
        Ok(Answer::Done)
    }

    /// What an error means for what was asked. `harmless`: nothing was asked that changes anything.
    fn fault(&mut self, error: &Error, harmless: bool) -> Fault {
        let text = chain(error);
        match error {
            Error::WrongPassword { .. } => Fault::Locked(text),
            Error::Http(error) if self.keys.distrusts(error) => Fault::Locked(text),
            Error::Http(error) if error.is_login() => Fault::Locked(text),
            _ if error.maybe_done() && !harmless => Fault::Unsure(text),
            Error::Failed { .. } if !harmless => Fault::Unsure(text),
            Error::Http(error) if error.is_gone() => Fault::Gone(text),
            _ => Fault::Declined(text),
        }
    }
}

/// Why a question came to nothing.
enum Trouble {
    Bmc(Error),
    Ours(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Bmc(error)
    }
}

fn intent(verb: Verb) -> Intent {
    match verb {
        Verb::On => Intent::On,
        Verb::ForceOff => Intent::Off,
        Verb::GracefulShutdown => Intent::GracefulOff,
        Verb::ForceRestart => Intent::Restart,
        Verb::GracefulRestart => Intent::GracefulRestart,
        Verb::PowerCycle => Intent::Cycle,
        Verb::Nmi => Intent::Nmi,
    }
}

/// Is there one reset for it? What takes two is put together by the owner, which remembers how far it is.
fn is_plain(verb: Verb, allowed: &[String]) -> bool {
    let ways = intent(verb).ways();
    let takes = |kind: &&str| allowed.is_empty() || allowed.iter().any(|had| had == kind);
    ways.iter().any(takes)
}

fn power(read: types::Power) -> Power {
    let (state, changing) = match read {
        types::Power::On => (PowerState::On, false),
        types::Power::Off => (PowerState::Off, false),
        types::Power::PoweringOn => (PowerState::Off, true),
        types::Power::PoweringOff => (PowerState::On, true),
        types::Power::Unknown => (PowerState::Unknown, false),
    };
    Power {
        state,
        changing,
        mark: None,
    }
}

fn sensor(read: types::Sensor) -> Sensor {
    let kind = match read.kind {
        SensorKind::Temperature => "temperature",
        SensorKind::Fan => "fan",
        SensorKind::Voltage => "voltage",
        SensorKind::Current => "current",
        SensorKind::Power => "power",
        SensorKind::Intrusion => "intrusion",
        SensorKind::Supply => "power_supply",
        SensorKind::Energy | SensorKind::Other => "other",
    };
    let unit = match read.unit.as_str() {
        "Cel" => "°C".to_owned(),
        "RPM" => "rpm".to_owned(),
        unit => unit.to_owned(),
    };
    Sensor {
        name: read.name,
        kind: kind.into(),
        value: read.value,
        unit,
        health: match read.state {
            SensorState::Ok => Health::Ok,
            SensorState::Warning => Health::Warning,
            SensorState::Critical => Health::Critical,
            SensorState::Absent | SensorState::Unknown => Health::Unknown,
        },
        text: read.said.unwrap_or_default(),
    }
}

/// The newest entries of all its logs, oldest first.
async fn read_log(bmc: &mut Bmc, limit: u32) -> Result<Vec<LogEntry>, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut entries = Vec::new();
    for (name, log) in bmc.logs().await? {
        for read in bmc.log(&log, limit).await? {
            entries.push(LogEntry {
                id: read.id,
                at: read.at,
                health: match read.severity {
                    LogSeverity::Ok => Health::Ok,
                    LogSeverity::Warning => Health::Warning,
                    LogSeverity::Critical => Health::Critical,
                    LogSeverity::Unknown => Health::Unknown,
                },
                part: name.clone(),
                text: read.text,
            });
        }
    }
    // Controllers differ in the order; those without a date keep theirs.
    entries.sort_by_key(|entry| entry.at);
    let from = entries.len().saturating_sub(limit);
    Ok(entries.split_off(from))
}

fn boot(read: &types::Boot) -> Boot {
    let target = match read.target.as_str() {
        _ if read.held == BootFor::Disabled => BootTarget::None,
        "Pxe" => BootTarget::Pxe,
        "Cd" | "UsbCd" => BootTarget::Cd,
        "Usb" => BootTarget::Usb,
        "Hdd" => BootTarget::Disk,
        "BiosSetup" => BootTarget::Bios,
        "Diags" => BootTarget::Diagnostic,
        "UefiHttp" => BootTarget::Https,
        _ => BootTarget::None,
    };
    Boot {
        target,
        once: read.held == BootFor::Once,
    }
}

fn target(wanted: BootTarget) -> Option<types::BootTarget> {
    Some(match wanted {
        BootTarget::None => types::BootTarget::None,
        BootTarget::Bios => types::BootTarget::BiosSetup,
        BootTarget::Pxe => types::BootTarget::Pxe,
        BootTarget::Disk => types::BootTarget::Hdd,
        BootTarget::Cd => types::BootTarget::Cd,
        BootTarget::Usb => types::BootTarget::Usb,
        BootTarget::Diagnostic | BootTarget::Https => return None,
    })
}

/// A file of this board has the name that it was inserted by, and not the address that the controller was given for it.
fn medium(slot: MediaSlot, served: &BTreeMap<String, (String, Served)>) -> Medium {
    let image = slot.image.filter(|_| slot.inserted != Some(false));
    let ours = served.get(&slot.uri);
    let ours = ours.filter(|(_, served)| image.as_deref() == Some(served.url()));
    Medium {
        slot: slot.id,
        image: ours.map(|(name, _)| name.clone()).or(image),
    }
}

/// The slot of this name; without a name the one that is in use, or the first that takes a disc.
fn chosen(slots: Vec<MediaSlot>, name: Option<&str>, used: bool) -> Result<MediaSlot, Trouble> {
    let there: Vec<String> = slots.iter().map(|slot| slot.id.clone()).collect();
    let disc = |slot: &MediaSlot| slot.types.iter().any(|kind| kind == "CD" || kind == "DVD");
    let found = match name {
        Some(name) => slots
            .into_iter()
            .find(|slot| slot.id.eq_ignore_ascii_case(name)),
        None => {
            let mut slots = slots;
            let first = |slot: &MediaSlot| (used && slot.image.is_none(), !disc(slot));
            slots.sort_by_key(first);
            slots.into_iter().next()
        }
    };
    found.ok_or_else(|| {
        Trouble::Ours(match there.is_empty() {
            true => "it has no drive for media".into(),
            false => format!("its drives are {}", there.join(", ")),
        })
    })
}

fn attribute(read: types::BiosAttribute) -> BiosAttribute {
    BiosAttribute {
        name: read.name,
        value: shown(&read.value),
        pending: read.pending.as_ref().map(shown),
        kind: match read.value {
            Scalar::Text(_) => BiosKind::Text,
            Scalar::Number(_) => BiosKind::Number,
            Scalar::Flag(_) => BiosKind::Flag,
            Scalar::Null => BiosKind::Nothing,
        },
    }
}

fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Flag(flag) => flag.to_string(),
        Scalar::Null => String::new(),
    }
}

/// The value in the type that the setting has now.
fn scalar(text: String, like: Option<&Scalar>) -> Scalar {
    match like {
        Some(Scalar::Number(_)) => text.parse().map_or(Scalar::Text(text), Scalar::Number),
        Some(Scalar::Flag(_)) => text.parse().map_or(Scalar::Text(text), Scalar::Flag),
        _ => Scalar::Text(text),
    }
}

fn parts(storage: Vec<types::Storage>) -> Vec<Part> {
    let health = |health: Option<&str>| match health {
        Some("OK") => Health::Ok,
        Some("Warning") => Health::Warning,
        Some("Critical") => Health::Critical,
        _ => Health::Unknown,
    };
    let mut parts = Vec::new();
    for controller in storage {
        parts.push(Part {
            kind: "controller".into(),
            name: controller.name,
            model: String::new(),
            bytes: None,
            health: health(controller.health.as_deref()),
        });
        parts.extend(controller.drives.into_iter().map(|drive| Part {
            kind: "drive".into(),
            name: drive.name,
            model: drive.model.unwrap_or_default(),
            bytes: drive.bytes,
            health: health(drive.health.as_deref()),
        }));
        parts.extend(controller.volumes.into_iter().map(|volume| Part {
            kind: "volume".into(),
            name: volume.name,
            model: volume.kind.unwrap_or_default(),
            bytes: volume.bytes,
            health: health(volume.health.as_deref()),
        }));
    }
    parts
}

impl Device for Redfish {
    fn skills(&self) -> &'static [Skill] {
        match SKILLS.split_last() {
            Some((_, others)) if !self.has_bios => others,
            _ => SKILLS,
        }
    }

    fn verbs(&self) -> Vec<Verb> {
        self.verbs.clone()
    }

    fn ask(&mut self, request: Request) -> Asking<'_> {
        Box::pin(self.carry_out(request))
    }

    fn events(&mut self) -> Vec<Kind> {
        self.keys.events()
    }

    fn close(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if let Some(bmc) = &mut self.bmc {
                bmc.close().await;
            }
        })
    }
}
