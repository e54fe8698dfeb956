//! The client's half of RFC 2217 as a pure machine: bytes in, bytes out, what is asked and what was answered. No I/O, no clock.

use bytes::{Buf, Bytes, BytesMut};

use crate::line::{Faults, Line, LineState, Order};
use crate::telnet::comport::{Control, Message, Side, cisco_baud, parity, parity_byte, signals};
use crate::telnet::{
    BINARY, BRK, COM_PORT, Change, ECHO, IAC, Item, Options, Parser, SGA, Verb, escape,
};

/// Errors and breaks of the line (RFC 2217 §3): break 16, framing 8, parity 4, overrun 2. Not "data is there".
const LINE_MASK: u8 = 30;
const MODEM_MASK: u8 = 255;

/// Answers that may be waited for, as bits.
pub(super) const BAUD: u16 = 1;
pub(super) const SIZE: u16 = 2;
pub(super) const PARITY: u16 = 4;
pub(super) const STOP: u16 = 8;
pub(super) const FLOW: u16 = 16;
pub(super) const PURGE: u16 = 32;
pub(super) const FRAME: u16 = BAUD | SIZE | PARITY | STOP;

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    parser: Parser,
    options: Options,
    /// Asked for by the configuration; what [`Order::Restore`] goes back to.
    wanted: Line,
    pub state: LineState,
    /// Does the server take COM-PORT? `None` until it has said so.
    pub comport: Option<bool>,
    /// Answers that came since [`Self::ask`].
    pub answered: u16,
    /// The state changed by the far side's word.
    pub news: bool,
    /// To be written.
    pub out: BytesMut,
    /// The device's bytes.
    pub data: BytesMut,
    /// The server asks us to send nothing (FLOWCONTROL-SUSPEND).
    pub suspended: bool,
}

impl Client {
    /// Begins with what the client of ser2net and pyserial say first; COM-PORT goes from us to the server only.
    pub(super) fn new(wanted: Line) -> Self {
        let mut client = Self {
            parser: Parser::default(),
            options: Options::new(&[BINARY, SGA, COM_PORT], &[BINARY, SGA, ECHO]),
            wanted,
            state: LineState {
                line: wanted,
                dtr: true,
                rts: true,
                ..LineState::default()
            },
            comport: None,
            answered: 0,
            news: false,
            out: BytesMut::new(),
            data: BytesMut::new(),
            suspended: false,
        };
        let first = [
            client.options.offer(COM_PORT, true),
            client.options.offer(BINARY, true),
            client.options.ask(BINARY, true),
            client.options.ask(SGA, true),
        ];
        for (verb, option) in first.into_iter().flatten() {
            client.out.extend_from_slice(&verb.message(option));
        }
        client
    }

