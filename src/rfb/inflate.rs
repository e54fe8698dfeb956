//! Inflate (RFC 1950, 1951) of a stream that comes in pieces and never ends: one context for the whole of a session.
//! Bounded in what it keeps and in what it gives.

use super::Bad;

/// How far back a stream may refer.
const WINDOW: usize = 32 * 1024;
/// Input kept while a block's head or a symbol is not whole; far more than either can have.
const MOST_HEAD: usize = 4096;
/// Longest code. RFC 1951 §3.2.1.
const BITS: usize = 15;

const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// A code by its count of symbols per length, and the symbols in order.
#[derive(Clone, Debug)]
struct Code {
    counts: [u16; BITS + 1],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, Bad> {
        let mut counts = [0_u16; BITS + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            *counts.get_mut(usize::from(*length)).ok_or(Bad::Deflate)? += 1;
        }
        let mut left = 1_u32;
        for count in counts.iter().skip(1) {
            left = (left << 1)
                .checked_sub(u32::from(*count))
                .ok_or(Bad::Deflate)?;
        }
        let mut sorted: Vec<(u8, u16)> = lengths
            .iter()
            .copied()
            .zip(0..)
            .filter(|(length, _)| *length > 0)
            .collect();
        sorted.sort_unstable();
        let symbols = sorted.into_iter().map(|(_, symbol)| symbol).collect();
        Ok(Self { counts, symbols })
    }
}

#[derive(Debug)]
enum State {
    /// Before the two bytes of zlib.
    Begin,
    Head,
    Stored(usize),
    Codes(Box<(Code, Code)>),
    Over,
}

/// Why a step did not come to its end.
enum Stop {
    /// The rest of it is not there yet.
    More,
    Bad,
}

/// One stream.
#[derive(Debug)]
pub struct Inflate {
    input: Vec<u8>,
    /// Bits of the input that are done.
    at: usize,
    /// What came out last, for references.
    history: Vec<u8>,
    state: State,
    last: bool,
}

impl Default for Inflate {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            at: 0,
            history: Vec::new(),
            state: State::Begin,
            last: false,
        }
    }
}

