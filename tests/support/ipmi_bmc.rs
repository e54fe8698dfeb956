//! A BMC as a server, for `tests/net`: enough of RMCP+ with cipher suites 17 and 3 that real `ipmitool` works with it. No
//! other free BMC speaks suite 17. It shares the codec with the client, and ipmitool shares nothing with either.
//!
//! ```text
//! OOBD_BMC='{"listen":"127.0.0.1:0","user":"admin","password":"secret","suites":[17,3],"privilege":4,
//!            "sdr":["HEX",…],"sdr_most":16,"sel":["HEX",…],"busy":0,"key":"K_G"}' ipmi_bmc
//! stdout: {"port":N}, then a line of JSON for everything that happens
//! stdin:  say TEXT | busy N | lose (the reservation) | forget (all sessions) | event HEX | mark N | end; each but the last is
//!         answered by {"heard":LINE} once it is in effect
//! ```
//! Its console sends back what is typed, and says `[break]` for a break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test program: what fails shall end it"
)]

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use oobd::ipmi::crypto::{Suite, same};
use oobd::ipmi::link::Link;
use oobd::ipmi::message::{self, Request, code, netfn};
use oobd::ipmi::packet::{self, payload};
use oobd::ipmi::setup::{
    Exchange, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4, Refusal, status,
};
use oobd::ipmi::sol::packet::{Packet, operation};
use serde_json::{Value, json};

#[path = "ipmi_bmc/machine.rs"]
mod machine;

use machine::Machine;

const GUID: [u8; 16] = *b"oobd-test-bmc-01";

fn tell(value: &Value) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}

/// A session in any of its stages, by our name of it.
struct Session {
    peer: SocketAddr,
    exchange: Exchange,
    privilege: u8,
    link: Option<Link>,
}

struct Bmc {
    socket: UdpSocket,
    given: Value,
    suites: Vec<Suite>,
    sessions: HashMap<u32, Session>,
    machine: Machine,
    console: Console,
}

/// Our end of Serial over LAN.
#[derive(Default)]
struct Console {
    holder: Option<u32>,
    next: u8,
    last: u8,
    waiting: Vec<u8>,
    flight: Option<Packet>,
}

impl Bmc {
    fn text(&self, key: &str) -> &str {
        self.given[key].as_str().unwrap_or_default()
    }

    fn send(&self, peer: SocketAddr, datagram: &[u8]) {
        self.socket.send_to(datagram, peer).unwrap();
    }

    fn hear(&mut self, peer: SocketAddr, datagram: &[u8]) {
        if let Some(tag) = packet::parse_ping(datagram) {
            self.send(peer, &packet::pong(tag));
        } else if let Some(message) = packet::parse_sessionless(datagram) {
            self.sessionless(peer, message);
        } else if let Some((kind, payload)) = packet::parse_setup(datagram) {
            self.set_up(peer, kind, payload);
        } else {
            self.in_session(datagram);
        }
    }

    fn sessionless(&mut self, peer: SocketAddr, message: &[u8]) {
        let Some(request) = message::parse_request(message) else {
            return;
        };
        let (completion, data) = match (request.netfn, request.command) {
            (netfn::APP, 0x38) => capabilities(),
            _ => (code::INVALID_COMMAND, vec![]),
        };
        let answer = message::response(&request, completion, &data);
        self.send(peer, &packet::sessionless(&answer).unwrap());
    }

    fn set_up(&mut self, peer: SocketAddr, kind: u8, bytes: &[u8]) {
        let (kind, answer) = match kind {
            payload::OPEN_REQUEST => (payload::OPEN_RESPONSE, self.open(peer, bytes)),
            payload::RAKP_1 => (payload::RAKP_2, self.rakp1(bytes)),
            payload::RAKP_3 => (payload::RAKP_4, self.rakp3(bytes)),
            _ => return,
        };
        if let Some(answer) = answer {
            self.send(peer, &packet::setup(kind, &answer));
        }
    }

    fn open(&mut self, peer: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let request = OpenRequest::parse(bytes)?;
        let suite = Suite::of(request.algorithms).filter(|suite| self.suites.contains(suite));
        tell(&json!({"open": request.algorithms, "taken": suite.is_some()}));
        let Some(suite) = suite else {
            let refusal = Refusal {
                tag: request.tag,
                status: status::NO_SUITE,
            };
            return Some(refusal.encode(request.console));
        };
        let bmc = rand::random::<u32>() | 1;
        let exchange = Exchange {
            suite,
            console: request.console,
            bmc,
            ours: [0; 16],
            theirs: rand::random(),
            guid: GUID,
            role: 0,
            user: vec![],
        };
        self.sessions.insert(
            bmc,
            Session {
                peer,
                exchange,
                privilege: 0,
                link: None,
            },
        );
        let answer = OpenResponse {
            tag: request.tag,
            privilege: if request.privilege == 0 {
                4
            } else {
                request.privilege
            },
            console: request.console,
            bmc,
            algorithms: request.algorithms,
        };
        Some(answer.encode())
    }

