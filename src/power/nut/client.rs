//! A conversation with one `upsd` about one of its devices: opened when it is needed, kept, opened anew when it went stale.
//! Signs in only before the first thing that needs it, and never says `LOGIN`, which would make us a load of the UPS.

use std::time::Duration;

use tokio::time::sleep;

use super::words::{self, Abilities, Variables, quote};
use crate::clock::Instant;
use crate::config::Nut;
use crate::http::{Dial, Stream, Trust, pin_name, secure};
use crate::power::driver::Fault;
use crate::power::plug;
use crate::power::wire::{self, Wire};

/// Lines that are taken of one list.
const MOST_LINES: usize = 8192;
/// What a device can be asked is looked up this often; drivers learn it anew when they restart.
const ABILITIES_AGE: Duration = Duration::from_secs(60);
/// How long a driver's refusal is waited for; what takes longer shows in the state.
const TRACKED: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(400),
];

struct Link {
    wire: Wire<Stream>,
    signed_in: bool,
    /// What the device can be asked, and when that was learnt.
    can: Option<(Abilities, Instant)>,
}

pub(in crate::power) struct Client {
    config: Nut,
    lan: String,
    trust: Trust,
    link: Option<Link>,
}

impl Client {
    /// Opens nothing yet.
    pub(in crate::power) fn new(config: Nut, lan: &str, trust: Trust) -> Self {
        Self {
            config,
            lan: lan.to_owned(),
            trust,
            link: None,
        }
    }

    /// All variables of the device.
    ///
    /// # Errors
    /// [`Fault`]; `Silent` also when the driver over there has lost the device.
    pub(in crate::power) async fn variables(&mut self) -> Result<Variables, Fault> {
        if self.link.is_some() {
            match self.list("VAR").await {
                // Gone stale since the last time, perhaps: once more on a fresh one.
                Err(Fault::Silent(_)) if self.link.is_none() => {}
                other => return other.map(pairs),
            }
        }
        self.list("VAR").await.map(pairs)
    }

    /// What the device can be asked, not older than a minute.
    ///
    /// # Errors
    /// As [`Client::variables`].
    pub(in crate::power) async fn abilities(&mut self) -> Result<Abilities, Fault> {
        let known = self.link.as_ref().and_then(|link| link.can.as_ref());
        if let Some((can, at)) = known
            && at.elapsed() < ABILITIES_AGE
        {
            return Ok(can.clone());
        }
        let first = |list: Vec<Vec<String>>| list.into_iter().filter_map(|l| l.into_iter().next());
        let commands = first(self.list("CMD").await?).collect();
        let writable = first(self.list("RW").await?).collect();
        let can = Abilities { commands, writable };
        if let Some(link) = &mut self.link {
            link.can = Some((can.clone(), Instant::now()));
        }
        Ok(can)
    }

    /// Has the device do something: `INSTCMD` with a command, or `SET VAR` with a value. `waits`: the driver's refusal is waited for
    /// a second; otherwise only for a moment.
    ///
    /// # Errors
    /// As [`Client::variables`]; `Refused` without username and password, or with wrong ones.
    pub(in crate::power) async fn act(
        &mut self,
        name: &str,
        value: Option<&str>,
        waits: bool,
    ) -> Result<(), Fault> {
        self.sign_in().await?;
        let ups = &self.config.ups;
        let line = match value {
            None => format!("INSTCMD {ups} {name}\n"),
            Some(value) => format!("SET VAR {ups} {name} {}\n", quote(value)),
        };
        let answer = self.exchange(&line).await?;
        let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
        match answer.as_slice() {
            ["OK"] => Ok(()),
            ["OK", "TRACKING", id] => {
                let tracked = if waits { TRACKED.len() } else { 1 };
                self.track(id, tracked).await
            }
            _ => Err(self.odd("it does not say OK")),
        }
    }

