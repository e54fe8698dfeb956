//! Settings of the firmware: read with what is staged, and staged for the next reset.

use serde_json::{Map, Value, json};

use super::read::firmware::attributes;
use super::read::{self, text};
use super::types::{BiosAttribute, Scalar};
use super::{Bmc, Error};

/// Registries that are looked through for the one of the attributes.
const REGISTRIES: usize = 64;

impl Bmc {
    /// All settings by name. With `described` also what the registry says of them, which is some megabytes on some machines.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it shows none; any other [`Error`].
    pub async fn bios(&mut self, described: bool) -> Result<Vec<BiosAttribute>, Error> {
        let (_, bios) = self.bios_resource().await?;
        let staged = self.staged(&bios).await?.map(|(_, staged)| staged);
        let registry = match text(&bios, "AttributeRegistry").filter(|_| described) {
            Some(name) => self.registry(&name).await?,
            None => None,
        };
        Ok(attributes(&bios, staged.as_ref(), registry.as_ref()))
    }

    /// Stages settings: they are in effect after the next reset, and [`BiosAttribute::pending`] until then.
    ///
    /// # Errors
    /// [`Error::Refused`] with what it says of a wrong name or value; any other [`Error`].
    pub async fn set_bios(&mut self, settings: &[(String, Scalar)]) -> Result<(), Error> {
        let (uri, bios) = self.bios_resource().await?;
        let mut fields = Map::new();
        for (name, value) in settings {
            fields.insert(name.clone(), value.json());
        }
        let body = json!({ "Attributes": fields });
        // Without a settings object, as on old machines, the resource itself takes them.
        let uri = read::settings(&bios).unwrap_or(uri);
        self.patch(&uri, &body).await.map(drop)
    }

    async fn bios_resource(&mut self) -> Result<(String, Value), Error> {
        let (_, machine) = self.machine().await?;
        let Some(uri) = read::link(&machine, "Bios") else {
            return Err(self.unsupported("firmware settings"));
        };
        let bios = self.get(&uri).await?;
        Ok((uri, bios))
    }

    /// The registry of this name; `None` when it is not on the controller.
    async fn registry(&mut self, name: &str) -> Result<Option<Value>, Error> {
        let page = match self.get("/redfish/v1/Registries").await {
            Ok(page) => page,
            Err(Error::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (members, _) = read::members(&page);
        let fitting = members.iter().filter_map(|member| read::uri(member));
        // Its URI has the name, with the version or without.
        let bare = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
        let fitting: Vec<String> = fitting
            .filter(|uri| uri.to_ascii_lowercase().contains(&bare))
            .take(REGISTRIES)
            .collect();
        for uri in fitting {
            let Ok(file) = self.get(&uri).await else {
                continue;
            };
            let places = read::array(&file, "Location");
            let english = |place: &&Value| {
                text(place, "Language").is_none_or(|language| language.starts_with("en"))
            };
            let place = places.iter().find(english).or_else(|| places.first());
            let Some(uri) = place.and_then(|place| read::link(place, "Uri")) else {
                continue;
            };
            return match self.get(&uri).await {
                Ok(registry) => Ok(Some(registry)),
                // Also one that is too long, or compressed: the settings are of use without it.
                Err(error) => {
                    tracing::debug!(host = self.host, "attribute registry: {error}");
                    Ok(None)
                }
            };
        }
        Ok(None)
    }
}
