//! What the controller knows besides: itself, the way to the serial console, storage. Changes nothing.

use serde_json::Value;

use super::read::{self, link, uri};
use super::types::{ConsoleWay, Manager, Storage};
use super::{Bmc, Error};

/// Storage controllers, and drives of one, that are read.
const MOST: usize = 128;

impl Bmc {
    /// The controllers of the machine.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn managers(&mut self) -> Result<Vec<Manager>, Error> {
        let machine = match self.system {
            Some(_) => self.machine().await?.1,
            None => Value::Null,
        };
        let managers = self.managers_of(&machine).await?;
        let managers = managers.iter();
        Ok(managers
            .map(|(uri, value)| read::manager(value, uri))
            .collect())
    }

    /// How to get to the serial console: as the machine says, or its controllers where it says nothing.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn consoles(&mut self) -> Result<Vec<ConsoleWay>, Error> {
        let (_, machine) = self.machine().await?;
        let mut found = read::consoles(&machine);
        if found.is_empty() {
            for (_, manager) in self.managers_of(&machine).await? {
                found.extend(read::consoles(&manager));
            }
        }
        Ok(found)
    }

    /// Storage controllers with drives and volumes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it shows none; any other [`Error`].
    pub async fn storage(&mut self) -> Result<Vec<Storage>, Error> {
        let (_, machine) = self.machine().await?;
        let Some(all) = link(&machine, "Storage") else {
            return Err(self.unsupported("storage"));
        };
        let mut found = Vec::new();
        for (own, value) in self.collection(&all).await?.into_iter().take(MOST) {
            let mut drives = Vec::new();
            for drive in read::array(&value, "Drives").iter().take(MOST) {
                let Some(link) = uri(drive) else { continue };
                if read::is_whole(drive) {
                    drives.push(read::drive(drive, &link));
                } else if let Some(value) = self.optional(&link).await? {
                    drives.push(read::drive(&value, &link));
                }
            }
            let volumes = match link(&value, "Volumes") {
                Some(volumes) => self.present(&volumes).await?,
                None => Vec::new(),
            };
            let system = read::system(&value, &own);
            found.push(Storage {
                id: system.id,
                name: system.name,
                health: system.health,
                drives,
                volumes: volumes
                    .iter()
                    .map(|(uri, value)| read::volume(value, uri))
                    .collect(),
            });
        }
        Ok(found)
    }
}