impl Inflate {
    /// What this piece of the stream comes to; at most `limit` bytes.
    ///
    /// # Errors
    /// [`Bad::Deflate`], [`Bad::Long`]; the stream is useless then.
    pub fn feed(&mut self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Bad> {
        self.input.extend_from_slice(bytes);
        let from = self.history.len();
        loop {
            if self.history.len() - from > limit {
                return Err(Bad::Long("compressed data"));
            }
            let mark = self.at;
            match self.step() {
                Ok(()) => {}
                Err(Stop::More) if matches!(self.state, State::Over) => break,
                Err(Stop::More) => {
                    self.at = mark;
                    break;
                }
                Err(Stop::Bad) => return Err(Bad::Deflate),
            }
        }
        self.input.drain(..self.at / 8);
        self.at %= 8;
        if self.input.len() > MOST_HEAD {
            return Err(Bad::Deflate);
        }
        let out = self.history.get(from..).unwrap_or_default().to_vec();
        let old = self.history.len().saturating_sub(WINDOW);
        self.history.drain(..old);
        Ok(out)
    }

    fn bit(&mut self) -> Result<u16, Stop> {
        let byte = self.input.get(self.at / 8).ok_or(Stop::More)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Ok(u16::from(bit))
    }

    fn bits(&mut self, count: u8) -> Result<u16, Stop> {
        let mut value = 0;
        for place in 0..count {
            value |= self.bit()? << place;
        }
        Ok(value)
    }

    /// One symbol or a little more: what is done of it is undone where the input ends.
    fn step(&mut self) -> Result<(), Stop> {
        match &self.state {
            State::Begin => {
                let head = self.bits(16)?;
                let [method, flags] = head.to_le_bytes();
                if method & 0x0f != 8
                    || u16::from_be_bytes([method, flags]) % 31 != 0
                    || flags & 0x20 != 0
                {
                    return Err(Stop::Bad);
                }
                self.state = State::Head;
            }
            State::Head if self.last => self.state = State::Over,
            State::Head => self.head()?,
            State::Stored(0) => self.state = State::Head,
            State::Stored(left) => {
                let left = *left;
                let from = self.at / 8;
                let count = left.min(self.input.len().saturating_sub(from));
                if count == 0 {
                    return Err(Stop::More);
                }
                let piece = self.input.get(from..from + count).unwrap_or_default();
                self.history.extend_from_slice(piece);
                self.at += count * 8;
                self.state = State::Stored(left - count);
            }
            State::Codes(_) => self.symbol()?,
            // The checksum, and whatever follows it.
            State::Over => {
                self.at = self.input.len() * 8;
                return Err(Stop::More);
            }
        }
        Ok(())
    }

    fn head(&mut self) -> Result<(), Stop> {
        let last = self.bit()? == 1;
        let state = match self.bits(2)? {
            0 => {
                self.at = self.at.next_multiple_of(8);
                let (length, check) = (self.bits(16)?, self.bits(16)?);
                if length != !check {
                    return Err(Stop::Bad);
                }
                State::Stored(usize::from(length))
            }
            1 => {
                let lengths = [(144, 8), (112, 9), (24, 7), (8, 8)];
                let lengths: Vec<u8> = lengths
                    .into_iter()
                    .flat_map(|(count, length)| std::iter::repeat_n(length, count))
                    .collect();
                State::Codes(Box::new((code(&lengths)?, code(&[5; 30])?)))
            }
            2 => State::Codes(Box::new(self.dynamic()?)),
            _ => return Err(Stop::Bad),
        };
        self.last = last;
        self.state = state;
        Ok(())
    }

    fn dynamic(&mut self) -> Result<(Code, Code), Stop> {
        let (literals, distances) = (257 + self.bits(5)?, 1 + self.bits(5)?);
        let count = usize::from(4 + self.bits(4)?);
        let (literals, distances) = (usize::from(literals), usize::from(distances));
        if literals > 286 || distances > 30 {
            return Err(Stop::Bad);
        }
        let mut lengths = [0_u8; 19];
        for place in ORDER.iter().take(count) {
            let [length, _] = self.bits(3)?.to_le_bytes();
            *lengths.get_mut(*place).ok_or(Stop::Bad)? = length;
        }
        let meta = code(&lengths)?;
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < literals + distances {
            let symbol = self.decode(&meta)?;
            let (value, times) = match symbol {
                0..=15 => {
                    let [length, _] = symbol.to_le_bytes();
                    (length, 1)
                }
                16 => (*lengths.last().ok_or(Stop::Bad)?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                _ => (0, 11 + self.bits(7)?),
            };
            lengths.extend(std::iter::repeat_n(value, usize::from(times)));
        }
        if lengths.len() > literals + distances {
            return Err(Stop::Bad);
        }
        let (first, second) = lengths.split_at(literals);
        Ok((code(first)?, code(second)?))
    }

    fn decode(&mut self, code: &Code) -> Result<u16, Stop> {
        let (mut value, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for count in code.counts.iter().skip(1) {
            value |= u32::from(self.bit()?);
            let count = u32::from(*count);
            if value < first + count {
                let place = usize::try_from(index + value - first).unwrap_or(usize::MAX);
                return code.symbols.get(place).copied().ok_or(Stop::Bad);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err(Stop::Bad)
    }

    fn symbol(&mut self) -> Result<(), Stop> {
        let State::Codes(codes) = std::mem::replace(&mut self.state, State::Head) else {
            return Err(Stop::Bad);
        };
        let done = self.one(&codes);
        if !matches!(done, Ok(true)) {
            self.state = State::Codes(codes);
        }
        done.map(drop)
    }

    /// Is the block over?
    fn one(&mut self, codes: &(Code, Code)) -> Result<bool, Stop> {
        let symbol = self.decode(&codes.0)?;
        if symbol < 256 {
            let [byte, _] = symbol.to_le_bytes();
            self.history.push(byte);
            return Ok(false);
        }
        if symbol == 256 {
            return Ok(true);
        }
        let (base, extra) = *LENGTHS.get(usize::from(symbol - 257)).ok_or(Stop::Bad)?;
        let length = usize::from(base + self.bits(extra)?);
        let symbol = self.decode(&codes.1)?;
        let (base, extra) = *DISTANCES.get(usize::from(symbol)).ok_or(Stop::Bad)?;
        let distance = usize::from(base + self.bits(extra)?);
        let from = self.history.len().checked_sub(distance).ok_or(Stop::Bad)?;
        for place in from..from + length {
            let byte = *self.history.get(place).ok_or(Stop::Bad)?;
            self.history.push(byte);
        }
        Ok(false)
    }
}

fn code(lengths: &[u8]) -> Result<Code, Stop> {
    Code::new(lengths).map_err(|_| Stop::Bad)
}
