//! Which owner serves which command.

use std::time::Duration;

use super::Command;
use super::switchboard::ANSWER_LIMIT;

impl Command {
    /// Name of the owner that serves it.
    #[must_use]
    pub fn owner(&self) -> String {
        match self {
            Self::WriteNote { .. }
            | Self::ReloadConfig
            | Self::GetConfig
            | Self::ApplyConfig { .. }
            | Self::ConfirmConfig
            | Self::RollbackConfig
            | Self::ListUsers
            | Self::AddUser { .. }
            | Self::ChangeUser { .. }
            | Self::RemoveUser { .. }
            | Self::AddMachine { .. } => "supervisor".into(),
            Self::RescanUplink { uplink }
            | Self::ListNetworks { uplink, .. }
            | Self::TakeUplinkUp { uplink }
            | Self::TakeUplinkDown { uplink }
            | Self::ReleaseUplink { uplink } => format!("uplink.{uplink}"),
            Self::AddressLink { .. } | Self::UnaddressLink { .. } => "link".into(),
            Self::CheckGuard => "guard".into(),
            Self::KickSession { console, .. }
            | Self::SendBreak { console, .. }
            | Self::SetLine { console, .. }
            | Self::GiveWriter { console, .. }
            | Self::FindLine { console }
            | Self::FindName { console }
            | Self::ResetCounters { console }
            | Self::TrustHost { console } => {
                format!("console.{console}")
            }
            Self::SwitchOutlets { pdu, .. } | Self::ReadPdu { pdu } => format!("pdu.{pdu}"),
            Self::SwitchMachine { machine, .. }
            | Self::ReadMachine { machine }
            | Self::IdentifyMachine { machine, .. }
            | Self::ReadSensors { machine }
            | Self::ReadMachineLog { machine, .. }
            | Self::ClearMachineLog { machine }
            | Self::ReadBoot { machine }
            | Self::SetBoot { machine, .. }
            | Self::BootFrom { machine, .. }
            | Self::ReadMedia { machine }
            | Self::InsertMedium { machine, .. }
            | Self::EjectMedium { machine, .. }
            | Self::ReadBios { machine }
            | Self::StageBios { machine, .. }
            | Self::ReadParts { machine }
            | Self::AskAmt { machine, .. } => format!("machine.{machine}"),
            Self::InsertIder { machine, .. } | Self::EjectIder { machine } => {
                format!("ider.{machine}")
            }
            Self::TrustDevice { owner } => owner.clone(),
            Self::ScanAmt { .. } => "scan".into(),
            Self::ReadUplinkHistory { .. } | Self::ReadSensorHistory { .. } => "history".into(),
            Self::AcknowledgeEvent { .. } => "alarm".into(),
            Self::ShowCertificate
            | Self::InstallCertificate { .. }
            | Self::RemoveCertificate
            | Self::RequestCertificate { .. } => "api".into(),
        }
    }

    /// How long its owner may take to answer. A change of oobd.toml waits for a dozen flushes of flash, which a worn card
    /// takes seconds for each.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::ReloadConfig
            | Self::ApplyConfig { .. }
            | Self::ConfirmConfig
            | Self::RollbackConfig
            | Self::AddUser { .. }
            | Self::ChangeUser { .. }
            | Self::RemoveUser { .. }
            | Self::AddMachine { .. }
            | Self::InstallCertificate { .. } => ANSWER_LIMIT * 2,
            _ => ANSWER_LIMIT,
        }
    }
}
