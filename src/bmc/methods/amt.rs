//! A machine's management engine by Intel AMT, as one way. Keeps the nonce of its sign-in, so that a verb costs one request.

use std::path::Path;

use crate::amt::wsman::{Client, Error};
use crate::bmc::amt::{audit, boot, clock, consent, features, info, log, power};
use crate::bmc::device::{Answer, Asking, Device, Fault, Power, Request, Skill};
use crate::bmc::trust::Keys;
use crate::config::Amt as Wanted;
use crate::event::Kind;
use crate::fault::chain;
use crate::http::{Legacy, Trust};
use crate::machine::amt::{AmtAsk, AmtTold};
use crate::machine::{Boot, BootTarget};
use crate::pin::Pins;
use crate::reset::{PowerState, VERBS, Verb};
use crate::tcp::Route;

const SKILLS: &[Skill] = &[
    Skill::Power,
    Skill::Act,
    Skill::Model,
    Skill::Log,
    Skill::Boot,
    Skill::Trust,
    Skill::Amt,
    Skill::BootFrom,
];

pub(super) struct Amt {
    client: Client,
    keys: Keys,
    /// What the next start was set to: a source cannot be read back. A start uses it up.
    source: BootTarget,
    machine: String,
    /// The UUID that it calls in with, if it does.
    calls: Option<String>,
    /// The last UUID that it told and that is another.
    mistaken: Option<String>,
    events: Vec<Kind>,
    /// How it takes its verbs.
    habit: power::Habit,
}

impl Amt {
    #[must_use]
    pub(super) fn new(machine: &str, wanted: &Wanted, route: Route, state: &Path) -> Self {
        let pins = Pins::new(state);
        let trust = Trust {
            pins: pins.clone(),
            pin: wanted.pin.clone(),
            legacy: Legacy::asked(wanted.legacy_tls),
        };
        let (user, password) = (&wanted.username, wanted.password.expose());
        Self {
            client: Client::new(wanted.url(), route, trust, user, password),
            keys: Keys::new(pins),
            source: BootTarget::None,
            machine: machine.to_owned(),
            calls: wanted.caller().map(str::to_owned),
            mistaken: None,
            events: Vec::new(),
            habit: power::Habit::default(),
        }
    }

    async fn carry_out(&mut self, request: Request) -> Result<Answer, Fault> {
        if request == Request::Trust {
            return self.keys.trust().await.map(|()| Answer::Done);
        }
        let reads = request.is_read();
        let answer = self.question(request).await;
        self.keys.pinned(self.client.take_pinned());
        answer.map_err(|error| self.fault(&error, reads))
    }

    async fn question(&mut self, request: Request) -> Result<Answer, Trouble> {
        let client = &mut self.client;
        power::give_back(client, &mut self.habit).await?;
        Ok(match request {
            Request::Power => Answer::Power(Power {
                state: power::read(client).await?,
                changing: false,
                mark: None,
            }),
            Request::Act(Verb::ForceOff) => {
                power::off(client, &mut self.habit).await?;
                Answer::Done
            }
            Request::Act(verb) => {
                match verb {
                    Verb::ForceRestart | Verb::PowerCycle => {
                        power::restart(client, verb, &mut self.habit).await?;
                    }
                    verb => power::request(client, verb).await?,
                }
                if verb.leads_to() == Some(PowerState::On) {
                    self.source = BootTarget::None;
                }
                Answer::Done
            }
            Request::Model => {
                let model = info::model(client).await?;
                self.compare().await;
                Answer::Model(model)
            }
            Request::Log { limit } => Answer::Log(log::read(client, limit).await?),
            Request::ClearLog => {
                log::clear(client).await?;
                Answer::Done
            }
            Request::Boot => {
                let target = match boot::read(client).await? {
                    BootTarget::None => self.source,
                    target => target,
                };
                let once = target != BootTarget::None;
                Answer::Boot(Boot { target, once })
            }
            Request::SetBoot(wanted) => {
                if !wanted.once && wanted.target != BootTarget::None {
                    let why = "AMT steers the next start only; leave out --always";
                    return Err(Trouble::Ours(why.into()));
                }
                if wanted.target == BootTarget::Https {
                    return Err(Trouble::Ours("it needs a URL to start from".into()));
                }
                self.source = BootTarget::None;
                boot::set(client, wanted.target, None).await?;
                self.source = wanted.target;
                Answer::Done
            }
            Request::BootFrom(url) => {
                self.source = BootTarget::None;
                boot::set(client, BootTarget::Https, Some(&url)).await?;
                self.source = BootTarget::Https;
                Answer::Done
            }
            Request::Amt(ask) => Answer::Amt(told(client, ask).await?),
            _ => return Err(Trouble::Ours("AMT cannot do this here".into())),
        })
    }

