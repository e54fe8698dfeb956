//! Virtual media: what is in the slots, and putting an image in and out by the way that the controller takes.

use serde_json::Value;
use tokio::time::sleep;

use super::read::media::{Step, eject, insert, is_full, slot};
use super::read::{link, uri};
use super::types::MediaSlot;
use super::{Bmc, Error};
use crate::clock::Instant;

impl Bmc {
    /// All slots: of the machine, or of its managers where they are on old controllers.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn media(&mut self) -> Result<Vec<MediaSlot>, Error> {
        let (_, machine) = self.machine().await?;
        let mut found = Vec::new();
        if let Some(slots) = link(&machine, "VirtualMedia") {
            found = self.slots(&slots).await?;
        }
        if found.is_empty() {
            for (_, manager) in self.managers_of(&machine).await? {
                if let Some(slots) = link(&manager, "VirtualMedia") {
                    found.extend(self.slots(&slots).await?);
                }
            }
        }
        Ok(found)
    }

    async fn slots(&mut self, uri: &str) -> Result<Vec<MediaSlot>, Error> {
        let members = self.collection(uri).await?;
        Ok(members
            .iter()
            .map(|(uri, value)| slot(value, uri))
            .collect())
    }

    /// The managers that the machine names, or all.
    pub(super) async fn managers_of(
        &mut self,
        machine: &Value,
    ) -> Result<Vec<(String, Value)>, Error> {
        let named = machine
            .pointer("/Links/ManagedBy")
            .and_then(Value::as_array);
        let named: Vec<String> = named
            .into_iter()
            .flatten()
            .filter_map(uri)
            .take(8)
            .collect();
        if named.is_empty() {
            return match self.root.managers.clone() {
                Some(all) => self.collection(&all).await,
                None => Ok(Vec::new()),
            };
        }
        let mut found = Vec::new();
        for uri in named {
            let manager = self.get(&uri).await?;
            found.push((uri, manager));
        }
        Ok(found)
    }

    /// Puts the image at this URL into the slot. The controller, not we, fetches it.
    ///
    /// # Errors
    /// What it says to the last way that there is to ask for it; any other [`Error`].
    pub async fn insert(&mut self, slot_uri: &str, image: &str) -> Result<(), Error> {
        let value = self.get(slot_uri).await?;
        let steps = insert(&value, image);
        self.climb("the insertion of the image", slot_uri, steps)
            .await?;
        self.until(slot_uri, true).await
    }

    /// Takes the image out; an empty slot is left as it is.
    ///
    /// # Errors
    /// As [`Bmc::insert`].
    pub async fn eject(&mut self, slot_uri: &str) -> Result<(), Error> {
        let value = self.get(slot_uri).await?;
        if !is_full(&slot(&value, slot_uri)) {
            return Ok(());
        }
        let steps = eject(&value);
        self.climb("the ejection of the image", slot_uri, steps)
            .await?;
        self.until(slot_uri, false).await
    }

    /// Tries one way after the other, while the controller refuses their form.
    async fn climb(&mut self, what: &str, slot_uri: &str, steps: Vec<Step>) -> Result<(), Error> {
        let mut last = None;
        for step in steps {
            let done = match &step {
                Step::Post(target, body) => self.post(what, target, body.as_ref()).await,
                Step::Patch(body) => self.patch(slot_uri, body).await,
            };
            match done {
                Ok(_) => return Ok(()),
                Err(
                    error @ Error::Refused {
                        status: 400 | 404 | 405 | 415 | 422 | 501,
                        ..
                    },
                ) => {
                    // What the first one said is about the image; later ones complain about our form.
                    last.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| self.unsupported("virtual media")))
    }

    /// Waits until the slot is full, or empty: some controllers say done and do it then.
    async fn until(&mut self, slot_uri: &str, full: bool) -> Result<(), Error> {
        let limit = self.access.patience.request;
        let end = Instant::now() + limit;
        loop {
            let value = self.get(slot_uri).await?;
            if is_full(&slot(&value, slot_uri)) == full {
                return Ok(());
            }
            if Instant::now() > end {
                let what = if full { "insertion" } else { "ejection" };
                return Err(Error::Unfinished {
                    host: self.host.clone(),
                    what: format!("the {what} of the image"),
                    limit,
                });
            }
            sleep(self.access.patience.step).await;
        }
    }
}
