//! What is said when on a Serial over LAN: one packet out at a time, acknowledged, repeated, cut; what comes in taken once.
//! §15.9 to §15.11. Pure: time and packets come from outside.

use std::collections::VecDeque;
use std::time::Duration;

use super::packet::{HEADER, MOST, Packet, operation, status};
use crate::clock::Instant;
use crate::ipmi::Limits;

/// Characters typed that wait for their packet; past that the writer waits.
const AHEAD: usize = 512;
/// Characters of the machine that wait for the reader; past that the BMC is told to wait.
const INBOX: usize = 32 * 1024;
/// How often a packet is sent before the console counts as lost.
const TRIES: u32 = 8;
/// The same of the empty packet that begins a console; without it goes on.
const GREETING_TRIES: u32 = 3;
/// How long a BMC that takes nothing now is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// A packet that waits for its acknowledgement.
#[derive(Debug)]
struct Flight {
    packet: Packet,
    tries: u32,
    due: Instant,
}

impl Flight {
    /// Nothing is in it.
    fn is_greeting(&self) -> bool {
        self.packet.data.is_empty() && self.packet.flags == 0
    }
}

/// One end of a conversation, the console's.
#[derive(Debug)]
pub struct Flow {
    limits: Limits,
    /// Characters that one packet of ours may carry.
    most: usize,
    next: u8,
    queue: VecDeque<u8>,
    wants_break: bool,
    /// An empty packet begins. Some BMCs, OpenIPMI's among them, know a packet again by its number alone, also one of a
    /// console before this one, and would drop the first that somebody typed.
    greeting: bool,
    flight: Option<Flight>,
    inbox: VecDeque<u8>,
    /// The last packet that came in, and how much of it was taken.
    last: (u8, usize),
    /// What is to be said to the BMC at once.
    acks: VecDeque<Packet>,
    /// The BMC was told to wait; with this packet.
    held: Option<u8>,
    fault: Option<&'static str>,
}

impl Flow {
    /// `inbound`: the largest payload that the BMC takes, header included, as it said when activated.
    #[must_use]
    pub fn new(limits: Limits, inbound: usize) -> Self {
        Self {
            limits,
            most: inbound.saturating_sub(HEADER).clamp(1, MOST),
            next: 1,
            queue: VecDeque::new(),
            wants_break: false,
            greeting: true,
            flight: None,
            inbox: VecDeque::new(),
            last: (0, 0),
            acks: VecDeque::new(),
            held: None,
            fault: None,
        }
    }

    /// Why it is over.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Takes characters for the machine, as many as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(AHEAD.saturating_sub(self.queue.len()));
        self.queue.extend(bytes.iter().take(count));
        count
    }

    /// Sends a break once the characters before it are there. Those waiting at the same time become one.
    pub fn send_break(&mut self) {
        self.wants_break = true;
    }

    /// Nothing waits to be sent or acknowledged.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flight.is_none() && self.queue.is_empty() && !self.wants_break && !self.greeting
    }

    /// Forgets what was written and is in no packet yet.
    pub fn discard_output(&mut self) {
        self.queue.clear();
        self.wants_break = false;
    }

    /// Hands out characters of the machine.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.inbox.len());
        for (slot, byte) in buffer.iter_mut().zip(self.inbox.drain(..count)) {
            *slot = byte;
        }
        if self.inbox.len() <= INBOX / 2
            && let Some(ack) = self.held.take()
        {
            self.acks.push_back(Packet {
                ack,
                ..Packet::default()
            });
        }
        count
    }

    /// A packet came in.
    pub fn hear(&mut self, packet: &Packet, now: Instant) {
        if packet.flags & status::DEACTIVATED != 0 {
            self.fault = Some("another session took it, or it was switched off");
            return;
        }
        if packet.ack != 0 {
            self.acknowledged(packet, now);
        }
        if packet.seq != 0 {
            self.take(packet);
        }
    }

    fn acknowledged(&mut self, packet: &Packet, now: Instant) {
        let Some(flight) = self
            .flight
            .take_if(|flight| flight.packet.seq == packet.ack)
        else {
            // Late, of a packet that is done.
            return;
        };
        let accepted = usize::from(packet.accepted);
        let rest = flight.packet.data.get(accepted..).unwrap_or_default();
        if flight.is_greeting() {
            return;
        }
        let refused = packet.flags & (status::NACK | status::UNAVAILABLE) != 0;
        let is_break = flight.packet.flags & operation::BREAK != 0;
        if rest.is_empty() && !(is_break && refused) {
            return;
        }
        // What was not taken goes out under a new number, after a pause if the BMC cannot take more now.
        let again = Packet {
            seq: self.number(),
            data: rest.to_vec(),
            ..flight.packet
        };
        // Nothing taken is as good as refused: else the two would say so to each other without end.
        let waits = refused || accepted == 0;
        let due = if waits { now + PAUSE } else { now };
        self.flight = Some(Flight {
            packet: again,
            tries: 0,
            due,
        });
    }

    fn take(&mut self, packet: &Packet) {
        let (last, taken) = self.last;
        // A repeated packet may have grown.
        let known = if packet.seq == last { taken } else { 0 };
        let fresh = packet.data.get(known..).unwrap_or_default();
        let room = self.inbox.len() + fresh.len() <= INBOX;
        let mut ack = Packet {
            ack: packet.seq,
            ..Packet::default()
        };
        if room {
            self.inbox.extend(fresh);
            self.last = (packet.seq, known.max(packet.data.len()));
            ack.accepted = u8::try_from(packet.data.len()).unwrap_or(u8::MAX);
        } else {
            ack.flags = operation::NACK;
            self.held = Some(packet.seq);
        }
        if self.acks.len() < 16 {
            self.acks.push_back(ack);
        }
    }

    fn number(&mut self) -> u8 {
        let number = self.next;
        self.next = if number == 15 { 1 } else { number + 1 };
        number
    }

    /// The next packet to send now. Ask until there is none, then wait for [`Flow::due`].
    pub fn next_packet(&mut self, now: Instant) -> Option<Packet> {
        if let Some(ack) = self.acks.pop_front() {
            return Some(ack);
        }
        let tried = |flight: &mut Flight| flight.tries == GREETING_TRIES && flight.due <= now;
        self.flight
            .take_if(|flight| flight.is_greeting() && tried(flight));
        if self.flight.is_none() && !self.is_idle() {
            let greeting = std::mem::take(&mut self.greeting);
            let count = if greeting {
                0
            } else {
                self.queue.len().min(self.most)
            };
            let is_break = count == 0 && !greeting && std::mem::take(&mut self.wants_break);
            let packet = Packet {
                seq: self.number(),
                data: self.queue.drain(..count).collect(),
                flags: if is_break { operation::BREAK } else { 0 },
                ..Packet::default()
            };
            self.flight = Some(Flight {
                packet,
                tries: 0,
                due: now,
            });
        }
        let flight = self.flight.as_mut().filter(|flight| flight.due <= now)?;
        if flight.tries == TRIES {
            self.fault = Some("the BMC no longer acknowledges what is typed");
            return None;
        }
        flight.due = now + self.limits.wait(flight.tries.min(3));
        flight.tries += 1;
        Some(flight.packet.clone())
    }

    /// When to ask for a packet again, unless something happens before.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.due)
    }

    /// Does the machine's output wait for a reader?
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.inbox.is_empty()
    }
}
