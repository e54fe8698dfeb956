//! The owner of one UPS: reads it through `upsd` and tells what changes. Asks nothing of it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::driver::Fault;
use super::health::{Health, Told};
use super::nut::client::Client;
use super::nut::words::{Variables, number};
use super::{Error, trust};
use crate::clock::{Instant, Timestamp};
use crate::command::{Ask, Command, Refusal, Reply};
use crate::config::Ups;
use crate::event::{Kind, Severity};
use crate::fact::{self, Fact};
use crate::supervisor::context::Context;

/// Longest that a reading may take.
const LIMIT: Duration = Duration::from_secs(15);
/// Tokens that are taken of a status; there are some twenty.
const MOST_TOKENS: usize = 32;

/// What a UPS says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reading {
    status: Vec<String>,
    charge: Option<f64>,
    runtime: Option<f64>,
    load: Option<f64>,
    input_volts: Option<f64>,
    model: String,
}

/// What the variables of a device say; what is not there is unknown.
fn reading(variables: &Variables) -> Reading {
    let value = |name: &str| variables.get(name).map(String::as_str);
    let token = |word: &&str| {
        let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        word.len() <= 16 && word.chars().all(good)
    };
    let status = value("ups.status").unwrap_or_default();
    let status = status.split_whitespace().filter(token).take(MOST_TOKENS);
    let model = ["device.mfr", "device.model"].map(|name| value(name).unwrap_or_default().trim());
    Reading {
        status: status.map(str::to_owned).collect(),
        charge: value("battery.charge").and_then(number),
        runtime: value("battery.runtime").and_then(number),
        load: value("ups.load").and_then(number),
        input_volts: value("input.voltage").and_then(number),
        model: model.join(" ").trim().chars().take(80).collect(),
    }
}

/// How a status is to be taken. A set of tokens: their order means nothing, and `OL CHRG LB` is no emergency.
fn severity(status: &BTreeSet<String>) -> Severity {
    let has = |token: &str| status.contains(token);
    match () {
        () if has("FSD") || (has("OB") && has("LB")) => Severity::Alert,
        () if has("OFF") || has("OVER") || has("ALARM") => Severity::Error,
        () if ["OB", "RB", "LB", "BYPASS"].into_iter().any(has) => Severity::Warning,
        () => Severity::Notice,
    }
}

struct Owner {
    context: Context,
    ups: Ups,
    health: Health,
    reading: Reading,
    read_at: Option<Timestamp>,
    /// The tokens that the journal knows of.
    told: Option<BTreeSet<String>>,
}

/// Serves one UPS until the context is stopped.
pub(super) async fn run(context: Context, ups: Ups, mut client: Client) -> Result<(), Error> {
    let (asking, mut asked) = mpsc::channel::<()>(1);
    let (telling, mut heard) = mpsc::channel(1);
    let stop = context.stop.clone();
    let ended = stop.clone();
    context.tracker.spawn(async move {
        let work = async {
            while asked.recv().await.is_some() {
                let answer = match timeout(LIMIT, client.variables()).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        client.hang_up();
                        Err(Fault::Silent("no answer within 15 s".into()))
                    }
                };
                if telling.send(answer).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            // cancel-safe: nothing of the device depends on it
            () = ended.cancelled() => {}
            // cancel-safe: polled to its end, or all ends
            () = work => {}
        }
    });
    let mut owner = Owner {
        health: Health::new(ups.poll),
        reading: Reading::default(),
        read_at: None,
        told: None,
        ups,
        context,
    };
    owner.tell();
    let mut pulse = owner.context.pulse.clone();
    let mut busy = false;
    loop {
        let now = Instant::now();
        if !busy && owner.health.due() <= now {
            owner.health.begins();
            busy = asking.try_send(()).is_ok();
        }
        let wake = if busy {
            now + Duration::from_secs(3600)
        } else {
            owner.health.due()
        };
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = stop.cancelled() => break,
            // cancel-safe per docs on Pulse::beat()
            () = pulse.beat() => {}
            // cancel-safe per docs on Receiver::recv(); ends with our stop only
            Some(answer) = heard.recv() => {
                busy = false;
                owner.heard(answer).await;
            }
            // cancel-safe per docs on Receiver::recv()
            ask = owner.context.asks.recv() => match ask {
                Some(ask) => owner.ask(ask).await,
                None => return Err(Error::Desk { name: owner.context.name }),
            },
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(wake) => {}
        }
    }
    let name = owner.ups.name.clone();
    owner.context.observe(Fact::UpsGone { name });
    Ok(())
}

