//! Signing in and out: one session, Basic where there is none to have, and a wrong password tried once.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use super::wire::path;
use super::{Bmc, Error, said};
use crate::http::{Login, Method, Request, Scheme};

/// How long a controller may take to end a session.
const GOODBYE: Duration = Duration::from_secs(5);
/// What a controller says when all sessions are taken: the standard's word, and Dell's.
const TAKEN: &[&str] = &[
    "SessionLimitExceeded",
    "maximum number of user sessions",
    "RAC0218",
    "CreateLimitReachedForResource",
    "NoValidSession",
];
/// What it says for a wrong password with another status than 401.
const WRONG: &[&str] = &[
    "UnauthorizedLoginAttempt",
    "InvalidCredentials",
    "ResourceAtUriUnauthorized",
    "AuthenticationFailed",
    "invalid username or password",
];

/// How requests are signed in.
pub(super) enum Pass {
    None,
    Session {
        token: String,
        /// `None` when the controller did not say where it is: it cannot be ended then.
        uri: Option<String>,
    },
    Basic,
    /// The password is wrong: not tried again.
    Locked,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Session { .. } => "Session",
            Self::Basic => "Basic",
            Self::Locked => "Locked",
        })
    }
}

impl Bmc {
    /// Makes sure that requests are signed in.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], and what the way to it says.
    pub(super) async fn sign_in(&mut self) -> Result<(), Error> {
        match self.pass {
            Pass::Session { .. } | Pass::Basic => return Ok(()),
            Pass::Locked => return Err(self.wrong_password()),
            Pass::None => {}
        }
        let mut refusal = None;
        for uri in self.root.sessions.clone() {
            let body = json!({
                "UserName": self.access.user,
                "Password": self.access.password.expose(),
            });
            let request = Request::new(Method::POST, &uri)
                .json(&body)
                .header("accept", "application/json")
                .header("odata-version", "4.0")
                .anonymous();
            let reply = self.client.send(&request).await?;
            if reply.status.is_success() {
                if let Some(token) = reply.header("x-auth-token") {
                    let body = reply.json().unwrap_or_default();
                    let uri = reply.header("location").and_then(path);
                    self.pass = Pass::Session {
                        token: token.to_owned(),
                        uri: uri.or_else(|| super::read::uri(&body)),
                    };
                    return Ok(());
                }
                break;
            }
            let said = said(&reply);
            refusal = Some(self.refused("a session", &reply));
            if said.holds(TAKEN) {
                break;
            }
            match reply.status {
                // Not here; perhaps elsewhere.
                StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_IMPLEMENTED => {}
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.lock()),
                StatusCode::BAD_REQUEST if said.holds(WRONG) => return Err(self.lock()),
                // Busy, or out of sessions without saying so.
                _ => break,
            }
        }
        if let Some(refusal) = refusal.filter(|_| self.quirks.session_only) {
            return Err(refusal);
        }
        let password = self.access.password.expose();
        let login = Login::new(Scheme::Basic, &self.access.user, password);
        self.client.set_login(Some(login));
        self.pass = Pass::Basic;
        Ok(())
    }

    /// Ends the session. It is over for us whatever the controller says.
    pub async fn close(&mut self) {
        let pass = std::mem::replace(&mut self.pass, Pass::None);
        self.client.set_login(None);
        if let Pass::Session {
            token,
            uri: Some(uri),
        } = pass
        {
            let request = Request::new(Method::DELETE, &uri)
                .header("x-auth-token", &token)
                .limit(GOODBYE);
            match self.client.send(&request).await {
                Ok(reply) if reply.status.is_success() => {}
                Ok(reply) => tracing::debug!(host = self.host, "session: {}", reply.status),
                Err(error) => tracing::debug!("session: {error}"),
            }
        }
        self.client.close();
    }

    /// The password is wrong, from now on.
    pub(super) fn lock(&mut self) -> Error {
        self.pass = Pass::Locked;
        self.client.set_login(None);
        self.wrong_password()
    }

    fn wrong_password(&self) -> Error {
        Error::WrongPassword {
            host: self.host.clone(),
            user: self.access.user.clone(),
        }
    }
}
