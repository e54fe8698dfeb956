//! A frame as PNG (ISO/IEC 15948): rows as differences to the row above, their runs compressed (RFC 1951 §3.2.6).

use super::frame::Frame;

/// Longest run of one symbol, and its code: length 258 is symbol 285.
const RUN: usize = 258;

/// The whole file.
#[must_use]
pub fn encode(frame: &Frame) -> Vec<u8> {
    let (width, height) = frame.size();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    // Eight bits of red, green and blue.
    let head = [&size(width)[..], &size(height), &[8, 2, 0, 0, 0]].concat();
    chunk(b"IHDR", &head, &mut out);
    chunk(b"IDAT", &pixels(frame), &mut out);
    chunk(b"IEND", &[], &mut out);
    out
}

fn chunk(kind: &[u8; 4], data: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(kind);
    sum.update(data);
    out.extend(kind);
    out.extend(data);
    out.extend(sum.finalize().to_be_bytes());
}

/// Filter 2 and zlib of it.
fn pixels(frame: &Frame) -> Vec<u8> {
    let (width, height) = frame.size();
    let mut above = vec![0_u8; width * 3];
    let mut writer = Writer::default();
    for y in 0..height {
        let mut line = Vec::with_capacity(width * 3);
        for colour in frame.row(0, y, width) {
            let [_, red, green, blue] = colour.to_be_bytes();
            line.extend([red, green, blue]);
        }
        writer.byte(2);
        for (byte, old) in line.iter().zip(&above) {
            writer.byte(byte.wrapping_sub(*old));
        }
        above = line;
    }
    writer.end()
}

/// One block of fixed codes; a byte that comes again and again is told once.
struct Writer {
    out: Vec<u8>,
    bits: u32,
    count: u32,
    last: Option<u8>,
    run: usize,
    sums: (u32, u32),
}

impl Default for Writer {
    fn default() -> Self {
        let mut writer = Self {
            out: vec![0x78, 0x01],
            bits: 0,
            count: 0,
            last: None,
            run: 0,
            sums: (1, 0),
        };
        // The last block, fixed codes.
        writer.push(0b011, 3);
        writer
    }
}

impl Writer {
    /// Bits as numbers are written: the lowest first.
    fn push(&mut self, value: u32, count: u32) {
        self.bits |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            let [byte, ..] = self.bits.to_le_bytes();
            self.out.push(byte);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Bits as codes are written: the highest first.
    fn code(&mut self, value: u32, count: u32) {
        self.push(value.reverse_bits() >> (32 - count), count);
    }

    fn literal(&mut self, byte: u8) {
        let byte = u32::from(byte);
        if byte < 144 {
            self.code(0x30 + byte, 8);
        } else {
            self.code(0x190 + byte - 144, 9);
        }
    }

    fn byte(&mut self, byte: u8) {
        let (a, b) = self.sums;
        let a = (a + u32::from(byte)) % 65521;
        self.sums = (a, (b + a) % 65521);
        if self.last == Some(byte) {
            self.run += 1;
            return;
        }
        self.flush();
        self.literal(byte);
        self.last = Some(byte);
    }

    fn flush(&mut self) {
        let Some(byte) = self.last else {
            return;
        };
        while self.run >= RUN {
            // Length 258 has the code of symbol 285, distance 1 that of symbol 0.
            self.code(0xc0 + 285 - 280, 8);
            self.code(0, 5);
            self.run -= RUN;
        }
        // Lengths 3 to 10 are symbols 257 to 264, without more bits.
        while self.run >= 3 {
            let length = self.run.min(10);
            self.code(u32::try_from(length - 2).unwrap_or_default(), 7);
            self.code(0, 5);
            self.run -= length;
        }
        for _ in 0..std::mem::take(&mut self.run) {
            self.literal(byte);
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.flush();
        self.code(0, 7);
        self.push(0, (8 - self.count) % 8);
        let (a, b) = self.sums;
        self.out.extend((b << 16 | a).to_be_bytes());
        self.out
    }
}
