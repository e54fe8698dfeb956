//! The power of a machine by AMT: read in one request, asked for in one.
//!
//! Numbers are those of `CIM_PowerManagementService.RequestPowerStateChange` (DMTF `CIM_PowerManagementService.mof`).

use std::time::Duration;

use tokio::time::sleep;

use super::features;
use crate::amt::wsman::{Client, Error, plain, reference};
use crate::reset::{PowerState, Verb};

const SERVICE: &str = "CIM_PowerManagementService";
const STATE: &str = "CIM_AssociatedPowerManagementService";
/// The host, as every device calls it.
const HOST: &[(&str, &str)] = &[
    ("CreationClassName", "CIM_ComputerSystem"),
    ("Name", "ManagedSystem"),
];
/// `ReturnValue` 2: nothing was done, and soon it may be.
const NOT_READY: u32 = 2;
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);
/// How often an off is looked for before it counts as ignored.
const LOOKS: u32 = 4;

/// How the power stands.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client) -> Result<PowerState, Error> {
    let found = match client.get(STATE, &[]).await {
        Ok(found) => found,
        // Some firmware gives it only as one of a list.
        Err(error) if error.is_absent() => {
            let mut all = client.enumerate("CIM_ServiceAvailableToElement").await?;
            all.retain(|one| one.name == STATE);
            all.pop().ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    Ok(state(found.number("PowerState")))
}

/// 2 on; 6, 8, 12, 13 off, and 7 on disk. A machine that sleeps (3, 4) is neither.
fn state(number: Option<u64>) -> PowerState {
    match number {
        Some(2) => PowerState::On,
        Some(6 | 7 | 8 | 12 | 13) => PowerState::Off,
        _ => PowerState::Unknown,
    }
}

/// Asks for a verb. That it was taken does not mean that it was done.
///
/// # Errors
/// [`Error`]. After one that says [`Error::maybe_done`] it must not be asked again.
pub async fn request(client: &mut Client, verb: Verb) -> Result<(), Error> {
    let inner = plain("PowerState", &number(verb).to_string())
        + &reference("ManagedElement", "CIM_ComputerSystem", HOST);
    let mut tries = 1;
    loop {
        let done = client
            .call(SERVICE, &[], "RequestPowerStateChange", &inner)
            .await;
        match done {
            Err(Error::Returned {
                value: NOT_READY, ..
            }) if tries < TRIES => {
                tries += 1;
                sleep(PAUSE).await;
            }
            done => return done.map(drop),
        }
    }
}

/// Off, also where firmware says yes and does nothing because somebody looks at the screen (AMT 11.8): then redirection is
/// switched off around it, which ends that session and those of line and drives; who watches there comes back by himself.
/// `owed` is what redirection has to get back; the caller keeps it for [`give_back`] if this fails.
///
/// # Errors
/// As [`request`].
pub async fn off(client: &mut Client, owed: &mut Option<u64>) -> Result<(), Error> {
    request(client, Verb::ForceOff).await?;
    // It was taken. What goes wrong from here on is told by who reads back.
    if let Err(error) = insist(client, owed).await {
        let why = crate::fault::chain(&error);
        tracing::warn!(why, "an off that the open screen may have swallowed");
    }
    Ok(())
}

async fn insist(client: &mut Client, owed: &mut Option<u64>) -> Result<(), Error> {
    for look in 0..LOOKS {
        if look > 0 {
            sleep(PAUSE).await;
        }
        if read(client).await? != PowerState::On {
            return Ok(());
        }
        if !looked_at(client).await? {
            return Ok(());
        }
    }
    let service = client.get(features::REDIRECTION, &[]).await?;
    let Some(state) = service.number("EnabledState") else {
        return Ok(());
    };
    tracing::info!(
        host = client.host(),
        "an off was swallowed: again, with redirection switched off"
    );
    *owed = Some(state);
    let again = without_redirection(client).await;
    give_back(client, owed).await?;
    again
}

/// Off once redirection has let go of the screen.
async fn without_redirection(client: &mut Client) -> Result<(), Error> {
    redirect(client, features::NOTHING).await?;
    for _ in 0..LOOKS {
        if !looked_at(client).await? {
            break;
        }
        sleep(PAUSE / 4).await;
    }
    request(client, Verb::ForceOff).await
}

/// Has somebody a session of the screen now?
async fn looked_at(client: &mut Client) -> Result<bool, Error> {
    let kvm = client.get(features::KVM, &[]).await?;
    Ok(features::is_in_use(&kvm))
}

/// Gives redirection back what [`off`] took.
///
/// # Errors
/// [`Error`]; it is owed still.
pub async fn give_back(client: &mut Client, owed: &mut Option<u64>) -> Result<(), Error> {
    if let Some(state) = *owed {
        redirect(client, state).await?;
        *owed = None;
    }
    Ok(())
}

async fn redirect(client: &mut Client, state: u64) -> Result<(), Error> {
    let state = plain("RequestedState", &state.to_string());
    let change = "RequestStateChange";
    let done = client.call(features::REDIRECTION, &[], change, &state);
    done.await.map(drop)
}

fn number(verb: Verb) -> u8 {
    match verb {
        Verb::On => 2,
        Verb::PowerCycle => 5,
        Verb::ForceOff => 8,
        Verb::ForceRestart => 10,
        Verb::Nmi => 11,
        Verb::GracefulShutdown => 12,
        Verb::GracefulRestart => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sleeps_is_neither_on_nor_off() {
        assert_eq!(state(Some(2)), PowerState::On);
        assert_eq!(state(Some(8)), PowerState::Off);
        for number in [None, Some(0), Some(3), Some(4), Some(5), Some(99)] {
            assert_eq!(state(number), PowerState::Unknown);
        }
    }
}