    fn rakp1(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let rakp1 = Rakp1::parse(bytes)?;
        let (user, password) = (
            self.text("user").to_owned(),
            self.text("password").to_owned(),
        );
        let most = self.given["privilege"].as_u64().unwrap_or(4);
        let session = self.sessions.get_mut(&rakp1.bmc)?;
        let console = session.exchange.console;
        let refuse = |status| {
            Some(
                Refusal {
                    tag: rakp1.tag,
                    status,
                }
                .encode(console),
            )
        };
        if rakp1.user != user.as_bytes() {
            return refuse(status::UNAUTHORIZED_NAME);
        }
        if u64::from(rakp1.role & 0x0f) > most {
            return refuse(status::UNAUTHORIZED_ROLE);
        }
        session.exchange.ours = rakp1.random;
        session.exchange.role = rakp1.role;
        session.exchange.user = rakp1.user;
        let answer = Rakp2 {
            tag: rakp1.tag,
            console,
            random: session.exchange.theirs,
            guid: GUID,
            code: session.exchange.rakp2_code(password.as_bytes()),
        };
        Some(answer.encode())
    }

    fn rakp3(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let rakp3 = Rakp3::parse(bytes)?;
        let password = self.text("password").to_owned();
        let key = self.given["key"].as_str().unwrap_or(&password).to_owned();
        let session = self.sessions.get_mut(&rakp3.bmc)?;
        let exchange = &session.exchange;
        let genuine = same(&exchange.rakp3_code(password.as_bytes()), &rakp3.code);
        tell(&json!({"login": genuine, "suite": exchange.suite.number()}));
        if rakp3.status != status::OK {
            self.sessions.remove(&rakp3.bmc);
            return None;
        }
        if !genuine {
            let refusal = Refusal {
                tag: rakp3.tag,
                status: status::INVALID_CHECK_VALUE,
            };
            return Some(refusal.encode(exchange.console));
        }
        let sik = exchange.sik(key.as_bytes());
        let answer = Rakp4 {
            tag: rakp3.tag,
            console: exchange.console,
            check: exchange.rakp4_check(&sik),
        };
        if session.link.is_none() {
            session.link = Some(Link::new(exchange.keys(&sik), rakp3.bmc, exchange.console));
        }
        Some(answer.encode())
    }

    fn in_session(&mut self, datagram: &[u8]) {
        // Session ID, after the RMCP header, authentication type and payload type.
        let Some(id) = datagram.get(6..10) else {
            return;
        };
        let id = u32::from_le_bytes(id.try_into().unwrap());
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(link) = &mut session.link else {
            return;
        };
        match link.open(datagram) {
            Some((payload::IPMI, bytes)) => {
                let Some(request) = message::parse_request(&bytes) else {
                    return;
                };
                let (completion, data) = self.answer(id, &request);
                let answer = message::response(&request, completion, &data);
                self.seal(id, payload::IPMI, &answer);
                if (request.netfn, request.command, completion) == (netfn::APP, 0x3c, code::OK) {
                    self.end(id);
                }
            }
            Some((payload::SOL, bytes)) if self.console.holder == Some(id) => {
                if let Some(packet) = Packet::parse(&bytes) {
                    self.typed(&packet);
                }
            }
            _ => {}
        }
    }

    fn seal(&mut self, id: u32, kind: u8, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(link) = &mut session.link else {
            return;
        };
        let datagram = link.seal(kind, bytes);
        let peer = session.peer;
        self.send(peer, &datagram);
    }

    fn end(&mut self, id: u32) {
        self.sessions.remove(&id);
        self.console.holder = self.console.holder.filter(|&holder| holder != id);
        tell(&json!({"closed": true}));
    }

    fn answer(&mut self, id: u32, request: &Request<'_>) -> (u8, Vec<u8>) {
        if (request.netfn, request.command) == (netfn::APP, 0x38) {
            return capabilities();
        }
        if request.netfn == netfn::APP {
            match (request.command, request.data) {
                (0x3b, &[level]) => {
                    let most = self.given["privilege"].as_u64().unwrap_or(4);
                    if u64::from(level) > most {
                        return (0x81, vec![]);
                    }
                    let session = self.sessions.get_mut(&id).unwrap();
                    session.privilege = session.privilege.max(level);
                    return (code::OK, vec![level.max(2)]);
                }
                (0x3c, _) => return (code::OK, vec![]),
                (0x48, &[1, 1, ..]) => return self.activate(id),
                (0x49, &[1, 1, ..]) => return self.deactivate(),
                (0x4b, &[1, 1]) => {
                    let holder = self.console.holder.unwrap_or(0);
                    return (
                        code::OK,
                        [holder.to_le_bytes().to_vec(), vec![0; 8]].concat(),
                    );
                }
                _ => {}
            }
        }
        self.machine.answer(request)
    }

