//! The client against servers that misbehave: one script per connection, over real sockets on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::sign::SingleCertAndKey;

use super::*;
use crate::pin::Pins;
use crate::tls::{Identity, make, provider};

/// What a server does with the request of this number: the bytes of its reply. An empty one is silence.
type Script = Arc<dyn Fn(usize, &str) -> Vec<u8> + Send + Sync>;

struct Server {
    address: SocketAddr,
    /// Requests as they came, and how many connections there were.
    asked: Arc<Mutex<(Vec<String>, usize)>>,
    state: tempfile::TempDir,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Whole,
    ByteByByte,
}

async fn server(
    way: Way,
    identity: Option<Identity>,
    script: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        address: listener.local_addr().unwrap(),
        asked: Arc::default(),
        state: tempfile::tempdir().unwrap(),
    };
    let (asked, script): (_, Script) = (server.asked.clone(), Arc::new(script));
    let acceptor = identity.map(|identity| {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
        TlsAcceptor::from(Arc::new(config))
    });
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            asked.lock().unwrap().1 += 1;
            let (asked, script, acceptor) = (asked.clone(), script.clone(), acceptor.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => talk(stream, way, asked, script).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            talk(stream, way, asked, script).await;
                        }
                    }
                }
            });
        }
    });
    server
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    way: Way,
    asked: Arc<Mutex<(Vec<String>, usize)>>,
    script: Script,
) {
    while let Some(request) = read(&mut stream).await {
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.0.push(request.clone());
            asked.0.len() - 1
        };
        let reply = script(number, &request);
        if reply.is_empty() {
            std::future::pending::<()>().await;
        }
        let step = if way == Way::Whole { reply.len() } else { 1 };
        for piece in reply.chunks(step) {
            if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        if !request.contains("X-Keep") {
            // Without the goodbye of TLS, as many controllers end.
            return;
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        bytes.push(stream.read_u8().await.ok()?);
    }
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into()
}

impl Server {
    fn client(&self, scheme: &str) -> Client {
        let base = Url::parse(&format!("{scheme}://{}", self.address)).unwrap();
        let trust = Trust {
            pins: Pins::new(self.state.path()),
            pin: None,
            legacy: Legacy::Never,
        };
        Client::new(base, "none0", trust)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().0.clone()
    }

    fn connections(&self) -> usize {
        self.asked.lock().unwrap().1
    }
}

async fn get(client: &mut Client, path: &str) -> Result<Reply, Error> {
    client.send(&Request::get(path)).await
}

#[tokio::test]
async fn a_request_says_what_it_should() {
    let server = server(Way::Whole, None, |_, _| ok("{\"a\": [1]}")).await;
    let mut client = server
        .client("http")
        .login(Login::new(Scheme::Basic, "root", "calvin"));
    let request = Request::new(Method::POST, "/a?b=c")
        .header("X-Auth-Token", "t")
        .json(&json!({"x": 1}));
    let reply = client.send(&request).await.unwrap().accept().unwrap();
    assert_eq!(reply.json().unwrap(), json!({"a": [1]}));
    let asked = server.asked().remove(0);
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"x\":1}");
    let host = format!("Host: {}", server.address);
    for line in [
        "POST /a?b=c HTTP/1.1",
        &host,
        "Connection: close",
        "Authorization: Basic cm9vdDpjYWx2aW4=",
        "X-Auth-Token: t",
        "Content-Type: application/json",
        "Content-Length: 7",
    ] {
        assert!(head.lines().any(|had| had == line), "{line}: {head}");
    }
    let request = Request::get("/").anonymous();
    client.send(&request).await.unwrap();
    assert!(!server.asked()[1].contains("Authorization"));
    let bad = Request::get("/").header("x", "a\r\nb");
    let error = client.send(&bad).await.unwrap_err();
    assert!(matches!(error, Error::Unsendable { .. }), "{error}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn replies_in_single_bytes_are_whole() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nT: x\r\n\r\n",
        "HTTP/1.0 200 OK\r\nX : y\r\n\r\nhello",
    ] {
        for identity in [None, Some(make("bmc", &[]).unwrap())] {
            let scheme = if identity.is_some() { "https" } else { "http" };
            let identity = identity.map(|pem| Identity::from_pem(&pem, &pem).unwrap());
            let server = server(Way::ByteByByte, identity, |_, _| reply.into()).await;
            let got = get(&mut server.client(scheme), "/").await.unwrap();
            assert_eq!(got.body, "hello", "{reply}");
        }
    }
}

