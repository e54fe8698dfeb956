//! How a redirection session signs in: the list of methods, the digest with MD5, the plain password. Pure.
//!
//! Sources: kraxel/amtterm auth.c, Ylianst/MeshCommander amt-redir-ws-0.1.0.js. A digest as in RFC 2617 with texts that carry
//! their length before them; `POST:/RedirectionService` is what is asked for.

use super::message::{Message, kind};

/// The numbers of methods.
pub mod method {
    pub const LIST: u8 = 0;
    pub const PLAIN: u8 = 1;
    pub const DIGEST: u8 = 4;
}

const URI: &str = "/RedirectionService";
/// As both MeshCommander and amtterm count; firmware since 16.1.25 insists on eight digits (Ylianst/MeshCentral#4765).
const COUNT: &str = "00000002";

/// What a device wants to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub realm: Vec<u8>,
    pub nonce: Vec<u8>,
    pub qop: Vec<u8>,
}

fn auth(method: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&[kind::AUTH, 0, 0, 0, method], &length[..], data].concat()
}

/// Texts, each with its length before it; `None` when one is longer than a byte can say.
fn texts(texts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for text in texts {
        out.push(u8::try_from(text.len()).ok()?);
        out.extend_from_slice(text);
    }
    Some(out)
}

/// Asks for the list of methods.
#[must_use]
pub fn query() -> Vec<u8> {
    auth(method::LIST, &[])
}

/// The methods of an answer to [`query`].
#[must_use]
pub fn methods(reply: &Message) -> &[u8] {
    reply.rest(9)
}

/// Asks for a challenge; `None` for a user longer than 255 bytes.
#[must_use]
pub fn begin(user: &str) -> Option<Vec<u8>> {
    let none: &[u8] = &[];
    let data = texts(&[
        user.as_bytes(),
        none,
        none,
        URI.as_bytes(),
        none,
        none,
        none,
        none,
    ])?;
    Some(auth(method::DIGEST, &data))
}

/// The challenge of a reply; `None` when it is not whole.
#[must_use]
pub fn challenge(reply: &Message) -> Option<Challenge> {
    let mut rest = reply.rest(9);
    let mut next = || {
        let (&length, after) = rest.split_first()?;
        let (text, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        Some(text.to_vec())
    };
    Some(Challenge {
        realm: next()?,
        nonce: next()?,
        qop: next()?,
    })
}

fn hash(parts: &[&[u8]]) -> String {
    format!("{:x}", md5::compute(parts.join(&b":"[..])))
}

/// Answers a challenge; `cnonce` is random text of ours. `None` for a user longer than 255 bytes.
#[must_use]
pub fn answer(user: &str, password: &str, to: &Challenge, cnonce: &str) -> Option<Vec<u8>> {
    let Challenge { realm, nonce, qop } = to;
    let (user, count, cnonce) = (user.as_bytes(), COUNT.as_bytes(), cnonce.as_bytes());
    let secret = hash(&[user, realm, password.as_bytes()]);
    let asked = hash(&[b"POST", URI.as_bytes()]);
    let response = hash(&[
        secret.as_bytes(),
        nonce,
        count,
        cnonce,
        qop,
        asked.as_bytes(),
    ]);
    let uri = URI.as_bytes();
    let data = texts(&[
        user,
        realm,
        nonce,
        uri,
        cnonce,
        count,
        response.as_bytes(),
        qop,
    ])?;
    Some(auth(method::DIGEST, &data))
}

/// Shows the password. Firmware before 12 knows it (wsmancli#10). `None` when a text is longer than 255 bytes.
#[must_use]
pub fn plain(user: &str, password: &str) -> Option<Vec<u8>> {
    let data = texts(&[user.as_bytes(), password.as_bytes()])?;
    Some(auth(method::PLAIN, &data))
}
