//! The owner of scans for Intel AMT: one at a time, when somebody asks. Keeps nothing and changes nothing.

use std::net::{IpAddr, Ipv4Addr};

use crate::amt::scan::{self, Found, Provisioning};
use crate::command::{Command, Refusal, Reply};
use crate::fault::chain;
use crate::machine::amt::AmtDevice;
use crate::supervisor::context::Context;

use super::Error;

/// Runs until stopped. `lan` is the interface that is scanned by; `known` are machines of the configuration, by address.
///
/// # Errors
/// None today.
pub async fn run(mut ctx: Context, lan: String, known: Vec<(IpAddr, String)>) -> Result<(), Error> {
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
                let devices = found
                    .into_iter()
                    .map(|(at, found)| device(at, found, &known));
                Ok(Reply::AmtFound(devices.collect()))
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

fn device(address: Ipv4Addr, found: Found, known: &[(IpAddr, String)]) -> AmtDevice {
    let machine = known.iter().find(|(ip, _)| *ip == IpAddr::V4(address));
    AmtDevice {
        address,
        version: found.version,
        provisioned: found.provisioning.map(|stage| stage == Provisioning::After),
        plain: found.plain,
        tls: found.tls,
        machine: machine.map(|(_, name)| name.clone()),
    }
}