    /// Takes what the server sent.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let mut input = Bytes::copy_from_slice(bytes);
        while let Some(item) = self.parser.next(&mut input) {
            match item {
                Item::Data(data) => self.data.extend_from_slice(&data),
                Item::Negotiate(verb, option) => self.negotiate(verb, option),
                Item::Sub(COM_PORT, payload) => {
                    if let Some(message) = Message::parse(Side::Server, &payload) {
                        self.told(message);
                    }
                }
                Item::Sub(..) | Item::Command(_) => {}
            }
        }
    }

    fn negotiate(&mut self, verb: Verb, option: u8) {
        let heard = self.options.hear(verb, option);
        if let Some((verb, option)) = heard.answer {
            self.out.extend_from_slice(&verb.message(option));
        }
        if let Some(Change::Ours(COM_PORT, on)) = heard.change {
            self.comport = Some(on);
        } else if option == COM_PORT && verb == Verb::Dont {
            self.comport = Some(false);
        }
    }

    fn told(&mut self, message: Message) {
        let before = self.state.clone();
        let line = &mut self.state.line;
        match message {
            Message::Baud(baud) => {
                line.baud = baud;
                self.answered |= BAUD;
            }
            Message::CiscoBaud(index) => {
                line.baud = cisco_baud(index).unwrap_or(line.baud);
                self.answered |= BAUD;
            }
            Message::DataSize(bits) => {
                line.data_bits = bits;
                self.answered |= SIZE;
            }
            Message::Parity(byte) => {
                line.parity = parity(byte).unwrap_or(line.parity);
                self.answered |= PARITY;
            }
            Message::StopSize(stop) => {
                line.stop_bits = if stop == 1 { 1 } else { 2 };
                self.answered |= STOP;
            }
            Message::Control(Control::Flow(flow)) => {
                line.flow = flow;
                self.answered |= FLOW;
            }
            Message::Control(Control::Dtr(on)) => self.state.dtr = on,
            Message::Control(Control::Rts(on)) => self.state.rts = on,
            Message::ModemState(byte) => self.state.signals = Some(signals(byte)),
            Message::LineState(byte) => {
                let faults = self.state.faults.get_or_insert_with(Faults::default);
                faults.breaks += u64::from(byte & 16 != 0);
                faults.framing += u64::from(byte & 8 != 0);
                faults.parity += u64::from(byte & 4 != 0);
                faults.overrun += u64::from(byte & 2 != 0);
            }
            Message::Suspend => self.suspended = true,
            Message::Resume => self.suspended = false,
            Message::Purge(_) => self.answered |= PURGE,
            Message::Signature(_)
            | Message::Control(_)
            | Message::LineMask(_)
            | Message::ModemMask(_) => {}
        }
        self.news |= self.state != before;
    }

    fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.write(Side::Client, &mut bytes);
        self.out.extend_from_slice(&bytes);
    }

    /// Everything a fresh connection sets. The answers to wait for; DTR and RTS are not among them, for some servers
    /// never answer those (ser2net on a port without such wires).
    pub(super) fn set_up(&mut self) -> u16 {
        self.state.faults = Some(Faults::default());
        self.say(&Message::LineMask(LINE_MASK));
        self.say(&Message::ModemMask(MODEM_MASK));
        let asked = self.set_line(self.wanted);
        self.say(&Message::Control(Control::Dtr(true)));
        self.say(&Message::Control(Control::Rts(true)));
        asked & FRAME
    }

    fn set_line(&mut self, line: Line) -> u16 {
        self.answered = 0;
        self.say(&Message::Baud(line.baud));
        self.say(&Message::DataSize(line.data_bits));
        self.say(&Message::Parity(parity_byte(line.parity)));
        self.say(&Message::StopSize(stop_byte(
            line.stop_bits,
            line.data_bits,
        )));
        self.say(&Message::Control(Control::Flow(line.flow)));
        FRAME | FLOW
    }

    /// Asks for what an order means. The answers to wait for; none when it is done as soon as it is sent.
    pub(super) fn ask(&mut self, order: Order) -> u16 {
        self.answered = 0;
        let (message, bit) = match order {
            Order::Baud(baud) => (Message::Baud(baud), BAUD),
            Order::DataBits(bits) => (Message::DataSize(bits), SIZE),
            Order::Parity(parity) => (Message::Parity(parity_byte(parity)), PARITY),
            Order::StopBits(stop) => {
                let byte = stop_byte(stop, self.state.line.data_bits);
                (Message::StopSize(byte), STOP)
            }
            Order::Flow(flow) => (Message::Control(Control::Flow(flow)), FLOW),
            Order::Dtr(on) => {
                self.state.dtr = on;
                (Message::Control(Control::Dtr(on)), 0)
            }
            Order::Rts(on) => {
                self.state.rts = on;
                (Message::Control(Control::Rts(on)), 0)
            }
            Order::Break(on) => {
                self.state.breaking = on;
                (Message::Control(Control::Break(on)), 0)
            }
            Order::Purge { received, typed } => {
                let which = u8::from(received) + 2 * u8::from(typed);
                if which == 0 {
                    return 0;
                }
                (Message::Purge(which), PURGE)
            }
            Order::Restore => {
                let asked = self.set_line(self.wanted);
                (self.state.dtr, self.state.rts) = (true, true);
                self.say(&Message::Control(Control::Dtr(true)));
                self.say(&Message::Control(Control::Rts(true)));
                return asked;
            }
            Order::Look => return 0,
        };
        self.say(&message);
        bit
    }

    /// Plain telnet's break, of a length that the server chooses.
    pub(super) fn plain_break(&mut self) {
        self.out.extend_from_slice(&[IAC, BRK]);
    }

    /// Takes typed bytes, if there is room for them.
    pub(super) fn type_in(&mut self, typed: &[u8]) {
        let mut escaped = Vec::with_capacity(typed.len());
        escape(typed, &mut escaped);
        self.out.extend_from_slice(&escaped);
    }

    /// Hands over what the device said.
    pub(super) fn hand_over(&mut self, input: &mut [u8]) -> usize {
        let count = self.data.len().min(input.len());
        self.data.copy_to_slice(&mut input[..count]);
        count
    }
}

/// One and a half stop bits is what two are with five data bits.
fn stop_byte(stop: u8, data_bits: u8) -> u8 {
    match (stop, data_bits) {
        (1, _) => 1,
        (_, 5) => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DO_COM_PORT: [u8; 3] = [IAC, 253, COM_PORT];

    #[test]
    fn settings_are_asked_and_the_value_in_effect_counts() {
        let wanted: Line = "9600e72".parse().unwrap();
        let mut client = Client::new(wanted);
        assert!(client.out.starts_with(&[IAC, 251, COM_PORT]));
        client.hear(&DO_COM_PORT);
        assert_eq!(client.comport, Some(true));
        let asked = client.set_up();
        assert_eq!(asked, FRAME);
        let mut answer = Vec::new();
        for message in [
            Message::Baud(9615),
            Message::DataSize(7),
            Message::Parity(3),
            Message::StopSize(2),
            Message::ModemState(0xB0),
        ] {
            message.write(Side::Server, &mut answer);
        }
        for byte in answer {
            client.hear(&[byte]);
        }
        assert_eq!(client.answered & asked, asked);
        assert_eq!(client.state.line.to_string(), "9615e72");
        let signals = client.state.signals.unwrap();
        assert!(signals.cts && signals.dsr && signals.dcd && !signals.ri);
        assert!(client.news);
    }

    #[test]
    fn a_refusal_is_heard_and_data_pass() {
        let mut client = Client::new(Line::default());
        client.hear(&[b'a', IAC, IAC, IAC, 254, COM_PORT, b'b']);
        assert_eq!(client.comport, Some(false));
        assert_eq!(&client.data[..], [b'a', IAC, b'b']);
        client.out.clear();
        client.type_in(&[1, IAC, 2]);
        assert_eq!(&client.out[..], [1, IAC, IAC, 2]);
    }

    proptest! {
        /// Whatever a server sends, in whatever pieces: no panic, and no answer longer than what was said.
        #[test]
        fn a_hostile_server_costs_nothing(pieces in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(IAC), Just(250_u8), Just(240), Just(253), Just(COM_PORT), any::<u8>()], 0..40), 0..40)) {
            let mut client = Client::new(Line::default());
            client.out.clear();
            let said: usize = pieces.iter().map(Vec::len).sum();
            for piece in &pieces {
                client.hear(piece);
            }
            prop_assert!(client.out.len() <= said);
            prop_assert!(client.data.len() <= said);
        }
    }
}
