//! What holds for every request and every answer: the Origin of browsers, the time a request may take, headers.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::answer::Fault;

/// Longest a request may take to its first byte of answer, slow bodies included: an owner has 20 s, a password that
/// waits for its turn to be hashed 20 s more.
const ANSWER_LIMIT: Duration = Duration::from_secs(50);

/// No HSTS: it would take the button "proceed anyway" from an operator when the certificate is out of date or was made
/// anew, in the hour the board is needed; and there is no HTTP door that a browser could fall back to.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Wraps every handler.
pub(super) async fn wrap(request: Request, next: Next) -> Response {
    let answer = if let Err(fault) = check_origin(request.method(), request.headers()) {
        fault.into_response()
    } else {
        timeout(ANSWER_LIMIT, next.run(request))
            .await
            .unwrap_or_else(|_| {
                Fault::new(StatusCode::REQUEST_TIMEOUT, "this took too long").into_response()
            })
    };
    with_headers(answer)
}

fn with_headers(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// A page of another site may neither change anything here nor open a WebSocket, whatever the browser would add.
fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
    if !changes(method, headers) || !headers.contains_key(header::ORIGIN) || is_own(headers) {
        return Ok(());
    }
    Err(Fault::forbidden(
        "the Origin of this request is another site",
    ))
}

/// Does this request do more than look?
pub(super) fn changes(method: &Method, headers: &HeaderMap) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || headers.contains_key(header::UPGRADE)
}

/// Does a browser say that the page it acts for came from this very door?
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let only = values.next().and_then(|value| value.to_str().ok());
        only.filter(|_| values.next().is_none())
    };
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin
            .strip_prefix("https://")
            .is_some_and(|site| without_port(site) == without_port(host)),
        _ => false,
    }
}

/// A browser leaves the standard port out, a client may write it.
fn without_port(host: &str) -> String {
    host.strip_suffix(":443").unwrap_or(host).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, lines: &[(HeaderName, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        check_origin(&method, &headers).is_ok()
    }

    #[test]
    fn only_the_own_page_and_programs_change_anything() {
        let (origin, host, upgrade) = (header::ORIGIN, header::HOST, header::UPGRADE);
        let (here, evil) = ("https://rack7", "https://evil.example");
        assert!(check(Method::POST, &[(host.clone(), "rack7")]));
        for (from, to, good) in [
            (here, "rack7", true),
            (here, "RACK7:443", true),
            (here, "rack7:8443", false),
            ("https://rack7:8443", "rack7:8443", true),
            ("https://[fe80::1]:8443", "[fe80::1]:8443", true),
            ("http://rack7", "rack7", false),
            (evil, "rack7", false),
            ("null", "rack7", false),
            ("https://rack7.evil.example", "rack7", false),
        ] {
            let lines = [(origin.clone(), from), (host.clone(), to)];
            assert_eq!(check(Method::POST, &lines), good, "{from} to {to}");
            assert_eq!(check(Method::DELETE, &lines), good);
            assert!(check(Method::GET, &lines), "looking is CORS's business");
            let socket = [
                lines[0].clone(),
                lines[1].clone(),
                (upgrade.clone(), "websocket"),
            ];
            assert_eq!(check(Method::GET, &socket), good, "{from} to {to}");
        }
        assert!(!check(Method::POST, &[(origin.clone(), here)]));
        let twice = [(origin.clone(), here), (origin, evil), (host, "rack7")];
        assert!(!check(Method::POST, &twice));
    }
}
