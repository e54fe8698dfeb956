//! Sensors and logs.

use serde_json::Value;

use super::read::log::entry;
use super::read::{self, link, sensor};
use super::types::{LogEntry, Sensor, SensorKind};
use super::{Bmc, Error, PAGES};
use crate::http::{Method, Request};

impl Bmc {
    /// Sensors of every chassis, by the new resources or by the old ones, never by both.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn sensors(&mut self) -> Result<Vec<Sensor>, Error> {
        let Some(all) = self.root.chassis.clone() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (_, chassis) in self.collection(&all).await? {
            found.extend(sensor::intrusion(&chassis));
            let mut new = self.new_sensors(&chassis).await?;
            if new.is_empty() {
                new = self.old_sensors(&chassis).await?;
            }
            found.extend(new);
            found.truncate(sensor::SENSORS);
        }
        Ok(found)
    }

    async fn new_sensors(&mut self, chassis: &Value) -> Result<Vec<Sensor>, Error> {
        let mut found = Vec::new();
        if let Some(uri) = link(chassis, "Sensors") {
            let members = self.present(&uri).await?;
            found.extend(members.iter().map(|(_, value)| sensor::sensor(value)));
        }
        let has_readings = !found.is_empty();
        if let Some(uri) = link(chassis, "ThermalSubsystem").filter(|_| !has_readings)
            && let Some(thermal) = self.optional(&uri).await?
        {
            if let Some(uri) = link(&thermal, "ThermalMetrics")
                && let Some(metrics) = self.optional(&uri).await?
            {
                found.extend(sensor::thermal_metrics(&metrics));
            }
            if let Some(uri) = link(&thermal, "Fans") {
                let fans = self.present(&uri).await?;
                let fans = fans.iter();
                found.extend(fans.map(|(_, value)| sensor::part(value, SensorKind::Fan)));
            }
        }
        // Supplies are no sensors, and not among them.
        if let Some(uri) = link(chassis, "PowerSubsystem")
            && let Some(power) = self.optional(&uri).await?
            && let Some(uri) = link(&power, "PowerSupplies")
        {
            let supplies = self.present(&uri).await?;
            let supplies = supplies.iter();
            found.extend(supplies.map(|(_, value)| sensor::part(value, SensorKind::Supply)));
        }
        Ok(found)
    }

    async fn old_sensors(&mut self, chassis: &Value) -> Result<Vec<Sensor>, Error> {
        let mut found = Vec::new();
        if let Some(uri) = link(chassis, "Thermal")
            && let Some(value) = self.optional(&uri).await?
        {
            found.extend(sensor::thermal(&value));
        }
        if let Some(uri) = link(chassis, "Power")
            && let Some(value) = self.optional(&uri).await?
        {
            found.extend(sensor::power(&value));
        }
        Ok(found)
    }

    /// A resource that is named and may not be there all the same.
    pub(super) async fn optional(&mut self, uri: &str) -> Result<Option<Value>, Error> {
        match self.get(uri).await {
            Ok(value) => Ok(Some(value)),
            Err(Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The members of a collection that may not be there.
    pub(super) async fn present(&mut self, uri: &str) -> Result<Vec<(String, Value)>, Error> {
        match self.collection(uri).await {
            Err(Error::Refused { .. }) => Ok(Vec::new()),
            members => members,
        }
    }

    /// The logs of machine and managers: name and URI of each.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn logs(&mut self) -> Result<Vec<(String, String)>, Error> {
        let (_, machine) = self.machine().await?;
        let mut services: Vec<String> = link(&machine, "LogServices").into_iter().collect();
        for (_, manager) in self.managers_of(&machine).await? {
            services.extend(link(&manager, "LogServices"));
        }
        let mut found = Vec::new();
        for uri in services {
            for (uri, value) in self.present(&uri).await? {
                let name = read::text(&value, "Id").or_else(|| read::text(&value, "Name"));
                found.push((name.unwrap_or_else(|| uri.clone()), uri));
            }
        }
        Ok(found)
    }

    /// Entries of a log in the controller's order, at most `most`.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn log(&mut self, log: &str, most: usize) -> Result<Vec<LogEntry>, Error> {
        let service = self.get(log).await?;
        let Some(uri) = link(&service, "Entries") else {
            return Err(self.unsupported("entries in this log"));
        };
        let mut found: Vec<LogEntry> = Vec::new();
        let mut next = Some(uri);
        let mut seen = Vec::new();
        while let Some(page_uri) = next.take() {
            let page = self.get(&page_uri).await?;
            seen.push(page_uri);
            let (members, after) = read::members(&page);
            for member in members {
                if found.len() >= most {
                    return Ok(found);
                }
                let uri = read::uri(member).unwrap_or_default();
                if read::is_whole(member) {
                    found.push(entry(member, &uri));
                } else if let Some(value) = self.optional(&uri).await? {
                    found.push(entry(&value, &uri));
                }
            }
            // One that leads back to itself ends here.
            next = after.filter(|next| seen.len() < PAGES && !seen.contains(next));
        }
        Ok(found)
    }

    /// Empties a log.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it cannot be; any other [`Error`].
    pub async fn clear_log(&mut self, log: &str) -> Result<(), Error> {
        let service = self.get(log).await?;
        let Some(action) = read::action(&service, "#LogService.ClearLog", "LogEntriesType") else {
            return Err(self.unsupported("way to clear this log"));
        };
        let request = Request::new(Method::POST, &action.target).json(&serde_json::json!({}));
        let reply = self.act(request).await?;
        self.finish("the clearing of the log", reply)
            .await
            .map(drop)
    }
}
