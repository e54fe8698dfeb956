//! A shell on another host as a port: connects, checks the host key, signs in. Moves the bytes by [`Shell`].

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{Channel, ChannelMsg, MethodKind};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::shell::Shell;
use super::{Error, Port, Trust, algorithms, reach};
use crate::config::SshPort;
use crate::event::Kind;
use crate::pin::{Pins, Verdict};
use crate::tcp::{self, Cuttable};

/// From the open connection to the shell; an old switch takes seconds for its key exchange.
const SIGN_IN_LIMIT: Duration = Duration::from_secs(40);
/// The terminal that the other host is told of. Readers have sizes of their own; this one suits all.
const TERM: &str = "vt100";
const COLUMNS: u32 = 80;
const ROWS: u32 = 24;
/// Rounds of questions that a host may ask before it takes the password.
const QUESTIONS: usize = 5;

/// Opens a shell (or runs the command) with a terminal on the other host.
///
/// # Errors
/// [`Error::Unreached`], [`Error::Refused`], [`Error::Distrusted`], and [`Error::Io`] for pins that cannot be kept.
pub(super) async fn open(
    port: String,
    lan: Arc<str>,
    trust: Trust,
    wanted: SshPort,
) -> Result<Box<dyn Port>, Error> {
    let stream = reach::connect(&port, &lan, wanted.address).await?;
    // Dropping this guard, here or in the open port, ends russh's task and with it the connection.
    let cut = CancellationToken::new();
    let guard = cut.clone().drop_guard();
    let signing_in = async {
        let seen = Seen::default();
        let checker = Checker {
            port: port.clone(),
            what: format!("ssh {}", wanted.address),
            expected: wanted.host_key.clone(),
            pins: trust.pins.clone(),
            seen: seen.clone(),
        };
        let connected =
            client::connect_stream(algorithms::config(), Cuttable::new(stream, cut), checker).await;
        let mut handle = match connected {
            Ok(handle) => handle,
            Err(error) => return Err(seen.take_fault().unwrap_or_else(|| failed(&port, &error))),
        };
        sign_in(&port, &wanted, &mut handle).await?;
        let (channel, early) = shell(&port, &wanted, &handle).await?;
        Ok((handle, channel, early, seen.take_events()))
    };
    let (handle, channel, early, events) =
        timeout(SIGN_IN_LIMIT, signing_in)
            .await
            .map_err(|_| Error::Unreached {
                port: port.clone(),
                why: format!("no shell within {} s", SIGN_IN_LIMIT.as_secs()),
            })??;
    let shell = Shell::new(port, handle, channel, early, events, guard, &trust.tracker);
    Ok(Box::new(shell))
}

fn failed(port: &str, error: &russh::Error) -> Error {
    let port = port.to_owned();
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => Error::Refused {
            port,
            why: format!(
                "no {kind:?} algorithm in common; it has {}",
                theirs.join(", ")
            ),
        },
        russh::Error::IO(error) => Error::Unreached {
            port,
            why: tcp::reason(error),
        },
        error => Error::Unreached {
            port,
            why: format!("the SSH connection failed: {error}"),
        },
    }
}

/// Tries the key, then the password in both ways of asking for it.
async fn sign_in(port: &str, wanted: &SshPort, handle: &mut Handle<Checker>) -> Result<(), Error> {
    let broken = |error: &russh::Error| failed(port, error);
    let mut refused = Vec::new();
    // The first question of every client: it tells what the host offers. Some old gear asks for nothing more.
    let mut offered = match handle.authenticate_none(wanted.user.clone()).await {
        Ok(AuthResult::Success) => return Ok(()),
        Ok(AuthResult::Failure {
            remaining_methods, ..
        }) => remaining_methods,
        Err(error) => return Err(broken(&error)),
    };
    if let Some(key) = &wanted.key
        && offered.contains(&MethodKind::PublicKey)
    {
        let key = decode_secret_key(key.expose(), None).map_err(|error| Error::Refused {
            port: port.to_owned(),
            why: format!("the private key cannot be read: {error}"),
        })?;
        let hash = handle.best_supported_rsa_hash().await;
        let hash = hash.map_err(|error| broken(&error))?;
        // A server that says nothing of it takes SHA-2 since 2016, and SHA-1 before.
        let hash = hash.unwrap_or(Some(HashAlg::Sha256));
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let user = wanted.user.clone();
        match handle.authenticate_publickey(user, key).await {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => {
                offered = remaining_methods;
                refused.push("key");
            }
            Err(error) => return Err(broken(&error)),
        }
    }
    if let Some(password) = &wanted.password {
        if offered.contains(&MethodKind::Password) {
            let (user, password) = (wanted.user.clone(), password.expose().to_owned());
            match handle.authenticate_password(user, password).await {
                Ok(AuthResult::Success) => return Ok(()),
                Ok(AuthResult::Failure {
                    remaining_methods, ..
                }) => {
                    offered = remaining_methods;
                    refused.push("password");
                }
                Err(error) => return Err(broken(&error)),
            }
        }
        // Some switches ask for the password in this way only. One that refused it once is not asked again: it locks users out.
        if offered.contains(&MethodKind::KeyboardInteractive) && !refused.contains(&"password") {
            if answer(wanted, password.expose(), handle)
                .await
                .map_err(|error| broken(&error))?
            {
                return Ok(());
            }
            refused.push("password");
        }
    }
    let offered: Vec<&str> = offered.iter().map(Into::into).collect();
    let why = if handle.is_closed() {
        "it ended the connection at sign-in".to_owned()
    } else if refused.is_empty() {
        format!("it lets users in by {} only", offered.join(", "))
    } else {
        format!(
            "it refuses {} of user {}",
            refused.join(" and "),
            wanted.user
        )
    };
    Err(Error::Refused {
        port: port.to_owned(),
        why,
    })
}