    /// Waits a little for what the driver says.
    async fn track(&mut self, id: &str, times: usize) -> Result<(), Fault> {
        let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if id.len() > 64 || !id.chars().all(good) {
            return Err(self.odd("it tracks by what is no number"));
        }
        for pause in TRACKED.iter().take(times) {
            sleep(*pause).await;
            let line = format!("GET TRACKING {id}\n");
            // The order has been given: whatever becomes of this question, the state will tell.
            let Ok(line) = self.raw(&line).await else {
                return Ok(());
            };
            match line.as_str() {
                "PENDING" => {}
                "ERR FAILED" => return Err(Fault::Odd("the device did not do it".into())),
                "ERR UNKNOWN" | "ERR INVALID-ARGUMENT" => {
                    return Err(Fault::NotPossible(
                        "the driver over there has no such order".into(),
                    ));
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Gives the connection up, as after a question that nobody waits for any more.
    pub(in crate::power) fn hang_up(&mut self) {
        self.link = None;
    }

    /// Once per connection.
    async fn sign_in(&mut self) -> Result<(), Fault> {
        if self.link.as_ref().is_some_and(|link| link.signed_in) {
            return Ok(());
        }
        if let (Some(user), Some(password)) = (&self.config.username, &self.config.password) {
            let user = format!("USERNAME {}\n", quote(user));
            let password = format!("PASSWORD {}\n", quote(password.expose()));
            self.exchange(&user).await?;
            self.exchange(&password).await?;
        }
        // Before 2.8.0 there is no tracking; then OK says that it was handed on.
        let tracks = self.exchange("SET TRACKING ON\n").await;
        if let Err(fault @ (Fault::Silent(_) | Fault::Refused(_))) = tracks {
            return Err(fault);
        }
        if let Some(link) = &mut self.link {
            link.signed_in = true;
        }
        Ok(())
    }

    /// `LIST KIND UPS`: the words after kind and device of each line.
    async fn list(&mut self, kind: &str) -> Result<Vec<Vec<String>>, Fault> {
        let ups = self.config.ups.clone();
        let mut words = self.exchange(&format!("LIST {kind} {ups}\n")).await?;
        if !is(&words, &["BEGIN", "LIST", kind, &ups]) {
            return Err(self.odd("it lists something else"));
        }
        let mut list = Vec::new();
        for _ in 0..MOST_LINES {
            words = match self.line().await? {
                line if line.starts_with("END LIST") => return Ok(list),
                line => match words::good(&line) {
                    Ok(words) => words,
                    Err(fault) => {
                        // The rest of the list would be taken for other answers.
                        self.link = None;
                        return Err(fault);
                    }
                },
            };
            if !is(&words, &[kind, &ups]) {
                return Err(self.odd("a list has a line of another one"));
            }
            list.push(words.split_off(2));
        }
        Err(self.odd("a list without end"))
    }

    /// One line there, one line back.
    async fn exchange(&mut self, line: &str) -> Result<Vec<String>, Fault> {
        let answer = self.raw(line).await?;
        words::good(&answer)
    }

    async fn raw(&mut self, line: &str) -> Result<String, Fault> {
        if self.link.is_none() {
            self.link = Some(self.open().await?);
        }
        if let Some(link) = &mut self.link
            && let Err(fault) = link.wire.send(line).await
        {
            self.link = None;
            return Err(fault);
        }
        self.line().await
    }

    /// A connection that fails is given up.
    async fn line(&mut self) -> Result<String, Fault> {
        let Some(link) = &mut self.link else {
            return Err(Fault::Silent("the connection is gone".into()));
        };
        let line = link.wire.line().await;
        if line.is_err() {
            self.link = None;
        }
        line
    }

    fn odd(&mut self, what: &str) -> Fault {
        self.link = None;
        Fault::Odd(format!("upsd answers oddly: {what}"))
    }

    async fn open(&self) -> Result<Link, Fault> {
        let host = self.config.host;
        let plain = wire::connect(&self.lan, host).await?;
        let stream = if self.config.starttls {
            let mut wire = Wire::new(plain);
            wire.send("STARTTLS\n").await?;
            let answer = wire.line().await?;
            if answer != "OK STARTTLS" {
                let said = plug::printable(&answer);
                return Err(Fault::NotPossible(format!(
                    "upsd at {host} does not speak TLS ({said}), and `starttls = true` wants it: it is asked nothing"
                )));
            }
            let to = Dial {
                host: host.to_string(),
                address: host,
                tls: true,
                what: pin_name(host),
            };
            let secured = secure(&to, &self.trust, wire.into_stream()?).await;
            let (stream, pinned) = secured.map_err(plug::fault)?;
            if let Some(pinned) = pinned {
                tracing::info!(what = pinned.what, key = pinned.fingerprint, "pinned");
            }
            stream
        } else {
            Stream::plain(plain)
        };
        Ok(Link {
            wire: Wire::new(stream),
            signed_in: false,
            can: None,
        })
    }
}

fn is(words: &[String], begin: &[&str]) -> bool {
    words.len() >= begin.len() && words.iter().zip(begin).all(|(word, wanted)| word == wanted)
}

/// Names and values of a `LIST VAR`.
fn pairs(list: Vec<Vec<String>>) -> Variables {
    let pair = |words: Vec<String>| {
        let mut words = words.into_iter();
        Some((words.next()?, words.next().unwrap_or_default()))
    };
    list.into_iter().filter_map(pair).collect()
}
