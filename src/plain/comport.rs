//! What an RFC 2217 client knows of the line, and what it must be told. Pure: orders nothing, sends nothing.
//!
//! A client hears of an item in three ways: as the answer to its own question, as the news that somebody else changed what it
//! had set or asked for before, and (modem lines, line errors) as its masks say. Never otherwise: pyserial's reader dies of an
//! answer to a question that it has not asked.

use std::collections::BTreeMap;

use crate::line::{Faults, LineState, Order, Signals};
use crate::telnet::comport::{self, Control, Message};

/// What can be set and asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Baud,
    DataSize,
    Parity,
    StopSize,
    Flow,
    FlowIn,
    Break,
    Dtr,
    Rts,
}

/// What a message of the client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Order it, then [`Shadow::answer`] with the state that this gave.
    Order(Order),
    /// Answer from the state as it is.
    Answer,
    /// Data to the client stops, or goes on.
    Flow {
        on: bool,
    },
    Nothing,
}

#[derive(Debug)]
pub(super) struct Shadow {
    /// The last word on each item that the client has set or asked for.
    told: BTreeMap<Item, Message>,
    /// The item of an order that is being carried out: its answer is on the way.
    busy: Option<Item>,
    line_mask: u8,
    modem_mask: u8,
    signals: Signals,
    /// The port has had modem lines: when it has none, it is away.
    wired: bool,
    faults: Faults,
    signature: String,
    agreed: bool,
}

impl Shadow {
    /// Nothing told yet. RFC 2217: no line state is told unless asked for, all of the modem state is.
    pub(super) fn new(signature: String) -> Self {
        Self {
            told: BTreeMap::new(),
            busy: None,
            line_mask: 0,
            modem_mask: 255,
            signals: Signals::default(),
            wired: false,
            faults: Faults::default(),
            signature,
            agreed: false,
        }
    }

    /// The option is agreed: the one notice that a client gets unasked, once.
    pub(super) fn agree(&mut self, now: &LineState) -> Option<Message> {
        if std::mem::replace(&mut self.agreed, true) {
            return None;
        }
        self.signals = self.wires(now);
        self.faults = now.faults.unwrap_or_default();
        let state = comport::modem_state(self.signals, self.signals);
        Some(Message::ModemState(state))
    }

    /// A port that is away drives nothing; one that never had modem lines is like a cable with the usual loops.
    fn wires(&mut self, now: &LineState) -> Signals {
        self.wired |= now.signals.is_some();
        match now.signals {
            None if self.wired => Signals::default(),
            _ => comport::wires(now),
        }
    }

    /// What to do about a message.
    pub(super) fn step(&mut self, message: &Message, now: &LineState) -> Step {
        let order = match *message {
            Message::Baud(baud) if crate::line::BAUDS.contains(&baud) => Some(Order::Baud(baud)),
            Message::CiscoBaud(index) => comport::cisco_baud(index)
                .filter(|baud| *baud != 0)
                .map(Order::Baud),
            Message::DataSize(bits @ 5..=8) => Some(Order::DataBits(bits)),
            Message::Parity(byte) => comport::parity(byte).map(Order::Parity),
            Message::StopSize(stop @ 1..=2) => Some(Order::StopBits(stop)),
            // One and a half is what two are with 5 data bits, and nothing that a UART does otherwise.
            Message::StopSize(3) if now.line.data_bits == 5 => Some(Order::StopBits(2)),
            Message::Control(control) => match control {
                Control::Flow(flow) => Some(Order::Flow(flow)),
                Control::Break(on) => Some(Order::Break(on)),
                Control::Dtr(on) => Some(Order::Dtr(on)),
                Control::Rts(on) => Some(Order::Rts(on)),
                _ => None,
            },
            // Bytes received but not read yet belong to everybody on the console and to its record: they stay.
            Message::Purge(2 | 3) => Some(Order::Purge {
                received: false,
                typed: true,
            }),
            Message::Suspend => return Step::Flow { on: false },
            Message::Resume => return Step::Flow { on: true },
            Message::Signature(ref text) if !text.is_empty() => return Step::Nothing,
            _ => None,
        };
        match order {
            Some(order) => {
                self.busy = item(message);
                Step::Order(order)
            }
            None => Step::Answer,
        }
    }

    /// The answer: the value in effect.
    pub(super) fn answer(&mut self, message: &Message, now: &LineState) -> Message {
        self.busy = None;
        if let Some(item) = item(message) {
            let value = value(item, now, message);
            self.told.insert(item, value.clone());
            return value;
        }
        match message {
            Message::Signature(_) => {
                Message::Signature(bytes::Bytes::copy_from_slice(self.signature.as_bytes()))
            }
            Message::LineMask(mask) => {
                self.line_mask = *mask;
                Message::LineMask(*mask)
            }
            Message::ModemMask(mask) => {
                self.modem_mask = *mask;
                Message::ModemMask(*mask)
            }
            Message::ModemState(_) => {
                let signals = self.wires(now);
                let state = comport::modem_state(signals, self.signals);
                self.signals = signals;
                Message::ModemState(state)
            }
            Message::LineState(_) => {
                let faults = now.faults.unwrap_or_default();
                let state = comport::line_state(faults, self.faults);
                self.faults = faults;
                Message::LineState(state | comport::IDLE)
            }
            other => other.clone(),
        }
    }

