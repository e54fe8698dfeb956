//! The ways to a machine: each kind is one file, and one line in [`open`].

mod amt;
mod ipmi;
pub(super) mod outlets;
mod redfish;
mod wol;

use tokio::sync::watch;

use super::device::Device;
use crate::config::{Machine, Method};
use crate::state::State;
use crate::supervisor::context::Context;
use crate::tcp::Tunnels;

/// The device of a method; `None` for one that oobd.toml says nothing of. Opens no connection yet.
#[must_use]
pub(super) fn open(
    method: Method,
    ctx: &Context,
    machine: &Machine,
    (lan, tunnels): (&str, &Tunnels),
    state: &watch::Receiver<State>,
) -> Option<Box<dyn Device>> {
    Some(match method {
        Method::Redfish => {
            let wanted = machine.redfish.clone()?;
            let (dirs, tracker) = (&ctx.dirs, &ctx.tracker);
            Box::new(redfish::Redfish::new(wanted, lan, &dirs.state, tracker))
        }
        Method::Ipmi => Box::new(ipmi::Ipmi::new(machine.ipmi.clone()?, lan)),
        Method::Amt => {
            let wanted = machine.amt.as_ref()?;
            let route = tunnels.route(lan, wanted.caller());
            Box::new(amt::Amt::new(&machine.name, wanted, route, &ctx.dirs.state))
        }
        Method::Outlets => {
            let (outlets, commands) = (machine.outlets.clone(), ctx.commands.clone());
            let state = state.clone();
            Box::new(outlets::Outlets::new(&ctx.name, outlets, commands, state))
        }
        Method::Wol => Box::new(wol::Wol::new(machine.wol.clone()?, lan)),
    })
}
