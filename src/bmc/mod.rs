//! Managed machines: one owner per machine, over whatever ways it has (Redfish, IPMI, AMT, the outlets that feed it, Wake-on-LAN).
//!
//! The owner reads how the power stands, carries verbs out by the first way that does, and lets people read and set what the
//! machine's controller has: sensors, log, boot, media, BIOS. It knows no other room; outlets are asked of their own owners by
//! command. See docs/machines.md.

pub mod amt;
mod desk;
mod device;
mod errand;
pub mod ipmi;
mod logbook;
pub mod media;
mod memory;
mod methods;
mod owner;
mod poll;
pub mod redfish;
pub mod scan;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
mod trust;
mod way;

use tokio::sync::watch;

use crate::config::Machine;
use crate::state::State;
use crate::supervisor::context::Context;
use crate::tcp::Tunnels;

use way::{Setting, Way};

/// Why an owner of a machine ends. There is no reason yet: whatever a device does is a state of the machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

/// Runs the owner of one machine until stopped. `lan` is the interface that controllers are reached by,
/// `tunnels` has those that call in.
///
/// # Errors
/// None today.
pub async fn run(
    ctx: Context,
    machine: Machine,
    (lan, tunnels): (String, Tunnels),
    state: watch::Receiver<State>,
) -> Result<(), Error> {
    let setting = Setting {
        owner: &ctx.name,
        bus: &ctx.bus,
        stop: &ctx.stop,
        tracker: &ctx.tracker,
    };
    let ways = machine.methods.iter().filter_map(|method| {
        let device = methods::open(*method, &ctx, &machine, (&lan, &tunnels), &state)?;
        Some(Way::spawn(method.word(), method.is_bmc(), device, &setting))
    });
    let ways = ways.collect();
    owner::run(ctx, machine, ways, state).await;
    Ok(())
}
