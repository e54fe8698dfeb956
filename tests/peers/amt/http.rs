//! HTTP as the firmware speaks it: digest with nonces of its own, 401 that ends the connection, chunked replies; and all the
//! ways to misbehave that a test orders.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::identity;
use crate::{Machine, Shared, lock, tell};

/// Another one for each address, unless the test gives one: a device has one at all its addresses.
pub fn realm(machine: &Machine) -> String {
    match machine.text("realm") {
        "" => {
            let address: Option<std::net::Ipv4Addr> = machine.text("listen").parse().ok();
            let bits = address.map_or(0x4F5A_E046, u32::from);
            format!("Digest:34BF0D8A5C6E4F3A9B1C2D3E{bits:08X}")
        }
        given => format!("Digest:{given}"),
    }
}

const SERVER: &str = "Intel(R) Active Management Technology";
/// Bytes of a head, and of a body.
const HEAD: usize = 16 * 1024;
const BODY: usize = 1 << 20;

/// What the HTTP half remembers and how it misbehaves.
#[derive(Debug, Default)]
pub struct Web {
    /// Each nonce that was given out, and the last count that it was used with.
    nonces: HashMap<String, u32>,
    /// Write every reply byte for byte.
    pub split: bool,
    /// Take nobody's password.
    pub refuse: bool,
    /// What the next call of this class or method meets.
    pub trap: Option<(String, Trick)>,
    /// The call that is being answered met it.
    pub sprung: Option<Trick>,
}

impl Web {
    /// Notes that this call met the trap, if it is the one.
    pub fn spring(&mut self, class: &str, method: &str) {
        if self
            .trap
            .as_ref()
            .is_some_and(|(whom, _)| whom == class || whom == method)
        {
            self.sprung = self.trap.take().map(|(_, trick)| trick);
        }
    }
}

/// How one reply goes wrong. The call is carried out.
#[derive(Debug)]
pub enum Trick {
    /// It comes after so long.
    Sleep(Duration),
    /// It never comes.
    Mute,
    /// It is this instead, as it is.
    Raw(String),
}

/// The answer to one WS-Man request: status and body.
pub type Answer = (u16, String);

/// Opens the ports that the test wants.
pub fn start(machine: &Shared, answer: fn(&Shared, &str, &str) -> Answer) {
    let (address, plain, tls) = {
        let machine = lock(machine);
        let of = |key: &str, usual: bool| machine.given[key].as_bool().unwrap_or(usual);
        (
            machine.text("listen").to_owned(),
            of("plain", machine.profile.plain),
            of("tls", false),
        )
    };
    if plain {
        let listener = TcpListener::bind((address.as_str(), 16992)).unwrap();
        let machine = machine.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let machine = machine.clone();
                thread::spawn(move || serve(&machine, stream, answer));
            }
        });
    }
    if tls {
        let listener = TcpListener::bind((address.as_str(), 16993)).unwrap();
        let machine = machine.clone();
        let config = identity::server(&address, lock(&machine).profile.tls);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (machine, config) = (machine.clone(), config.clone());
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    if let Some(wire) = identity::wrap(&config, stream) {
                        serve(&machine, wire, answer);
                    }
                });
            }
        });
    }
}

struct Asked {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
    /// All of it came with the first read.
    whole: bool,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }
}

