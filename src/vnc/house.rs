//! What the connections of one VNC door share: rights, the limit on guessing, the certificate. No protocol.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_util::task::TaskTracker;

use super::hello::Away;
use crate::access::limit::Limiter;
use crate::access::{Directory, Refused, Source, first_boot, printable};
use crate::bus::Bus;
use crate::clock::Instant;
use crate::command::Commands;
use crate::config::Vnc;
use crate::event::Kind;
use crate::session::Standing;
use crate::supervisor::context::{Context, Dirs};
use crate::tcp::Crowd;
use crate::tls::{self, Identity};

/// As events name the door.
pub(super) const DOOR: &str = "vnc";

pub(super) struct House {
    name: String,
    pub(super) machine: String,
    pub(super) door: Vnc,
    bus: Bus,
    pub(super) commands: Commands,
    pub(super) access: Arc<Directory>,
    dirs: Arc<Dirs>,
    pub(super) tracker: TaskTracker,
    pub(super) crowd: Crowd,
    /// What the HTTPS door shows; `None` until it is open.
    shown: watch::Receiver<Option<Identity>>,
    /// Of those who try the password of VNC.
    limiter: Mutex<Limiter>,
}

impl House {
    pub(super) fn new(
        ctx: &Context,
        machine: String,
        door: Vnc,
        access: Arc<Directory>,
        shown: watch::Receiver<Option<Identity>>,
    ) -> Self {
        Self {
            name: ctx.name.clone(),
            machine,
            door,
            bus: ctx.bus.clone(),
            commands: ctx.commands.clone(),
            access,
            dirs: ctx.dirs.clone(),
            tracker: TaskTracker::new(),
            crowd: Crowd::default(),
            shown,
            limiter: Mutex::default(),
        }
    }

    /// Journals an event of this door, without waiting for flash.
    pub(super) async fn publish(&self, kind: Kind) {
        self.bus.publish_soon(&self.name, kind).await;
    }

    /// TLS as it is shown now: the certificate of the HTTPS door.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, Away> {
        let identity = self.shown.borrow().clone();
        let none = || Away::Refused("the board has no certificate yet".into());
        let certified = identity.ok_or_else(none)?.certified();
        let shown = SingleCertAndKey::from(certified.as_ref().clone());
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| Away::Refused(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        // TigerVNC up to 1.12 takes a ticket for the end of what came, and waits for ever.
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A user of the board, by name and password.
    ///
    /// # Errors
    /// The sentence for the viewer.
    pub(super) async fn sign_in(
        &self,
        user: &str,
        password: &str,
        peer: SocketAddr,
    ) -> Result<Standing, String> {
        let checked = self.access.check_password(user, password, peer.ip()).await;
        match checked {
            Ok(person) if first_boot::has_random_password(&self.dirs, &person.name).await => {
                Err("sign in over SSH or HTTPS first and choose a password of your own".into())
            }
            Ok(person) => {
                self.accepted(&person.name, peer).await;
                Ok(Standing::new(person))
            }
            Err(refused) => {
                // A wrong password has cost a hash, so there cannot be many; the others could wear the flash.
                let tell = refused == Refused::Wrong || self.access.reports(peer.ip());
                let reason = refused.to_string();
                self.refused(&printable(user), peer, &reason, tell).await;
                Err(reason)
            }
        }
    }

    /// Somebody who says to know the password of VNC; `knows` compares.
    ///
    /// # Errors
    /// The sentence for the viewer.
    pub(super) async fn check(
        &self,
        knows: impl FnOnce(&str) -> bool,
        peer: SocketAddr,
    ) -> Result<(), String> {
        let Some(password) = &self.door.password else {
            return Err("there is no password".into());
        };
        let source = Source::from(peer.ip());
        let wait = self.limiter().wait(source, Instant::now());
        if let Some(wait) = wait {
            let reason = Refused::TooMany { wait }.to_string();
            let tell = self.reports(peer.ip());
            self.refused("", peer, &reason, tell).await;
            return Err(reason);
        }
        if knows(password.expose()) {
            self.limiter().succeed(source);
            self.accepted(DOOR, peer).await;
            return Ok(());
        }
        self.limiter().fail(source, Instant::now());
        let reason = Refused::Wrong.to_string();
        let tell = self.reports(peer.ip());
        self.refused("", peer, &reason, tell).await;
        Err(reason)
    }

    fn reports(&self, from: IpAddr) -> bool {
        self.limiter().report(Source::from(from), Instant::now())
    }

    async fn accepted(&self, user: &str, peer: SocketAddr) {
        let kind = Kind::SignInAccepted {
            door: DOOR.into(),
            user: user.to_owned(),
            from: peer.to_string(),
            method: "password".into(),
        };
        self.publish(kind).await;
    }

    async fn refused(&self, user: &str, peer: SocketAddr, reason: &str, tell: bool) {
        if tell {
            let kind = Kind::SignInRefused {
                door: DOOR.into(),
                user: user.to_owned(),
                from: peer.to_string(),
                reason: reason.to_owned(),
            };
            self.publish(kind).await;
        }
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
