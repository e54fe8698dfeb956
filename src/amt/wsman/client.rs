//! WS-Management with one device: one request in flight, every reply read whole, faults told apart.

use std::time::Duration;

use super::envelope::{self, ENUMERATION, Selectors, TRANSFER, body, uri};
use super::error::Error;
use super::xml::{self, Element};
use crate::clock::Instant;
use crate::http::{self, Limits, Login, Method, Pinned, Request, Scheme, Trust, Url};
use crate::tcp::Route;

/// Firmware takes seconds while the host sleeps.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    whole: Duration::from_secs(10),
    body: 2 << 20,
};
const KIND: &str = "application/soap+xml; charset=utf-8";
/// A connection that lay idle longer is not used again: firmware forgets it, and a request must not meet its end.
const IDLE: Duration = Duration::from_secs(5);
/// Instances and pulls of one enumeration; the longest list known is some dozens.
const INSTANCES: usize = 2000;
const PULLS: usize = 500;

/// A device, by WS-Management.
pub struct Client {
    http: http::Client,
    host: String,
    user: String,
    id: u64,
    used: Instant,
}

impl Client {
    /// A client of the device at `base` (`http://10.0.0.9:16992` or `https://10.0.0.9:16993`), reached by this route.
    /// Opens nothing yet.
    #[must_use]
    pub fn new(base: Url, route: Route, trust: Trust, user: &str, password: &str) -> Self {
        Self {
            host: format!("AMT {}", base.authority()),
            http: http::Client::new(base, route, trust)
                .login(Login::new(Scheme::Digest, user, password))
                .limits(LIMITS)
                .keep_alive(),
            user: user.to_owned(),
            id: 0,
            used: Instant::now(),
        }
    }

    /// How errors name it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The key that was pinned since the last call: tell of it.
    pub fn take_pinned(&mut self) -> Option<Pinned> {
        self.http.take_pinned()
    }

    /// Closes the connection; the nonce is kept.
    pub fn close(&mut self) {
        self.http.close();
    }

