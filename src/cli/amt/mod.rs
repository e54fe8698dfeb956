//! `oobctl amt`: what machines with Intel AMT have besides what `oobctl machine` shows of all.

mod add;
pub(super) mod ider;
pub(super) mod tables;

use std::net::Ipv4Addr;

use clap::{Args, Subcommand};

use crate::clock::Timestamp;
use crate::command::{Command, Reply};
use crate::machine::amt::{AmtAlarm, AmtAsk, AmtChange, AmtPolicy, AmtTold};

use super::client::Client;
use super::confirm::confirm;
use super::face::{Face, Failure};
use super::machine::tables::log;
use super::table::harmless;
use super::time::period;
use super::{Form, print_reply};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// Who it is: versions, control mode, hardware, network, accounts
    Info {
        /// As oobd.toml names it
        name: String,
    },
    /// What is switched on; with words like sol=on, switch those and nothing else
    Features {
        /// As oobd.toml names it
        name: String,
        /// sol, ider, kvm, recovery: on or off; consent: none, kvm or all
        #[arg(value_name = "FEATURE=STATE")]
        changes: Vec<String>,
        /// Do not ask
        #[arg(long, short, requires = "changes")]
        yes: bool,
    },
    /// Consent of somebody at the machine: how it stands, ask for it, give the code from its screen, cancel
    Consent {
        /// As oobd.toml names it
        name: String,
        /// ask, cancel, or the six digits on the machine's screen
        what: Option<String>,
    },
    /// Its audit log, newest last: who did what by AMT; `machine log` shows its event log
    Log {
        /// As oobd.toml names it
        name: String,
        /// Newest entries
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
        newest: u32,
    },
    /// Times at which it switches itself on: shown, added, removed
    Alarm(Alarm),
    /// Drives of this board for a machine (IDE redirection): insert, eject, status
    #[command(subcommand)]
    Ider(ider::Verb),
    /// Find machines with Intel AMT on a network
    Scan {
        /// As in 10.0.0.0/24; at most 1024 addresses
        network: String,
    },
    /// Write a device that a scan found to oobd.toml; asks for its password, from a pipe it is the first line
    Add(add::Add),
    /// Set its clock by this board's
    Clock {
        /// As oobd.toml names it
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Alarm {
    /// As oobd.toml names it
    name: String,
    /// add ALARM or remove ALARM
    #[arg(value_name = "WHAT")]
    words: Vec<String>,
    /// When, as in 2026-12-01T07:00:00Z
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// Again after so long, as in 1d or 90m; otherwise once
    #[arg(long, value_parser = minutes)]
    every: Option<u32>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    let wrong = || "expected a time as in 2026-12-01T07:00:00Z".to_owned();
    let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    let millis = u64::try_from(at.as_millisecond()).map_err(|_| wrong())?;
    Ok(Timestamp(millis))
}

fn minutes(text: &str) -> Result<u32, String> {
    let span = period(text)?;
    u32::try_from(span.as_secs() / 60)
        .ok()
        .filter(|minutes| *minutes > 0)
        .ok_or_else(|| "expected a minute at least".to_owned())
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let (machine, ask) = match verb {
        Verb::Info { name } => (name, AmtAsk::Info),
        Verb::Features { name, changes, .. } if changes.is_empty() => (name, AmtAsk::Features),
        Verb::Features { name, changes, yes } => {
            let change = change(&changes)?;
            let question = format!("Change what {name} lets others do:{change}?");
            confirm(face, yes, &question).await?;
            (name, AmtAsk::SetFeatures(change))
        }
        Verb::Consent { name, what } => (name, consent(what.as_deref())?),
        Verb::Log { name, newest } => (name, AmtAsk::AuditLog { limit: newest }),
        Verb::Alarm(wanted) => alarm(wanted)?,
        Verb::Clock { name } => (name, AmtAsk::SetClock),
        Verb::Ider(verb) => return ider::run(verb, form, client, face).await,
        Verb::Add(wanted) => return add::run(wanted, form, client, face).await,
        Verb::Scan { network } => return scan(&network, form, client, face).await,
    };
    let reply = client.command(Command::AskAmt { machine, ask }).await?;
    let Reply::Amt(told) = reply else {
        return print_reply(reply, form, face).await;
    };
    if form != Form::Text {
        return face.json(&told).await;
    }
    let (width, color) = (face.wrap(), face.color);
    let (text, nothing) = match &told {
        AmtTold::Info(info) => (tables::info(info, width, color), ""),
        AmtTold::Features(features) => (tables::features(features, color), ""),
        AmtTold::Consent(consent) => (tables::consent(*consent), ""),
        AmtTold::Log(entries) => (log(entries, width, color), "the audit log is empty"),
        AmtTold::Alarms(alarms) => (tables::alarms(alarms, color), "no alarms"),
        AmtTold::Clock { ahead } => (tables::clock(*ahead), ""),
    };
    face.table(&text, nothing).await
}

async fn scan(text: &str, form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let (network, prefix) = network(text)?;
    let reply = client.command(Command::ScanAmt { network, prefix }).await?;
    let Reply::AmtFound(found) = &reply else {
        return print_reply(reply, form, face).await;
    };
    if form != Form::Text {
        return print_reply(reply, form, face).await;
    }
    if found.is_empty() {
        face.say("nobody there speaks Intel AMT\n").await;
        return Ok(());
    }
    face.print(&tables::found(found, face.color)).await
}

fn network(text: &str) -> Result<(Ipv4Addr, u8), Failure> {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
    match (address.parse(), prefix.parse()) {
        (Ok(address), Ok(prefix @ 22..=32)) => Ok((address, prefix)),
        _ => Err(Failure::Usage(format!(
            "{} is no network of at most 1024 addresses; say one as in 10.0.0.0/24",
            harmless(text)
        ))),
    }
}

fn change(words: &[String]) -> Result<AmtChange, Failure> {
    let mut change = AmtChange::default();
    for word in words {
        let wrong = || {
            let text = format!("{} is no FEATURE=STATE", harmless(word));
            Failure::Usage(format!("{text}; say sol=on, kvm=off or consent=all"))
        };
        let (name, state) = word.split_once('=').ok_or_else(wrong)?;
        let on = match state {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        let twice = match (name, on) {
            ("sol", Some(on)) => change.sol.replace(on).is_some(),
            ("ider", Some(on)) => change.ider.replace(on).is_some(),
            ("kvm", Some(on)) => change.kvm.replace(on).is_some(),
            ("recovery", Some(on)) => change.recovery.replace(on).is_some(),
            ("consent", _) => {
                let policy: AmtPolicy = state.parse().map_err(|_| wrong())?;
                change.consent.replace(policy).is_some()
            }
            _ => return Err(wrong()),
        };
        if twice {
            return Err(Failure::Usage(format!("{name} stands there twice")));
        }
    }
    Ok(change)
}

fn consent(what: Option<&str>) -> Result<AmtAsk, Failure> {
    Ok(match what {
        None => AmtAsk::Consent,
        Some("ask") => AmtAsk::AskConsent,
        Some("cancel") => AmtAsk::CancelConsent,
        Some(code) => {
            let digits = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
            let wrong = || {
                Failure::Usage("say ask, cancel, or the six digits on the machine's screen".into())
            };
            let code = code.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
            AmtAsk::GiveConsent { code }
        }
    })
}

fn alarm(wanted: Alarm) -> Result<(String, AmtAsk), Failure> {
    let words: Vec<&str> = wanted.words.iter().map(String::as_str).collect();
    let ask = match (words.as_slice(), wanted.at) {
        ([], None) => AmtAsk::Alarms,
        (["add", name], Some(at)) => AmtAsk::AddAlarm(AmtAlarm {
            name: (*name).to_owned(),
            at,
            every: wanted.every.unwrap_or_default(),
        }),
        (["remove", name], None) => AmtAsk::RemoveAlarm {
            name: (*name).to_owned(),
        },
        _ => {
            let text = "say add ALARM --at TIME, remove ALARM, or nothing to see what is there";
            return Err(Failure::Usage(text.into()));
        }
    };
    Ok((wanted.name, ask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_features_and_consent() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = change(&words("sol=on kvm=off consent=kvm")).unwrap();
        assert_eq!(
            (read.sol, read.ider, read.kvm),
            (Some(true), None, Some(false))
        );
        assert_eq!(read.consent, Some(AmtPolicy::Kvm));
        for bad in ["sol", "sol=yes", "x=on", "consent=on", "sol=on sol=off"] {
            assert_eq!(change(&words(bad)).unwrap_err().code(), 2, "{bad}");
        }
        assert!(network("10.0.0.0/22").is_ok() && network("10.0.0.9").is_ok());
        for bad in ["10.0.0.0/21", "10.0.0.0/33", "db1", "fd00::1", "10.0.0.0/"] {
            assert_eq!(network(bad).unwrap_err().code(), 2, "{bad}");
        }
        assert_eq!(
            consent(Some("012345")).unwrap(),
            AmtAsk::GiveConsent { code: 12345 }
        );
        for bad in ["12345", "1234567", "12345a", "+12345", "yes"] {
            assert_eq!(consent(Some(bad)).unwrap_err().code(), 2, "{bad}");
        }
    }
}
