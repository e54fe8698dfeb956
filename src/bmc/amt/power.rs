//! The power of a machine by AMT: read in one request, asked for in one.
//!
//! Numbers are those of `CIM_PowerManagementService.RequestPowerStateChange` (DMTF `CIM_PowerManagementService.mof`).

use std::time::Duration;

use tokio::time::sleep;

use super::{features, info};
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
/// Of the firmware that is known to say yes and do nothing while somebody looks at the screen (11.8).
const SWALLOWING: &str = "11.";

/// What is remembered of a device from one verb to the next.
#[derive(Debug, Default)]
pub struct Habit {
    /// What redirection has to get back after a verb that it was switched off for.
    owed: Option<u64>,
    /// Does it swallow verbs while its screen is open? Unknown until it was seen, or its version was asked.
    swallows: Option<bool>,
}

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
/// `habit` keeps what redirection has to get back for [`give_back`] if this fails.
///
/// # Errors
/// As [`request`].
pub async fn off(client: &mut Client, habit: &mut Habit) -> Result<(), Error> {
    request(client, Verb::ForceOff).await?;
    // It was taken. What goes wrong from here on is told by who reads back.
    if let Err(error) = insist(client, habit).await {
        let why = crate::fault::chain(&error);
        tracing::warn!(why, "an off that the open screen may have swallowed");
    }
    Ok(())
}

/// Reset or cycle. That it was swallowed cannot be read back, for the machine is on before and after; and to give it again
/// could start the machine twice. So where firmware is known to swallow, and somebody looks, redirection is switched off first.
///
/// # Errors
/// As [`request`].
pub async fn restart(client: &mut Client, verb: Verb, habit: &mut Habit) -> Result<(), Error> {
    // Whoever cannot be asked is asked for the verb all the same, whose answer counts.
    if habit.swallows != Some(false)
        && looked_at(client).await.unwrap_or_default()
        && swallows(client, habit).await
    {
        return around(client, verb, habit).await;
    }
    request(client, verb).await
}

async fn swallows(client: &mut Client, habit: &mut Habit) -> bool {
    if habit.swallows.is_none() {
        let version = info::version(client).await.ok();
        habit.swallows = version.map(|version| version.starts_with(SWALLOWING));
    }
    habit.swallows.unwrap_or_default()
}

async fn insist(client: &mut Client, habit: &mut Habit) -> Result<(), Error> {
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
    habit.swallows = Some(true);
    around(client, Verb::ForceOff, habit).await
}

/// Asks for a verb with redirection switched off, and switches it on as it was.
async fn around(client: &mut Client, verb: Verb, habit: &mut Habit) -> Result<(), Error> {
    let service = client.get(features::REDIRECTION, &[]).await?;
    let Some(state) = service.number("EnabledState") else {
        return request(client, verb).await;
    };
    tracing::info!(
        host = client.host(),
        ?verb,
        "its open screen swallows this: with redirection switched off"
    );
    habit.owed = Some(state);
    let done = without_redirection(client, verb).await;
    let given = give_back(client, habit).await;
    done?;
    // The verb was taken; what is owed still is given back before whatever is asked next.
    if let Err(error) = given {
        let why = crate::fault::chain(&error);
        tracing::warn!(why, "redirection is still switched off");
    }
    Ok(())
}

/// The verb once redirection has let go of the screen.
async fn without_redirection(client: &mut Client, verb: Verb) -> Result<(), Error> {
    redirect(client, features::NOTHING).await?;
    for _ in 0..LOOKS {
        if !looked_at(client).await? {
            break;
        }
        sleep(PAUSE / 4).await;
    }
    request(client, verb).await
}

/// Has somebody a session of the screen now?
async fn looked_at(client: &mut Client) -> Result<bool, Error> {
    let kvm = client.get(features::KVM, &[]).await?;
    Ok(features::is_in_use(&kvm))
}

/// Gives redirection back what a verb took.
///
/// # Errors
/// [`Error`]; it is owed still.
pub async fn give_back(client: &mut Client, habit: &mut Habit) -> Result<(), Error> {
    if let Some(state) = habit.owed {
        redirect(client, state).await?;
        habit.owed = None;
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
