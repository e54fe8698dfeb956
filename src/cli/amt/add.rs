//! `oobctl amt add`: a device that answers becomes a machine of oobd.toml.

use std::net::Ipv4Addr;

use clap::Args;

use crate::cli::client::Client;
use crate::cli::config::Wait;
use crate::cli::face::{Face, Failure};
use crate::cli::table::harmless;
use crate::cli::{Form, give, password, print_reply};
use crate::command::{Command, Hidden, Reply};
use crate::machine::amt::AmtDevice;

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Its address
    host: Ipv4Addr,
    /// What oobd.toml shall call it
    #[arg(long)]
    name: String,
    /// As whom the board signs in to it
    #[arg(long, value_name = "USER", default_value = "admin")]
    username: String,
    /// A secret of the board that is its password, instead of one that is written there
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(
    wanted: Add,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let (network, prefix) = (wanted.host, 32);
    let reply = client.command(Command::ScanAmt { network, prefix }).await?;
    let Reply::AmtFound(found) = &reply else {
        return print_reply(reply, form, face).await;
    };
    let Some(device) = found.first() else {
        let text = format!("nobody at {} speaks Intel AMT", wanted.host);
        return Err(Failure::Other(text));
    };
    if let Some(name) = &device.machine {
        let name = harmless(name);
        let text = format!("{} is machine {name} already", wanted.host);
        return Err(Failure::Other(text));
    }
    let password = match &wanted.secret {
        Some(secret) => format!("@secret:{secret}"),
        None => password::ask(face, password::QUESTION, false)
            .await?
            .expose()
            .to_owned(),
    };
    let command = Command::AddMachine {
        name: wanted.name,
        text: Hidden(lines(device, &wanted.username, &password)),
        trial: wanted.wait.trial(),
    };
    give(&mut client, command, form, face).await
}

/// The lines below the header of its section.
fn lines(device: &AmtDevice, user: &str, password: &str) -> String {
    let text = |text: &str| toml_text(text);
    let mut keys = vec![format!("host = \"{}\"", device.address)];
    if user != "admin" {
        keys.push(format!("username = {}", text(user)));
    }
    keys.push(format!("password = {}", text(password)));
    if !device.tls {
        keys.push("tls = false".to_owned());
    }
    if device.legacy {
        keys.push("legacy_tls = true".to_owned());
    }
    if !device.key.is_empty() {
        keys.push(format!("pin = {}", text(&device.key)));
    }
    format!("amt = {{ {} }}\n", keys.join(", "))
}

/// A basic string of TOML.
fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out += &format!("\\u{:04X}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_becomes_keys() {
        let mut device = AmtDevice {
            address: Ipv4Addr::new(10, 0, 0, 9),
            version: String::new(),
            provisioned: None,
            plain: true,
            tls: false,
            machine: None,
            also: vec![],
            realm: String::new(),
            key: String::new(),
            legacy: false,
        };
        let plain =
            "amt = { host = \"10.0.0.9\", password = \"a\\\"\\\\b\\u0009\", tls = false }\n";
        assert_eq!(lines(&device, "admin", "a\"\\b\t"), plain);
        (device.tls, device.legacy, device.key) = (true, true, "sha256//x=".into());
        let old = "amt = { host = \"10.0.0.9\", username = \"oob\", password = \"@secret:amt\", legacy_tls = true, pin = \"sha256//x=\" }\n";
        assert_eq!(lines(&device, "oob", "@secret:amt"), old);
    }
}
