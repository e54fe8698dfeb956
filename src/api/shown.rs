//! The certificate on show: the one of oobd.toml, else an installed one, else the board's own; and the commands that change it.
//! What is installed is checked and on flash before a handshake shows it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::certificate::{self, Shown};
use crate::clock::Timestamp;
use crate::command::{Actor, Ask, CertificateShown, Command, Hidden, Refusal, Reply};
use crate::config::Https;
use crate::event::Kind;
use crate::fact::{Door, Fact};
use crate::file::write_atomically;
use crate::supervisor::context::Context;
use crate::tls::{self, Identity};

/// Chain and key that a person installed.
const INSTALLED: &str = "https-installed.pem";
/// The key of the request for a certificate that was made last.
const REQUESTED: &str = "https-request.key";
const MOST_NAMES: usize = 16;

/// The certificate on show, and what was told of it.
pub(super) struct Showing {
    own: Identity,
    installed: Option<Identity>,
    config: Https,
    address: String,
    /// Tells other doors.
    told: Arc<watch::Sender<Option<Identity>>>,
    shown: Option<(Identity, Arc<Shown>)>,
    told_expired: bool,
}

impl Showing {
    /// Reads what is installed. One that cannot be used is told and left where it is: the board's own is shown instead.
    pub(super) async fn new(
        ctx: &Context,
        own: Identity,
        address: String,
        told: Arc<watch::Sender<Option<Identity>>>,
        config: Https,
    ) -> Self {
        let path = ctx.dirs.state.join(INSTALLED);
        let read = spawn_blocking(move || {
            let text = match std::fs::read_to_string(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                other => other.map_err(|e| e.to_string()),
            };
            text.and_then(|text| Identity::from_pem(&text, &text).map_err(|bad| bad.to_string()))
                .map(Some)
                .map_err(|reason| (path.display().to_string(), reason))
        });
        let installed = match read.await {
            Ok(Ok(installed)) => installed,
            Ok(Err((file, reason))) => {
                ctx.publish(Kind::CertificateReplaced { file, reason })
                    .await;
                None
            }
            Err(_) => None,
        };
        Self {
            own,
            installed,
            config,
            address,
            told,
            shown: None,
            told_expired: false,
        }
    }

    /// Shows the certificate of this configuration from the next handshake on.
    pub(super) fn adopt(&mut self, ctx: &Context, config: Https) -> Arc<Shown> {
        self.config = config;
        self.show(ctx)
    }

    /// Shows the certificate that goes first.
    pub(super) fn show(&mut self, ctx: &Context) -> Arc<Shown> {
        let own = self.installed.as_ref().unwrap_or(&self.own);
        let identity = certificate::choose(self.config.pair.as_ref(), own);
        let shown = match &self.shown {
            Some((_, shown)) => {
                shown.set(&identity);
                shown.clone()
            }
            None => Arc::new(Shown::new(&identity)),
        };
        let fingerprint = format!("SHA256:{}", identity.fingerprint());
        tracing::info!(address = self.address, fingerprint, "https is open");
        ctx.observe(Fact::Door(Door {
            name: "https".into(),
            address: self.address.clone(),
            fingerprint: Some(fingerprint),
        }));
        self.told.send_replace(Some(identity.clone()));
        self.shown = Some((identity, shown.clone()));
        self.told_expired = false;
        shown
    }

    /// Says once that the certificate is out of date. It stays in use: another one would be a bigger surprise to whoever
    /// has to get in now.
    pub(super) async fn look_at_clock(&mut self, ctx: &Context) {
        let Some((identity, _)) = &self.shown else {
            return;
        };
        if !self.told_expired && identity.left(now()).is_zero() {
            self.told_expired = true;
            let fingerprint = identity.fingerprint();
            ctx.publish(Kind::CertificateExpired { fingerprint }).await;
        }
    }

    /// Answers what is asked of this door.
    pub(super) async fn answer(&mut self, ctx: &Context, ask: Ask) {
        let Some((actor, command, reply)) = ask.command("https") else {
            return;
        };
        let answer = self.carry_out(ctx, &actor, command).await;
        // The asker may have gone.
        let _ = reply.send(answer);
    }

