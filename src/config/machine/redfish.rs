//! `redfish = { url = "https://10.0.0.31", username = "admin", password = "@secret:bmc" }`: a controller that speaks Redfish.

use super::{password, printable, read_pin};
use crate::config::reader::Field;
use crate::config::secret::{Resolver, Secret};
use crate::http::Url;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redfish {
    pub url: Url,
    pub username: String,
    pub password: Secret,
    /// Which of its machines, where it has several.
    pub system: Option<String>,
    /// `sha256//…` of its key, as curl pins it; otherwise the first one seen is pinned.
    pub pin: Option<String>,
    /// It is old firmware, and may speak the TLS of its time.
    pub legacy_tls: bool,
}

impl Redfish {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let url = table.need("url", "write url = \"https://10.0.0.31\"");
        let username = table.need("username", "write username = \"admin\"");
        let secret = table.need("password", "write password = \"@secret:NAME\"");
        let [system, pin, legacy] = ["system", "pin", "legacy_tls"].map(|key| table.take(key));
        table.finish();
        let url = url.and_then(|field| field.parsed(read_url));
        let word = |text: &str, what: &str| printable(text, 255, what).map(|()| text.to_owned());
        let username =
            username.and_then(|field| field.parsed(|text| word(text, "a user of Redfish")));
        let password = password(secret, resolver, |text| {
            printable(text, 255, "a password of Redfish")
        });
        let system = system.map_or(Some(None), |field| {
            field.parsed(|text| word(text, "a system")).map(Some)
        });
        let pin = pin.map_or(Some(None), |field| field.parsed(read_pin).map(Some));
        if let (Some(legacy), Some(false)) = (&legacy, url.as_ref().map(Url::is_tls)) {
            legacy.wrong("needs a url with https: there is no TLS that could be old");
        }
        let legacy_tls = legacy.map_or(Some(false), |field| field.flag());
        Some(Self {
            url: url?,
            username: username?,
            password: password?,
            system: system?,
            pin: pin?,
            legacy_tls: legacy_tls?,
        })
    }
}

fn read_url(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|fault| {
        format!(
            "`{}`: {fault}; write as in \"https://10.0.0.31\"",
            text.escape_debug()
        )
    })
}