    /// Tells when who called in is another machine than it said. What it does not say proves nothing.
    async fn compare(&mut self) {
        let Some(called) = &self.calls else { return };
        let told = info::identity(&mut self.client).await.unwrap_or_default();
        if told.is_empty() {
            return;
        }
        let other = (told != *called).then_some(told);
        if let Some(told) = &other
            && self.mistaken != other
        {
            self.events.push(Kind::AmtMistaken {
                machine: self.machine.clone(),
                called: called.clone(),
                told: told.clone(),
            });
        }
        self.mistaken = other;
    }

    /// What an error means for what was asked. `harmless`: nothing was asked that changes anything.
    fn fault(&mut self, trouble: &Trouble, harmless: bool) -> Fault {
        let error = match trouble {
            Trouble::Ours(why) => return Fault::Declined(why.clone()),
            Trouble::Amt(error) => error,
        };
        let text = chain(error);
        match error {
            Error::WrongPassword { .. } => Fault::Locked(text),
            Error::Http(error) if self.keys.distrusts(error) => Fault::Locked(text),
            _ if error.maybe_done() && !harmless => Fault::Unsure(text),
            Error::Http(error) if error.is_gone() => Fault::Gone(text),
            _ => Fault::Declined(text),
        }
    }
}

/// What only AMT has.
async fn told(client: &mut Client, ask: AmtAsk) -> Result<AmtTold, Error> {
    Ok(match ask {
        AmtAsk::Info => AmtTold::Info(Box::new(info::read(client).await?)),
        AmtAsk::Features => AmtTold::Features(features::read(client).await?),
        AmtAsk::SetFeatures(change) => AmtTold::Features(features::set(client, change).await?),
        AmtAsk::Consent => AmtTold::Consent(consent::read(client).await?),
        AmtAsk::AskConsent => {
            consent::ask(client).await?;
            AmtTold::Consent(consent::read(client).await?)
        }
        AmtAsk::GiveConsent { code } => {
            consent::give(client, code).await?;
            AmtTold::Consent(consent::read(client).await?)
        }
        AmtAsk::CancelConsent => {
            consent::cancel(client).await?;
            AmtTold::Consent(consent::read(client).await?)
        }
        AmtAsk::AuditLog { limit } => AmtTold::Log(audit::read(client, limit).await?),
        AmtAsk::Alarms => AmtTold::Alarms(clock::alarms(client).await?),
        AmtAsk::AddAlarm(alarm) => {
            clock::add(client, &alarm).await?;
            AmtTold::Alarms(clock::alarms(client).await?)
        }
        AmtAsk::RemoveAlarm { name } => {
            clock::remove(client, &name).await?;
            AmtTold::Alarms(clock::alarms(client).await?)
        }
        AmtAsk::SetClock => AmtTold::Clock {
            ahead: clock::set(client).await?,
        },
    })
}

/// Why a question came to nothing.
enum Trouble {
    Amt(Error),
    Ours(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Amt(error)
    }
}

impl Device for Amt {
    fn skills(&self) -> &'static [Skill] {
        SKILLS
    }

    fn verbs(&self) -> Vec<Verb> {
        VERBS.to_vec()
    }

    fn ask(&mut self, request: Request) -> Asking<'_> {
        Box::pin(self.carry_out(request))
    }

    fn events(&mut self) -> Vec<Kind> {
        let mut events = self.keys.events();
        events.append(&mut self.events);
        events
    }
}
