//! The redirection half: sessions on 16994 and, with `"redirection_tls": true`, on 16995. It shares no code with the client.
//!
//! `"auth"` lists the methods of signing in, `[4]` unless given. `"split": N` sends N bytes at a time. A connection that breaks
//! without the end message holds its service for `"hold_ms"`, as firmware does for minutes. `"oem": true` has the first reply
//! carry data of the maker, which amtterm does not know.
//! Orders: `hold SERVICE`, `release SERVICE` as if somebody else had it; `cut SERVICE` breaks the connection; `SERVICE …` as
//! the file of that service says.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Machine, Shared, ider, kvm, lock, sol, tell};

/// How long a read waits before orders are looked at.
const TICK: Duration = Duration::from_millis(20);
const REALM: &str = "Digest:0123456789ABCDEF0123456789ABCDEF";
const URI: &str = "/RedirectionService";

/// One service: who holds it, and what the test orders of the session.
#[derive(Default)]
struct Desk {
    held: bool,
    /// Held by a connection that broke, until then.
    until: Option<Instant>,
    orders: VecDeque<String>,
}

static DESKS: Mutex<Option<HashMap<String, Desk>>> = Mutex::new(None);

fn desk<T>(service: &str, work: impl FnOnce(&mut Desk) -> T) -> T {
    let mut desks = DESKS.lock().unwrap();
    work(
        desks
            .get_or_insert_default()
            .entry(service.to_owned())
            .or_default(),
    )
}

/// Has somebody a session of this service?
pub fn is_held(service: &str) -> bool {
    desk(service, |desk| desk.held && desk.until.is_none())
}

/// Redirection was switched off: all sessions break.
pub fn end_all() {
    for service in ["SOL", "IDER", "KVMR"] {
        if is_held(service) {
            desk(service, |desk| desk.orders.push_back("cut".to_owned()));
        }
    }
}

/// `raw HEX` sends bytes that no device may send; `mute` says nothing more, with the connection open, and tells whether the end
/// was said to it. Is it one of them?
pub fn misbehave(conn: &mut Conn, order: &str) -> io::Result<bool> {
    if order == "mute" {
        tell(&json!({ "mute": "begins" }));
        let gone = loop {
            if let Err(gone) = conn.fill() {
                break gone;
            }
        };
        let end = conn.peek().ends_with(&[0x12, 0, 0, 0]);
        tell(&json!({ "mute": "over", "end": end }));
        return Err(gone);
    }
    let Some(hex) = order.strip_prefix("raw ") else {
        return Ok(false);
    };
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    conn.send(&bytes)?;
    Ok(true)
}

/// The next thing that the test orders of this service.
pub fn next_order(service: &str) -> Option<String> {
    desk(service, |desk| desk.orders.front().cloned())
}

/// The order is in effect.
pub fn done(service: &str) {
    desk(service, |desk| desk.orders.pop_front());
}

/// Opens the ports.
pub fn start(machine: &Shared) {
    let (listen, tls, profile) = {
        let machine = lock(machine);
        (
            machine.text("listen").to_owned(),
            machine.given["redirection_tls"] == true,
            machine.profile,
        )
    };
    if profile.plain {
        let listener = TcpListener::bind((listen.as_str(), 16994)).unwrap();
        let shared = machine.clone();
        thread::spawn(move || accept(&listener, &shared, |stream| Some(Box::new(stream))));
    }
    if tls {
        let listener = TcpListener::bind((listen.as_str(), 16995)).unwrap();
        let config = crate::identity::server(&listen, profile.tls);
        let shared = machine.clone();
        thread::spawn(move || {
            accept(&listener, &shared, move |stream| {
                crate::identity::wrap(&config, stream)
            });
        });
    }
}

/// A connection, whatever it runs over.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