#[tokio::test]
async fn hostile_replies_are_errors() {
    type Check = fn(&Error) -> bool;
    let long: Check = |error| matches!(error, Error::TooLong { .. });
    let garbled: Check = |error| matches!(error, Error::Garbled { .. });
    let lost: Check = |error| matches!(error, Error::Lost { .. });
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(20);
    for (reply, right) in [
        ("SSH-2.0-dropbear\r\n".to_owned(), garbled),
        ("\u{0}\u{1}\u{2}\r\n\r\n".to_owned(), garbled),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort".to_owned(),
            lost,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Le".to_owned(), lost),
        (
            format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
            long,
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(300)),
            long,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}",
                "x".repeat(70_000)
            ),
            long,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"),
            long,
        ),
        (format!("HTTP/1.0 200 OK\r\n\r\n{chunk}"), long),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            lost,
        ),
    ] {
        let name: String = reply.chars().take(60).collect();
        let bytes = reply.into_bytes();
        let server = server(Way::Whole, None, move |_, _| bytes.clone()).await;
        let limits = Limits {
            body: 64 * 1024,
            ..Limits::default()
        };
        let mut client = server.client("http").limits(limits);
        let got = get(&mut client, "/").await.map(|_| &name);
        let error = got.unwrap_err();
        assert!(right(&error), "{name:?}: {error:?}");
        assert!(error.maybe_done());
    }
}

#[tokio::test]
async fn silence_ends_with_the_limit_and_says_that_it_was_asked() {
    let server = server(Way::Whole, None, |_, _| Vec::new()).await;
    let request = Request::get("/").limit(Duration::from_secs(2));
    let error = server.client("http").send(&request).await.unwrap_err();
    assert!(matches!(error, Error::Late { sent: true, .. }), "{error}");
    assert!(error.maybe_done() && error.is_gone());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let trust = Trust {
        pins: Pins::new(server.state.path()),
        pin: None,
        legacy: Legacy::Never,
    };
    let mut client = Client::new(base, "none0", trust);
    let error = client.send(&request).await.unwrap_err();
    assert!(matches!(error, Error::Late { sent: false, .. }), "{error}");
    drop(listener);
    let error = client.send(&request).await.unwrap_err();
    assert!(error.to_string().ends_with(": connection refused"));
    assert!(!error.maybe_done() && error.is_gone());
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let moved = |status: u16, to: &str| -> Vec<u8> {
        format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into()
    };
    let server = server(Way::Whole, None, move |_, request| {
        let path = request.split(' ').nth(1).unwrap();
        match path {
            "/a" => moved(301, "b/c"),
            "/b/c" => moved(307, "/d?e"),
            "/d?e" => ok("here"),
            "/round" => moved(302, "/round"),
            "/away" => moved(302, "http://10.0.0.8/secret?token=1"),
            "/name" => moved(302, "http://bmc.example/"),
            _ => moved(308, "/d?e"),
        }
    })
    .await;
    let mut client = server.client("http");
    let reply = get(&mut client, "/a").await.unwrap();
    assert_eq!(
        (&reply.body[..], reply.url.target()),
        (&b"here"[..], "/d?e")
    );
    let before = server.asked().len();
    let error = get(&mut client, "/round").await.unwrap_err();
    assert!(matches!(error, Error::Astray { .. }), "{error}");
    assert_eq!(server.asked().len() - before, 4);
    for path in ["/away", "/name", "http://10.0.0.8/"] {
        let error = get(&mut client, path).await.unwrap_err();
        assert!(matches!(error, Error::Astray { .. }), "{error}");
        assert!(!error.to_string().contains("token"));
    }
    // What changes something is repeated only when the server says so.
    let post = |path| Request::new(Method::POST, path).body("text/plain", "x");
    let reply = client.send(&post("/a")).await.unwrap();
    assert_eq!(reply.status, 301);
    client
        .send(&post("/other"))
        .await
        .unwrap()
        .accept()
        .unwrap();
    assert!(server.asked().last().unwrap().ends_with("\r\n\r\nx"));
}

