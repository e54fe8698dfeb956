//! RFC 2217: the line itself over TCP, settings and modem lines included. The shadow of what the client knows is
//! [`super::comport`]'s; the line is the console owner's, and it is asked by commands.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::comport::{Shadow, Step};
use super::house::House;
use super::talk::Talk;
use super::wire::Wire;
use crate::command::{Actor, Command, Refusal, Reply};
use crate::line::{LineState, Order};
use crate::session::{Gone, Heard, Keyboard, Screen};
use crate::telnet::comport::{Message, Side};
use crate::telnet::{AYT, BINARY, BRK, COM_PORT, Change, ECHO, IAC, Item, NOP, Parser, SGA, Verb};

/// What gensio (ser2net) says as a server, and what pyserial, PuTTY and microcom expect: only the client's way carries
/// control, so a client that asks us to do COM-PORT is told that we do not.
const OPENING: [(Verb, u8); 6] = [
    (Verb::Will, SGA),
    (Verb::Do, SGA),
    (Verb::Will, ECHO),
    (Verb::Do, BINARY),
    (Verb::Will, BINARY),
    (Verb::Do, COM_PORT),
];

pub(super) async fn serve(house: &House, wire: &Wire, peer: SocketAddr) {
    let Some(seat) = house.sit(peer).await else {
        return;
    };
    let signature = format!("oobd {} {}", env!("CARGO_PKG_VERSION"), house.console);
    let port = Port {
        talk: Talk::new(wire, &[SGA, ECHO, BINARY], &[SGA, BINARY, COM_PORT], true),
        shadow: Mutex::new(Shadow::new(signature)),
        flowing: watch::Sender::new(true),
    };
    if port.talk.open(&OPENING).is_err() {
        return;
    }
    let mut keys = Keys {
        house,
        port: &port,
        line: seat.line.clone(),
        session: seat.session,
        writer: seat.writer,
        peer,
        parser: Parser::default(),
        input: Bytes::new(),
        running: None,
        eof: false,
    };
    let line = seat.line.clone();
    tokio::select! {
        // None is polled again after another has ended, so nothing needs to be cancel-safe here.
        _ = seat.run(&port, &mut keys, house.closing()) => {}
        _ = wire.serve() => {}
        _ = port.follow(line) => {}
    }
}

/// One client's port.
struct Port<'a> {
    talk: Talk<'a>,
    shadow: Mutex<Shadow>,
    /// False while the client has suspended data.
    flowing: watch::Sender<bool>,
}

impl Port<'_> {
    fn shadow(&self) -> MutexGuard<'_, Shadow> {
        self.shadow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, message: &Message) -> Result<(), Gone> {
        let mut out = Vec::new();
        message.write(Side::Server, &mut out);
        self.talk.wire.post(&out)
    }

    /// Tells the client what changes without its doing.
    async fn follow(&self, mut line: watch::Receiver<LineState>) -> Gone {
        loop {
            if line.changed().await.is_err() {
                // The console is going; the session says so.
                return std::future::pending().await;
            }
            let now = line.borrow_and_update().clone();
            let news = self.shadow().changed(&now);
            if news.iter().any(|message| self.say(message).is_err()) {
                return Gone;
            }
        }
    }
}

impl Screen for Port<'_> {
    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        let mut flowing = self.flowing.subscribe();
        // Meanwhile the session lags in the console's ring, and the gap is lost to this client alone.
        flowing.wait_for(|on| *on).await.map_err(|_| Gone)?;
        self.talk.data(&bytes).await
    }

    async fn say(&self, _text: &str) -> Result<(), Gone> {
        Ok(())
    }

    async fn remark(&self, _text: &str) -> Result<(), Gone> {
        Ok(())
    }
}

type Outcome = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send>>;

/// An order on its way, and the message that asked for it.
struct Running {
    asked: Message,
    outcome: Outcome,
}

struct Keys<'a> {
    house: &'a House,
    port: &'a Port<'a>,
    line: watch::Receiver<LineState>,
    session: u64,
    /// Had the keyboard at the start.
    writer: bool,
    peer: SocketAddr,
    parser: Parser,
    input: Bytes,
    /// What the client sends after an order waits until it is carried out.
    running: Option<Running>,
    eof: bool,
}

