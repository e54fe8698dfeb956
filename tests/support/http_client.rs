//! The HTTP client alone, for `tests/net`: reads one JSON object from stdin, asks, and prints a JSON line per request.
//!
//! ```text
//! {"url": "https://127.0.0.1:8443", "state": "DIR", "pin": null, "keep": false, "ask": ["/", "/x"],
//!  "legacy_tls": false, "login": {"scheme": "digest", "user": "admin", "password": "…"}}
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program: what fails shall end it"
)]

use std::path::Path;

use oobd::http::{Client, Error, Legacy, Login, Request, Scheme, Trust, Url};
use oobd::pin::Pins;
use serde_json::{Value, json};

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Unreached { .. } => "unreached",
        Error::Distrusted { .. } => "distrusted",
        Error::Late { .. } => "late",
        Error::Lost { .. } => "lost",
        Error::Garbled { .. } => "garbled",
        Error::TooLong { .. } => "too long",
        Error::Astray { .. } => "astray",
        _ => "other",
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given: Value = serde_json::from_reader(std::io::stdin()).unwrap();
    let trust = Trust {
        pins: Pins::new(Path::new(given["state"].as_str().unwrap())),
        pin: given["pin"].as_str().map(str::to_owned),
        legacy: Legacy::asked(given["legacy_tls"] == true),
    };
    let base = Url::parse(given["url"].as_str().unwrap()).unwrap();
    let mut client = Client::new(base, "lo", trust);
    if given["keep"] == true {
        client = client.keep_alive();
    }
    if let Some(user) = given["login"]["user"].as_str() {
        let scheme = match given["login"]["scheme"].as_str() {
            Some("digest") => Scheme::Digest,
            _ => Scheme::Basic,
        };
        let password = given["login"]["password"].as_str().unwrap();
        client = client.login(Login::new(scheme, user, password));
    }
    for path in given["ask"].as_array().unwrap() {
        let said = match client.send(&Request::get(path.as_str().unwrap())).await {
            Ok(reply) => json!({
                "status": reply.status.as_u16(),
                "length": reply.body.len(),
                "text": reply.said(),
            }),
            Err(error) => json!({ "error": kind(&error), "said": error.to_string() }),
        };
        let mut said = said;
        if let Some(pinned) = client.take_pinned() {
            said["pinned"] = json!(pinned.fingerprint);
        }
        println!("{said}");
    }
}
