//! The sentences of power: outlets, UPSes and machines, and the drives that those get.

use std::fmt;

use super::Seconds;
use crate::event::Kind;
use crate::reset::{Outcome, Verb};

/// Writes the sentence of an event of this room, and nothing for any other.
pub(super) fn write(kind: &Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::OutletSwitching {
            pdu,
            outlet,
            verb,
            by,
            ..
        } => write!(f, "outlet {pdu}/{outlet}: {verb} asked by {by}"),
        Kind::OutletSwitched {
            pdu,
            outlet,
            verb,
            outcome,
            millis,
            why,
            ..
        } => {
            write!(f, "outlet {pdu}/{outlet}: ")?;
            ended(f, *verb, *outcome, *millis)?;
            because(f, why)
        }
        Kind::OutletChanged { pdu, outlet, state } => {
            write!(f, "outlet {pdu}/{outlet} is {state}, and nobody asked us")
        }
        Kind::PduLost { pdu, reason } => write!(f, "PDU {pdu} does not serve us: {reason}"),
        Kind::PduFound { pdu } => write!(f, "PDU {pdu} answers"),
        Kind::UpsChanged { ups, status, .. } => write!(f, "UPS {ups}: {}", status.join(" ")),
        Kind::UpsLost { ups, reason } => write!(f, "UPS {ups} does not serve us: {reason}"),
        Kind::UpsFound { ups } => write!(f, "UPS {ups} answers"),
        Kind::MachineSwitching {
            machine, verb, by, ..
        } => write!(f, "machine {machine}: {verb} asked by {by}"),
        Kind::MachineSwitched {
            machine,
            verb,
            outcome,
            millis,
            trail,
            ..
        } => {
            write!(f, "machine {machine}: ")?;
            ended(f, *verb, *outcome, *millis)?;
            because(f, &trail.join("; "))
        }
        Kind::MachineChanged { machine, state } => {
            write!(f, "machine {machine} is {state}, and nobody asked us")
        }
        Kind::MachineLost { machine, reason } => {
            write!(f, "machine {machine} does not serve us: {reason}")
        }
        Kind::MachineFound { machine } => write!(f, "machine {machine} answers"),
        Kind::MachineLogged {
            machine,
            part,
            text,
            ..
        } if part.is_empty() => write!(f, "machine {machine} says: {text}"),
        Kind::MachineLogged {
            machine,
            part,
            text,
            ..
        } => write!(f, "machine {machine} says of {part}: {text}"),
        Kind::IderOpened {
            machine,
            cd,
            floppy,
            writable,
            by,
        } => {
            write!(f, "machine {machine} has")?;
            if let Some(file) = cd {
                write!(f, " {file} as CD")?;
            }
            let and = if cd.is_some() { " and" } else { "" };
            if let Some(file) = floppy {
                let how = if *writable { "writable " } else { "" };
                write!(f, "{and} {file} as {how}floppy")?;
            }
            write!(f, ", inserted by {by}")
        }
        Kind::IderLost { machine, reason } => {
            write!(f, "machine {machine} lost its redirected drives: {reason}")
        }
        Kind::IderClosed {
            machine,
            by,
            read,
            written,
        } => write!(
            f,
            "the redirected drives of machine {machine} were ejected by {by}: {read} bytes read, {written} written"
        ),
        Kind::CiraOpened { machine, from } => {
            write!(f, "the AMT of machine {machine} called in from {from}")
        }
        Kind::CiraClosed { machine, reason } => {
            write!(f, "the tunnel of machine {machine} ended: {reason}")
        }
        Kind::AmtMistaken {
            machine,
            called,
            told,
        } => write!(
            f,
            "the AMT that called in as machine {machine}, UUID {called}, tells the UUID {told}: mixed up, or an impostor"
        ),
        _ => Ok(()),
    }
}

fn ended(f: &mut fmt::Formatter<'_>, verb: Verb, outcome: Outcome, millis: u64) -> fmt::Result {
    write!(f, "{verb} {outcome} after {}", Seconds(millis))
}

fn because(f: &mut fmt::Formatter<'_>, why: &str) -> fmt::Result {
    if why.is_empty() {
        return Ok(());
    }
    write!(f, ": {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reset::PowerState;

    #[test]
    fn sentences() {
        let switched = Kind::OutletSwitched {
            pdu: "rack".into(),
            outlet: "3".into(),
            verb: Verb::ForceOff,
            by: "alice (ssh)".into(),
            action: 1,
            outcome: Outcome::Unconfirmed,
            millis: 10_000,
            why: "it still says on".into(),
        };
        assert_eq!(
            switched.to_string(),
            "outlet rack/3: off unconfirmed after 10 s: it still says on"
        );
        let changed = Kind::MachineChanged {
            machine: "db1".into(),
            state: PowerState::Unknown,
        };
        assert_eq!(
            changed.to_string(),
            "machine db1 is unknown, and nobody asked us"
        );
    }
}
