//! Serial line, drives and screen: whether they are switched on, and switched. Writes only what differs: flash wears out.

use crate::amt::wsman::{Client, Element, Error, plain, written};
use crate::machine::amt::{AmtChange, AmtFeatures};

use super::consent;

pub(super) const REDIRECTION: &str = "AMT_RedirectionService";
pub(super) const KVM: &str = "CIM_KVMRedirectionSAP";
const BOOT: &str = "CIM_BootService";
/// `EnabledState` of the boot service: 32768, and a bit for each of One-Click Recovery and erasing from afar.
const RECOVERY: u64 = 1;
/// `EnabledState` of the service: 32768, and a bit for each.
pub(super) const NOTHING: u64 = 32768;
const IDER: u64 = 1;
const SOL: u64 = 2;

/// How they stand.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client) -> Result<AmtFeatures, Error> {
    let service = maybe(client, REDIRECTION).await?;
    let kvm = maybe(client, KVM).await?;
    let opt_in = maybe(client, consent::SERVICE).await?;
    let recovery = recovery(client).await?.map(|state| state & RECOVERY != 0);
    let state = service
        .as_ref()
        .and_then(|found| found.number("EnabledState"));
    let has = |bit: u64| state.map(|state| state.saturating_sub(NOTHING) & bit != 0);
    let listens = service
        .as_ref()
        .and_then(|found| found.flag("ListenerEnabled"));
    Ok(AmtFeatures {
        sol: has(SOL),
        ider: has(IDER),
        kvm: kvm.as_ref().map(is_on),
        listener: listens.unwrap_or_default(),
        consent: match &opt_in {
            Some(found) => consent::policy(found.number("OptInRequired")),
            None => consent::policy(Some(0)),
        },
        consent_is_ours: opt_in
            .is_some_and(|found| matches!(found.text("CanModifyOptInPolicy"), Some("1" | "true"))),
        recovery,
    })
}

/// 2 enabled, 6 enabled and nobody connected.
fn is_on(kvm: &Element) -> bool {
    kvm.number("EnabledState") == Some(6) || is_in_use(kvm)
}

/// Does somebody look at the screen now?
pub(super) fn is_in_use(kvm: &Element) -> bool {
    kvm.number("EnabledState") == Some(2)
}

/// The bits of the boot service; `None` of firmware that has none of it.
pub(super) async fn recovery(client: &mut Client) -> Result<Option<u64>, Error> {
    let state = maybe(client, BOOT)
        .await?
        .and_then(|found| found.number("EnabledState"));
    // Older firmware has the class, and other numbers there.
    Ok(state
        .filter(|state| (NOTHING..NOTHING + 4).contains(state))
        .map(|state| state - NOTHING))
}

async fn maybe(client: &mut Client, class: &str) -> Result<Option<Element>, Error> {
    match client.get(class, &[]).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Switches what `change` says and differs, and gives how they stand then.
///
/// # Errors
/// [`Error`]; [`Error::Told`] for what this machine cannot have. What came before the error may have been done.
pub async fn set(client: &mut Client, change: AmtChange) -> Result<AmtFeatures, Error> {
    let before = read(client).await?;
    let host = client.host().to_owned();
    let told = |why: &str| Error::Told {
        host: host.clone(),
        why: why.to_owned(),
    };
    if change.kvm.is_some() && before.kvm.is_none() {
        return Err(told("it has no screen to redirect (KVM)"));
    }
    if (change.sol.is_some() || change.ider.is_some()) && before.sol.is_none() {
        return Err(told("it has no redirection"));
    }
    if change.recovery.is_some() && before.recovery.is_none() {
        return Err(told("it has no One-Click Recovery"));
    }
    let wanted = change.consent.filter(|wanted| *wanted != before.consent);
    if wanted.is_some() && !before.consent_is_ours {
        return Err(told(
            "its policy of consent cannot be changed: client control always asks",
        ));
    }
    let bits = |features: &AmtFeatures| {
        let bit = |on: Option<bool>, bit| if on == Some(true) { bit } else { 0 };
        bit(features.sol, SOL) | bit(features.ider, IDER)
    };
    let after = AmtFeatures {
        sol: change.sol.or(before.sol),
        ider: change.ider.or(before.ider),
        kvm: change.kvm.or(before.kvm),
        ..before
    };
    let ask = "RequestStateChange";
    if bits(&after) != bits(&before) {
        let state = plain("RequestedState", &(NOTHING + bits(&after)).to_string());
        client.call(REDIRECTION, &[], ask, &state).await?;
    }
    if after.kvm != before.kvm {
        let state = if after.kvm == Some(true) { "2" } else { "3" };
        let state = plain("RequestedState", state);
        client.call(KVM, &[], ask, &state).await?;
    }
    if let Some(on) = change.recovery.filter(|on| before.recovery != Some(*on)) {
        let bits = recovery(client).await?.unwrap_or_default() & !RECOVERY;
        let bits = bits | if on { RECOVERY } else { 0 };
        let state = plain("RequestedState", &(NOTHING + bits).to_string());
        client.call(BOOT, &[], ask, &state).await?;
    }
    let asked = change.sol.is_some() || change.ider.is_some() || change.kvm.is_some();
    let listens = bits(&after) != 0 || after.kvm == Some(true);
    if asked && before.sol.is_some() && listens != before.listener {
        let service = client.get(REDIRECTION, &[]).await?;
        let word = if listens { "true" } else { "false" };
        let fields = written(&service, &[("ListenerEnabled", word)], &[]);
        client.put(REDIRECTION, &[], &fields).await?;
    }
    if let Some(number) = wanted.and_then(consent::number) {
        let service = client.get(consent::SERVICE, &[]).await?;
        let fields = written(&service, &[("OptInRequired", &number.to_string())], &[]);
        client.put(consent::SERVICE, &[], &fields).await?;
    }
    read(client).await
}
