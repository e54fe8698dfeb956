//! The owner of scans for Intel AMT: one at a time, when somebody asks. Keeps nothing and changes nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tokio::sync::watch;

use crate::amt::scan::{self, Found, Provisioning};
use crate::command::{Command, Refusal, Reply};
use crate::fact::CiraTunnel;
use crate::fault::chain;
use crate::machine::amt::AmtDevice;
use crate::pin::Pins;
use crate::state::State;
use crate::supervisor::context::Context;

use super::Error;

/// Runs until stopped. `lan` is the interface that is scanned by; `known` are machines of the configuration, by address; those that
/// call in are in the state.
///
/// # Errors
/// None today.
pub async fn run(
    mut ctx: Context,
    lan: String,
    known: Vec<(SocketAddr, String)>,
    state: watch::Receiver<State>,
) -> Result<(), Error> {
    let mut pulse = ctx.pulse.clone();
    loop {
        let ask = tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = ctx.stop.cancelled() => return Ok(()),
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => continue,
            // cancel-safe per docs on Receiver::recv()
            Some(ask) = ctx.asks.recv() => ask,
        };
        let Some((_, command, reply)) = ask.command("scan") else {
            continue;
        };
        let Command::ScanAmt { network, prefix } = command else {
            let what = "such command of the scan".into();
            let _ = reply.send(Err(Refusal::Unknown { what }));
            continue;
        };
        let mut scanning = Box::pin(scan::scan(&lan, network, prefix));
        let scanned = loop {
            tokio::select! {
                // cancel-safe per docs on CancellationToken::cancelled()
                () = ctx.stop.cancelled() => return Ok(()),
                // cancel-safe: see Pulse::beat
                () = pulse.beat() => {}
                // cancel-safe: a boxed future goes on where it was
                scanned = &mut scanning => break scanned,
            }
        };
        let answer = match scanned {
            Ok(found) => {
                let mut known = known.clone();
                known.extend(calling(&state.borrow()));
                let known = pinned(known, ctx.dirs.state.clone()).await;
                Ok(Reply::AmtFound(merged(found, &known)))
            }
            Err(error) => {
                let why = chain(&error);
                Err(Refusal::Failed(format!(
                    "scanning {network}/{prefix}: {why}"
                )))
            }
        };
        // The asker may have gone.
        let _ = reply.send(answer);
    }
}

/// One device an entry, under its lowest address: the same realm or the same key is the same device.
fn merged(found: BTreeMap<Ipv4Addr, Found>, known: &[Known]) -> Vec<AmtDevice> {
    let mut devices: Vec<AmtDevice> = Vec::new();
    for (address, found) in found {
        let one = device(address, found, known);
        let same = |other: &&mut AmtDevice| {
            (!one.realm.is_empty() && one.realm == other.realm)
                || (!one.key.is_empty() && one.key == other.key)
        };
        let Some(first) = devices.iter_mut().find(same) else {
            devices.push(one);
            continue;
        };
        first.also.push(address);
        first.plain |= one.plain;
        first.tls |= one.tls;
        first.legacy |= one.legacy;
        first.provisioned = first.provisioned.or(one.provisioned);
        first.machine = first.machine.take().or(one.machine);
        for (known, said) in [
            (&mut first.version, one.version),
            (&mut first.realm, one.realm),
            (&mut first.key, one.key),
        ] {
            if known.is_empty() {
                *known = said;
            }
        }
    }
    devices
}

/// A machine of the configuration that is AMT.
struct Known {
    address: SocketAddr,
    name: String,
    /// The key that was pinned when it was first asked.
    key: Option<String>,
}

fn device(address: Ipv4Addr, found: Found, known: &[Known]) -> AmtDevice {
    let is_it = |known: &&Known| {
        known.address.ip() == IpAddr::V4(address)
            || known.key.as_ref().is_some_and(|key| *key == found.key)
    };
    let machine = known.iter().find(is_it);
    AmtDevice {
        address,
        version: found.version,
        provisioned: found.provisioning.map(|stage| stage == Provisioning::After),
        plain: found.plain,
        tls: found.tls,
        machine: machine.map(|known| known.name.clone()),
        also: Vec::new(),
        realm: found.realm,
        key: found.key,
        legacy: found.legacy,
    }
}

/// The machines that have called in, by the address that they did it from.
fn calling(state: &State) -> Vec<(SocketAddr, String)> {
    let tunnels = state.cira.values();
    let one = |tunnel: &CiraTunnel| Some((tunnel.from.parse().ok()?, tunnel.machine.clone()));
    tunnels.filter_map(one).collect()
}

/// With the keys that are pinned of them.
async fn pinned(machines: Vec<(SocketAddr, String)>, state: PathBuf) -> Vec<Known> {
    let work = move || {
        let pins = Pins::new(&state);
        let one = |(address, name): (SocketAddr, String)| Known {
            address,
            name,
            key: pins.get(&format!("tls {address}")).ok().flatten(),
        };
        machines.into_iter().map(one).collect()
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(realm: &str, key: &str) -> Found {
        Found {
            plain: key.is_empty(),
            tls: !key.is_empty(),
            realm: realm.into(),
            key: key.into(),
            ..Found::default()
        }
    }

    #[test]
    fn two_addresses_of_one_device_are_one_find() {
        let at = |last: u8| Ipv4Addr::new(10, 0, 0, last);
        let all = [
            (at(1), found("aa", "")),
            (at(2), found("", "k2")),
            (at(3), found("aa", "k1")),
            (at(4), found("", "k2")),
            (at(5), found("", "")),
            (at(6), found("", "")),
        ];
        let known = [
            Known {
                address: SocketAddr::from(([10, 0, 9, 9], 16993)),
                name: "desk".into(),
                key: Some("k2".into()),
            },
            Known {
                address: SocketAddr::from((at(3), 16993)),
                name: "db1".into(),
                key: None,
            },
        ];
        let devices = merged(all.into_iter().collect(), &known);
        let told: Vec<_> = devices
            .iter()
            .map(|one| (one.address, one.also.clone(), one.machine.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (at(1), vec![at(3)], Some("db1")),
                (at(2), vec![at(4)], Some("desk")),
                (at(5), vec![], None),
                (at(6), vec![], None),
            ]
        );
        assert!(devices[0].plain && devices[0].tls && devices[0].key == "k1");
    }
}
