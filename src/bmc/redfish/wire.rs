//! Requests as Redfish has them: signed in, repeated where that repeats nothing, followed to the end of their task.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::sleep;

use super::read::task::{Task, state, tags};
use super::read::{self, is_whole, members};
use super::session::Pass;
use super::{Bmc, Error, MEMBERS, PAGES, said};
use crate::clock::Instant;
use crate::http::{Method, Reply, Request};

/// How often a controller that is busy is asked again.
const AGAIN: usize = 4;
/// Longest wait that a controller may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Busy for the moment: iDRAC that has just started, iLO while the machine starts, and the standard's words.
const BUSY: &[&str] = &[
    "SYS518",
    "InvalidOperationForSystemState",
    "ServiceTemporarilyUnavailable",
    "ServiceInUnknownState",
    "ResourceNotReadyRetry",
    "ResourceInUse",
];

impl Bmc {
    /// Asks, signed in. A session that is over is made anew once.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Reply, Error> {
        let request = request
            .header("accept", "application/json")
            .header("odata-version", "4.0");
        for last in [false, true] {
            self.sign_in().await?;
            let reply = match &self.pass {
                Pass::Session { token, .. } => {
                    let signed = request.clone().header("x-auth-token", token);
                    self.client.send(&signed.anonymous()).await?
                }
                _ => self.client.send(&request).await?,
            };
            if reply.status != StatusCode::UNAUTHORIZED {
                return Ok(reply);
            }
            match self.pass {
                Pass::Session { .. } if !last => self.pass = Pass::None,
                Pass::Session { .. } => return Err(self.refused("its own session", &reply)),
                _ => return Err(self.lock()),
            }
        }
        Err(self.odd("it takes no session"))
    }

    /// Reads a resource; asks again when the controller is busy or the connection broke.
    pub(super) async fn get(&mut self, uri: &str) -> Result<Value, Error> {
        self.get_tagged(uri).await.map(|(value, _)| value)
    }

    /// Reads a resource and its entity tag. An empty tag is none.
    pub(super) async fn get_tagged(&mut self, uri: &str) -> Result<(Value, Option<String>), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Box::pin(self.ask(Request::get(uri))).await {
                Ok(reply) if reply.status.is_success() => {
                    let value = reply.json()?;
                    let tag = reply.header("etag").map(str::to_owned);
                    let tag = tag.or_else(|| read::text(&value, "@odata.etag"));
                    return Ok((value, tag.filter(|tag| !tag.trim_matches('"').is_empty())));
                }
                Ok(reply) if tries <= AGAIN && is_passing(&reply) => self.wait(&reply).await,
                Ok(reply) => return Err(self.refused(&format!("GET {uri}"), &reply)),
                Err(Error::Http(error)) if tries <= 1 && error.is_gone() && error.maybe_done() => {
                    sleep(self.access.patience.step).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The members of a collection with their URIs, at most [`MEMBERS`]. One that cannot be read is left out.
    pub(super) async fn collection(&mut self, uri: &str) -> Result<Vec<(String, Value)>, Error> {
        let mut found = Vec::new();
        let expand = self.root.expands && !self.quirks.no_expand;
        let mut next = Some(match expand {
            true => format!("{uri}?$expand=.($levels=1)"),
            false => uri.to_owned(),
        });
        let mut pages = 0;
        while let Some(page_uri) = next.take() {
            pages += 1;
            let page = match self.get(&page_uri).await {
                // It said that it could.
                Err(Error::Refused {
                    status: 400..=501, ..
                }) if expand && pages == 1 => {
                    self.root.expands = false;
                    self.get(uri).await?
                }
                page => page?,
            };
            let (all, after) = members(&page);
            for member in all {
                let Some(link) = read::uri(member) else {
                    continue;
                };
                if found.len() >= MEMBERS {
                    return Ok(found);
                }
                if is_whole(member) {
                    found.push((link, member.clone()));
                    continue;
                }
                match self.get(&link).await {
                    Ok(value) => found.push((link, value)),
                    Err(Error::Refused { status, .. }) => {
                        tracing::debug!(host = self.host, link, status, "left out");
                    }
                    Err(error) => return Err(error),
                }
            }
            next = after.filter(|next| pages < PAGES && *next != page_uri);
        }
        Ok(found)
    }

    /// Changes a resource, with its entity tag in whatever form it takes.
    pub(super) async fn patch(&mut self, uri: &str, body: &Value) -> Result<Value, Error> {
        let tag = self.tag(uri).await?;
        let mut tries = tags(tag.as_deref()).into_iter();
        let mut refreshed = false;
        let mut with = tries.next().flatten();
        loop {
            let mut request = Request::new(Method::PATCH, uri).json(body);
            if let Some(tag) = &with {
                request = request.header("if-match", tag);
            }
            let reply = self.act(request).await?;
            if !matches!(
                reply.status,
                StatusCode::PRECONDITION_FAILED | StatusCode::PRECONDITION_REQUIRED
            ) {
                return self.finish(&format!("PATCH {uri}"), reply).await;
            }
            if !refreshed {
                // Somebody else may have changed it in between.
                refreshed = true;
                let fresh = self.tag(uri).await?;
                if fresh != tag {
                    tries = tags(fresh.as_deref()).into_iter();
                }
            }
            with = match tries.next() {
                Some(next) => next,
                None => return Err(self.refused(&format!("PATCH {uri}"), &reply)),
            };
        }
    }

    /// A resource's entity tag; none of one that can only be written.
    async fn tag(&mut self, uri: &str) -> Result<Option<String>, Error> {
        match self.get_tagged(uri).await {
            Ok((_, tag)) => Ok(tag),
            Err(Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends something that changes the world. Asked again only when the controller says that it was too busy to do it.
    pub(super) async fn act(&mut self, request: Request) -> Result<Reply, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let reply = Box::pin(self.ask(request.clone())).await?;
            if tries > AGAIN || reply.status.is_success() || !is_busy(&reply) {
                return Ok(reply);
            }
            self.wait(&reply).await;
        }
    }

    /// Sends an action and follows it to its end.
    pub(super) async fn post(
        &mut self,
        what: &str,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let mut request = Request::new(Method::POST, uri);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = self.act(request).await?;
        self.finish(what, reply).await
    }

    /// The reply's body when all is done: at once, or when the task that it names is over.
    pub(super) async fn finish(&mut self, what: &str, reply: Reply) -> Result<Value, Error> {
        if !reply.status.is_success() {
            return Err(self.refused(what, &reply));
        }
        let value = reply.json().unwrap_or_default();
        if reply.status != StatusCode::ACCEPTED {
            return self.judged(what, state(&value), value);
        }
        let Some(monitor) = reply
            .header("location")
            .and_then(path)
            .or_else(|| read::text(&value, "TaskMonitor").as_deref().and_then(path))
            .or_else(|| read::uri(&value))
        else {
            // Accepted, and nowhere to ask.
            return Ok(value);
        };
        let limit = self.access.patience.task;
        let end = Instant::now() + limit;
        let mut wait = self.wait_for(&reply);
        while Instant::now() < end {
            sleep(wait).await;
            wait = self.access.patience.step;
            let reply = match Box::pin(self.ask(Request::get(&monitor))).await {
                Ok(reply) => reply,
                // A controller that restarts is away for a while.
                Err(Error::Http(error)) if error.is_gone() => continue,
                Err(error) => return Err(error),
            };
            wait = self.wait_for(&reply);
            let value = reply.json().unwrap_or_default();
            match reply.status {
                StatusCode::ACCEPTED if read::text(&value, "TaskState").is_none() => {}
                // Some forget a task when it is over.
                StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Value::Null),
                status if status.is_success() => match state(&value) {
                    Task::Running => {}
                    over => return self.judged(what, over, value),
                },
                status if status.is_server_error() => {}
                _ => return Err(self.refused(what, &reply)),
            }
        }
        Err(Error::Unfinished {
            host: self.host.clone(),
            what: what.to_owned(),
            limit,
        })
    }

    fn judged(&self, what: &str, task: Task, value: Value) -> Result<Value, Error> {
        match task {
            Task::Done | Task::Running => Ok(value),
            Task::Failed(said) => Err(Error::Failed {
                host: self.host.clone(),
                what: what.to_owned(),
                said: said.text,
            }),
        }
    }

    /// How long the controller wants us to wait, within reason.
    fn wait_for(&self, reply: &Reply) -> Duration {
        let step = self.access.patience.step;
        let asked = reply.header("retry-after");
        let asked = asked.and_then(|seconds| seconds.trim().parse().ok());
        asked.map_or(step, |seconds| {
            Duration::from_secs(seconds).min(LONGEST_WAIT).max(step)
        })
    }

    async fn wait(&self, reply: &Reply) {
        sleep(self.wait_for(reply)).await;
    }
}

/// Was it not done, and will it probably be a little later? A gateway that gave up (502, 504) says nothing of the sort.
fn is_busy(reply: &Reply) -> bool {
    let busy = [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    busy.contains(&reply.status) || (!reply.status.is_success() && said(reply).holds(BUSY))
}

/// Is reading again of use?
fn is_passing(reply: &Reply) -> bool {
    let gateway = [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT];
    is_busy(reply) || gateway.contains(&reply.status)
}

/// The path of a URI that may name a host, whatever host that is: controllers know neither their address nor their port.
pub(super) fn path(uri: &str) -> Option<String> {
    let path = match uri.split_once("://") {
        Some((_, rest)) => rest.get(rest.find('/')?..)?,
        None => uri,
    };
    path.starts_with('/').then(|| path.to_owned())
}
