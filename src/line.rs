//! A serial line as everybody names it: settings, lines, what is asked of it and how it stands. Imports nothing of ours.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Rates between those that a 16550 can count down to and the fastest that USB bridges name.
pub const BAUDS: std::ops::RangeInclusive<u32> = 50..=4_000_000;

/// Line settings, written `115200n8`: baud, parity `n` `e` `o` `m` `s`, data bits, and a `2` at the end for two stop bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub baud: u32,
    pub parity: Parity,
    pub data_bits: u8,
    /// 1 or 2; 2 with 5 data bits is one and a half, as every UART has it.
    pub stop_bits: u8,
    pub flow: Flow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    #[default]
    None,
    Even,
    Odd,
    /// The parity bit is always 1.
    Mark,
    /// The parity bit is always 0.
    Space,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    #[default]
    None,
    RtsCts,
    XonXoff,
}

impl Default for Line {
    /// What most network gear speaks from the factory: `9600n8`.
    fn default() -> Self {
        Self {
            baud: 9600,
            parity: Parity::None,
            data_bits: 8,
            stop_bits: 1,
            flow: Flow::None,
        }
    }
}

/// Without flow control, which has a key of its own.
impl std::str::FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{}` are no line settings; write baud, parity (n, e, o, m or s), data bits (5 to 8) and a 2 for two stop bits, as in \"9600n8\", \"115200e7\" or \"9600n82\"",
                text.escape_debug()
            )
        };
        let letter = text
            .find(|letter: char| !letter.is_ascii_digit())
            .ok_or_else(bad)?;
        let (baud, rest) = text.split_at(letter);
        let baud = baud.parse().map_err(|_| bad())?;
        if !BAUDS.contains(&baud) {
            return Err(format!(
                "{baud} baud is not {} to {}",
                BAUDS.start(),
                BAUDS.end()
            ));
        }
        let (parity, bits) = match rest.as_bytes() {
            [b'n' | b'N', bits @ ..] => (Parity::None, bits),
            [b'e' | b'E', bits @ ..] => (Parity::Even, bits),
            [b'o' | b'O', bits @ ..] => (Parity::Odd, bits),
            [b'm' | b'M', bits @ ..] => (Parity::Mark, bits),
            [b's' | b'S', bits @ ..] => (Parity::Space, bits),
            _ => return Err(bad()),
        };
        let (data, stop_bits) = match bits {
            [data] | [data, b'1'] => (data, 1),
            [data, b'2'] => (data, 2),
            _ => return Err(bad()),
        };
        if !(b'5'..=b'8').contains(data) {
            return Err(bad());
        }
        Ok(Self {
            baud,
            parity,
            data_bits: data - b'0',
            stop_bits,
            flow: Flow::None,
        })
    }
}

/// As [`Line::from_str`] reads it; flow control is left out.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'n',
            Parity::Even => 'e',
            Parity::Odd => 'o',
            Parity::Mark => 'm',
            Parity::Space => 's',
        };
        write!(f, "{}{parity}{}", self.baud, self.data_bits)?;
        match self.stop_bits {
            1 => Ok(()),
            more => write!(f, "{more}"),
        }
    }
}

/// How a line stands. What the transport cannot tell is `None` or `Unknown`, never a guess.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineState {
    /// In effect: what the driver made of what was asked.
    pub line: Line,
    /// Our outputs, as last set; on a line without such wires only remembered.
    pub dtr: bool,
    pub rts: bool,
    /// A break is being held.
    pub breaking: bool,
    /// The device's outputs; `None` where the transport has no such wires.
    pub signals: Option<Signals>,
    /// Since the port was opened; `None` where the transport does not count.
    pub faults: Option<Faults>,
    pub cable: Cable,
}

/// Modem lines that the device drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signals {
    pub cts: bool,
    pub dsr: bool,
    pub dcd: bool,
    pub ri: bool,
}

/// What went wrong on the line, counted by the driver (TIOCGICOUNT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    pub framing: u64,
    pub parity: u64,
    /// Bytes lost because the UART, or the kernel's buffer, was full.
    pub overrun: u64,
    /// Breaks received.
    pub breaks: u64,
}

/// Is something plugged in at the other end?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cable {
    /// No line tells, or none ever was up.
    #[default]
    Unknown,
    Connected,
    Unplugged,
}

/// What is asked of a line while it runs. It holds until the port is opened anew or the settings are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    Baud(u32),
    /// 5 to 8.
    DataBits(u8),
    Parity(Parity),
    /// 1 or 2.
    StopBits(u8),
    Flow(Flow),
    Dtr(bool),
    Rts(bool),
    /// Begins or ends a break; one that nobody ends is ended after 5 s.
    Break(bool),
    /// Throws away what waits: received but not yet read from the driver, typed but not yet sent.
    Purge {
        received: bool,
        typed: bool,
    },
    /// Back to what oobd.toml says.
    Restore,
    /// Sets nothing; the answer tells how the line stands.
    Look,
}

/// What is asked, as in "set 9600 baud".
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |on: bool| if on { "on" } else { "off" };
        match *self {
            Self::Baud(baud) => write!(f, "set {baud} baud"),
            Self::DataBits(bits) => write!(f, "set {bits} data bits"),
            Self::Parity(parity) => write!(f, "set parity {parity}"),
            Self::StopBits(bits) => write!(f, "set {bits} stop bits"),
            Self::Flow(flow) => write!(f, "set flow control {flow}"),
            Self::Dtr(on) => write!(f, "turn DTR {}", switch(on)),
            Self::Rts(on) => write!(f, "turn RTS {}", switch(on)),
            Self::Break(on) => write!(f, "turn break {}", switch(on)),
            Self::Purge { .. } => f.write_str("throw away what waits"),
            Self::Restore => f.write_str("restore the line settings"),
            Self::Look => f.write_str("look at the line"),
        }
    }
}

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Even => "even",
            Self::Odd => "odd",
            Self::Mark => "mark",
            Self::Space => "space",
        })
    }
}

/// The word of oobd.toml.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::RtsCts => "rtscts",
            Self::XonXoff => "xonxoff",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_settings() {
        for text in [
            "9600n8",
            "115200e7",
            "9600n82",
            "1200o5",
            "1500000n8",
            "300m7",
            "300s7",
        ] {
            let line: Line = text.parse().unwrap();
            assert_eq!(line.to_string(), text);
        }
        assert_eq!("9600N81".parse::<Line>().unwrap().to_string(), "9600n8");
        for text in [
            "",
            "9600",
            "n8",
            "9600x8",
            "9600n9",
            "9600n4",
            "9600n83",
            "9600n8 ",
            "99999999999n8",
            "1n8",
            "9600né",
        ] {
            assert!(text.parse::<Line>().is_err(), "{text}");
        }
    }
}
