//! Reads a machine over and over: its power, and now and then its model, sensors and log. Tells the owner what it read.

use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use super::device::{Answer, Request, Skill};
use super::errand::{Reading, read};
use super::way::{Want, Way};
use crate::clock::Instant;
use crate::machine::{LogEntry, Sensor};

/// Sensors are many small questions on slow controllers.
const SENSORS: Duration = Duration::from_mins(5);
const LOG: Duration = Duration::from_mins(1);
/// Entries of the log that are looked at; more than come in a minute.
pub(super) const LOG_LIMIT: u32 = 64;
/// After the first silence it is asked again soon, to tell a lost packet from a loss.
const SOON: Duration = Duration::from_secs(2);

/// What was read.
#[derive(Debug)]
pub(super) enum Polled {
    Power(Reading),
    Model(String),
    Sensors(Vec<Sensor>),
    Log(Vec<LogEntry>),
}

pub(super) struct Poller {
    pub(super) ways: Vec<Way>,
    pub(super) every: Duration,
    /// Bounded: it waits for the owner.
    pub(super) told: mpsc::Sender<Polled>,
    pub(super) kick: std::sync::Arc<Notify>,
}

impl Poller {
    /// Until dropped, or until the owner is gone.
    pub(super) async fn run(self) {
        let mut sensors_at = Instant::now();
        let mut log_at = Instant::now();
        let mut model_known = false;
        let mut silences = 0_u32;
        loop {
            let reading = read(&self.ways, Want::Poll).await;
            let answers = reading
                .asked
                .iter()
                .any(|(way, fault)| way.is_bmc && fault.is_none());
            silences = if answers { 0 } else { silences + 1 };
            if self.told.send(Polled::Power(reading)).await.is_err() {
                return;
            }
            if answers {
                if !model_known && let Some(Answer::Model(model)) = self.first(Request::Model).await
                {
                    model_known = !model.is_empty();
                    let _ = self.told.send(Polled::Model(model)).await;
                }
                if Instant::now() >= sensors_at
                    && let Some(Answer::Sensors(sensors)) = self.first(Request::Sensors).await
                {
                    sensors_at = Instant::now() + SENSORS;
                    let _ = self.told.send(Polled::Sensors(sensors)).await;
                }
                let log = Request::Log { limit: LOG_LIMIT };
                if Instant::now() >= log_at
                    && let Some(Answer::Log(entries)) = self.first(log).await
                {
                    log_at = Instant::now() + LOG;
                    let _ = self.told.send(Polled::Log(entries)).await;
                }
            }
            let pause = if silences == 1 { SOON } else { self.every };
            // Either ends it; a kick that comes meanwhile is kept.
            let _ = timeout(pause, self.kick.notified()).await;
            // Kicks that come in a row are one.
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The answer of the first way that gives one.
    async fn first(&self, request: Request) -> Option<Answer> {
        let skill: Skill = request.skill();
        for way in self.ways.iter().filter(|way| way.can(skill)) {
            if let Ok(answer) = way.ask(request.clone(), Want::Poll).await {
                return Some(answer);
            }
        }
        None
    }
}
