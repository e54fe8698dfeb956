//! Formats of pixels on the wire (RFC 6143 §7.4), to and from 0x00RRGGBB.

use std::ops::Range;

use super::Bad;

/// True colour of 8, 16 or 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bytes per pixel: 1, 2 or 4.
    pub bytes: usize,
    pub depth: u8,
    pub big_endian: bool,
    /// Largest value and place of red, green, blue.
    pub most: [u16; 3],
    pub shift: [u8; 3],
}

impl Format {
    /// What AMT sends unless told otherwise.
    pub const RGB565: Self = Self {
        bytes: 2,
        depth: 16,
        big_endian: false,
        most: [31, 63, 31],
        shift: [11, 5, 0],
    };
    /// What AMT sends of a screen that is too large for 16 bits.
    pub const RGB332: Self = Self {
        bytes: 1,
        depth: 8,
        big_endian: false,
        most: [7, 7, 3],
        shift: [5, 2, 0],
    };
    /// What viewers get unless they say otherwise.
    pub const RGB888: Self = Self {
        bytes: 4,
        depth: 24,
        big_endian: false,
        most: [255, 255, 255],
        shift: [16, 8, 0],
    };

    /// The sixteen bytes of a message.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let bits = u8::try_from(self.bytes * 8).unwrap_or(u8::MAX);
        let mut out = [0; 16];
        let [red, green, blue] = self.most.map(u16::to_be_bytes);
        let head = [bits, self.depth, u8::from(self.big_endian), 1];
        let all = head.iter().chain(&red).chain(&green).chain(&blue);
        for (slot, byte) in out.iter_mut().zip(all.chain(&self.shift)) {
            *slot = *byte;
        }
        out
    }

    /// # Errors
    /// [`Bad::Format`] for colour maps and sizes that nobody uses.
    pub fn parse(bytes: [u8; 16]) -> Result<Self, Bad> {
        let [
            bits,
            depth,
            big,
            colours,
            r1,
            r0,
            g1,
            g0,
            b1,
            b0,
            r,
            g,
            b,
            ..,
        ] = bytes;
        let format = Self {
            bytes: usize::from(bits / 8),
            depth,
            big_endian: big != 0,
            most: [[r1, r0], [g1, g0], [b1, b0]].map(u16::from_be_bytes),
            shift: [r, g, b],
        };
        let good =
            matches!(bits, 8 | 16 | 32) && colours != 0 && format.most.iter().all(|most| *most > 0);
        if good && format.shift.iter().all(|shift| *shift < bits) {
            Ok(format)
        } else {
            Err(Bad::Format)
        }
    }

    /// A pixel of so many bytes as are there.
    pub(super) fn read(self, bytes: &[u8]) -> u32 {
        let fold = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        let value = if self.big_endian {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        };
        let mut colour = 0;
        for (most, shift) in self.most.into_iter().zip(self.shift) {
            let most = u32::from(most);
            let part = (value >> shift) & most;
            // (part * 255 + most / 2) / most; two million pixels of a screen are read without a division.
            let scaled = match most {
                31 => (part * 527 + 23) >> 6,
                63 => (part * 259 + 33) >> 6,
                255 => part,
                _ => (part * 255 + most / 2) / most,
            };
            colour = colour << 8 | (scaled & 0xff);
        }
        colour
    }

    /// Appends as many pixels as these bytes are. A whole screen has two million: what AMT sends is read by a loop that stays one
    /// even where the compiler is asked for a small program, which makes calls of iterators.
    pub(super) fn read_all(self, bytes: &[u8], out: &mut Vec<u32>) {
        if self != Self::RGB565 {
            out.extend(bytes.chunks_exact(self.bytes).map(|one| self.read(one)));
            return;
        }
        let from = out.len();
        out.resize(from + bytes.len() / 2, 0);
        let (mut rest, mut room) = (bytes, out.get_mut(from..).unwrap_or_default());
        while let ([low, high, others @ ..], [pixel, more @ ..]) = (rest, room) {
            let value = u32::from(*high) << 8 | u32::from(*low);
            // As `read` does it.
            let red = ((value >> 11) * 527 + 23) >> 6;
            let green = ((value >> 5 & 63) * 259 + 33) >> 6;
            let blue = ((value & 31) * 527 + 23) >> 6;
            *pixel = red << 16 | green << 8 | blue;
            (rest, room) = (others, more);
        }
    }

    /// Appends so many whole pixels.
    pub(super) fn write(self, colours: &[u32], out: &mut Vec<u8>) {
        self.write_parts(colours, 0..self.bytes, out);
    }

    /// Which bytes of a pixel ZRLE has, lowest first (RFC 6143 §7.7.5, CPIXEL): the one of four that no colour uses is left out.
    pub(super) fn compact(self) -> Range<usize> {
        let mut parts = self.most.into_iter().zip(self.shift);
        if self.bytes != 4 || self.depth > 24 {
            0..self.bytes
        } else if parts
            .clone()
            .all(|(most, shift)| u32::from(most) << shift < 1 << 24)
        {
            0..3
        } else if parts.all(|(_, shift)| shift >= 8) {
            1..4
        } else {
            0..4
        }
    }

    /// Appends these bytes of each pixel, as [`Format::compact`] counts them.
    pub(super) fn write_parts(self, colours: &[u32], place: Range<usize>, out: &mut Vec<u8>) {
        // What nearly every viewer has.
        if self == Self::RGB888 && place.start == 0 {
            return match place.end {
                3 => append::<3>(colours, out),
                _ => append::<4>(colours, out),
            };
        }
        for colour in colours {
            let little = self.value(*colour).to_le_bytes();
            let part = little.get(place.clone()).unwrap_or_default();
            if self.big_endian {
                out.extend(part.iter().rev());
            } else {
                out.extend_from_slice(part);
            }
        }
    }

    fn value(self, colour: u32) -> u32 {
        let [_, red, green, blue] = colour.to_be_bytes();
        let mut value = 0_u32;
        for (part, (most, shift)) in [red, green, blue]
            .into_iter()
            .zip(self.most.into_iter().zip(self.shift))
        {
            let part = (u32::from(part) * u32::from(most) + 127) / 255;
            value |= part << shift;
        }
        value
    }
}

