//! How bad each kind of event is.

use std::fmt;

use super::{Kind, Severity};
use crate::reset::Outcome;

impl Kind {
    /// The severity this kind of event always has; one place, so that every door agrees.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::PatternSeen { severity, .. }
            | Self::UpsChanged { severity, .. }
            | Self::MachineLogged { severity, .. } => *severity,
            Self::OutletSwitched { outcome, .. } | Self::MachineSwitched { outcome, .. } => {
                match outcome {
                    Outcome::Confirmed | Outcome::Running => Severity::Notice,
                    Outcome::Unconfirmed => Severity::Warning,
                    Outcome::Failed => Severity::Error,
                }
            }
            Self::GuardBreached { .. }
            | Self::HostKeyReplaced { .. }
            | Self::CertificateReplaced { .. }
            | Self::PinMismatch { .. } => Severity::Critical,
            Self::ConfigRefused { .. } | Self::OwnerFailed { .. } => Severity::Error,
            Self::JournalRecovered { .. }
            | Self::SupplicantLost { .. }
            | Self::HotspotRefused { .. }
            | Self::UplinkFailed { .. }
            | Self::UplinkDown { .. }
            | Self::InternetLost { .. }
            | Self::ConsoleLost { .. }
            | Self::TranscriptFailed { .. }
            | Self::ExportFailed { .. }
            | Self::CableUnplugged { .. }
            | Self::ConsoleSilent { .. }
            | Self::EventsLeftOut { .. }
            | Self::SignInRefused { .. }
            | Self::CertificateExpired { .. }
            | Self::ForwardRefused { .. }
            | Self::PduLost { .. }
            | Self::UpsLost { .. }
            | Self::MachineLost { .. }
            | Self::IderLost { .. }
            | Self::CiraClosed { .. }
            | Self::AmtMistaken { .. }
            | Self::ConfigReverted { .. }
            | Self::LeaseLost { .. } => Severity::Warning,
            Self::SupervisorStarted { .. }
            | Self::SupervisorReady { .. }
            | Self::SupervisorStopped { .. }
            | Self::ConfigApplied { .. }
            | Self::GuardRestored
            | Self::SupplicantFound { .. }
            | Self::LinkDown { .. }
            | Self::LinkRemoved { .. }
            | Self::HotspotSeen { .. }
            | Self::HotspotLost { .. }
            | Self::UplinkUp { .. }
            | Self::InternetFound { .. }
            | Self::OobEntered { .. }
            | Self::OobLeft { .. }
            | Self::ConsoleOpened { .. }
            | Self::TranscriptResumed { .. }
            | Self::ExportResumed { .. }
            | Self::CableBack { .. }
            | Self::ConsoleHeard { .. }
            | Self::LineSet { .. }
            | Self::DeviceLogin { .. }
            | Self::DeviceLogout { .. }
            | Self::LineFound { .. }
            | Self::LineNotFound { .. }
            | Self::NameFound { .. }
            | Self::NameNotFound { .. }
            | Self::Pinned { .. }
            | Self::SignInAccepted { .. }
            | Self::ForwardOpened { .. }
            | Self::BreakSent { .. }
            | Self::WriterChanged { .. }
            | Self::OutletSwitching { .. }
            | Self::OutletChanged { .. }
            | Self::PduFound { .. }
            | Self::UpsFound { .. }
            | Self::MachineSwitching { .. }
            | Self::MachineChanged { .. }
            | Self::MachineFound { .. }
            | Self::IderOpened { .. }
            | Self::IderClosed { .. }
            | Self::CiraOpened { .. }
            | Self::ConfigChanged { .. }
            | Self::ConfigConfirmed { .. }
            | Self::CertificateChanged { .. }
            | Self::NameTaken { .. }
            | Self::CommandGiven { .. } => Severity::Notice,
            Self::LinkUp { .. }
            | Self::LinkAdded { .. }
            | Self::LeaseAcquired { .. }
            | Self::RouterFound { .. }
            | Self::RouterLost { .. }
            | Self::UplinkAssociated { .. }
            | Self::SessionOpened { .. }
            | Self::SessionClosed { .. }
            | Self::ScreenOpened { .. }
            | Self::ScreenClosed { .. }
            | Self::ForwardClosed { .. }
            | Self::SignalChanged { .. }
            | Self::DetachStringTyped { .. }
            | Self::EventAcknowledged { .. }
            | Self::NoteWritten { .. } => Severity::Info,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}