    /// What the client is told when the line has changed by itself or by somebody else.
    pub(super) fn changed(&mut self, now: &LineState) -> Vec<Message> {
        let mut news = Vec::new();
        for (item, told) in &mut self.told {
            let value = value(*item, now, told);
            if self.busy != Some(*item) && value != *told {
                told.clone_from(&value);
                news.push(value);
            }
        }
        if !self.agreed {
            return news;
        }
        let signals = self.wires(now);
        let state = comport::modem_state(signals, self.signals);
        let before = comport::modem_state(self.signals, self.signals);
        let moved = (state ^ before) | (state & 15);
        self.signals = signals;
        if moved & self.modem_mask != 0 {
            news.push(Message::ModemState(state & self.modem_mask));
        }
        let faults = now.faults.unwrap_or_default();
        let state = comport::line_state(faults, self.faults) & self.line_mask;
        self.faults = faults;
        if state != 0 {
            news.push(Message::LineState(state));
        }
        news
    }
}

fn item(message: &Message) -> Option<Item> {
    Some(match message {
        Message::Baud(_) | Message::CiscoBaud(_) => Item::Baud,
        Message::DataSize(_) => Item::DataSize,
        Message::Parity(_) => Item::Parity,
        Message::StopSize(_) => Item::StopSize,
        Message::Control(control) => match control {
            // 17 and 19 are kinds of flow control that we have not.
            Control::AskFlow | Control::Flow(_) | Control::Other(17 | 19) => Item::Flow,
            Control::AskFlowIn | Control::FlowIn(_) | Control::Other(18) => Item::FlowIn,
            Control::AskBreak | Control::Break(_) => Item::Break,
            Control::AskDtr | Control::Dtr(_) => Item::Dtr,
            Control::AskRts | Control::Rts(_) => Item::Rts,
            Control::Other(_) => return None,
        },
        _ => return None,
    })
}