/// Keyboard-interactive: a single hidden question is the password, and nothing else is answered.
async fn answer(
    wanted: &SshPort,
    password: &str,
    handle: &mut Handle<Checker>,
) -> Result<bool, russh::Error> {
    let user = wanted.user.clone();
    let mut said = handle
        .authenticate_keyboard_interactive_start(user, None)
        .await?;
    for _ in 0..QUESTIONS {
        let prompts = match said {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = match prompts.as_slice() {
            [] => Vec::new(),
            [one] if !one.echo => vec![password.to_owned()],
            _ => return Ok(false),
        };
        said = handle
            .authenticate_keyboard_interactive_respond(answers)
            .await?;
    }
    Ok(false)
}

/// Asks for a terminal and a shell. What the host says before it has answered is kept.
async fn shell(
    port: &str,
    wanted: &SshPort,
    handle: &Handle<Checker>,
) -> Result<(Channel<client::Msg>, Vec<bytes::Bytes>), Error> {
    let broken = |error: russh::Error| failed(port, &error);
    let mut channel = handle.channel_open_session().await.map_err(broken)?;
    // A host without terminals still has a command to run.
    channel
        .request_pty(false, TERM, COLUMNS, ROWS, 0, 0, &[])
        .await
        .map_err(broken)?;
    match &wanted.command {
        Some(command) => channel.exec(true, command.as_str()).await,
        None => channel.request_shell(true).await,
    }
    .map_err(broken)?;
    let mut early = Vec::new();
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return Ok((channel, early)),
            Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                early.push(data);
            }
            Some(ChannelMsg::Failure) => {
                let what = wanted.command.as_ref().map_or("a shell", |_| "the command");
                return Err(Error::Refused {
                    port: port.to_owned(),
                    why: format!("it refuses {what} to user {}", wanted.user),
                });
            }
            Some(ChannelMsg::Close | ChannelMsg::Eof) | None => {
                return Err(Error::Unreached {
                    port: port.to_owned(),
                    why: "it closed the session at once".into(),
                });
            }
            Some(_) => {}
        }
    }
}

/// What the check of the host key found, for the opener: russh takes the checker away.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<RwLock<(Option<Error>, Vec<Kind>)>>);

impl Seen {
    fn fault(&self, error: Error) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).0 = Some(error);
    }

    fn take_fault(&self) -> Option<Error> {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        seen.0.take()
    }

    fn event(&self, kind: Kind) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        seen.1.push(kind);
    }

    fn take_events(&self) -> Vec<Kind> {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen.1)
    }
}

/// Looks at the host key after each key exchange; russh has verified by then that the host holds it.
pub(super) struct Checker {
    port: String,
    what: String,
    expected: Option<String>,
    pins: Pins,
    seen: Seen,
}

impl client::Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        host: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let found = match host {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256),
            PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().fingerprint(HashAlg::Sha256)
            }
        }
        .to_string();
        let verdict = match self.expected.clone() {
            Some(expected) if expected == found => Ok(Verdict::Same),
            Some(pinned) => Ok(Verdict::Changed { pinned }),
            None => {
                let (pins, what, found) = (self.pins.clone(), self.what.clone(), found.clone());
                tokio::task::spawn_blocking(move || pins.judge(&what, &found))
                    .await
                    .map_err(io::Error::other)
                    .flatten()
            }
        };
        match verdict {
            Ok(Verdict::Same) => return Ok(true),
            Ok(Verdict::First) => {
                self.seen.event(Kind::Pinned {
                    what: self.what.clone(),
                    fingerprint: found,
                });
                return Ok(true);
            }
            Ok(Verdict::Changed { pinned }) => self.seen.fault(Error::Distrusted {
                port: self.port.clone(),
                what: self.what.clone(),
                by_config: self.expected.is_some(),
                pinned,
                found,
            }),
            Err(source) => self.seen.fault(Error::Io {
                port: self.port.clone(),
                what: "keep the host key of",
                source,
            }),
        }
        Ok(false)
    }
}
