//! The one way in: version, sign-in, rights, query, preconditions; then the handler; then headers. What holds for every resource
//! is done here and nowhere else.

use std::sync::Arc;

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::api::{self, Caller, Guest, House};

use super::answer::Answer;
use super::call::{Call, Socket};
use super::later::{self, Patience};
use super::message::Message;
use super::query::{Expand, Query};
use super::resource::{task, task_monitor};
use super::table::{self, Handler, Need, Resource, Verb};
use super::view::View;
use super::wrong::Wrong;
use super::{etag, uri};

/// Longest body of a request; the door has a limit of its own.
const BODY: usize = 64 * 1024;
/// Members that `$expand` reads at once.
const AT_ONCE: usize = 16;
const VERSION: &str = "4.0";
/// What a resource gives for its ETag and does not show.
pub(super) const SEED: &str = "@seed";

pub(super) async fn serve(
    State(house): State<Arc<House>>,
    guest: Guest,
    request: Request,
) -> Response {
    let (view, _) = View::of(request.uri().path());
    let mut response = match answer(house, guest, request).await {
        Ok(response) => response,
        Err(wrong) => wrong.into_response(),
    };
    if let Some(view) = view {
        response = view.rewrite(response).await;
    }
    let headers = response.headers_mut();
    headers.insert("odata-version", HeaderValue::from_static(VERSION));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}

/// Boxed, for it is big, and the compiler has an easier time with it.
fn answer(
    house: Arc<House>,
    guest: Guest,
    request: Request,
) -> BoxFuture<'static, Result<Response, Wrong>> {
    Box::pin(handle(house, guest, request))
}

async fn handle(house: Arc<House>, guest: Guest, request: Request) -> Result<Response, Wrong> {
    let (mut parts, body) = request.into_parts();
    // What wants none, or not as it should be, has none.
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let (method, headers) = (parts.method, parts.headers);
    if let Some(version) = headers.get("odata-version")
        && version != VERSION
    {
        let status = StatusCode::PRECONDITION_FAILED;
        return Err(Wrong::new(status, "HeaderInvalid", &["OData-Version"]));
    }
    let (view, path) = View::of(parts.uri.path());
    if path.trim_end_matches('/') == "/redfish" {
        return versions(&method);
    }
    let caller = who(&house, &guest, &headers).await;
    let found = path.strip_prefix(uri::ROOT).and_then(table::find);
    let Some((resource, ids)) = found else {
        // Who is not signed in does not learn what there is.
        caller?.ok_or_else(nobody)?;
        return Err(Wrong::missing(path));
    };
    let verb = resource.verb(&method);
    // What is open to everybody is so with a stale token, too.
    let caller = match verb {
        Some(verb) if verb.need == Need::Nothing => caller.unwrap_or(None),
        _ => Some(caller?.ok_or_else(nobody)?),
    };
    let Some(verb) = verb else {
        return Err(Wrong::not_allowed(resource.allow()));
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let reads = verb.method == "GET";
    if !reads && !query.is_plain() {
        return Err(Wrong::bad("QueryNotSupportedOnOperation", &[]));
    }
    if query.only && !resource.is_collection() {
        return Err(Wrong::bad("QueryNotSupportedOnResource", &[]));
    }
    if query.expand.is_some() && caller.is_none() {
        return Err(nobody());
    }
    if let Some(caller) = &caller {
        permit(&house, caller, verb, path, &method).await?;
    }
    let bytes = to_bytes(body, BODY).await.map_err(|_| {
        Wrong::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "UnrecognizedRequestBody",
            &[],
        )
    })?;
    let mut call = Call {
        house,
        guest,
        caller,
        view,
        state: Arc::default(),
        path: path.trim_end_matches('/').to_owned(),
        ids,
        query: Arc::new(query),
        body: Arc::new(Map::new()),
        last_event: headers
            .get("last-event-id")
            .map(|id| id.to_str().unwrap_or_default().to_owned()),
        socket: Socket::new(upgrade.ok()),
    };
    call.state = Arc::new(call.look()?);
    if reads {
        return show(&call, resource, verb, &headers).await;
    }
    change(call, resource, verb, &headers, &bytes).await
}