/// The lowest bytes of each, lowest first; a loop as in [`Format::read_all`].
fn append<const BYTES: usize>(colours: &[u32], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + colours.len() * BYTES, 0);
    let (mut room, _) = out
        .get_mut(from..)
        .unwrap_or_default()
        .as_chunks_mut::<BYTES>();
    let mut rest = colours;
    while let ([colour, others @ ..], [pixel, more @ ..]) = (rest, room) {
        let mut left = *colour;
        for byte in pixel {
            *byte = left.to_le_bytes()[0];
            left >>= 8;
        }
        (rest, room) = (others, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_rounded_as_by_division() {
        for value in 0..=u16::MAX {
            let part = |shift: u16, most: u16| {
                let part = u32::from(value >> shift & most);
                (part * 255 + u32::from(most) / 2) / u32::from(most)
            };
            let colour = part(11, 31) << 16 | part(5, 63) << 8 | part(0, 31);
            let bytes = value.to_le_bytes();
            assert_eq!(Format::RGB565.read(&bytes), colour, "{value:#x}");
            let mut all = vec![1];
            Format::RGB565.read_all(&bytes, &mut all);
            assert_eq!(all, [1, colour], "{value:#x}");
        }
    }

    #[test]
    fn many_are_written_as_one_by_one() {
        let colours = [0x12_3456, 0xff_0080, 0];
        for (bytes, wanted) in [(0..4, 4), (0..3, 3)] {
            let mut out = vec![9];
            Format::RGB888.write_parts(&colours, bytes, &mut out);
            let one = |colour: &u32| colour.to_le_bytes()[..wanted].to_vec();
            let all = [vec![9], colours.iter().flat_map(one).collect()].concat();
            assert_eq!(out, all);
        }
        let mut out = Vec::new();
        Format::RGB565.write(&colours, &mut out);
        assert_eq!(out, [0xaa, 0x11, 0x10, 0xf8, 0, 0]);
    }
}
