//! What may be asked of the board, and which role may ask it. Pure: no lookup, no I/O.

use crate::command::Command;
use crate::config::Role;

use super::Person;

/// One thing a person wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right<'a> {
    /// See the state of the board and its events; consoles outside the grants stay hidden.
    Look,
    /// Watch a console and read its history.
    WatchConsole(&'a str),
    /// Type on a console, take the writer, send break.
    TypeOnConsole(&'a str),
    /// End another one's session on a console, accept its host's new key.
    KickSession(&'a str),
    /// Open connections to LAN hosts through the board.
    Forward,
    /// Scan, dial, hang up.
    SteerUplinks,
    /// Leave a remark in the journal, or say that an event was seen.
    WriteNote,
    /// Have the configuration read again, the guard check now.
    Administer,
    /// Read the outlets of a PDU.
    LookAtPdu(&'a str),
    /// Switch these outlets of a PDU.
    SwitchOutlets(&'a str, &'a [String]),
    /// Read a machine: power, sensors, log, boot, media, BIOS, parts.
    LookAtMachine(&'a str),
    /// Its power, what it starts from, its media, its lamp.
    SwitchMachine(&'a str),
    /// Its BIOS settings, its log.
    ChangeMachine(&'a str),
    /// What only owners ask of each other.
    Internal,
}

impl<'a> Right<'a> {
    /// The right that a command needs when a person gives it.
    #[must_use]
    pub fn of(command: &'a Command) -> Self {
        match command {
            Command::WriteNote { .. } | Command::AcknowledgeEvent { .. } => Self::WriteNote,
            Command::ReloadConfig | Command::CheckGuard => Self::Administer,
            Command::RescanUplink { .. }
            | Command::ListNetworks { scan: true, .. }
            | Command::TakeUplinkUp { .. }
            | Command::TakeUplinkDown { .. }
            | Command::ReleaseUplink { .. } => Self::SteerUplinks,
            Command::AddressLink { .. } | Command::UnaddressLink { .. } => Self::Internal,
            Command::KickSession { console, .. }
            | Command::GiveWriter { console, .. }
            | Command::TrustHost { console } => Self::KickSession(console),
            Command::SendBreak { console, .. }
            | Command::SetLine { console, .. }
            | Command::FindLine { console }
            | Command::FindName { console }
            | Command::ResetCounters { console } => Self::TypeOnConsole(console),
            Command::SwitchOutlets { pdu, outlets, .. } => Self::SwitchOutlets(pdu, outlets),
            Command::ReadPdu { pdu } => Self::LookAtPdu(pdu),
            Command::ReadMachine { machine }
            | Command::ReadSensors { machine }
            | Command::ReadMachineLog { machine, .. }
            | Command::ReadSensorHistory { machine }
            | Command::ReadBoot { machine }
            | Command::ReadMedia { machine }
            | Command::ReadBios { machine }
            | Command::ReadParts { machine } => Self::LookAtMachine(machine),
            Command::SwitchMachine { machine, .. }
            | Command::IdentifyMachine { machine, .. }
            | Command::SetBoot { machine, .. }
            | Command::BootFrom { machine, .. }
            | Command::InsertMedium { machine, .. }
            | Command::EjectMedium { machine, .. }
            | Command::InsertIder { machine, .. }
            | Command::EjectIder { machine } => Self::SwitchMachine(machine),
            Command::ClearMachineLog { machine } | Command::StageBios { machine, .. } => {
                Self::ChangeMachine(machine)
            }
            Command::AskAmt { machine, ask } if ask.is_read() => Self::LookAtMachine(machine),
            Command::AskAmt { machine, ask } if ask.changes_settings() => {
                Self::ChangeMachine(machine)
            }
            Command::AskAmt { machine, .. } => Self::SwitchMachine(machine),
            Command::TrustDevice { .. }
            | Command::ScanAmt { .. }
            | Command::GetConfig
            | Command::ApplyConfig { .. }
            | Command::ConfirmConfig
            | Command::RollbackConfig
            | Command::ListUsers
            | Command::AddUser { .. }
            | Command::ChangeUser { .. }
            | Command::RemoveUser { .. }
            | Command::AddMachine { .. }
            | Command::InstallCertificate { .. }
            | Command::RemoveCertificate
            | Command::RequestCertificate { .. } => Self::Administer,
            Command::ShowCertificate
            | Command::ListNetworks { .. }
            | Command::ReadUplinkHistory { .. } => Self::Look,
        }
    }
}

impl Person {
    /// Whether this person may do it; otherwise the sentence to tell them.
    ///
    /// # Errors
    /// The refusal, for the person. A console outside the grants is said not to exist, so that names do not leak.
    pub fn may(&self, right: Right<'_>) -> Result<(), String> {
        if let Right::WatchConsole(console)
        | Right::TypeOnConsole(console)
        | Right::KickSession(console) = right
            && !self.sees(console)
        {
            return Err(format!("there is no console {}", super::printable(console)));
        }
        if let Right::TypeOnConsole(console) | Right::KickSession(console) = right
            && !self.writes(console)
        {
            let (name, console) = (&self.name, super::printable(console));
            return Err(format!("{name} may only watch console {console}"));
        }
        self.may_reach_power(right)?;
        let least = match right {
            Right::Look
            | Right::WatchConsole(_)
            | Right::LookAtPdu(_)
            | Right::LookAtMachine(_) => Role::ReadOnly,
            Right::TypeOnConsole(_)
            | Right::SwitchOutlets(..)
            | Right::SwitchMachine(_)
            | Right::Forward
            | Right::SteerUplinks
            | Right::WriteNote => Role::Operator,
            Right::KickSession(_) | Right::ChangeMachine(_) | Right::Administer => {
                Role::Administrator
            }
            Right::Internal => return Err("this command is not for people".into()),
        };
        if self.role < least {
            let (role, needed) = (role_name(self.role), role_name(least));
            return Err(format!(
                "{} has the role {role}; this needs {needed}",
                self.name
            ));
        }
        if right == Right::Forward && !self.forward {
            return Err(format!(
                "{} may not reach LAN hosts (forward = false)",
                self.name
            ));
        }
        Ok(())
    }
}

impl Person {
    /// The grants over outlets and machines; what is outside them is said not to exist.
    fn may_reach_power(&self, right: Right<'_>) -> Result<(), String> {
        match right {
            Right::SwitchOutlets(pdu, outlets) => {
                let shown = |outlet: &str| super::printable(&format!("{pdu}/{outlet}"));
                if outlets.is_empty() {
                    return Err("no outlet is named".into());
                }
                for outlet in outlets {
                    if !self.sees_outlet(pdu, outlet) {
                        return Err(format!("there is no outlet {}", shown(outlet)));
                    }
                    if !self.switches_outlet(pdu, outlet) {
                        let name = &self.name;
                        return Err(format!("{name} may only look at outlet {}", shown(outlet)));
                    }
                }
                Ok(())
            }
            Right::LookAtMachine(machine)
            | Right::SwitchMachine(machine)
            | Right::ChangeMachine(machine)
                if !self.sees_machine(machine) =>
            {
                Err(format!("there is no machine {}", super::printable(machine)))
            }
            Right::SwitchMachine(machine) | Right::ChangeMachine(machine)
                if !self.switches_machine(machine) =>
            {
                let (name, machine) = (&self.name, super::printable(machine));
                Err(format!("{name} may only look at machine {machine}"))
            }
            _ => Ok(()),
        }
    }
}

/// The word that oobd.toml uses.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::ReadOnly => "readonly",
        Role::Operator => "operator",
        Role::Administrator => "administrator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Role, consoles: &[&str]) -> Person {
        Person {
            name: "alice".into(),
            role,
            keys: vec![],
            password: None,
            consoles: consoles.iter().map(ToString::to_string).collect(),
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        }
    }

    #[test]
    fn roles_are_steps() {
        for (role, looks, types, administers) in [
            (Role::ReadOnly, true, false, false),
            (Role::Operator, true, true, false),
            (Role::Administrator, true, true, true),
        ] {
            let alice = person(role, &["*"]);
            assert_eq!(alice.may(Right::WatchConsole("a")).is_ok(), looks);
            assert_eq!(alice.may(Right::TypeOnConsole("a")).is_ok(), types);
            assert_eq!(alice.may(Right::Forward).is_ok(), types);
            assert_eq!(alice.may(Right::Administer).is_ok(), administers);
            assert_eq!(alice.may(Right::KickSession("a")).is_ok(), administers);
            assert!(alice.may(Right::Internal).is_err());
        }
    }

    #[test]
    fn a_console_outside_the_grants_does_not_exist() {
        let alice = person(Role::Administrator, &["core-*"]);
        assert!(alice.may(Right::TypeOnConsole("core-switch")).is_ok());
        let refusal = alice.may(Right::WatchConsole("edge")).unwrap_err();
        assert_eq!(refusal, "there is no console edge");
    }

    #[test]
    fn a_grant_to_read_lets_watch_whatever_the_role() {
        let alice = person(
            Role::Administrator,
            &["core-*", "edge-*:read", "edge-1:write"],
        );
        let may = |right| alice.may(right).is_ok();
        assert!(may(Right::TypeOnConsole("core-switch")));
        assert!(may(Right::WatchConsole("edge-2")) && !may(Right::TypeOnConsole("edge-2")));
        assert!(!may(Right::KickSession("edge-2")));
        // The wider of two grants counts.
        assert!(may(Right::TypeOnConsole("edge-1")));
        let refusal = alice.may(Right::TypeOnConsole("edge-2")).unwrap_err();
        assert_eq!(refusal, "alice may only watch console edge-2");
        let eve = person(Role::ReadOnly, &["core-*:write"]);
        assert!(eve.may(Right::TypeOnConsole("core-switch")).is_err());
    }

    #[test]
    fn outlets_and_machines_have_grants_of_their_own() {
        let mut alice = person(Role::Administrator, &["*"]);
        alice.outlets = vec!["rack/*".into(), "lab/1:read".into()];
        alice.machines = vec!["db*".into(), "web:read".into()];
        let outlets = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (both, one, none) = (outlets(&["1", "2"]), outlets(&["1"]), outlets(&[]));
        let may = |right| alice.may(right);
        assert!(may(Right::SwitchOutlets("rack", &both)).is_ok());
        for (right, said) in [
            (Right::SwitchOutlets("rack", &none), "no outlet is named"),
            (
                Right::SwitchOutlets("lab", &both),
                "may only look at outlet lab/1",
            ),
            (
                Right::SwitchOutlets("attic", &one),
                "there is no outlet attic/1",
            ),
            (Right::SwitchMachine("web"), "may only look at machine web"),
            (Right::LookAtMachine("mail"), "there is no machine mail"),
        ] {
            let refusal = may(right).unwrap_err();
            assert!(refusal.contains(said), "{refusal}");
        }
        assert!(may(Right::ChangeMachine("db1")).is_ok());
        assert!(may(Right::LookAtMachine("web")).is_ok());
        let eve = person(Role::ReadOnly, &["*"]);
        assert!(eve.may(Right::SwitchOutlets("rack", &one)).is_err());
        assert!(eve.may(Right::LookAtMachine("db1")).is_ok());
    }

    #[test]
    fn forwarding_can_be_taken_away() {
        let mut alice = person(Role::Administrator, &["*"]);
        alice.forward = false;
        assert!(
            alice
                .may(Right::Forward)
                .unwrap_err()
                .contains("forward = false")
        );
    }

    #[test]
    fn layer_commands_are_not_for_people() {
        let command = Command::AddressLink {
            interface: "wlan0".into(),
        };
        assert_eq!(Right::of(&command), Right::Internal);
    }
}