fn accept(
    listener: &TcpListener,
    machine: &Shared,
    wrap: impl Fn(TcpStream) -> Option<Box<dyn Wire>> + Clone + Send + 'static,
) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        stream.set_nodelay(true).unwrap();
        let (machine, wrap) = (machine.clone(), wrap.clone());
        let split = lock(&machine).given["split"].as_u64().unwrap_or(u64::MAX);
        thread::spawn(move || {
            let ticks = stream.try_clone().unwrap();
            // Shakes hands, if it does so first.
            let Some(wire) = wrap(stream) else { return };
            ticks.set_read_timeout(Some(TICK)).unwrap();
            let mut conn = Conn {
                wire,
                bytes: Vec::new(),
                split: usize::try_from(split).unwrap(),
            };
            serve(&mut conn, &machine);
        });
    }
}

/// One connection and what came in on it.
pub struct Conn {
    wire: Box<dyn Wire>,
    bytes: Vec<u8>,
    split: usize,
}

impl Conn {
    /// Reads what is there; false when there was nothing for a moment.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 65536];
        match self.wire.read(&mut piece) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.bytes.extend(&piece[..count]);
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// What came in and is not taken.
    pub fn peek(&self) -> &[u8] {
        &self.bytes
    }

    /// The next bytes, once there are so many.
    pub fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.bytes.len() < count {
            self.fill()?;
        }
        Ok(self.bytes.drain(..count).collect())
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(self.split) {
            self.wire.write_all(piece)?;
            self.wire.flush()?;
        }
        Ok(())
    }
}

/// How a session ended.
#[derive(PartialEq, Eq)]
pub enum End {
    /// By the end message.
    Said,
    /// The test broke it.
    Cut,
}

fn serve(conn: &mut Conn, machine: &Shared) {
    let Ok(start) = conn.take(8) else { return };
    let service = String::from_utf8_lossy(&start[4..]).trim().to_owned();
    if start[0] != 0x10 || !["SOL", "IDER", "KVMR"].contains(&service.as_str()) {
        let _ = conn.send(&[0x11, 1, 0, 0]);
        return;
    }
    // Never both locks at once in this order.
    let hold = lock(machine).given["hold_ms"].as_u64().unwrap_or(0);
    let busy = desk(&service, |desk| {
        let free = desk.until.is_some_and(|until| until <= Instant::now());
        let busy = desk.held && !free;
        if !busy {
            (desk.held, desk.until) = (true, None);
        }
        busy
    });
    let refusal = if busy {
        2
    } else {
        refusal(&service, &lock(machine))
    };
    if refusal != 0 {
        tell(&json!({"service": service, "refused": refusal}));
        if !busy {
            desk(&service, |desk| desk.held = false);
        }
        let _ = conn.send(&[0x11, refusal, 0, 0]);
        return;
    }
    tell(&json!({"service": service, "session": "begun"}));
    let ended = run(conn, machine, &service);
    let said = matches!(ended, Ok(End::Said));
    desk(&service, |desk| {
        if said {
            desk.held = false;
        } else {
            desk.until = Some(Instant::now() + Duration::from_millis(hold));
        }
    });
    let how = if said { "ended" } else { "broken" };
    tell(&json!({"service": service, "session": how}));
}

/// The status of AMT_RedirectionService and of consent.
fn refusal(service: &str, machine: &Machine) -> u8 {
    let enabled = match service {
        "IDER" => machine.redirection & 1 != 0,
        "SOL" => machine.redirection & 2 != 0,
        _ => machine.kvm,
    };
    let asked = machine.consent.required == u32::MAX
        || (machine.consent.required == 1 && service == "KVMR");
    match (
        enabled && machine.listener,
        asked && machine.consent.state < 3,
    ) {
        (false, _) => 3,
        (true, true) => 5,
        (true, false) => 0,
    }
}

fn run(conn: &mut Conn, machine: &Shared, service: &str) -> io::Result<End> {
    let oem = lock(machine).given["oem"] == true;
    // AMT 15 says `01 00 0f 00`, 11.8 its version turned round.
    let [low, high] = lock(machine).profile.redirection;
    conn.send(&[0x11, 0, 0, 0, 1, low, high, 0, 0x57, 1, 0, 0, u8::from(oem)])?;
    if oem {
        conn.send(&[0x5a])?;
    }
    if !signed_in(conn, machine)? {
        return Ok(End::Said);
    }
    match service {
        "SOL" => sol::run(conn, machine),
        "KVMR" => kvm::run(conn, machine),
        _ => ider::run(conn, machine),
    }
}