fn nobody() -> Wrong {
    Wrong::new(StatusCode::UNAUTHORIZED, "NoValidSession", &[])
}

fn versions(method: &Method) -> Result<Response, Wrong> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Wrong::not_allowed("GET, HEAD".into()));
    }
    let mut response = Json(json!({ "v1": "/redfish/v1/" })).into_response();
    let allow = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, allow);
    Ok(response)
}

/// Who asks, by the token of a session or HTTP Basic; never by a cookie, which a browser would add by itself.
async fn who(
    house: &Arc<House>,
    guest: &Guest,
    headers: &HeaderMap,
) -> Result<Option<Caller>, Wrong> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let caller = if let Some(token) = headers.get("x-auth-token") {
        api::by_token(house, guest, &text(token))?
    } else if let Some(given) = headers.get(header::AUTHORIZATION) {
        let given = text(given);
        let (scheme, rest) = given.split_once(' ').unwrap_or((&given, ""));
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(nobody());
        }
        api::by_basic(house, guest, rest.trim()).await?
    } else {
        return Ok(None);
    };
    guest.slot.signed_in();
    Ok(Some(caller))
}

/// Has this person the privilege, and a password of their own? With the one of first boot they may only change it.
async fn permit(
    house: &House,
    caller: &Caller,
    verb: &Verb,
    path: &str,
    method: &Method,
) -> Result<(), Wrong> {
    if verb.need != Need::Nothing && !table::privileges(caller.person.role).contains(&verb.need) {
        return Err(Wrong::forbidden());
    }
    let own = uri::at(&["AccountService", "Accounts", &caller.person.name]);
    let leaving = *method == Method::DELETE && path.starts_with(&uri::at(&["SessionService"]));
    let below = path.strip_prefix(&own);
    let changing =
        below.is_some_and(|rest| matches!(rest, "" | "/") || rest.starts_with("/Actions/"));
    if verb.need == Need::Nothing || leaving || changing {
        return Ok(());
    }
    if api::must_change(house, &caller.person).await {
        return Err(Wrong::new(
            StatusCode::FORBIDDEN,
            "PasswordChangeRequired",
            &[&own],
        ));
    }
    Ok(())
}

/// A GET or HEAD.
async fn show(
    call: &Call,
    resource: &'static Resource,
    verb: &Verb,
    headers: &HeaderMap,
) -> Result<Response, Wrong> {
    let value = match run(call, verb).await? {
        Answer::Shown(value) => finish(call, resource, value),
        Answer::Raw(mut response) => {
            put(&mut response, header::ALLOW, &resource.allow());
            return Ok(response);
        }
        Answer::Accepted(task) => return accepted(call, task).await,
        Answer::Done(_) | Answer::Created { .. } | Answer::Begun(_) => {
            return Err(Wrong::internal("a GET that made something"));
        }
    };
    let (resource, mut value) = if call.query.only {
        only(call, resource, value).await?
    } else {
        (resource, value)
    };
    let tag = tag_of(&value);
    if let Some(known) = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        && etag::names(known, &tag)
    {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        put(&mut response, header::ETAG, &tag);
        return Ok(response);
    }
    if resource.is_collection() {
        call.query.page(&mut value);
    }
    if let Some(expand) = call.query.expand {
        expand_links(call, expand, &mut value).await;
    }
    let value = call.query.select(value);
    Ok(body(StatusCode::OK, resource, &value, &tag))
}

/// The one member of a collection, where there is one.
async fn only(
    call: &Call,
    resource: &'static Resource,
    value: Value,
) -> Result<(&'static Resource, Value), Wrong> {
    let member = match value["Members"].as_array().map(Vec::as_slice) {
        Some([one]) => one["@odata.id"].as_str().map(str::to_owned),
        _ => None,
    };
    let below = member
        .as_deref()
        .and_then(|path| path.strip_prefix(uri::ROOT));
    let Some((member, (found, _))) = member.as_deref().zip(below.and_then(table::find)) else {
        return Ok((resource, value));
    };
    Ok((found, read(call, member).await?))
}

