//! What one address says of itself at one port, before anybody signs in: version, realm, key. Pins nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::tcp;
use crate::tls::{judged, key_pin, shake_legacy};

const CONNECT: Duration = Duration::from_millis(400);
/// For the first words of a device that took the connection, and for a handshake besides: old engines are slow at it.
const WORDS: Duration = Duration::from_millis(1500);
const HANDS: Duration = Duration::from_millis(4000);
const HEAD: usize = 4096;

/// What one port says of its device before anybody signs in.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Empty when it does not say.
    pub(super) version: String,
    /// As [`Found::realm`].
    pub(super) realm: String,
    /// As [`Found::key`].
    pub(super) key: String,
    /// As [`Found::legacy`].
    pub(super) legacy: bool,
}

/// `None` where nobody answers as AMT does. A device behind TLS that nobody here speaks with is one that says nothing.
pub(super) async fn knock(lan: &str, target: SocketAddr, tls: bool) -> Option<Words> {
    let stream = open(lan, target).await?;
    if !tls {
        return timeout(WORDS, talk(stream, target)).await.ok()?;
    }
    let modern = timeout(HANDS, modern(stream, target)).await.ok().flatten();
    let (words, legacy) = match modern {
        Some(words) => (Some(words), false),
        None => {
            let stream = open(lan, target).await?;
            let old = timeout(HANDS, old(stream, target)).await;
            (old.ok().flatten(), true)
        }
    };
    let silent = || Words {
        legacy,
        ..Words::default()
    };
    let words = words.map(|words| Words { legacy, ..words });
    Some(words.unwrap_or_else(silent))
}

async fn open(lan: &str, target: SocketAddr) -> Option<TcpStream> {
    let opened = timeout(CONNECT, tcp::connect(lan, target)).await;
    opened.ok()?.ok()
}

/// By today's TLS. Every key is taken: nothing is told to who shows it.
async fn modern(stream: TcpStream, target: SocketAddr) -> Option<Words> {
    let seen = Arc::new(Mutex::new(None));
    let shown = seen.clone();
    let judge = move |certificate: &[u8]| {
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = key_pin(certificate);
        true
    };
    let connector = TlsConnector::from(Arc::new(judged(judge).ok()?));
    let name = ServerName::IpAddress(target.ip().into());
    let stream = connector.connect(name, stream).await.ok()?;
    let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    spoken(talk(stream, target).await, key)
}

/// By the TLS of old firmware.
async fn old(stream: TcpStream, target: SocketAddr) -> Option<Words> {
    let (stream, certificate) = shake_legacy(stream).await.ok()?;
    spoken(talk(stream, target).await, key_pin(&certificate))
}

/// With the key that was shown, whatever was said.
#[allow(clippy::unnecessary_wraps, reason = "as its callers give it")]
fn spoken(words: Option<Words>, key: Option<String>) -> Option<Words> {
    let key = key.unwrap_or_default();
    Some(Words {
        key,
        ..words.unwrap_or_default()
    })
}

/// Asks for its page, which names it, and for what needs a sign-in, which names its realm.
async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    target: SocketAddr,
) -> Option<Words> {
    let page = ask(
        &mut stream,
        &format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"),
    )
    .await?;
    let version = version(&page)?;
    let asking = format!("POST /wsman HTTP/1.1\r\nHost: {target}\r\nContent-Length: 0\r\n\r\n");
    let refused = ask(&mut stream, &asking).await;
    Some(Words {
        version,
        realm: refused.and_then(|head| realm(&head)).unwrap_or_default(),
        ..Words::default()
    })
}

/// The head of the answer; its body is read away.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> Option<String> {
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut bytes = Vec::new();
    let mut some = stream.take(u64::try_from(HEAD).unwrap_or_default());
    let end = loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 4;
        }
        if some.read_buf(&mut bytes).await.ok()? == 0 {
            break bytes.len();
        }
    };
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let length = field(&head, "content-length").and_then(|length| length.parse().ok());
    let whole = end + length.unwrap_or(0_usize).min(HEAD);
    while bytes.len() < whole {
        if some.read_buf(&mut bytes).await.ok()? == 0 {
            break;
        }
    }
    Some(head)
}

fn field<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then_some(value.trim())
    })
}

/// The digits of a realm such as `Digest:34BF…E046`, of a refusal.
fn realm(head: &str) -> Option<String> {
    let challenge = field(head, "www-authenticate")?;
    let (_, rest) = challenge.split_once("realm=\"Digest:")?;
    let digits = rest.split('"').next()?;
    let is_one = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| digits.to_ascii_lowercase())
}

/// From the head of a page of its own; of another server `None`.
fn version(head: &str) -> Option<String> {
    let server = field(head, "server")?;
    let makes = [
        "Intel(R) Active Management Technology",
        "Intel(R) Standard Manageability",
    ];
    let rest = makes.iter().find_map(|make| server.strip_prefix(make))?;
    let version = rest.trim().chars().take(32);
    Some(
        version
            .filter(|c| c.is_ascii_digit() || *c == '.')
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart() {
        let of = |server: &str| {
            version(&format!(
                "HTTP/1.1 303 See Other\r\nServer: {server}\r\n\r\n"
            ))
        };
        let amt = "Intel(R) Active Management Technology";
        assert_eq!(
            of(&format!("{amt} 15.0.23.1706")).as_deref(),
            Some("15.0.23.1706")
        );
        assert_eq!(of(amt).as_deref(), Some(""));
        assert_eq!(
            of("Intel(R) Standard Manageability 9.1.34").as_deref(),
            Some("9.1.34")
        );
        assert_eq!(of("nginx"), None);
        let refusal = |realm: &str| {
            let head = format!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"{realm}\", nonce=\"x\"\r\n\r\n"
            );
            super::realm(&head)
        };
        let digits = "34BF0D8A5C6E4F3A9B1C2D3E4F5AE046";
        assert_eq!(
            refusal(&format!("Digest:{digits}")),
            Some(digits.to_ascii_lowercase())
        );
        for other in [
            "Digest:34BF",
            "router",
            "Digest:",
            "34BF0D8A5C6E4F3A9B1C2D3E4F5AE046",
        ] {
            assert_eq!(refusal(other), None, "{other}");
        }
        assert_eq!(version(""), None);
    }
}