fn reply(conn: &mut Conn, status: u8, method: u8, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    conn.send(&[&[0x14, status, 0, 0, method][..], &length, data].concat())
}

/// Goes on until it is signed in or over.
fn signed_in(conn: &mut Conn, machine: &Shared) -> io::Result<bool> {
    let (user, password, methods) = {
        let machine = lock(machine);
        let methods: Vec<u8> = match machine.given["auth"].as_array() {
            Some(list) => list
                .iter()
                .map(|one| u8::try_from(one.as_u64().unwrap()).unwrap())
                .collect(),
            None => machine.profile.auth.to_vec(),
        };
        (
            machine.text("user").to_owned(),
            machine.text("password").to_owned(),
            methods,
        )
    };
    let nonce = format!("{:032x}", rand::random::<u128>());
    for _ in 0..4 {
        let head = conn.take(9)?;
        if head[..4] == [0x12, 0, 0, 0] {
            return Ok(false);
        }
        let length = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
        assert!(head[0] == 0x13 && length < 4096, "{head:?}");
        let data = conn.take(usize::try_from(length).unwrap())?;
        let texts = texts(&data);
        let method = head[4];
        if method == 0 {
            reply(conn, 0, 0, &methods)?;
            continue;
        }
        if !methods.contains(&method) {
            reply(conn, 1, method, &[])?;
            continue;
        }
        if method == 4 && texts[1].is_empty() {
            assert_eq!(texts[3], URI.as_bytes());
            let qop = "auth";
            let challenge = [REALM, &nonce, qop]
                .map(|text| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat());
            reply(conn, 1, 4, &challenge.concat())?;
            continue;
        }
        let good = match method {
            1 => texts == [user.as_bytes(), password.as_bytes()],
            4 => texts.len() == 8 && digest(&texts, &user, &password, &nonce),
            _ => false,
        };
        tell(&json!({"sign_in": good, "method": method}));
        reply(conn, u8::from(!good), method, &[])?;
        if good {
            return Ok(true);
        }
    }
    Ok(false)
}

fn texts(mut data: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (text, rest) = rest.split_at(usize::from(length));
        found.push(text);
        data = rest;
    }
    found
}

/// RFC 2617 §3.2.2.
fn digest(texts: &[&[u8]], user: &str, password: &str, nonce: &str) -> bool {
    let text: Vec<String> = texts
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    let [named, realm, used, uri, cnonce, count, response, qop] = text.as_slice() else {
        return false;
    };
    let hash = |text: &str| format!("{:x}", md5::compute(text));
    let secret = hash(&format!("{user}:{REALM}:{password}"));
    let asked = hash(&format!("POST:{URI}"));
    let wanted = hash(&format!("{secret}:{nonce}:{count}:{cnonce}:{qop}:{asked}"));
    (named.as_str(), realm.as_str(), used.as_str(), uri.as_str()) == (user, REALM, nonce, URI)
        && count.len() == 8
        && qop == "auth"
        && *response == wanted
}

/// What the test orders; is it one of ours?
pub fn order(line: &str) -> bool {
    let mut words = line.splitn(2, ' ');
    let (verb, rest) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    match verb {
        "hold" => desk(rest, |desk| (desk.held, desk.until) = (true, None)),
        "release" => desk(rest, |desk| (desk.held, desk.until) = (false, None)),
        "cut" => return wait(rest, "cut"),
        "SOL" | "IDER" | "KVMR" => return wait(verb, rest),
        _ => return false,
    }
    true
}

/// Has the session of this service do it; there is one within a while, or it is not done.
fn wait(service: &str, order: &str) -> bool {
    desk(service, |desk| desk.orders.push_back(order.to_owned()));
    let limit = Instant::now() + Duration::from_secs(30);
    while Instant::now() < limit {
        if desk(service, |desk| desk.orders.is_empty()) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    done(service);
    false
}
