//! What plugs with a web interface have in common: short questions in JSON, faults in the owner's words. Knows no make.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::driver::{Doing, Driver, Fault, Reading};
use crate::http::{Client, Error, Limits, Login, Request, Trust, Url};
use crate::reset::Verb;

/// A plug has little to say; more than this is something else.
const LONGEST: usize = 64 * 1024;

/// What a make of plugs has of its own; it is a driver with that.
pub(super) trait Make: Send {
    fn read_now(&mut self) -> impl Future<Output = Result<Reading, Fault>> + Send;

    fn switch_now(
        &mut self,
        outlet: &str,
        verb: Verb,
        off: Duration,
    ) -> impl Future<Output = Result<(), Fault>> + Send;
}

impl<M: Make> Driver for M {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(self.read_now())
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, off: Duration) -> Doing<'a, ()> {
        Box::pin(self.switch_now(outlet, verb, off))
    }

    /// A reading or a verb is several questions.
    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// One plug. Connections are not kept: plugs have few.
pub(super) struct Plug {
    host: SocketAddr,
    lan: String,
    trust: Trust,
    login: Option<Login>,
    client: Option<Client>,
}

impl Plug {
    /// Opens nothing yet.
    pub(super) fn new(host: SocketAddr, lan: &str, trust: Trust, login: Option<Login>) -> Self {
        Self {
            host,
            lan: lan.to_owned(),
            trust,
            login,
            client: None,
        }
    }

    /// For people.
    pub(super) fn host(&self) -> SocketAddr {
        self.host
    }

    /// Asks, and reads the answer as JSON.
    ///
    /// # Errors
    /// [`Fault`]
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Value, Fault> {
        let host = self.host;
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.client()?,
        };
        let reply = client.send(request).await;
        self.client = Some(client);
        let reply = reply.map_err(fault)?;
        // An error of JSON-RPC comes with a status of its own.
        let body = reply.json();
        if !reply.status.is_success() && body.as_ref().is_ok_and(|body| body.get("error").is_some())
        {
            return body.map_err(fault);
        }
        match reply.status.as_u16() {
            401 | 403 => return Err(Fault::Refused(format!("{host} does not take the password"))),
            404 | 405 => return Err(Fault::NotPossible(format!("{host} is no such device"))),
            _ => {}
        }
        reply.accept().and(body).map_err(fault)
    }

    fn client(&self) -> Result<Client, Fault> {
        let host = self.host;
        let base = Url::parse(&format!("http://{host}/"));
        let base = base.map_err(|error| Fault::NotPossible(format!("{host}: {error}")))?;
        let mut client = Client::new(base, self.lan.as_str(), self.trust.clone()).limits(Limits {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(8),
            body: LONGEST,
        });
        client.set_login(self.login.clone());
        Ok(client)
    }
}

/// What HTTP says, as a fault of a device.
pub(super) fn fault(error: Error) -> Fault {
    let text = error.to_string();
    match error {
        Error::Distrusted {
            what,
            pinned,
            found,
            ..
        } => Fault::Changed {
            what,
            pinned,
            found,
        },
        Error::Offline { why, .. } => Fault::Offline(why),
        Error::Unreached { .. } | Error::Late { .. } | Error::Lost { .. } => Fault::Silent(text),
        _ if error.is_login() => Fault::Refused(text),
        _ => Fault::Odd(text),
    }
}

/// For a query: all but letters and digits as `%` and two hex digits.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What a device said, fit for one line.
pub(super) fn printable(text: &str) -> String {
    let kept = text.chars().filter(|letter| !letter.is_control());
    kept.take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_any_password() {
        assert_eq!(escaped("a&b=c d;ü"), "a%26b%3Dc%20d%3B%C3%BC");
    }
}
