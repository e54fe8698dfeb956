//! A client of one Redfish service: one session, closed at the end; verbs that say what they did. Decides nothing, retries
//! nothing that may have been done, and tries a wrong password once. See docs/redfish-client.md.

mod bios;
mod boot;
mod health;
mod inventory;
mod media;
mod power;
mod quirk;
pub mod read;
mod session;
pub mod types;
mod wire;

use std::time::Duration;

use serde_json::Value;

use crate::config::Secret;
use crate::http::{self, Client, Pinned, Reply, Request, Trust, Url};

use quirk::Quirks;
use read::Root;
use session::Pass;
use types::System;

pub use power::{Intent, Used, is_untaken};

/// Members of a collection that are looked at.
const MEMBERS: usize = 256;
/// Pages of a collection that are read.
const PAGES: usize = 64;

/// Why a controller did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The way to it; [`http::Error::Distrusted`] among them.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// It takes neither user nor password. Nothing more is asked with them: most controllers lock a user out.
    #[error("{host} does not take the password of user {user}")]
    WrongPassword { host: String, user: String },
    /// It answered, and did not do it.
    #[error("{host} refuses {what}: {status}{}{said}", if said.is_empty() { "" } else { ", " })]
    Refused {
        host: String,
        what: String,
        status: u16,
        said: String,
    },
    /// It says that it cannot do this.
    #[error("{host} has no {what}")]
    Unsupported { host: String, what: String },
    /// It began, and said later that it failed.
    #[error("{host}: {what} failed{}{said}", if said.is_empty() { "" } else { ": " })]
    Failed {
        host: String,
        what: String,
        said: String,
    },
    /// It began, and did not come to an end in time. It may still.
    #[error("{host}: {what} was not over within {} s", limit.as_secs())]
    Unfinished {
        host: String,
        what: String,
        limit: Duration,
    },
    /// The answer is no Redfish.
    #[error("{host}: {what}")]
    Odd { host: String, what: String },
    /// Which machine is meant is not clear.
    #[error("{host} has {}, and not one that is meant", if there.is_empty() { "no machine".to_owned() } else { format!("the machines {}", there.join(", ")) })]
    NoSystem { host: String, there: Vec<String> },
}

impl Error {
    /// May it have been done all the same? Ask for the state before asking again.
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Http(error) => error.maybe_done(),
            Self::Unfinished { .. } => true,
            // It stumbled over it, or something before it gave up waiting.
            Self::Refused { status, .. } => matches!(*status, 500 | 502 | 504),
            _ => false,
        }
    }
}

/// Which controller, and how to get in.
#[derive(Clone, Debug)]
pub struct Access {
    pub url: Url,
    pub user: String,
    pub password: Secret,
    /// The machine's `Id` or URI, needed when the controller has several.
    pub system: Option<String>,
    /// Interface of the LAN.
    pub lan: String,
    pub trust: Trust,
    pub patience: Patience,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// One request.
    pub request: Duration,
    /// Between two looks at something that goes on, and before a controller that is busy is asked again.
    pub step: Duration,
    /// A task, or a machine that is to be off.
    pub task: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            step: Duration::from_secs(2),
            task: Duration::from_secs(600),
        }
    }
}

/// An open controller. End it with [`Bmc::close`], or its session stays: controllers have eight or so.
pub struct Bmc {
    access: Access,
    host: String,
    client: Client,
    root: Root,
    quirks: Quirks,
    pass: Pass,
    /// The machine that verbs are for, once it was looked for.
    system: Option<String>,
    has_bios: Option<bool>,
}

impl Bmc {
    /// Reads the service root, signs in, and finds the machine.
    ///
    /// # Errors
    /// Any [`Error`]; a session that was made is closed then.
    pub async fn open(access: Access) -> Result<Self, Error> {
        let limits = http::Limits {
            whole: access.patience.request,
            ..http::Limits::default()
        };
        let client = Client::new(
            access.url.clone(),
            access.lan.as_str(),
            access.trust.clone(),
        );
        let mut bmc = Self {
            host: access.url.authority(),
            client: client.limits(limits),
            root: Root::default(),
            quirks: Quirks::default(),
            pass: Pass::None,
            system: None,
            has_bios: None,
            access,
        };
        let request = Request::get("/redfish/v1/").header("accept", "application/json");
        let reply = bmc.client.send(&request.anonymous()).await?.accept()?;
        bmc.root = read::root(&reply.json()?);
        if bmc.root.systems.is_none() && bmc.root.chassis.is_none() && bmc.root.managers.is_none() {
            return Err(bmc.odd("its service root names neither systems nor chassis nor managers"));
        }
        bmc.quirks = Quirks::of(&bmc.root);
        let found = match bmc.root.systems {
            Some(_) => bmc.find_system().await,
            None => bmc.sign_in().await,
        };
        match found {
            Ok(()) => Ok(bmc),
            Err(error) => {
                bmc.close().await;
                Err(error)
            }
        }
    }

    /// What the service root says of vendor, product and version.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The TLS key that was pinned since the last call: tell of it.
    pub fn take_pinned(&mut self) -> Option<Pinned> {
        self.client.take_pinned()
    }

    /// Does it hold a session, rather than showing the password with each request?
    #[must_use]
    pub fn has_session(&self) -> bool {
        matches!(self.pass, Pass::Session { .. })
    }

    /// All machines of this controller.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn systems(&mut self) -> Result<Vec<System>, Error> {
        let Some(uri) = self.root.systems.clone() else {
            return Ok(Vec::new());
        };
        let members = self.collection(&uri).await?;
        let systems = members.iter().map(|(uri, value)| read::system(value, uri));
        Ok(systems.collect())
    }

    /// Remembers the machine that is meant: the one that the configuration names, or the only one.
    async fn find_system(&mut self) -> Result<(), Error> {
        let systems = self.systems().await?;
        let found = match (&self.access.system, systems.as_slice()) {
            (None, [one]) => Some(one.uri.clone()),
            (None, _) => None,
            (Some(wanted), systems) => systems
                .iter()
                .find(|system| system.id == *wanted || read::same(&system.uri, wanted))
                .map(|system| system.uri.clone()),
        };
        if found.is_none() {
            let there = systems.into_iter().map(|system| system.id).collect();
            let host = self.host.clone();
            return Err(Error::NoSystem { host, there });
        }
        self.system = found;
        Ok(())
    }

    /// The machine as its resource stands, and where it is.
    async fn machine(&mut self) -> Result<(String, Value), Error> {
        let Some(uri) = self.system.clone() else {
            return Err(self.unsupported("machine"));
        };
        let value = self.get(&uri).await?;
        self.has_bios = Some(read::link(&value, "Bios").is_some());
        Ok((uri, value))
    }

    /// Has the machine settings of its firmware? `None` when it was not looked at yet.
    pub(in crate::bmc) fn has_bios(&self) -> Option<bool> {
        self.has_bios
    }

    fn odd(&self, what: &str) -> Error {
        Error::Odd {
            host: self.host.clone(),
            what: what.to_owned(),
        }
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::Unsupported {
            host: self.host.clone(),
            what: what.to_owned(),
        }
    }

    fn refused(&self, what: &str, reply: &Reply) -> Error {
        Error::Refused {
            host: self.host.clone(),
            what: what.to_owned(),
            status: reply.status.as_u16(),
            said: said(reply).text,
        }
    }
}

/// What a reply says went wrong.
fn said(reply: &Reply) -> read::Said {
    match reply.json() {
        Ok(value) => read::said(&value),
        Err(_) => read::Said {
            text: reply.said(),
            ids: Vec::new(),
        },
    }
}
