//! User consent (`IPS_OptInService`): how it stands, asked for, given, taken back.

use crate::amt::wsman::{Client, Error, plain};
use crate::machine::amt::{AmtConsent, AmtPolicy, AmtStage};

pub(super) const SERVICE: &str = "IPS_OptInService";
/// `OptInRequired`
const ALL: u64 = 0xffff_ffff;
/// `ReturnValue` of a wrong code that was not the third one.
const WRONG: u32 = 1;
const INVALID_STATE: u32 = 2;
const BLOCKED: u32 = 3;

/// How it stands. Firmware without the class asks nobody.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client) -> Result<AmtConsent, Error> {
    match client.get(SERVICE, &[]).await {
        Ok(found) => Ok(AmtConsent {
            policy: policy(found.number("OptInRequired")),
            stage: stage(found.number("OptInState")),
        }),
        Err(error) if error.is_absent() => Ok(AmtConsent {
            policy: AmtPolicy::None,
            stage: AmtStage::NotAsked,
        }),
        Err(error) => Err(error),
    }
}

pub(super) fn policy(number: Option<u64>) -> AmtPolicy {
    match number {
        Some(0) => AmtPolicy::None,
        Some(1) => AmtPolicy::Kvm,
        Some(ALL) => AmtPolicy::All,
        _ => AmtPolicy::Unknown,
    }
}

/// The number of a policy; `None` of an unknown one.
pub(super) fn number(policy: AmtPolicy) -> Option<u64> {
    match policy {
        AmtPolicy::None => Some(0),
        AmtPolicy::Kvm => Some(1),
        AmtPolicy::All => Some(ALL),
        AmtPolicy::Unknown => None,
    }
}

fn stage(number: Option<u64>) -> AmtStage {
    match number {
        Some(0) => AmtStage::NotAsked,
        Some(1) => AmtStage::Asked,
        Some(2) => AmtStage::Shown,
        Some(3) => AmtStage::Given,
        Some(4) => AmtStage::InSession,
        _ => AmtStage::Unknown,
    }
}

/// Has a code shown on the machine's screen; it stands there for some minutes.
///
/// # Errors
/// [`Error`]; [`Error::Told`] when none is needed or it was asked for already.
pub async fn ask(client: &mut Client) -> Result<(), Error> {
    call(client, "StartOptIn", "").await
}

/// Gives the code that somebody read on the screen.
///
/// # Errors
/// [`Error`]; [`Error::Told`] for a wrong code.
pub async fn give(client: &mut Client, code: u32) -> Result<(), Error> {
    let inner = plain("OptInCode", &code.to_string());
    call(client, "SendOptInCode", &inner).await
}

/// Ends it.
///
/// # Errors
/// [`Error`]
pub async fn cancel(client: &mut Client) -> Result<(), Error> {
    call(client, "CancelOptIn", "").await
}

/// These methods have return values of their own.
async fn call(client: &mut Client, method: &str, inner: &str) -> Result<(), Error> {
    let done = client.call(SERVICE, &[], method, inner).await;
    let told = |host: String, why: &str| {
        let why = why.to_owned();
        Err(Error::Told { host, why })
    };
    match done {
        Err(Error::Returned { host, value, .. }) => match (value, method) {
            (WRONG, "SendOptInCode") => told(host, "that is not the code on its screen"),
            (INVALID_STATE, "StartOptIn") => {
                told(host, "no consent is needed, or it was asked for already")
            }
            (INVALID_STATE, _) => told(host, "nobody was asked for consent"),
            (BLOCKED, _) => told(host, "three wrong codes: it takes none for a while"),
            _ => {
                let what = format!("{SERVICE}.{method}");
                Err(Error::Returned { host, what, value })
            }
        },
        done => done.map(drop),
    }
}
