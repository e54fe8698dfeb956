//! One request and its reply, whole. Moves no bytes.

use std::time::Duration;

use bytes::Bytes;
use hyper::http::HeaderMap;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::{Error, Url};

/// Letters of a refusal's body that are shown.
const SAID: usize = 200;

/// What is asked of a device.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) reference: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) limit: Option<Duration>,
    pub(super) anonymous: bool,
}

impl Request {
    /// `reference` is a path from the root (`/redfish/v1`), one beside the base URL, or a URL of the same host.
    #[must_use]
    pub fn new(method: Method, reference: &str) -> Self {
        Self {
            method,
            reference: reference.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            limit: None,
            anonymous: false,
        }
    }

    #[must_use]
    pub fn get(reference: &str) -> Self {
        Self::new(Method::GET, reference)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    #[must_use]
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Another time limit than the client's, for this request.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Without the client's login.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }
}

/// What a device answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) host: String,
    /// What answered, after redirects.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// A header's text; the first when there are several. `None` also when it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// This reply, when its status is one of success.
    ///
    /// # Errors
    /// [`Error::Refused`] with the status and the beginning of what it said.
    pub fn accept(self) -> Result<Self, Error> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(Error::Refused {
            status: self.status.as_u16(),
            said: self.said(),
            host: self.host,
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Garbled`] when it is none, or nested deeper than 128.
    pub fn json(&self) -> Result<Value, Error> {
        // Some controllers begin with a byte order mark.
        let text = self.body.strip_prefix(b"\xef\xbb\xbf");
        serde_json::from_slice(text.unwrap_or(&self.body)).map_err(|error| Error::Garbled {
            host: self.host.clone(),
            why: format!("the answer is no JSON: {error}"),
        })
    }

    /// The beginning of the body, on one line.
    #[must_use]
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(self.body.get(..SAID * 4).unwrap_or(&self.body));
        let shown = text.split(|c: char| c.is_whitespace() || c.is_control());
        let words: Vec<&str> = shown.filter(|word| !word.is_empty()).collect();
        words.join(" ").chars().take(SAID).collect()
    }
}