    async fn carry_out(
        &mut self,
        ctx: &Context,
        actor: &Actor,
        command: Command,
    ) -> Result<Reply, Refusal> {
        let folder = ctx.dirs.state.clone();
        match command {
            Command::ShowCertificate => return Ok(Reply::Certificate(Box::new(self.describe()))),
            Command::RequestCertificate { names } => {
                let made = blocking(move || request(&folder, &names)).await?;
                return Ok(Reply::CertificateRequest { pem: made });
            }
            _ if self.config.pair.is_some() => {
                let text = "oobd.toml names the certificate ([https] certificate); change it there";
                return Err(Refusal::Failed(text.into()));
            }
            Command::InstallCertificate { certificate, key } => {
                let fresh = blocking(move || install(&folder, &certificate, key)).await?;
                self.installed = Some(fresh);
            }
            Command::RemoveCertificate if self.installed.is_none() => {
                return Err(Refusal::Unknown {
                    what: "installed certificate".into(),
                });
            }
            Command::RemoveCertificate => {
                blocking(move || remove(&folder.join(INSTALLED))).await?;
                self.installed = None;
            }
            other => {
                let what = format!("such command here: {other}");
                return Err(Refusal::Unknown { what });
            }
        }
        self.show(ctx);
        let shown = self.describe();
        let told = Kind::CertificateChanged {
            by: actor.to_string(),
            fingerprint: shown.fingerprint.clone(),
            origin: shown.origin.clone(),
        };
        ctx.publish(told).await;
        Ok(Reply::Certificate(Box::new(shown)))
    }

    fn describe(&self) -> CertificateShown {
        let origin = match (&self.config.pair, &self.installed) {
            (Some(_), _) => "oobd.toml",
            (None, Some(_)) => "installed",
            (None, None) => "own",
        };
        let identity = self.shown.as_ref().map_or(&self.own, |(shown, _)| shown);
        let facts = identity.facts();
        let at = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
        let (not_before, not_after) = (at(facts.not_before), at(facts.not_after));
        let today = Timestamp::now();
        let mut remarks = Vec::new();
        if not_after <= today {
            remarks.push(format!(
                "it was good until {not_after}, as the board's clock tells"
            ));
        } else if not_before > today {
            remarks.push(format!(
                "it is good from {not_before} on, as the board's clock tells"
            ));
        }
        if facts.names.is_empty() {
            remarks.push("it names no host (subjectAltName), so browsers refuse it".into());
        }
        if !facts.serves {
            remarks.push("it is not meant for servers (extendedKeyUsage)".into());
        }
        CertificateShown {
            origin: origin.into(),
            fingerprint: format!("SHA256:{}", identity.fingerprint()),
            subject: facts.subject,
            issuer: facts.issuer,
            names: facts.names,
            not_before,
            not_after,
            chain: u32::try_from(facts.chain).unwrap_or(u32::MAX),
            remarks,
        }
    }
}

fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await;
    let done = done.map_err(|error| Refusal::Failed(error.to_string()))?;
    done.map_err(Refusal::Failed)
}

/// Checks a certificate and its key and keeps them, the key first.
fn install(folder: &Path, certificate: &str, key: Option<Hidden>) -> Result<Identity, String> {
    let key = match key {
        Some(Hidden(key)) => key,
        None if certificate.contains("PRIVATE KEY-----") => certificate.to_owned(),
        None => std::fs::read_to_string(folder.join(REQUESTED))
            .map_err(|_| "its key is needed, too: no request for a certificate was made here")?,
    };
    let identity = Identity::from_pem(certificate, &key).map_err(|bad| bad.to_string())?;
    let mut text = String::new();
    if key != certificate {
        text.push_str(key.trim_end());
        text.push('\n');
    }
    text.push_str(certificate);
    // As the next start reads it.
    Identity::from_pem(&text, &text).map_err(|bad| bad.to_string())?;
    write(&folder.join(INSTALLED), &text)?;
    remove(&folder.join(REQUESTED))?;
    Ok(identity)
}

/// Makes a request; its key waits for the certificate.
fn request(folder: &Path, names: &[String]) -> Result<String, String> {
    if names.len() > MOST_NAMES {
        return Err(format!("at most {MOST_NAMES} names"));
    }
    let plain = |name: &String| {
        let good = |c: char| c.is_ascii_alphanumeric() || ".-_:*".contains(c);
        !name.is_empty() && name.len() <= 253 && name.chars().all(good)
    };
    if let Some(bad) = names.iter().find(|name| !plain(name)) {
        return Err(format!(
            "{:?} is no host name and no address",
            bad.escape_debug().to_string()
        ));
    }
    let (pem, key) = tls::request(names)?;
    write(&folder.join(REQUESTED), &key)?;
    Ok(pem)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    write_atomically(path, text.as_bytes(), 0o600).map_err(|e| said(path.into(), &e))
}

fn remove(path: &Path) -> Result<(), String> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(said(path.into(), &e)),
        _ => Ok(()),
    }
}

fn said(path: PathBuf, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