#[tokio::test]
async fn digest_challenges_are_answered_once_per_nonce() {
    let challenge = |nonce: &str, more: &str| -> Vec<u8> {
        let digest = format!(
            "Digest realm=\"shelly\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256{more}"
        );
        format!("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: {digest}\r\nContent-Length: 0\r\n\r\n").into()
    };
    let good = server(Way::Whole, None, move |number, request| match number {
        0 => challenge("one", ""),
        3 => challenge("two", ", stale=true"),
        _ => {
            assert!(request.contains("username=\"admin\""), "{request}");
            ok("")
        }
    })
    .await;
    let login = Login::new(Scheme::Digest, "admin", "hunter2");
    let mut client = good.client("http").login(login.clone());
    for _ in 0..3 {
        let reply = get(&mut client, "/rpc").await.unwrap();
        assert_eq!(reply.status, 200);
    }
    let asked = good.asked();
    assert_eq!(asked.len(), 5);
    assert!(!asked[0].contains("Authorization"));
    for (at, nonce, count) in [(1, "one", 1), (2, "one", 2), (3, "one", 3), (4, "two", 1)] {
        let part = format!("nonce=\"{nonce}\"");
        assert!(asked[at].contains(&part), "{}", asked[at]);
        assert!(asked[at].contains(&format!("nc=0000000{count}")));
    }
    assert!(asked.iter().all(|asked| !asked.contains("hunter2")));

    let wrong = server(Way::Whole, None, move |_, _| challenge("same", "")).await;
    let mut client = wrong.client("http").login(login);
    let error = get(&mut client, "/").await.unwrap().accept().unwrap_err();
    assert!(error.is_login(), "{error}");
    assert_eq!(wrong.asked().len(), 2);
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_replaced() {
    let server = server(Way::Whole, None, |_, _| ok("x")).await;
    let mut client = server.client("http").keep_alive();
    let kept = Request::get("/").header("X-Keep", "1");
    for _ in 0..3 {
        client.send(&kept).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    // The server ends it after this reply without having said so.
    get(&mut client, "/").await.unwrap();
    for _ in 0..2 {
        client.send(&kept).await.unwrap();
    }
    assert_eq!((server.connections(), server.asked().len()), (2, 6));
    client.close();
    client.send(&kept).await.unwrap();
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn keys_are_pinned_at_first_use_and_others_are_told_nothing() {
    let identity = || {
        let pem = make("bmc", &[]).unwrap();
        Identity::from_pem(&pem, &pem).unwrap()
    };
    let first = server(Way::Whole, Some(identity()), |_, _| ok("x")).await;
    let mut client = first.client("https");
    get(&mut client, "/").await.unwrap();
    let pinned = client.take_pinned().unwrap();
    assert_eq!(pinned.what, format!("tls {}", first.address));
    assert!(crate::tls::is_key_pin(&pinned.fingerprint));
    get(&mut client, "/").await.unwrap();
    assert_eq!(client.take_pinned(), None);

    // Another one at the same address: as far as the pins know.
    let pins = Pins::new(first.state.path());
    let other = server(Way::Whole, Some(identity()), |_, _| ok("x")).await;
    pins.set(&format!("tls {}", other.address), &pinned.fingerprint)
        .unwrap();
    let trust = Trust {
        pins,
        pin: None,
        legacy: Legacy::Never,
    };
    let base = Url::parse(&format!("https://{}", other.address)).unwrap();
    let mut client = Client::new(base.clone(), "none0", trust.clone());
    let error = get(&mut client, "/").await.unwrap_err();
    let Error::Distrusted {
        what,
        by_config: false,
        pinned: was,
        found,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*was, pinned.fingerprint);
    assert!(other.asked().is_empty() && !error.maybe_done() && !error.is_gone());
    // Trusted by hand.
    trust.pins.set(what, found).unwrap();
    get(&mut client, "/").await.unwrap();

    for (pin, right) in [(found.clone(), true), (pinned.fingerprint, false)] {
        let trust = Trust {
            pin: Some(pin),
            ..trust.clone()
        };
        let mut client = Client::new(base.clone(), "none0", trust);
        let got = get(&mut client, "/").await;
        assert_eq!(got.is_ok(), right, "{got:?}");
        if let Err(error) = got {
            assert!(error.to_string().ends_with("which the configuration says"));
        }
    }
    let plain = server(Way::Whole, None, |_, _| ok("x")).await;
    let mut client = plain.client("https").limits(Limits {
        connect: Duration::from_millis(500),
        ..Limits::default()
    });
    let error = get(&mut client, "/").await.unwrap_err();
    assert!(matches!(error, Error::Unreached { .. }), "{error:?}");
}