/// Anything but a GET.
async fn change(
    mut call: Call,
    resource: &'static Resource,
    verb: &'static Verb,
    headers: &HeaderMap,
    bytes: &Bytes,
) -> Result<Response, Wrong> {
    let house = call.house.clone();
    let mut _turn = None;
    if let Some(wanted) = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok()) {
        _turn = house.redfish.turn(&call.path).await;
        let now = read(&call, &call.path).await?;
        let tag = now["@odata.etag"].as_str().unwrap_or_default();
        if !etag::names(wanted, tag) {
            let status = StatusCode::PRECONDITION_FAILED;
            return Err(Wrong::new(status, "PreconditionFailed", &[]));
        }
    }
    if verb.method != "DELETE" {
        let mut fields = object(bytes)?;
        // Annotations of a body that was read before are nothing to change.
        fields.retain(|name, _| !name.starts_with("@odata."));
        call.body = Arc::new(fields);
        if verb.method == "PATCH" && call.body.is_empty() {
            return Err(Wrong::bad("NoOperation", &[]));
        }
    }
    let is_action = verb.method == "POST" && resource.kind.is_empty();
    let answer = if is_action {
        later::run(&call, verb, Patience::of(headers)).await?
    } else {
        run(&call, verb).await?
    };
    let mut response = match answer {
        Answer::Accepted(task) => accepted(&call, task).await?,
        Answer::Created {
            location,
            headers,
            messages,
        } => {
            let mut value = read(&call, &location).await?;
            let tag = tag_of(&value);
            annotate(&mut value, &messages);
            let (made, _) = location
                .strip_prefix(uri::ROOT)
                .and_then(table::find)
                .ok_or_else(|| Wrong::internal("what was made is nowhere"))?;
            let mut response = body(StatusCode::CREATED, made, &value, &tag);
            put(&mut response, header::LOCATION, &location);
            for (name, text) in headers {
                if let Ok(text) = HeaderValue::from_str(&text) {
                    response.headers_mut().insert(name, text);
                }
            }
            response
        }
        Answer::Done(messages) if verb.method == "PATCH" => {
            let mut value = read(&call, &call.path).await?;
            let tag = tag_of(&value);
            annotate(&mut value, &messages);
            body(StatusCode::OK, resource, &value, &tag)
        }
        Answer::Done(_) | Answer::Begun(_) => StatusCode::NO_CONTENT.into_response(),
        Answer::Shown(value) => (StatusCode::OK, Json(value)).into_response(),
        Answer::Raw(response) => response,
    };
    put(&mut response, header::ALLOW, &resource.allow());
    Ok(response)
}

fn annotate(value: &mut Value, messages: &[Message]) {
    if !messages.is_empty() {
        let messages: Vec<Value> = messages.iter().map(Message::value).collect();
        value["@Message.ExtendedInfo"] = messages.into();
    }
}

/// The body as an object; an action without parameters may have none at all.
fn object(bytes: &Bytes) -> Result<Map<String, Value>, Wrong> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Wrong::bad("UnrecognizedRequestBody", &[])),
        Err(_) => Err(Wrong::bad("MalformedJSON", &[])),
    }
}

/// A task goes on with it: what stands in the task, and where its end will be.
async fn accepted(call: &Call, task: u64) -> Result<Response, Wrong> {
    let place = task::address(task);
    let value = read(call, &place).await?;
    let found = place.strip_prefix(uri::ROOT).and_then(table::find);
    let (resource, _) = found.ok_or_else(|| Wrong::missing(&place))?;
    let mut response = body(StatusCode::ACCEPTED, resource, &value, &tag_of(&value));
    put(
        &mut response,
        header::LOCATION,
        &task_monitor::address(task),
    );
    put(&mut response, header::RETRY_AFTER, task_monitor::RETRY);
    Ok(response)
}

pub(super) async fn run(call: &Call, verb: &Verb) -> Result<Answer, Wrong> {
    match verb.handler {
        Handler::Show(show) => show(call).map(Answer::Shown),
        Handler::Ask(ask) => ask(call).await,
    }
}

