//! Wake-on-LAN as a way: on, and nothing else. Nobody answers; whether it worked is for the other ways to see.

use crate::bmc::device::{Answer, Asking, Device, Fault, Request, Skill};
use crate::config::Wol as Wanted;
use crate::reset::Verb;
use crate::wol;

pub(super) struct Wol {
    wanted: Wanted,
    lan: String,
}

impl Wol {
    #[must_use]
    pub(super) fn new(wanted: Wanted, lan: &str) -> Self {
        Self {
            wanted,
            lan: lan.to_owned(),
        }
    }
}

impl Device for Wol {
    fn skills(&self) -> &'static [Skill] {
        &[Skill::Act]
    }

    fn verbs(&self) -> Vec<Verb> {
        vec![Verb::On]
    }

    fn ask(&mut self, request: Request) -> Asking<'_> {
        Box::pin(async move {
            if request != Request::Act(Verb::On) {
                let what = request.skill().word();
                return Err(Fault::Declined(format!("wake-on-LAN cannot {what}")));
            }
            let password = self.wanted.password.as_ref();
            match wol::wake(&self.lan, self.wanted.mac, password).await {
                Ok(()) => Ok(Answer::Done),
                Err(error) => Err(Fault::Gone(crate::fault::chain(&error))),
            }
        })
    }
}
