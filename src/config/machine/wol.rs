//! `wol = { mac = "00:1b:21:3c:4d:5e" }`: a network card that switches its machine on.

use crate::config::reader::Field;
use crate::config::secret::{Found, Resolver};
use crate::wol::{Mac, SecureOn};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wol {
    pub mac: Mac,
    /// What some cards want to hear besides.
    pub password: Option<SecureOn>,
}

impl Wol {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let mac = table.need("mac", "write mac = \"00:1b:21:3c:4d:5e\"");
        let password = table.take("password");
        table.finish();
        let mac = mac.and_then(|field| field.parsed(str::parse));
        let password = password.map_or(Some(None), |field| match resolver.secret(&field)? {
            Found::Elsewhere => Some(None),
            Found::Text(secret) => match secret.expose().parse::<SecureOn>() {
                Ok(password) => Some(Some(password)),
                Err(fault) => {
                    field.wrong(fault);
                    None
                }
            },
        });
        Some(Self {
            mac: mac?,
            password: password?,
        })
    }
}
