//! The network of the appliance: which doors are open, and its links with their addresses.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::fact::{Link, LinkRole};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::{OURSELVES, manager};

pub(in super::super) fn protocol(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    let door = |name: &str| {
        let door = call.state.doors.get(name);
        let port = door.and_then(|door| door.address.rsplit(':').next()?.parse::<u16>().ok());
        match port {
            Some(port) => json!({ "ProtocolEnabled": true, "Port": port }),
            None => json!({ "ProtocolEnabled": false, "Port": null }),
        }
    };
    Ok(json!({
        "Id": "NetworkProtocol",
        "Name": "Doors of the appliance",
        "HostName": call.state.device,
        "FQDN": null,
        "Status": super::well(),
        "HTTP": { "ProtocolEnabled": false, "Port": null },
        "HTTPS": door("https"),
        "SSH": door("ssh"),
    }))
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    let links = call.state.links.keys();
    let members = links.map(|name| uri::at(&["Managers", OURSELVES, "EthernetInterfaces", name]));
    Ok(super::collection("Network links", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    let link = call.state.links.get(call.id(1));
    let link = link.ok_or_else(|| call.missing())?;
    let (v4, v6) = addresses(link);
    let purpose = match &link.role {
        LinkRole::Lan => "LAN".to_owned(),
        LinkRole::Uplink(name) => format!("Uplink {name}"),
        LinkRole::Unused => "Unused".to_owned(),
    };
    let used = link.role != LinkRole::Unused;
    let mut value = json!({
        "Id": link.interface,
        "Name": purpose,
        "InterfaceEnabled": used,
        "LinkStatus": if link.carrier { "LinkUp" } else { "LinkDown" },
        "Status": { "State": if used { "Enabled" } else { "Disabled" }, "Health": if link.carrier || !used { "OK" } else { "Warning" } },
        "IPv4Addresses": v4,
        "IPv6Addresses": v6,
        "IPv6DefaultGateway": link.gateways.iter().find(|gateway| gateway.is_ipv6()),
        "NameServers": link.dns,
        "HostName": call.state.device,
    });
    if link.mac.len() == 17 {
        value["MACAddress"] = link.mac.to_uppercase().into();
    }
    Ok(value)
}

fn addresses(link: &Link) -> (Vec<Value>, Vec<Value>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    let gateway = link.gateways.iter().find(|gateway| gateway.is_ipv4());
    for text in &link.addresses {
        let Some((address, length)) = text.split_once('/') else {
            continue;
        };
        match (address.parse(), length.parse::<u32>()) {
            (Ok(IpAddr::V4(address)), Ok(length @ 0..=32)) => {
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                // Where it comes from is not told, and a LAN may have no gateway.
                let mut one = json!({
                    "Address": address,
                    "AddressOrigin": null,
                    "SubnetMask": Ipv4Addr::from_bits(mask),
                });
                if v4.is_empty() {
                    one["Gateway"] = json!(gateway);
                }
                v4.push(one);
            }
            (Ok(IpAddr::V6(address)), Ok(length @ 0..=128)) => {
                v6.push(json!({
                    "Address": address,
                    "AddressOrigin": null,
                    "AddressState": null,
                    "PrefixLength": length,
                }));
            }
            _ => {}
        }
    }
    (v4, v6)
}