impl Keys<'_> {
    fn now(&self) -> LineState {
        self.line.borrow().clone()
    }

    fn take(&mut self, item: Item) -> Result<Option<Heard>, Gone> {
        match item {
            Item::Data(data) => {
                self.house.still_types(self.session, self.writer)?;
                return Ok(Some(Heard::Bytes(data)));
            }
            Item::Command(BRK) => return Ok(Some(Heard::Break { millis: None })),
            // Words have no place in the data; that something comes back is answer enough.
            Item::Command(AYT) => self.port.talk.wire.post(&[IAC, NOP])?,
            Item::Command(_) => {}
            Item::Negotiate(verb, option) => {
                if self.port.talk.hear(verb, option)? == Some(Change::Theirs(COM_PORT, true)) {
                    self.agree()?;
                }
            }
            Item::Sub(COM_PORT, payload) => match Message::parse(Side::Client, &payload) {
                Some(message) => {
                    // pyserial never says WILL when our DO is there before it has begun to ask: it takes that for an answer.
                    self.agree()?;
                    self.message(message)?;
                }
                None => tracing::debug!(peer = %self.peer, ?payload, "no RFC 2217"),
            },
            Item::Sub(..) => {}
        }
        Ok(None)
    }

    fn agree(&self) -> Result<(), Gone> {
        let notice = self.port.shadow().agree(&self.now());
        notice.map_or(Ok(()), |notice| self.port.say(&notice))
    }

    fn message(&mut self, message: Message) -> Result<(), Gone> {
        let now = self.now();
        let step = self.port.shadow().step(&message, &now);
        match step {
            Step::Order(order) if self.may_set() => self.order(message, order),
            // Who only watches gets the value in effect, as everybody does whose wish is not granted.
            Step::Order(_) | Step::Answer => {
                let answer = self.port.shadow().answer(&message, &now);
                self.port.say(&answer)?;
            }
            Step::Flow { on } => {
                self.port.flowing.send_replace(on);
            }
            Step::Nothing => {}
        }
        Ok(())
    }

    fn may_set(&self) -> bool {
        self.house.door.write && self.house.writes(self.session, self.writer)
    }

    fn order(&mut self, asked: Message, order: Order) {
        if !matches!(order, Order::Purge { .. } | Order::Break(_)) {
            self.house.touch();
        }
        let command = Command::SetLine {
            console: self.house.console.clone(),
            order,
        };
        let actor = Actor::User {
            name: self.house.door.kind.to_string(),
            from: self.house.from(self.peer),
        };
        let commands = self.house.commands.clone();
        let outcome = Box::pin(async move { commands.send(actor, command).await });
        self.running = Some(Running { asked, outcome });
    }

    /// An order has come back.
    fn carried_out(
        &mut self,
        asked: &Message,
        outcome: Result<Reply, Refusal>,
    ) -> Result<Option<Heard>, Gone> {
        let now = match outcome {
            Ok(Reply::Line(state)) => state,
            Ok(_) => self.now(),
            Err(why) => {
                tracing::info!(door = self.house.name, peer = %self.peer, %why, "not set");
                self.now()
            }
        };
        let answer = self.port.shadow().answer(asked, &now);
        self.port.say(&answer)?;
        Ok(matches!(asked, Message::Purge(_)).then_some(Heard::Discard))
    }
}

impl Keyboard for Keys<'_> {
    /// Cancel-safe: a running order is kept, and else it waits in [`Wire::read`] only.
    async fn next(&mut self) -> Result<Heard, Gone> {
        loop {
            if let Some(running) = &mut self.running {
                let outcome = running.outcome.as_mut().await;
                if let Some(Running { asked, .. }) = self.running.take()
                    && let Some(heard) = self.carried_out(&asked, outcome)?
                {
                    return Ok(heard);
                }
                continue;
            }
            if let Some(item) = self.parser.next(&mut self.input) {
                if let Some(heard) = self.take(item)? {
                    return Ok(heard);
                }
                continue;
            }
            if self.eof {
                return Ok(Heard::Eof);
            }
            match self.port.talk.wire.read().await? {
                Some(bytes) => self.input = bytes,
                None => self.eof = true,
            }
        }
    }
}