fn serve(
    machine: &Shared,
    mut stream: impl Read + Write,
    answer: fn(&Shared, &str, &str) -> Answer,
) {
    while let Some(asked) = read(&mut stream) {
        if !one(machine, &mut stream, &asked, answer) {
            let _ = stream.flush();
            return;
        }
    }
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut reads = 0;
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut more = [0; 65536];
        let got = stream.read(&mut more).ok().filter(|got| *got > 0)?;
        reads += 1;
        bytes.extend_from_slice(&more[..got]);
        if bytes.len() > HEAD + BODY {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let mut asked = Asked {
        line,
        headers,
        body: String::new(),
        whole: false,
    };
    let length: usize = asked.header("content-length").parse().unwrap_or(0);
    let mut body = bytes.split_off(head);
    while body.len() < length.min(BODY) {
        let mut more = [0; 65536];
        let got = stream.read(&mut more).ok().filter(|got| *got > 0)?;
        reads += 1;
        body.extend_from_slice(&more[..got]);
    }
    asked.body = String::from_utf8(body).ok()?;
    asked.whole = reads == 1;
    Some(asked)
}

/// Answers one request; may the connection go on?
fn one(
    machine: &Shared,
    stream: &mut (impl Read + Write),
    asked: &Asked,
    answer: fn(&Shared, &str, &str) -> Answer,
) -> bool {
    let version = lock(machine).version().to_owned();
    let server = format!("{SERVER} {version}");
    if asked.line.starts_with("GET / ") {
        let text = format!(
            "HTTP/1.1 303 See Other\r\nLocation: /logon.htm\r\nContent-Length: 0\r\nServer: {}\r\n\r\n",
            server.trim_end()
        );
        return stream.write_all(text.as_bytes()).is_ok();
    }
    let allowed = authorised(&mut lock(machine), asked);
    let known = allowed.is_ok();
    tell(
        &json!({ "asked": asked.line, "let_in": known, "count": allowed.unwrap_or(0), "whole": asked.whole }),
    );
    let reply = if known {
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        let (status, body) = answer(machine, path, &asked.body);
        chunked(status, &server, &body)
    } else {
        challenge(&mut lock(machine), &server)
    };
    let (trick, split) = {
        let web = &mut lock(machine).web;
        (web.sprung.take().filter(|_| known), web.split)
    };
    match trick {
        Some(Trick::Sleep(time)) => thread::sleep(time),
        Some(Trick::Mute) => return false,
        Some(Trick::Raw(raw)) => {
            let _ = stream.write_all(raw.as_bytes());
            return false;
        }
        None => {}
    }
    let sent = if split {
        reply.bytes().all(|byte| {
            stream
                .write_all(&[byte])
                .and_then(|()| stream.flush())
                .is_ok()
        })
    } else {
        stream.write_all(reply.as_bytes()).is_ok()
    };
    sent && known
        && stream.flush().is_ok()
        && !asked.header("connection").eq_ignore_ascii_case("close")
}

fn chunked(status: u16, server: &str, body: &str) -> String {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        _ => "Internal Server Error",
    };
    let mut out = format!(
        "HTTP/1.1 {status} {reason}\r\nDate: Thu, 1 Jan 1970 00:00:09 GMT\r\nServer: {server}\r\nX-Frame-Options: DENY\r\n\
         Content-Type: application/soap+xml; charset=UTF-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut rest = body;
    while !rest.is_empty() {
        let mut end = rest.len().min(0x0400);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (chunk, after) = rest.split_at(end);
        out += &format!("{:04X}\r\n{chunk}\r\n", chunk.len());
        rest = after;
    }
    out + "0\r\n\r\n"
}

fn challenge(machine: &mut Machine, server: &str) -> String {
    let nonce = format!("bQali2IAAAAAAAAA{:016x}", rand::random::<u64>());
    machine.web.nonces.insert(nonce.clone(), 0);
    let realm = realm(machine);
    let page = "<HTML><HEAD><TITLE>401 Unauthorized</TITLE></HEAD><BODY><H1>Unauthorized</H1></BODY></HTML>\r\n";
    format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\",stale=\"false\",\
         qop=\"auth\"\r\nContent-Type: text/html\r\nServer: {server}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

/// The count of the nonce, if the answer to our challenge is right (RFC 2617 §3.2.2).
fn authorised(machine: &mut Machine, asked: &Asked) -> Result<u32, &'static str> {
    let header = asked.header("authorization");
    let given = header.strip_prefix("Digest ").ok_or("nothing")?;
    let parts = parts(given);
    let get = |key: &str| parts.get(key).map_or("", String::as_str);
    let (user, password) = (
        machine.text("user").to_owned(),
        machine.text("password").to_owned(),
    );
    let count = u32::from_str_radix(get("nc"), 16).map_err(|_| "no count")?;
    let path = asked.line.split(' ').nth(1).unwrap_or_default();
    let realm = realm(machine);
    if get("realm") != realm
        || get("uri") != path
        || get("nc").len() != 8
        || get("username") != user
    {
        return Err("another realm, path or user");
    }
    let hash = |text: String| format!("{:x}", md5::compute(text));
    let secret = hash(format!("{user}:{realm}:{password}"));
    let method = asked.line.split(' ').next().unwrap_or_default();
    let request = hash(format!("{method}:{path}"));
    let (nonce, cnonce) = (get("nonce"), get("cnonce"));
    let right = hash(format!(
        "{secret}:{nonce}:{}:{cnonce}:auth:{request}",
        get("nc")
    ));
    let last = machine.web.nonces.get_mut(nonce).ok_or("an old nonce")?;
    if get("response") != right || machine.web.refuse {
        tell(&json!({ "wrong_password": user }));
        return Err("a wrong password");
    }
    if count <= *last {
        return Err("a count that was used");
    }
    *last = count;
    Ok(count)
}

fn parts(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(inner) => inner.split_once('"').unwrap_or((inner, "")),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        found.insert(key.trim().to_owned(), value.trim().to_owned());
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

/// Orders about HTTP.
pub fn order(machine: &Shared, words: &[&str]) -> bool {
    let web = &mut lock(machine).web;
    match words {
        ["split", how] => web.split = *how == "on",
        ["refuse", how] => web.refuse = *how == "on",
        ["forget"] => web.nonces.clear(),
        [word @ ("sleep" | "mute" | "raw"), rest] => {
            let (whom, how) = rest.split_once(' ').unwrap_or((rest, ""));
            let trick = match *word {
                "sleep" => Trick::Sleep(Duration::from_millis(how.parse().unwrap())),
                "mute" => Trick::Mute,
                _ => Trick::Raw(
                    serde_json::from_str::<Value>(how)
                        .unwrap()
                        .as_str()
                        .unwrap()
                        .to_owned(),
                ),
            };
            web.trap = Some((whom.to_owned(), trick));
        }
        _ => return false,
    }
    true
}
