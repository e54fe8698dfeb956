//! Telnet: a person in character mode, who signs in first. What is typed and shown is translated here; sessions are the
//! engine's.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::house::House;
use super::signin;
use super::talk::Talk;
use super::wire::Wire;
use crate::session::{Ended, Gone, Guest, Heard, Keyboard, Manner, Screen, Standing};
use crate::tcp::Slot;
use crate::telnet::{
    AYT, BINARY, BRK, Change, ECHO, Fold, IP, Item, NAWS, Parser, SGA, Verb, window_size,
};

/// Time to sign in, from accept on.
const GRACE: Duration = Duration::from_secs(60);
/// What makes a client work character by character, echo left to us, and pass all 256 values (facts of inetutils and
/// PuTTY: in this order).
const OPENING: [(Verb, u8); 6] = [
    (Verb::Will, ECHO),
    (Verb::Will, SGA),
    (Verb::Do, SGA),
    (Verb::Do, BINARY),
    (Verb::Will, BINARY),
    (Verb::Do, NAWS),
];
/// Erase character and erase line, as a serial device understands them.
const ERASE: [(u8, &[u8]); 2] = [(247, b"\x7f"), (248, b"\x15")];

pub(super) async fn serve(house: &House, wire: &Wire, peer: SocketAddr, slot: &Slot) {
    let talk = Talk::new(wire, &[ECHO, SGA, BINARY], &[SGA, BINARY, NAWS], false);
    if talk.open(&OPENING).is_err() {
        return;
    }
    let mut keys = Keys {
        talk: &talk,
        parser: Parser::default(),
        input: Bytes::new(),
        fold: Fold::default(),
        ahead: Bytes::new(),
        after_cr: false,
        size: None,
    };
    let session = async {
        let signed_in = timeout(GRACE, signin::run(house, &talk, &mut keys, peer)).await;
        let Ok(signed_in) = signed_in else {
            return talk.data(b"\r\nnot signed in within 60 s\r\n").await;
        };
        let Some(standing) = signed_in? else {
            return Ok(());
        };
        slot.signed_in();
        sit(house, &talk, &mut keys, peer, &standing).await
    };
    tokio::select! {
        // None is polled again after another has ended, so nothing needs to be cancel-safe here.
        _ = session => {}
        _ = wire.serve() => {}
    }
}

async fn sit(
    house: &House,
    talk: &Talk<'_>,
    keys: &mut Keys<'_>,
    peer: SocketAddr,
    standing: &Standing,
) -> Result<(), Gone> {
    let paper = Paper(talk);
    let console = &house.console;
    let seat = async {
        let mut guest = Guest::of(&standing.person, console, house.from(peer))?;
        guest.types &= house.door.write;
        let manner = Manner {
            answer: false,
            ..Manner::person()
        };
        let seat = guest.sit(&house.commands, manner).await?;
        Ok(seat.with_power(house.power(&standing.person.name, peer)))
    };
    let seat = match seat.await {
        Ok(seat) => seat,
        Err(why) => return paper.ended(console, &Ended::Refused(why)).await,
    };
    let over = async {
        tokio::select! {
            // cancel-safe: waits for the token only
            why = house.closing() => why,
            // cancel-safe: see Standing::lost
            why = standing.lost(&house.access) => why,
        }
    };
    seat.run(&paper, keys, over).await.map(drop)
}

/// What the person sees.
struct Paper<'a>(&'a Talk<'a>);

impl Screen for Paper<'_> {
    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.data(&bytes).await
    }

    async fn say(&self, text: &str) -> Result<(), Gone> {
        self.0.data(text.replace('\n', "\r\n").as_bytes()).await
    }

    async fn remark(&self, text: &str) -> Result<(), Gone> {
        self.say(text).await
    }
}

/// What the person types.
pub(super) struct Keys<'a> {
    talk: &'a Talk<'a>,
    parser: Parser,
    input: Bytes,
    fold: Fold,
    /// Typed ahead, and given back by the prompt.
    ahead: Bytes,
    /// The prompt's line ended with CR: a LF or NUL that follows belongs to it.
    after_cr: bool,
    /// Columns and rows, for whatever draws a screen of ours; the device never hears of them.
    size: Option<(u16, u16)>,
}

impl Keys<'_> {
    /// Gives back what was read and is for the next one to ask. `after_cr`: the last byte taken was a CR.
    pub(super) fn unread(&mut self, ahead: Bytes, after_cr: bool) {
        (self.ahead, self.after_cr) = (ahead, after_cr);
    }

    /// The end of a line that was taken already is no input.
    fn trim(&mut self, mut data: Bytes) -> Bytes {
        if !data.is_empty() && std::mem::take(&mut self.after_cr) && matches!(data[0], b'\n' | 0) {
            let _ = data.split_to(1);
        }
        data
    }

    fn take(&mut self, item: Item) -> Result<Option<Heard>, Gone> {
        match item {
            Item::Data(data) => {
                let data = if self.talk.client_is_binary() {
                    data
                } else {
                    self.fold.fold(data)
                };
                let data = self.trim(data);
                return Ok((!data.is_empty()).then_some(Heard::Bytes(data)));
            }
            Item::Command(BRK) => return Ok(Some(Heard::Break { millis: None })),
            Item::Command(IP) => return Ok(Some(Heard::Bytes(Bytes::from_static(b"\x03")))),
            Item::Command(AYT) => self.talk.wire.post(b"\r\n[yes]\r\n")?,
            // NOP, GA, AO and the data mark of a SYNCH: we read at once, so there is nothing to skip to it.
            Item::Command(command) => {
                let erase = ERASE.iter().find(|(byte, _)| *byte == command);
                return Ok(erase.map(|(_, key)| Heard::Bytes(Bytes::from_static(key))));
            }
            Item::Negotiate(verb, option) => {
                if let Some(Change::Theirs(BINARY, _)) = self.talk.hear(verb, option)? {
                    self.fold.reset();
                }
            }
            Item::Sub(NAWS, payload) => {
                self.size = window_size(&payload).or(self.size);
                tracing::trace!(size = ?self.size, "terminal");
            }
            Item::Sub(..) => {}
        }
        Ok(None)
    }
}

impl Keyboard for Keys<'_> {
    /// Cancel-safe: it waits in [`Wire::read`] only.
    async fn next(&mut self) -> Result<Heard, Gone> {
        loop {
            let ahead = std::mem::take(&mut self.ahead);
            let ahead = self.trim(ahead);
            if !ahead.is_empty() {
                return Ok(Heard::Bytes(ahead));
            }
            while let Some(item) = self.parser.next(&mut self.input) {
                if let Some(heard) = self.take(item)? {
                    return Ok(heard);
                }
            }
            match self.talk.wire.read().await? {
                Some(bytes) => self.input = bytes,
                None => return Ok(Heard::Eof),
            }
        }
    }
}
