//! What people ask of a machine besides its power: each question runs beside the owner, by the first way that can.

use super::device::{Answer, Fault, Request};
use super::way::{Want, Way};
use crate::command::{Command, Refusal, Reply};

/// Longest log that is read for a person.
const MOST_ENTRIES: u32 = 500;

/// What a command asks of a way; `None` for those that the owner carries out itself.
#[must_use]
pub(super) fn request(command: Command) -> Option<Request> {
    Some(match command {
        Command::IdentifyMachine { seconds, .. } => Request::Identify { seconds },
        Command::ReadSensors { .. } => Request::Sensors,
        Command::ReadMachineLog { limit, .. } => Request::Log {
            limit: limit.clamp(1, MOST_ENTRIES),
        },
        Command::ClearMachineLog { .. } => Request::ClearLog,
        Command::ReadBoot { .. } => Request::Boot,
        Command::SetBoot { boot, .. } => Request::SetBoot(boot),
        Command::BootFrom { url, .. } => Request::BootFrom(url),
        Command::ReadMedia { .. } => Request::Media,
        Command::InsertMedium { slot, image, .. } => Request::Insert { slot, image },
        Command::EjectMedium { slot, .. } => Request::Eject { slot },
        Command::ReadBios { .. } => Request::Bios,
        Command::StageBios { settings, .. } => Request::Stage(settings),
        Command::ReadParts { .. } => Request::Parts,
        Command::TrustDevice { .. } => Request::Trust,
        Command::AskAmt { ask, .. } => Request::Amt(ask),
        _ => return None,
    })
}

/// Asks the ways that can, in order, until one does it. What may have been done is not asked of another.
pub(super) async fn ask(machine: &str, ways: &[Way], request: Request) -> Result<Answer, Refusal> {
    let skill = request.skill();
    let able: Vec<&Way> = ways.iter().filter(|way| way.can(skill)).collect();
    if able.is_empty() {
        let names: Vec<&str> = ways.iter().map(|way| way.name).collect();
        return Err(Refusal::Failed(format!(
            "machine {machine} has no way to do this: {} cannot {}",
            names.join(" and "),
            skill.word()
        )));
    }
    let want = match request {
        Request::Trust => Want::Insist,
        _ => Want::Person,
    };
    let mut said = Vec::new();
    for way in able {
        match way.ask(request.clone(), want).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => {
                said.push(format!("{}: {fault}", way.name));
                if matches!(fault, Fault::Unsure(_)) && !request.is_read() {
                    break;
                }
            }
        }
    }
    let said = said.join("; ");
    Err(Refusal::Failed(format!("machine {machine}: {said}")))
}

/// The reply that an answer makes.
#[must_use]
pub(super) fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Done | Answer::Cut | Answer::Power(_) | Answer::Model(_) => Reply::Done,
        Answer::Sensors(sensors) => Reply::Sensors(sensors),
        Answer::Log(entries) => Reply::MachineLog(entries),
        Answer::Boot(boot) => Reply::Boot(boot),
        Answer::Media(media) => Reply::Media(media),
        Answer::Bios(attributes) => Reply::Bios(attributes),
        Answer::Parts(parts) => Reply::Parts(parts),
        Answer::Amt(told) => Reply::Amt(told),
    }
}
