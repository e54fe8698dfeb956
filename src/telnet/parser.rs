//! Cuts what a telnet peer sends into data, commands and subnegotiations, however the network splits it. Decides nothing.

use bytes::Bytes;

use super::{IAC, SB, SE, Verb};

/// Longest payload of a subnegotiation; a longer one is skipped to its end. RFC 2217's longest is a signature text.
pub const LONGEST_SUB: usize = 1024;

/// One thing a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Data, IAC no more doubled. Never empty.
    Data(Bytes),
    /// BRK, IP, AYT and the like: any command without an operand.
    Command(u8),
    Negotiate(Verb, u8),
    /// The payload of IAC SB … IAC SE, IAC no more doubled.
    Sub(u8, Vec<u8>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Data,
    Iac,
    Verb(Verb),
    /// After IAC SB.
    SubOption,
    Sub(u8),
    SubIac(u8),
}

/// The place in the stream between two reads. Costs at most [`LONGEST_SUB`] bytes.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    place: Place,
    sub: Vec<u8>,
    /// The subnegotiation is longer than [`LONGEST_SUB`]; the rest of it is skipped.
    overlong: bool,
}

impl Parser {
    /// Takes the next item from the front of `input`; `None` when all of it is used up. An item that the read ends in
    /// the middle of comes with a later read.
    pub fn next(&mut self, input: &mut Bytes) -> Option<Item> {
        while let Some(&byte) = input.first() {
            if self.place == Place::Data {
                let end = input.iter().position(|&byte| byte == IAC);
                match end {
                    Some(0) => {
                        let _ = input.split_to(1);
                        self.place = Place::Iac;
                    }
                    Some(end) => return Some(Item::Data(input.split_to(end))),
                    None => return Some(Item::Data(input.split_to(input.len()))),
                }
                continue;
            }
            if self.place == Place::Iac && byte == IAC {
                // The doubled one starts a run of data, up to the next IAC.
                self.place = Place::Data;
                let end = input.iter().skip(1).position(|&byte| byte == IAC);
                let end = end.map_or(input.len(), |end| end + 1);
                return Some(Item::Data(input.split_to(end)));
            }
            let _ = input.split_to(1);
            if let Some(item) = self.take(byte) {
                return Some(item);
            }
        }
        None
    }

    /// Takes a byte that is no data.
    fn take(&mut self, byte: u8) -> Option<Item> {
        match std::mem::take(&mut self.place) {
            Place::Data => None,
            Place::Iac => self.command(byte),
            Place::Verb(verb) => Some(Item::Negotiate(verb, byte)),
            Place::SubOption => {
                // An IAC here would be the end of a subnegotiation without an option.
                self.place = if byte == IAC {
                    Place::Iac
                } else {
                    Place::Sub(byte)
                };
                None
            }
            Place::Sub(option) if byte == IAC => {
                self.place = Place::SubIac(option);
                None
            }
            Place::Sub(option) => {
                self.keep(option, byte);
                None
            }
            Place::SubIac(option) => match byte {
                IAC => {
                    self.keep(option, byte);
                    None
                }
                SE => {
                    let data = std::mem::take(&mut self.sub);
                    (!std::mem::take(&mut self.overlong)).then_some(Item::Sub(option, data))
                }
                // The peer broke off: what it says instead counts.
                _ => self.command(byte),
            },
        }
    }

    fn keep(&mut self, option: u8, byte: u8) {
        self.place = Place::Sub(option);
        if self.sub.len() < LONGEST_SUB {
            self.sub.push(byte);
        } else {
            self.overlong = true;
            self.sub = Vec::new();
        }
    }

    fn command(&mut self, byte: u8) -> Option<Item> {
        self.sub = Vec::new();
        self.overlong = false;
        match byte {
            SB => {
                self.place = Place::SubOption;
                None
            }
            SE => None,
            _ => match Verb::from_byte(byte) {
                Some(verb) => {
                    self.place = Place::Verb(verb);
                    None
                }
                None => Some(Item::Command(byte)),
            },
        }
    }
}
