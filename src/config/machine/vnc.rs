//! `vnc = { port = 5901 }`: a port of the board for viewers of this machine's screen. Off unless named.

use std::net::IpAddr;

use crate::config::console::doors::{Network, read_allow};
use crate::config::reader::Field;
use crate::config::secret::{Found, Resolver, Secret};

/// Where VNC's own ports begin: display 1.
const EXAMPLE: u16 = 5901;
/// VNC takes no notice of more.
const LONGEST: usize = 8;
const SHORTEST: usize = 6;

/// A door of one machine's screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vnc {
    pub port: u16,
    /// Of VNC itself, for viewers that know no user; `None`: users of the board alone get in.
    pub password: Option<Secret>,
    /// Who may connect; empty for everybody who can reach the port.
    pub allow: Vec<Network>,
    /// May somebody type who came by that password?
    pub write: bool,
}

impl Vnc {
    /// May this address connect?
    #[must_use]
    pub fn admits(&self, from: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(from))
    }

    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        if !field.is_table() {
            let port = field.number(1..=u16::MAX)?;
            return Some(Self {
                port,
                password: None,
                allow: Vec::new(),
                write: true,
            });
        }
        let mut table = field.table()?;
        let port = table.need("port", &format!("write port = {EXAMPLE}"));
        let [password, allow, write] = ["password", "allow", "write"].map(|key| table.take(key));
        table.finish();
        if let (Some(write), None) = (&write, &password) {
            write.wrong(
                "says what the password gives, and there is none; users have their own rights",
            );
        }
        let port = port.and_then(|field| field.number(1..=u16::MAX));
        let password = password.map(|field| read_password(&field, resolver));
        let allow = allow.map_or(Some(Vec::new()), |field| read_allow(&field));
        let write = write.map_or(Some(true), |field| field.flag());
        Some(Self {
            port: port?,
            password: match password {
                Some(password) => Some(password?),
                None => None,
            },
            allow: allow?,
            write: write?,
        })
    }
}

fn read_password(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Secret> {
    match resolver.secret(field)? {
        Found::Elsewhere => Some(Secret::new("")),
        Found::Text(secret) => {
            let text = secret.expose();
            let fits = (SHORTEST..=LONGEST).contains(&text.len());
            if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                field.wrong(format!(
                    "a password of VNC has {SHORTEST} to {LONGEST} characters of ASCII and no space: more is not looked at"
                ));
                return None;
            }
            Some(secret)
        }
    }
}