/// The resource of this address as the caller sees it, with all that identifies it.
fn read<'a>(call: &'a Call, path: &'a str) -> BoxFuture<'a, Result<Value, Wrong>> {
    Box::pin(async move {
        let found = path.strip_prefix(uri::ROOT).and_then(table::find);
        let (resource, ids) = found.ok_or_else(|| Wrong::missing(path))?;
        let verb = resource.verb(&Method::GET);
        let verb = verb.ok_or_else(|| Wrong::not_allowed(resource.allow()))?;
        // What has just been done is in the state already.
        let state = if path == call.path {
            Arc::new(call.look()?)
        } else {
            call.state.clone()
        };
        let inner = Call {
            path: path.to_owned(),
            ids,
            state,
            query: Arc::default(),
            body: Arc::default(),
            ..call.clone()
        };
        match run(&inner, verb).await? {
            Answer::Shown(value) => Ok(finish(&inner, resource, value)),
            _ => Err(Wrong::missing(path)),
        }
    })
}

/// Puts what identifies it on a resource.
fn finish(call: &Call, resource: &Resource, mut value: Value) -> Value {
    if resource.kind.is_empty() {
        return value;
    }
    let path = if resource.pattern.is_empty() {
        format!("{}/", uri::ROOT)
    } else {
        call.path.clone()
    };
    value["@odata.id"] = path.trim_end_matches("/Members").into();
    value["@odata.type"] = format!("#{}", resource.kind).into();
    let tag = etag::of(&value);
    if let Value::Object(fields) = &mut value {
        fields.remove(SEED);
    }
    value["@odata.etag"] = tag.into();
    value
}

/// The ETag that [`finish`] gave it.
fn tag_of(value: &Value) -> String {
    let tag = value["@odata.etag"].as_str();
    tag.map_or_else(|| etag::of(value), str::to_owned)
}

/// Puts resources in the place of references, one level deep. What cannot be read stays a reference.
async fn expand_links(call: &Call, expand: Expand, value: &mut Value) {
    let mut paths = Vec::new();
    references(value, expand, false, true, &mut |one| {
        if let Some(path) = one["@odata.id"].as_str() {
            paths.push(path.to_owned());
        }
    });
    let mut reads = Vec::with_capacity(paths.len());
    for path in &paths {
        reads.push(read(call, path));
    }
    let found: Vec<_> = futures::stream::iter(reads)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut found = found.into_iter();
    references(value, expand, false, true, &mut |one| {
        if let Some(Ok(whole)) = found.next() {
            *one = whole;
        }
    });
}

/// Calls for each reference that `$expand` follows, in a fixed order.
fn references(
    value: &mut Value,
    expand: Expand,
    inside: bool,
    top: bool,
    each: &mut impl FnMut(&mut Value),
) {
    match value {
        Value::Object(fields) => {
            let path = fields.get("@odata.id").and_then(Value::as_str);
            let followed =
                path.is_some_and(|path| path.starts_with(uri::ROOT) && !path.contains('#'));
            if !top && fields.len() == 1 && followed {
                if if inside {
                    expand.linked
                } else {
                    expand.subordinate
                } {
                    each(value);
                }
                return;
            }
            for (name, value) in fields {
                references(value, expand, inside || name == "Links", false, each);
            }
        }
        Value::Array(values) => {
            for value in values {
                references(value, expand, inside, false, each);
            }
        }
        _ => {}
    }
}

fn body(status: StatusCode, resource: &Resource, value: &Value, tag: &str) -> Response {
    let mut response = (status, Json(value)).into_response();
    put(&mut response, header::ALLOW, &resource.allow());
    if !resource.kind.is_empty() {
        put(&mut response, header::ETAG, tag);
        let schema = resource.schema();
        let link = format!("<https://redfish.dmtf.org/schemas/v1/{schema}.json>; rel=describedby");
        put(&mut response, header::LINK, &link);
    }
    response
}

fn put(response: &mut Response, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}
