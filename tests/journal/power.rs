//! Specimens of the events of power and machines, in the order of the enum.

use oobd::event::{Kind, Severity};
use oobd::reset::{Outcome, PowerState, Verb};

fn s(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn specimens() -> Vec<Kind> {
    vec![
        Kind::OutletSwitching {
            pdu: s("p"),
            outlet: s("o"),
            verb: Verb::ForceOff,
            by: s("b"),
            action: 300,
        },
        Kind::OutletSwitched {
            pdu: s("p"),
            outlet: s("o"),
            verb: Verb::PowerCycle,
            by: s("b"),
            action: 300,
            outcome: Outcome::Unconfirmed,
            millis: 300,
            why: s("w"),
        },
        Kind::OutletChanged {
            pdu: s("p"),
            outlet: s("o"),
            state: PowerState::Off,
        },
        Kind::PduLost {
            pdu: s("p"),
            reason: s("r"),
        },
        Kind::PduFound { pdu: s("p") },
        Kind::UpsChanged {
            ups: s("u"),
            status: vec![s("OB"), s("LB")],
            severity: Severity::Alert,
        },
        Kind::UpsLost {
            ups: s("u"),
            reason: s("r"),
        },
        Kind::UpsFound { ups: s("u") },
        Kind::MachineSwitching {
            machine: s("m"),
            verb: Verb::Nmi,
            by: s("b"),
            action: 300,
        },
        Kind::MachineSwitched {
            machine: s("m"),
            verb: Verb::GracefulRestart,
            by: s("b"),
            action: 300,
            outcome: Outcome::Confirmed,
            millis: 300,
            trail: vec![s("t")],
        },
        Kind::MachineChanged {
            machine: s("m"),
            state: PowerState::Unknown,
        },
        Kind::MachineLost {
            machine: s("m"),
            reason: s("r"),
        },
        Kind::MachineFound { machine: s("m") },
        Kind::MachineLogged {
            machine: s("m"),
            part: s("p"),
            text: s("t"),
            severity: Severity::Critical,
        },
        Kind::ScreenOpened {
            machine: s("m"),
            user: s("u"),
            from: s("f"),
            control: true,
        },
        Kind::ScreenClosed {
            machine: s("m"),
            user: s("u"),
        },
        Kind::IderOpened {
            machine: s("m"),
            cd: Some(s("c")),
            floppy: None,
            writable: false,
            by: s("u"),
        },
        Kind::IderLost {
            machine: s("m"),
            reason: s("r"),
        },
        Kind::IderClosed {
            machine: s("m"),
            by: s("u"),
            read: 300,
            written: 1,
        },
        Kind::CiraOpened {
            machine: s("m"),
            from: s("f"),
        },
        Kind::CiraClosed {
            machine: s("m"),
            reason: s("r"),
        },
        Kind::ConfigChanged {
            by: s("alice (https 10.0.0.7:50122)"),
            what: s("user bob added"),
            confirm_within: Some(300),
        },
        Kind::ConfigConfirmed { by: s("alice") },
        Kind::ConfigReverted {
            by: s("supervisor"),
            reason: s("nobody confirmed it"),
        },
        Kind::CertificateChanged {
            by: s("alice"),
            fingerprint: s("SHA256:AB:CD"),
            origin: s("installed"),
        },
        Kind::NameTaken {
            interface: s("eth0"),
            name: s("rack7"),
            by: s("10.0.0.9"),
            now: s("rack7-2"),
        },
        Kind::AmtMistaken {
            machine: s("m"),
            called: s("c"),
            told: s("t"),
        },
        Kind::EventAcknowledged {
            event: 300,
            by: s("alice"),
            note: s("on it"),
        },
    ]
}