impl Owner {
    async fn heard(&mut self, answer: Result<Variables, Fault>) {
        let ups = self.ups.name.clone();
        let fault = answer.as_ref().err();
        if self.health.is_news(fault) {
            trust::alarm(&self.context, fault).await;
        }
        match self.health.heard(Instant::now(), fault) {
            Told::Lost(reason) => {
                self.context.publish(Kind::UpsLost { ups, reason }).await;
            }
            Told::Found => self.context.publish(Kind::UpsFound { ups }).await,
            Told::Nothing => {}
        }
        match answer {
            Ok(variables) => {
                self.reading = reading(&variables);
                self.read_at = Some(Timestamp::now());
                self.compare().await;
            }
            // What cannot be read is unknown.
            Err(_) => {
                let model = std::mem::take(&mut self.reading.model);
                self.reading = Reading {
                    model,
                    ..Reading::default()
                };
            }
        }
        self.tell();
    }

    /// Tells a status that is another one than was told last. A first one that is well is no news.
    async fn compare(&mut self) {
        let status: BTreeSet<String> = self.reading.status.iter().cloned().collect();
        if self.told.as_ref() == Some(&status) {
            return;
        }
        let severity = severity(&status);
        if self.told.is_some() || severity != Severity::Notice {
            self.context
                .publish(Kind::UpsChanged {
                    ups: self.ups.name.clone(),
                    status: self.reading.status.clone(),
                    severity,
                })
                .await;
        }
        self.told = Some(status);
    }

    fn tell(&self) {
        let (phase, since, why) = self.health.standing();
        let reading = self.reading.clone();
        self.context.observe(Fact::Ups(fact::Ups {
            name: self.ups.name.clone(),
            kind: "nut".into(),
            address: format!("{} {}", self.ups.nut.host, self.ups.nut.ups),
            phase,
            since,
            why,
            read_at: self.read_at,
            status: reading.status,
            charge: reading.charge,
            runtime: reading.runtime,
            load: reading.load,
            input_volts: reading.input_volts,
            model: reading.model,
        }));
    }

    async fn ask(&mut self, ask: Ask) {
        let Some((_, command, reply)) = ask.command(&self.ups.name) else {
            return;
        };
        let answer = match command {
            Command::TrustDevice { .. } => self.trust().await,
            other => Err(Refusal::Unknown {
                what: format!("such command here: {other:?}"),
            }),
        };
        // The asker may have gone.
        let _ = reply.send(answer);
    }

    async fn trust(&mut self) -> Result<Reply, Refusal> {
        let said = trust::shown(&self.health, &self.context).await?;
        self.health.hurry();
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_status_is_a_set_and_numbers_are_numbers() {
        let read = reading(&variables(&[
            ("ups.status", "OL  CHRG \u{1b}[2J LB"),
            ("battery.charge", "97"),
            ("battery.runtime", "1260"),
            ("ups.load", "inf"),
            ("device.mfr", "Oobdemo"),
            ("device.model", "UPS 1500"),
        ]));
        assert_eq!(read.status, ["OL", "CHRG", "LB"]);
        assert_eq!((read.charge, read.runtime), (Some(97.0), Some(1260.0)));
        assert_eq!((read.load, read.input_volts), (None, None));
        assert_eq!(read.model, "Oobdemo UPS 1500");
    }

    #[test]
    fn what_a_status_is_worth() {
        for (status, worth) in [
            ("OL", Severity::Notice),
            ("OL CHRG", Severity::Notice),
            ("OL CHRG LB", Severity::Warning),
            ("OB DISCHRG", Severity::Warning),
            ("LB OB", Severity::Alert),
            ("FSD OL", Severity::Alert),
            ("OL RB", Severity::Warning),
            ("OL OVER", Severity::Error),
            ("", Severity::Notice),
        ] {
            let set = status.split_whitespace().map(str::to_owned).collect();
            assert_eq!(severity(&set), worth, "{status}");
        }
    }
}
