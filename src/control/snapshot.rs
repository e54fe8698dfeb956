//! A picture of a machine's screen for a person, as PNG: what every door gives of it. Looks only, and leaves at once.

use std::time::Duration;

use tokio::time::timeout;

use crate::access::{Person, Right};
use crate::command::{Control, Refusal, View};
use crate::rfb::{Frame, png};

use super::serve::House;

/// Longest wait for the first picture of a session that has just begun.
const FIRST: Duration = Duration::from_secs(20);

impl House {
    /// The screen of a machine as it is now.
    ///
    /// # Errors
    /// Also [`Refusal::Unknown`] for who may not see the machine, so that names do not leak.
    pub async fn snapshot(
        &self,
        machine: &str,
        person: &Person,
        from: &str,
    ) -> Result<Vec<u8>, Refusal> {
        if person.may(Right::LookAtMachine(machine)).is_err() {
            let what = format!("machine {}", crate::access::printable(machine));
            return Err(Refusal::Unknown { what });
        }
        let view = View {
            machine: machine.to_owned(),
            user: person.name.clone(),
            from: from.to_owned(),
            control: Control::No,
        };
        let viewing = self.commands().screens.view(view).await?;
        let mut updates = viewing.picture.updates();
        let first = timeout(FIRST, updates.wait_for(|updates| *updates > 0)).await;
        if !matches!(first, Ok(Ok(_))) {
            let owner = format!("the screen of {machine}");
            return Err(Refusal::NoAnswer { owner });
        }
        drop(first);
        let frame: Frame = viewing.picture.lock().clone();
        let encoded = tokio::task::spawn_blocking(move || png::encode(&frame)).await;
        encoded.map_err(|_| Refusal::Failed("the picture cannot be written".into()))
    }
}