/// An item as it stands, in the words of a message about it.
fn value(item: Item, now: &LineState, words: &Message) -> Message {
    let line = now.line;
    match item {
        Item::Baud if matches!(words, Message::CiscoBaud(_)) => {
            Message::CiscoBaud(comport::cisco_index(line.baud))
        }
        Item::Baud => Message::Baud(line.baud),
        Item::DataSize => Message::DataSize(line.data_bits),
        Item::Parity => Message::Parity(comport::parity_byte(line.parity)),
        Item::StopSize => Message::StopSize(match (line.stop_bits, line.data_bits) {
            (2, 5) => 3,
            (stop, _) => stop,
        }),
        Item::Flow => Message::Control(Control::Flow(line.flow)),
        Item::FlowIn => Message::Control(Control::FlowIn(line.flow)),
        Item::Break => Message::Control(Control::Break(now.breaking)),
        Item::Dtr => Message::Control(Control::Dtr(now.dtr)),
        Item::Rts => Message::Control(Control::Rts(now.rts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Flow, Line, Parity};

    fn state() -> LineState {
        LineState {
            line: Line::default(),
            dtr: true,
            rts: true,
            ..LineState::default()
        }
    }

    fn shadow() -> Shadow {
        Shadow::new("oobd".into())
    }

    #[test]
    fn answers_carry_the_value_in_effect() {
        let (mut shadow, mut now) = (shadow(), state());
        for (asked, order, answer) in [
            (
                Message::Baud(115_200),
                Some(Order::Baud(115_200)),
                Message::Baud(9600),
            ),
            (Message::Baud(0), None, Message::Baud(9600)),
            (Message::Baud(u32::MAX), None, Message::Baud(9600)),
            (
                Message::CiscoBaud(14),
                Some(Order::Baud(115_200)),
                Message::CiscoBaud(8),
            ),
            (Message::CiscoBaud(0), None, Message::CiscoBaud(8)),
            (
                Message::DataSize(7),
                Some(Order::DataBits(7)),
                Message::DataSize(8),
            ),
            (Message::DataSize(9), None, Message::DataSize(8)),
            (
                Message::Parity(3),
                Some(Order::Parity(Parity::Even)),
                Message::Parity(1),
            ),
            (Message::Parity(9), None, Message::Parity(1)),
            (
                Message::StopSize(2),
                Some(Order::StopBits(2)),
                Message::StopSize(1),
            ),
            (Message::StopSize(3), None, Message::StopSize(1)),
            (
                Message::Control(Control::Flow(Flow::RtsCts)),
                Some(Order::Flow(Flow::RtsCts)),
                Message::Control(Control::Flow(Flow::None)),
            ),
            (
                Message::Control(Control::Other(17)),
                None,
                Message::Control(Control::Flow(Flow::None)),
            ),
            (
                Message::Control(Control::AskFlowIn),
                None,
                Message::Control(Control::FlowIn(Flow::None)),
            ),
            (
                Message::Control(Control::AskDtr),
                None,
                Message::Control(Control::Dtr(true)),
            ),
            (
                Message::Control(Control::Rts(false)),
                Some(Order::Rts(false)),
                Message::Control(Control::Rts(true)),
            ),
            (
                Message::Control(Control::AskBreak),
                None,
                Message::Control(Control::Break(false)),
            ),
            (Message::Purge(1), None, Message::Purge(1)),
            (
                Message::Purge(3),
                Some(Order::Purge {
                    received: false,
                    typed: true,
                }),
                Message::Purge(3),
            ),
            (Message::ModemMask(7), None, Message::ModemMask(7)),
            (
                Message::Signature(bytes::Bytes::new()),
                None,
                Message::Signature(bytes::Bytes::from_static(b"oobd")),
            ),
        ] {
            let step = order.map_or(Step::Answer, Step::Order);
            assert_eq!(shadow.step(&asked, &now), step, "{asked:?}");
            assert_eq!(shadow.answer(&asked, &now), answer, "{asked:?}");
        }
        // One and a half stop bits come with five data bits.
        (now.line.data_bits, now.line.stop_bits) = (5, 2);
        let step = shadow.step(&Message::StopSize(3), &now);
        assert_eq!(step, Step::Order(Order::StopBits(2)));
        let answer = shadow.answer(&Message::StopSize(3), &now);
        assert_eq!(answer, Message::StopSize(3));
        assert_eq!(
            shadow.step(&Message::Suspend, &now),
            Step::Flow { on: false }
        );
        let named = Message::Signature("pyserial".into());
        assert_eq!(shadow.step(&named, &now), Step::Nothing);
    }

    #[test]
    fn nobody_is_told_what_they_have_not_asked_and_everybody_what_they_have() {
        let (mut shadow, mut now) = (shadow(), state());
        let first = shadow.agree(&now);
        assert_eq!(first, Some(Message::ModemState(128 | 32 | 16)));
        assert_eq!(shadow.agree(&now), None);
        now.line.baud = 1200;
        assert_eq!(shadow.changed(&now), []);
        shadow.step(&Message::Baud(0), &now);
        shadow.answer(&Message::Baud(0), &now);
        now.line.baud = 2400;
        now.dtr = false;
        assert_eq!(shadow.changed(&now), [Message::Baud(2400)]);
        assert_eq!(shadow.changed(&now), []);
        // While an order of one's own is carried out, its answer is enough.
        shadow.step(&Message::Baud(9600), &now);
        now.line.baud = 9600;
        assert_eq!(shadow.changed(&now), []);
        assert_eq!(
            shadow.answer(&Message::Baud(9600), &now),
            Message::Baud(9600)
        );
        assert_eq!(shadow.changed(&now), []);
    }

    #[test]
    fn modem_lines_and_errors_come_as_the_masks_say() {
        let (mut shadow, mut now) = (shadow(), state());
        let wires = |cts, dcd| {
            Some(Signals {
                cts,
                dcd,
                dsr: true,
                ri: false,
            })
        };
        now.signals = wires(true, true);
        now.faults = Some(Faults::default());
        shadow.agree(&now);
        now.signals = wires(false, true);
        assert_eq!(
            shadow.changed(&now),
            [Message::ModemState(128 | 32 | 1)],
            "CTS fell"
        );
        shadow.answer(&Message::ModemMask(128 | 8), &now);
        now.signals = wires(true, true);
        assert_eq!(shadow.changed(&now), [], "masked");
        now.signals = wires(true, false);
        assert_eq!(shadow.changed(&now), [Message::ModemState(8)]);
        let poll = shadow.answer(&Message::ModemState(0), &now);
        assert_eq!(poll, Message::ModemState(32 | 16));
        // Unplugged: all that was up fell.
        shadow.answer(&Message::ModemMask(255), &now);
        now.signals = None;
        assert_eq!(shadow.changed(&now), [Message::ModemState(2 | 1)]);

        now.faults = Some(Faults {
            breaks: 1,
            ..Faults::default()
        });
        assert_eq!(shadow.changed(&now), [], "the line mask is 0 at first");
        shadow.answer(&Message::LineMask(16), &now);
        now.faults = Some(Faults {
            breaks: 2,
            framing: 4,
            ..Faults::default()
        });
        assert_eq!(shadow.changed(&now), [Message::LineState(16)]);
    }
}