    fn activate(&mut self, id: u32) -> (u8, Vec<u8>) {
        if self.console.holder.is_some() {
            return (code::ALREADY_ACTIVE, vec![]);
        }
        self.console = Console {
            holder: Some(id),
            next: 1,
            ..Console::default()
        };
        tell(&json!({"sol": "active"}));
        // Auxiliary data; sizes of payloads to and from us, small on purpose; port; no VLAN.
        let [low, high] = self.socket.local_addr().unwrap().port().to_le_bytes();
        (
            code::OK,
            vec![0, 0, 0, 0, 24, 0, 68, 0, low, high, 0xff, 0xff],
        )
    }

    fn deactivate(&mut self) -> (u8, Vec<u8>) {
        let Some(holder) = self.console.holder.take() else {
            return (0x80, vec![]);
        };
        tell(&json!({"sol": "inactive"}));
        let last = Packet {
            flags: 0x10,
            ..Packet::default()
        };
        self.seal(holder, payload::SOL, &last.encode());
        (code::OK, vec![])
    }

    fn typed(&mut self, packet: &Packet) {
        if packet.ack != 0
            && self
                .console
                .flight
                .as_ref()
                .is_some_and(|flight| flight.seq == packet.ack)
        {
            let taken = usize::from(packet.accepted);
            let flight = self.console.flight.take().unwrap();
            let rest = flight.data.get(taken..).unwrap_or_default().to_vec();
            self.console.waiting.splice(..0, rest);
        }
        if packet.seq != 0 {
            // Takes at most so many at once: the rest comes again.
            let taken = packet.data.len().min(12);
            if packet.seq != self.console.last {
                self.console.last = packet.seq;
                self.console.waiting.extend(packet.data.iter().take(taken));
                if packet.flags & operation::BREAK != 0 {
                    tell(&json!({"sol": "break"}));
                    self.console.waiting.extend(b"[break]");
                }
            }
            let ack = Packet {
                ack: packet.seq,
                accepted: u8::try_from(taken).unwrap(),
                ..Packet::default()
            };
            self.console_send(&ack);
        }
        self.console_go();
    }

    fn console_send(&mut self, packet: &Packet) {
        if let Some(holder) = self.console.holder {
            self.seal(holder, payload::SOL, &packet.encode());
        }
    }

    /// The next characters of the machine, or those that wait for their acknowledgement again.
    fn console_go(&mut self) {
        let console = &mut self.console;
        if console.flight.is_none() && !console.waiting.is_empty() {
            let count = console.waiting.len().min(64);
            let packet = Packet {
                seq: console.next,
                data: console.waiting.drain(..count).collect(),
                ..Packet::default()
            };
            console.next = if console.next == 15 {
                1
            } else {
                console.next + 1
            };
            console.flight = Some(packet.clone());
            self.console_send(&packet);
        }
    }

    fn again(&mut self) {
        if let Some(packet) = self.console.flight.clone() {
            self.console_send(&packet);
        }
    }

    fn told(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("say", text) => {
                self.console.waiting.extend(text.as_bytes());
                self.console_go();
            }
            // Only asked for the answer: what was told before it has arrived then.
            ("mark", _) => {}
            ("forget", _) => {
                self.sessions.clear();
                self.console.holder = None;
            }
            _ => self.machine.told(line),
        }
    }
}

/// Of channel 1: RMCP+ only.
fn capabilities() -> (u8, Vec<u8>) {
    (code::OK, vec![1, 0x80, 0x04, 0x02, 0, 0, 0, 0])
}

fn main() {
    let given = std::env::var("OOBD_BMC").unwrap_or_else(|_| "{}".into());
    let given: Value = serde_json::from_str(&given).unwrap();
    let socket = UdpSocket::bind(given["listen"].as_str().unwrap_or("127.0.0.1:0")).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    tell(&json!({"port": socket.local_addr().unwrap().port()}));
    let wanted = |suite: &Suite| match given["suites"].as_array() {
        Some(list) => list.contains(&json!(suite.number())),
        None => true,
    };
    let mut bmc = Bmc {
        suites: Suite::ALL.into_iter().filter(wanted).collect(),
        machine: Machine::new(&given),
        socket,
        given,
        sessions: HashMap::new(),
        console: Console::default(),
    };
    let (lines, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            lines.send(line.unwrap()).unwrap();
        }
    });
    let mut buffer = [0; 2048];
    loop {
        match told.try_recv() {
            Ok(line) if line == "end" => return,
            Ok(line) => {
                bmc.told(&line);
                tell(&json!({ "heard": line }));
            }
            Err(mpsc::TryRecvError::Disconnected) => return,
            Err(mpsc::TryRecvError::Empty) => {}
        }
        match bmc.socket.recv_from(&mut buffer) {
            Ok((count, peer)) => bmc.hear(peer, &buffer[..count]),
            // Time for another look at stdin, and for what got lost.
            Err(_) => bmc.again(),
        }
    }
}
