//! What is allowed, and yet worth a word to who checks a file. Never a reason to refuse it.

use super::{Config, Method, PortName, Serial, Transport, UplinkKind};

/// Remarks about a good configuration, in the order of the file.
pub(super) fn remarks(config: &Config) -> Vec<String> {
    let mut said = Vec::new();
    for uplink in &config.uplinks {
        let UplinkKind::Wifi(wifi) = &uplink.kind;
        let name = &uplink.name;
        if wifi.open {
            said.push(format!(
                "uplink.{name}: open = true joins whoever holds up a hotspot of that name"
            ));
        } else if wifi.passphrase.is_none() {
            said.push(format!(
                "uplink.{name}: no passphrase; the board makes one and writes it to first-boot.txt"
            ));
        }
        if wifi.country.is_none() {
            said.push(format!(
                "uplink.{name}: no country; the radio keeps to what is allowed everywhere, so 5 GHz hotspots may stay unseen"
            ));
        }
    }
    for console in &config.consoles {
        let Transport::Serial(Serial {
            port: PortName::Path(port),
            ..
        }) = &console.transport
        else {
            continue;
        };
        let file = port.file_name().unwrap_or_default().to_string_lossy();
        if file.starts_with("ttyUSB") || file.starts_with("ttyACM") {
            said.push(format!(
                "console.{}: {} may be another adapter after a restart; a name under /dev/serial/by-path, or usb = \"…\", stays",
                console.name,
                port.display()
            ));
        }
    }
    for machine in &config.machines {
        let name = &machine.name;
        if machine.methods == [Method::Wol] {
            said.push(format!(
                "machine.{name}: wake-on-LAN is its only way: it can be switched on, never off, and nothing tells if it worked"
            ));
        }
        if let Some(redfish) = &machine.redfish
            && !redfish.url.is_tls()
        {
            said.push(format!(
                "machine.{name}: http:// sends the password in the open"
            ));
        }
        let amt = machine.amt.as_ref();
        if amt.is_some_and(|amt| !amt.tls && amt.caller().is_none()) {
            said.push(format!(
                "machine.{name}: without TLS anybody on the LAN reads, and may change, what is asked of it"
            ));
        }
    }
    if config.users.is_empty() {
        said.push(
            "no user is named; the board makes an administrator and writes the password to first-boot.txt"
                .to_owned(),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Folders, load};

    #[test]
    fn doubtful_but_allowed() {
        let text = "schema = 1\n[uplink.a]\nwifi = { open = true }\n[console.x]\nserial = { port = \"/dev/ttyUSB0\" }\n[machine.m]\nwol = { mac = \"00:1b:21:3c:4d:5e\" }";
        let config = load(text, &Folders::of("oobd.toml".as_ref(), "".as_ref())).unwrap();
        let said = remarks(&config).join("\n");
        for word in [
            "open = true",
            "no country",
            "/dev/ttyUSB0",
            "only way",
            "no user",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
