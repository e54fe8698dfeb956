//! A machine's management engine by Intel AMT, as one way. Keeps the nonce of its sign-in, so that a verb costs one request.

use std::path::Path;

use crate::amt::wsman::{Client, Error};
use crate::bmc::amt::power;
use crate::bmc::device::{Answer, Asking, Device, Fault, Power, Request, Skill};
use crate::bmc::trust::Keys;
use crate::config::Amt as Wanted;
use crate::event::Kind;
use crate::fault::chain;
use crate::http::{Trust, Url};
use crate::pin::Pins;
use crate::reset::{VERBS, Verb};

const SKILLS: &[Skill] = &[Skill::Power, Skill::Act, Skill::Trust];

pub(super) struct Amt {
    client: Client,
    keys: Keys,
}

impl Amt {
    #[must_use]
    pub(super) fn new(wanted: &Wanted, lan: &str, state: &Path) -> Self {
        let pins = Pins::new(state);
        let trust = Trust {
            pins: pins.clone(),
            pin: wanted.pin.clone(),
        };
        let url = Url::of(wanted.tls, wanted.address());
        let (user, password) = (&wanted.username, wanted.password.expose());
        Self {
            client: Client::new(url, lan, trust, user, password),
            keys: Keys::new(pins),
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
        Ok(match request {
            Request::Power => Answer::Power(Power {
                state: power::read(client).await?,
                changing: false,
                mark: None,
            }),
            Request::Act(verb) => {
                power::request(client, verb).await?;
                Answer::Done
            }
            _ => return Err(Trouble::Ours("AMT cannot do this here".into())),
        })
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
        self.keys.events()
    }
}
