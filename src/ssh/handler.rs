//! What the client asks, answered: sign-in, and which channels there are. The work behind a channel is done elsewhere,
//! for nothing may wait here: this runs inside the connection's own loop.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::Algorithm;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::access::{Person, Refused, printable};
use crate::event::Kind;

use super::connection::Standing;
use super::house::House;
use super::login::{self, Login, Proof, Target};
use super::{algorithms, channel, forward};

/// Sessions one connection may have open (multiplexed clients), and connections it may forward.
const SESSIONS: usize = 16;
const FORWARDS: usize = 64;

/// russh's view of one connection.
pub(super) struct Client {
    house: Arc<House>,
    peer: SocketAddr,
    standing: watch::Sender<Standing>,
    /// Cancelled when the connection is over.
    cut: CancellationToken,
    /// Where a sign-in lands whose user name asks for nothing.
    landing: Option<String>,
    login: Option<Arc<Login>>,
    /// Why the last answer was not looked at, until the client has shown it.
    barred: Option<String>,
    sessions: Arc<Semaphore>,
    forwards: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new(
        house: Arc<House>,
        peer: SocketAddr,
        standing: watch::Sender<Standing>,
        cut: CancellationToken,
        landing: Option<String>,
    ) -> Self {
        Self {
            house,
            peer,
            standing,
            cut,
            landing,
            login: None,
            barred: None,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            forwards: Arc::new(Semaphore::new(FORWARDS)),
        }
    }

    fn split<'a>(&self, user: &'a str) -> (&'a str, Target) {
        let (user, target) = login::parse(user, |name| self.house.access.person(name).is_some());
        match (&self.landing, target) {
            (Some(console), Target::Any) => (user, Target::Console(console.clone())),
            (_, target) => (user, target),
        }
    }

    async fn accept(&mut self, person: &Person, target: Target, proof: Proof) -> Auth {
        let method = proof.method();
        let login = Arc::new(Login::new(person.clone(), target, self.peer, proof));
        self.login = Some(login.clone());
        self.standing.send_replace(Standing::SignedIn(login));
        self.house
            .publish(Kind::SignInAccepted {
                door: "ssh".into(),
                user: person.name.clone(),
                from: self.peer.to_string(),
                method,
            })
            .await;
        Auth::Accept
    }

    /// No further try on this connection.
    fn bar(&self, user: &str, reason: String) -> Auth {
        self.standing.send_replace(Standing::Barred {
            user: self.split(user).0.to_owned(),
            reason,
        });
        again()
    }

    /// An error means that the password was not looked at, and why.
    async fn try_password(&mut self, text: &str, password: &str) -> Result<Auth, String> {
        let (user, target) = self.split(text);
        let checked = self
            .house
            .access
            .check_password(user, password, self.peer.ip())
            .await;
        match checked {
            Ok(person) => {
                let Some(hash) = person.hash().cloned() else {
                    return Ok(again());
                };
                Ok(self.accept(&person, target, Proof::Password(hash)).await)
            }
            Err(Refused::Wrong) => {
                self.house
                    .publish(Kind::SignInRefused {
                        door: "ssh".into(),
                        user: printable(user),
                        from: self.peer.to_string(),
                        reason: Refused::Wrong.to_string(),
                    })
                    .await;
                // Journaled already: the end of the connection needs no second line.
                self.standing.send_replace(Standing::Stranger);
                Ok(again())
            }
            Err(barred @ (Refused::TooMany { .. } | Refused::Busy)) => Err(barred.to_string()),
        }
    }

    fn tried(&self, user: &str) {
        self.standing.send_if_modified(|standing| {
            let first = matches!(standing, Standing::Stranger);
            if first {
                *standing = Standing::Tried {
                    user: user.to_owned(),
                };
            }
            first
        });
    }
}

/// Refused; every method may be tried again, up to the limit of tries.
fn again() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(algorithms::methods()),
        partial_success: false,
    }
}

/// May a key sign with this? `ssh-rsa` would be SHA-1.
fn is_sound(algorithm: &Algorithm) -> bool {
    algorithms::SIGNATURES.contains(algorithm)
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(again())
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let (user, _) = self.split(user);
        let person = self.house.access.person(user);
        let fits = person.is_some_and(|person| person.holds(offer.public_key));
        if fits && is_sound(offer.algorithm) {
            return Ok(Auth::Accept);
        }
        self.tried(user);
        Ok(again())
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let (user, target) = self.split(user);
        let person = self.house.access.person(user);
        match person.filter(|person| person.holds(key.public_key) && is_sound(key.algorithm)) {
            Some(person) => {
                let proof = Proof::Key(Box::new(key.public_key.clone()));
                Ok(self.accept(&person, target, proof).await)
            }
            None => {
                self.tried(user);
                Ok(again())
            }
        }
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let tried = self.try_password(user, password).await;
        Ok(tried.unwrap_or_else(|reason| self.bar(user, reason)))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let answer = match response {
            None => {
                return Ok(Auth::Partial {
                    name: "".into(),
                    instructions: "".into(),
                    prompts: vec![("Password: ".into(), false)].into(),
                });
            }
            Some(mut answers) => answers.next(),
        };
        if let Some(reason) = self.barred.take() {
            // The client has shown the reason.
            return Ok(self.bar(user, reason));
        }
        let password = answer.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        match self.try_password(user, &password.unwrap_or_default()).await {
            Err(reason) => {
                // A question without prompts is the one way to tell a client something before it is signed in.
                self.barred = Some(reason.clone());
                Ok(Auth::Partial {
                    name: "".into(),
                    instructions: reason.into(),
                    prompts: vec![].into(),
                })
            }
            Ok(auth) => Ok(auth),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(login) = self.login.clone() else {
            return Ok(());
        };
        let Ok(permit) = self.sessions.clone().try_acquire_owned() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        reply.accept().await;
        let task = Box::pin(channel::serve(
            self.house.clone(),
            login,
            channel,
            session.handle(),
        ));
        let cut = self.cut.clone();
        self.house.tracker.spawn(async move {
            // The channel's writer would wait for ever on a connection that is gone: hence the cut.
            let _ = cut.run_until_cancelled_owned(task).await;
            drop(permit);
        });
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(login) = self.login.clone() else {
            return Ok(());
        };
        let permit = self.forwards.clone().try_acquire_owned().ok();
        let wanted = forward::Wanted {
            host: host_to_connect.to_owned(),
            port: port_to_connect,
        };
        let task = forward::serve(self.house.clone(), login, wanted, channel, reply, permit);
        self.house
            .tracker
            .spawn(self.cut.clone().run_until_cancelled_owned(task));
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _col_width: u32,
        _row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    /// No variable of a client's changes anything here; taking them silently keeps clients quiet.
    async fn env_request(
        &mut self,
        channel: ChannelId,
        _variable_name: &str,
        _variable_value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _x11_auth_protocol: &str,
        _x11_auth_cookie: &str,
        _x11_screen_number: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    // Remote forwards (-R), agent and socket forwards, tunnels: refused by russh's default answers.
}