    /// The only instance of a class, or the one with these keys.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn get(&mut self, class: &str, selectors: Selectors<'_>) -> Result<Element, Error> {
        let action = format!("{TRANSFER}/Get");
        let what = format!("reading {class}");
        let found = self.ask(&action, &uri(class), selectors, "", &what).await?;
        self.some(found, &what)
    }

    /// Writes an instance; `fields` are its properties as [`envelope::written`] gives them. Gives what stands there now.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn put(
        &mut self,
        class: &str,
        selectors: Selectors<'_>,
        fields: &str,
    ) -> Result<Element, Error> {
        let (uri, what) = (uri(class), format!("writing {class}"));
        let action = format!("{TRANSFER}/Put");
        let written = body(class, &uri, fields);
        let found = self.ask(&action, &uri, selectors, &written, &what).await?;
        self.some(found, &what)
    }

    /// Removes an instance.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn delete(&mut self, class: &str, selectors: Selectors<'_>) -> Result<(), Error> {
        let what = format!("removing {class}");
        let action = format!("{TRANSFER}/Delete");
        let done = self.ask(&action, &uri(class), selectors, "", &what).await;
        done.map(drop)
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn create(&mut self, class: &str, fields: &str) -> Result<(), Error> {
        let (uri, what) = (uri(class), format!("making {class}"));
        let made = body(class, &uri, fields);
        let action = format!("{TRANSFER}/Create");
        self.ask(&action, &uri, &[], &made, &what).await.map(drop)
    }

    /// All instances of a class.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn enumerate(&mut self, class: &str) -> Result<Vec<Element>, Error> {
        let (uri, what) = (uri(class), format!("listing {class}"));
        let action = format!("{ENUMERATION}/Enumerate");
        let asked = format!("<Enumerate xmlns=\"{ENUMERATION}\"/>");
        let found = self.ask(&action, &uri, &[], &asked, &what).await?;
        let mut context = self.context(found.as_ref(), &what)?;
        let action = format!("{ENUMERATION}/Pull");
        let mut all = Vec::new();
        for _ in 0..PULLS {
            let pull = format!(
                "<Pull xmlns=\"{ENUMERATION}\"><EnumerationContext>{}</EnumerationContext><MaxElements>999</MaxElements>\
                 <MaxCharacters>99999</MaxCharacters></Pull>",
                xml::escaped(&context)
            );
            let found = self.ask(&action, &uri, &[], &pull, &what).await?;
            let reply = self.some(found, &what)?;
            let is_last = reply.child(ENUMERATION, "EndOfSequence").is_some();
            if !is_last {
                context = self.context(Some(&reply), &what)?;
            }
            let items = reply
                .children
                .into_iter()
                .find(|child| child.name == "Items");
            all.extend(items.into_iter().flat_map(|items| items.children));
            if is_last {
                return Ok(all);
            }
            if all.len() > INSTANCES {
                break;
            }
        }
        Err(self.garbled(&what, "the list has no end"))
    }

    fn context(&self, reply: Option<&Element>, what: &str) -> Result<String, Error> {
        let found = reply.and_then(|reply| reply.child(ENUMERATION, "EnumerationContext"));
        match found {
            Some(found) => Ok(found.text.clone()),
            None => Err(self.garbled(what, "a list without a place in it")),
        }
    }

    /// Calls a method and gives its output, whatever its `ReturnValue`. `inner` are its parameters as
    /// [`envelope::plain`] and [`envelope::reference`] write them.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn invoke(
        &mut self,
        class: &str,
        selectors: Selectors<'_>,
        method: &str,
        inner: &str,
    ) -> Result<Element, Error> {
        let uri = uri(class);
        let what = format!("{class}.{method}");
        let input = body(&format!("{method}_INPUT"), &uri, inner);
        let action = format!("{uri}/{method}");
        let found = self.ask(&action, &uri, selectors, &input, &what).await?;
        self.some(found, &what)
    }

    /// Calls a method that must return 0, and gives its output.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Returned`] and [`Error::ConsentNeeded`] for another return value.
    pub async fn call(
        &mut self,
        class: &str,
        selectors: Selectors<'_>,
        method: &str,
        inner: &str,
    ) -> Result<Element, Error> {
        let output = self.invoke(class, selectors, method, inner).await?;
        self.checked(output, &format!("{class}.{method}"))
    }

    /// The output of a method, if it returned 0. `what` names the method.
    ///
    /// # Errors
    /// [`Error::Returned`], [`Error::ConsentNeeded`], and [`Error::Garbled`] when it returned nothing.
    pub fn checked(&self, output: Element, what: &str) -> Result<Element, Error> {
        let (host, what) = (self.host.clone(), what.to_owned());
        match returned(&output) {
            Some(0) => Ok(output),
            Some(2081) => Err(Error::ConsentNeeded { host, what }),
            Some(value) => Err(Error::Returned { host, what, value }),
            None => Err(self.garbled(&what, "it does not say what came of it")),
        }
    }

    fn some(&self, found: Option<Element>, what: &str) -> Result<Element, Error> {
        found.ok_or_else(|| self.garbled(what, "the answer is empty"))
    }

    fn garbled(&self, what: &str, why: &str) -> Error {
        Error::Garbled {
            host: self.host.clone(),
            what: what.to_owned(),
            why: why.to_owned(),
        }
    }

    async fn ask(
        &mut self,
        action: &str,
        uri: &str,
        selectors: Selectors<'_>,
        body: &str,
        what: &str,
    ) -> Result<Option<Element>, Error> {
        if self.used.elapsed() > IDLE {
            self.http.close();
        }
        self.id += 1;
        let text = envelope::request(action, uri, self.id, selectors, body);
        let request = Request::new(Method::POST, "/wsman").body(KIND, text);
        let reply = self.http.send(&request).await;
        self.used = Instant::now();
        let reply = reply?;
        match reply.status.as_u16() {
            200 | 400 | 500 => {}
            401 => {
                return Err(Error::WrongPassword {
                    host: self.host.clone(),
                    user: self.user.clone(),
                });
            }
            _ => {
                reply.accept()?;
                return Err(self.garbled(what, "a status that means nothing here"));
            }
        }
        let text = String::from_utf8_lossy(&reply.body);
        let root = match xml::parse(&text) {
            Ok(root) => root,
            Err(_) if reply.status.as_u16() != 200 => {
                reply.accept()?;
                return Ok(None);
            }
            Err(error) => return Err(self.garbled(what, &error.to_string())),
        };
        envelope::answer(root).map_err(|fault| match fault {
            Some(fault) => Error::Faulted {
                host: self.host.clone(),
                what: what.to_owned(),
                code: fault.code,
                reason: fault.reason,
            },
            None => self.garbled(what, "the answer is no envelope"),
        })
    }
}

/// What a method returned.
#[must_use]
pub fn returned(output: &Element) -> Option<u32> {
    output.number("ReturnValue")?.try_into().ok()
}
