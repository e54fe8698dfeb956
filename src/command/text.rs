//! Commands and who gives them in words, as the journal tells them.

use std::fmt;

use super::{Actor, Command};

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(name) => f.write_str(name),
            Self::User { name, from } => write!(f, "{name} ({from})"),
        }
    }
}

/// What was asked, for the journal and for logs.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteNote { .. } => f.write_str("write a note"),
            Self::ReloadConfig => f.write_str("read oobd.toml again"),
            Self::RescanUplink { uplink } => write!(f, "scan for uplink {uplink}"),
            Self::TakeUplinkUp { uplink } => write!(f, "take uplink {uplink} up"),
            Self::TakeUplinkDown { uplink } => write!(f, "take uplink {uplink} down"),
            Self::ReleaseUplink { uplink } => write!(f, "give uplink {uplink} back to its mode"),
            Self::AddressLink { interface } => write!(f, "address {interface}"),
            Self::UnaddressLink { interface } => write!(f, "take the addresses off {interface}"),
            Self::CheckGuard => f.write_str("check the guard"),
            Self::KickSession { console, session } => {
                write!(f, "end session {session} on console {console}")
            }
            Self::SendBreak { console, millis } => {
                write!(f, "send a break of {millis} ms on console {console}")
            }
            Self::SetLine { console, order } => write!(f, "{order} on console {console}"),
            Self::GiveWriter { console, session } => {
                write!(
                    f,
                    "give session {session} the keyboard of console {console}"
                )
            }
            Self::FindLine { console } => {
                write!(f, "find out the line settings of console {console}")
            }
            Self::FindName { console } => {
                write!(f, "find out what the device on console {console} is called")
            }
            Self::ResetCounters { console } => write!(f, "reset the counters of console {console}"),
            Self::TrustHost { console } => {
                write!(f, "trust the new key of the host of console {console}")
            }
            Self::SwitchOutlets {
                pdu, outlets, verb, ..
            } => write!(f, "outlet {verb}: {pdu}/{}", outlets.join(",")),
            Self::ReadPdu { pdu } => write!(f, "read PDU {pdu}"),
            Self::SwitchMachine { machine, verb, .. } => {
                write!(f, "power {verb}: machine {machine}")
            }
            Self::ReadMachine { machine } => write!(f, "read the power of machine {machine}"),
            Self::IdentifyMachine { machine, seconds } => {
                write!(f, "light the lamp of machine {machine} for {seconds} s")
            }
            Self::ReadSensors { machine } => write!(f, "read the sensors of machine {machine}"),
            Self::ReadMachineLog { machine, .. } => write!(f, "read the log of machine {machine}"),
            Self::ClearMachineLog { machine } => write!(f, "clear the log of machine {machine}"),
            Self::ReadBoot { machine } => write!(f, "read what machine {machine} starts from"),
            Self::SetBoot { machine, boot } => {
                let once = if boot.once { " once" } else { "" };
                write!(f, "start machine {machine} from {}{once}", boot.target)
            }
            Self::BootFrom { machine, url } => {
                write!(
                    f,
                    "start machine {machine} from {} once",
                    url.escape_debug()
                )
            }
            Self::ReadMedia { machine } => write!(f, "read the media of machine {machine}"),
            Self::InsertMedium { machine, .. } => {
                write!(f, "insert a medium into machine {machine}")
            }
            Self::EjectMedium { machine, .. } => write!(f, "eject a medium of machine {machine}"),
            Self::ReadBios { machine } => write!(f, "read the BIOS settings of machine {machine}"),
            Self::StageBios { machine, settings } => {
                let names: Vec<&str> = settings.keys().map(String::as_str).collect();
                write!(
                    f,
                    "set {} in the BIOS of machine {machine}",
                    names.join(", ")
                )
            }
            Self::ReadParts { machine } => write!(f, "list the parts of machine {machine}"),
            Self::ScanAmt { network, prefix } => write!(f, "scan {network}/{prefix} for Intel AMT"),
            Self::InsertIder {
                machine,
                cd,
                floppy,
                writable,
                ..
            } => {
                f.write_str("redirect")?;
                if let Some(file) = cd {
                    write!(f, " CD {}", file.escape_debug())?;
                }
                if let Some(file) = floppy {
                    let how = if *writable { "writable " } else { "" };
                    write!(f, " {how}floppy {}", file.escape_debug())?;
                }
                write!(f, " to machine {machine}")
            }
            Self::EjectIder { machine } => write!(f, "eject the drives of machine {machine}"),
            Self::GetConfig => f.write_str("show oobd.toml"),
            Self::ApplyConfig { .. } => f.write_str("replace oobd.toml"),
            Self::ConfirmConfig => f.write_str("confirm the configuration"),
            Self::RollbackConfig => f.write_str("go back to the configuration before"),
            Self::ListUsers => f.write_str("list the users"),
            Self::AddUser { user, .. } => write!(f, "add user {}", short(&user.name)),
            Self::ChangeUser { user, .. } => write!(f, "change user {}", short(&user.name)),
            Self::RemoveUser { name, .. } => write!(f, "remove user {}", short(name)),
            Self::AddMachine { name, .. } => write!(f, "add machine {}", short(name)),
            Self::ShowCertificate => f.write_str("show the certificate"),
            Self::InstallCertificate { .. } => f.write_str("install a certificate"),
            Self::RemoveCertificate => f.write_str("remove the installed certificate"),
            Self::RequestCertificate { .. } => f.write_str("make a request for a certificate"),
            Self::ListNetworks { uplink, scan: true } => {
                write!(f, "scan all channels with uplink {uplink}")
            }
            Self::ListNetworks { uplink, .. } => {
                write!(f, "list the networks that uplink {uplink} hears")
            }
            Self::ReadUplinkHistory { uplink } => write!(f, "read the history of uplink {uplink}"),
            Self::ReadSensorHistory { machine } => {
                write!(f, "read the history of machine {machine}")
            }
            Self::AcknowledgeEvent { seq, .. } => write!(f, "acknowledge event {seq}"),
            Self::AskAmt { machine, ask } => write!(f, "Intel AMT of machine {machine}: {ask}"),
            Self::TrustDevice { owner } => {
                write!(
                    f,
                    "trust the new certificate of {}",
                    owner.replacen('.', " ", 1)
                )
            }
        }
    }
}

/// A name that may be none.
fn short(name: &str) -> String {
    name.escape_debug().take(64).collect()
}
