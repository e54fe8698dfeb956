//! `oobctl machine`: managed computers, their power, and what their controllers tell and take.

mod parts;
mod power;
mod snapshot;
pub(super) mod tables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::clock::Timestamp;
use crate::command::{Command, Reply};
use crate::fact;
use crate::machine::{Boot, BootTarget};
use crate::reset::Verb as Power;
use crate::state::State;

use super::client::Client;
use super::confirm::confirm;
use super::face::{Face, Failure};
use super::{Form, print_reply};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// All machines and how they stand
    List,
    /// Everything about a machine, and what came of the last verb
    Show {
        /// As oobd.toml names it
        name: String,
    },
    /// Read its power now, and ask again what was refused
    Read {
        /// As oobd.toml names it
        name: String,
    },
    /// Switch it: on, shutdown, restart, nmi, reset, cycle, off
    Power(Switch),
    /// What it starts from; with TARGET for the next start only
    Boot {
        /// As oobd.toml names it
        name: String,
        /// none, bios, pxe, disk, cd, usb, diagnostic, https
        target: Option<BootTarget>,
        /// What https is to fetch, as in https://10.0.0.5/boot.efi
        #[arg(long, requires = "target", conflicts_with = "always")]
        url: Option<String>,
        /// For every start, not the next one only
        #[arg(long, requires = "target")]
        always: bool,
    },
    /// Temperatures, fans, voltages and the like, read now
    Sensors {
        /// As oobd.toml names it
        name: String,
    },
    /// Its sensors over the last 6 hours
    History {
        /// As oobd.toml names it
        name: String,
    },
    /// Its own log, newest last
    Log(Log),
    /// Drives that its controller plays: shown, filled, emptied
    Media {
        /// As oobd.toml names it
        name: String,
        /// insert IMAGE or eject; IMAGE is a URL that the controller can fetch, or a file in images/ of this board
        #[arg(value_name = "WHAT")]
        words: Vec<String>,
        /// As `machine media NAME` names it; otherwise the first that fits
        #[arg(long)]
        slot: Option<String>,
    },
    /// BIOS settings, or change some at the next start
    Bios {
        /// As oobd.toml names it
        name: String,
        /// Settings and values as `machine bios NAME` shows them
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Let its lamp blink
    Identify {
        /// As oobd.toml names it
        name: String,
        /// For so long; 0 ends it
        #[arg(long, default_value_t = 15)]
        seconds: u8,
    },
    /// Its storage: controllers, drives, volumes
    Parts {
        /// As oobd.toml names it
        name: String,
    },
    /// A picture of its screen, as PNG
    Snapshot {
        /// As oobd.toml names it
        name: String,
        /// Write it there; otherwise it is the output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Trust the certificate that its controller shows now
    Trust {
        /// As oobd.toml names it
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Switch {
    /// As oobd.toml names it
    name: String,
    /// on, shutdown, restart, nmi, reset, cycle, off
    verb: Power,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Cycle even an outlet that feeds this board too, where the PDU itself switches on again
    #[arg(long)]
    yes_cut_myself: bool,
    /// Do not wait for the outcome
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// As oobd.toml names it
    name: String,
    /// Newest entries
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    newest: u32,
    /// Empty it
    #[arg(long)]
    clear: bool,
    /// Do not ask
    #[arg(long, short, requires = "clear")]
    yes: bool,
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let command = match verb {
        Verb::List => return list(form, client, face).await,
        Verb::Show { name } => {
            let state = client.state().await?;
            let machine = find(&state, &name)?;
            let text = tables::sheet(machine, Timestamp::now(), face.wrap(), face.color);
            return match form {
                Form::Text => face.print(&text).await,
                Form::Json | Form::Lines => face.json(machine).await,
            };
        }
        Verb::Snapshot { name, output } => {
            return snapshot::run(name, output, &mut client, face).await;
        }
        Verb::Power(switch) => return power::run(&switch, form, client, face).await,
        Verb::Log(log) if log.clear => {
            let question = format!("Empty the log of {}? Nobody can bring it back.", log.name);
            confirm(face, log.yes, &question).await?;
            Command::ClearMachineLog { machine: log.name }
        }
        Verb::Log(log) => Command::ReadMachineLog {
            machine: log.name,
            limit: log.newest,
        },
        Verb::Read { name: machine } => Command::ReadMachine { machine },
        Verb::Boot {
            name,
            target: Some(target),
            url,
            ..
        } if url.is_some() || target == BootTarget::Https => from(name, target, url)?,
        Verb::Boot {
            name: machine,
            target: Some(target),
            always,
            ..
        } => Command::SetBoot {
            machine,
            boot: Boot {
                target,
                once: !always && target != BootTarget::None,
            },
        },
        Verb::Boot { name: machine, .. } => Command::ReadBoot { machine },
        Verb::Sensors { name: machine } => Command::ReadSensors { machine },
        Verb::History { name: machine } => Command::ReadSensorHistory { machine },
        Verb::Media { name, words, slot } => media(name, &words, slot)?,
        Verb::Bios {
            name: machine,
            settings,
        } if settings.is_empty() => Command::ReadBios { machine },
        Verb::Bios {
            name: machine,
            settings,
        } => Command::StageBios {
            machine,
            settings: staged(&settings)?,
        },
        Verb::Identify {
            name: machine,
            seconds,
        } => Command::IdentifyMachine { machine, seconds },
        Verb::Parts { name: machine } => Command::ReadParts { machine },
        Verb::Trust { name } => Command::TrustDevice {
            owner: format!("machine.{name}"),
        },
    };
    let reply = client.command(command).await?;
    answer(reply, form, face).await
}

async fn answer(reply: Reply, form: Form, face: &mut Face) -> Result<(), Failure> {
    if form != Form::Text {
        return parts::json(reply, form, face).await;
    }
    let (width, color) = (face.wrap(), face.color);
    let (text, nothing) = match &reply {
        Reply::Sensors(sensors) => (tables::sensors(sensors, color), "no sensors"),
        Reply::MachineLog(entries) => (tables::log(entries, width, color), "the log is empty"),
        Reply::Boot(boot) => (tables::boot(*boot), ""),
        Reply::Media(media) => (tables::media(media, color), "no drives"),
        Reply::Bios(attributes) => (tables::bios(attributes, color), "no settings"),
        Reply::Parts(found) => (tables::parts(found, color), "no storage"),
        _ => return print_reply(reply, form, face).await,
    };
    face.table(&text, nothing).await
}

async fn list(form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let state = client.state().await?;
    let table = |face: &Face| tables::list(&state, Timestamp::now(), face.wrap(), face.color);
    face.list(form, "machines", &state.machines, table).await
}

fn find<'a>(state: &'a State, name: &str) -> Result<&'a fact::Machine, Failure> {
    state.machines.get(name).ok_or_else(|| {
        let name = super::table::harmless(name);
        Failure::Other(format!(
            "there is no machine {name}; `machine list` shows them"
        ))
    })
}

fn from(machine: String, target: BootTarget, url: Option<String>) -> Result<Command, Failure> {
    match url {
        Some(url) if target == BootTarget::Https => Ok(Command::BootFrom { machine, url }),
        Some(_) => Err(Failure::Usage("only https takes a --url".into())),
        None => {
            let text = "say from where: https --url https://10.0.0.5/boot.efi";
            Err(Failure::Usage(text.into()))
        }
    }
}

fn media(machine: String, words: &[String], slot: Option<String>) -> Result<Command, Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        [] => Command::ReadMedia { machine },
        ["insert", image] => Command::InsertMedium {
            machine,
            slot,
            image: (*image).to_owned(),
        },
        ["eject"] => Command::EjectMedium { machine, slot },
        _ => {
            let text = "say insert IMAGE, eject, or nothing to see what is there";
            return Err(Failure::Usage(text.into()));
        }
    })
}

fn staged(settings: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut staged = BTreeMap::new();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            let shown = super::table::harmless(setting);
            Failure::Usage(format!("{shown} is no KEY=VALUE"))
        })?;
        if name.is_empty() || staged.insert(name.to_owned(), value.to_owned()).is_some() {
            let shown = super::table::harmless(name);
            return Err(Failure::Usage(format!(
                "\"{shown}\" is no setting, or stands there twice"
            )));
        }
    }
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_media_and_settings() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let insert = media("db1".into(), &words("insert rescue.iso"), None).unwrap();
        assert!(matches!(insert, Command::InsertMedium { image, .. } if image == "rescue.iso"));
        assert!(media("db1".into(), &words("insert"), None).is_err());
        let settings = staged(&words("BootMode=Uefi Note=a=b")).unwrap();
        assert_eq!(settings["Note"], "a=b");
        for bad in ["BootMode", "=x", "A=1 A=2"] {
            assert_eq!(staged(&words(bad)).unwrap_err().code(), 2, "{bad}");
        }
    }
}
