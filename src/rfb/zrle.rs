//! ZRLE (RFC 6143 §7.7.6): tiles of 64×64 out of inflated bytes, and into bytes to deflate.

use super::frame::Frame;
use super::pixel::Format;
use super::{Bad, Reader};

const TILE: usize = 64;

/// Most bytes that a rectangle can inflate to.
pub(super) fn most(width: usize, height: usize, format: Format) -> usize {
    let tiles = width.div_ceil(TILE) * height.div_ceil(TILE);
    width * height * (format.bytes + 1) + tiles * (1 + 128 * format.bytes)
}

/// Draws a rectangle that lies within the frame.
pub(super) fn draw(
    bytes: &[u8],
    format: Format,
    (x, y, width, height): (usize, usize, usize, usize),
    frame: &mut Frame,
) -> Result<(), Bad> {
    let mut reader = Reader::new(bytes);
    let mut tile = Vec::with_capacity(TILE * TILE);
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            let (wide, high) = (TILE.min(width - left), TILE.min(height - top));
            tile.clear();
            read(&mut reader, format, wide, high, &mut tile).ok_or(Bad::Tile)?;
            for (row, pixels) in tile.chunks(wide).enumerate() {
                frame.put(x + left, y + top + row, pixels);
            }
        }
    }
    Ok(())
}

/// Most colours of a tile that is told by their numbers.
const PALETTE: usize = 16;

/// One tile of at most 64×64, as it is before it is deflated: one colour, up to 16 by their numbers, or pixel by pixel.
pub(super) fn write(pixels: &[u32], wide: usize, format: Format, out: &mut Vec<u8>) {
    let place = format.compact();
    let mut palette: Vec<u32> = Vec::with_capacity(PALETTE);
    for pixel in pixels {
        if palette.last() == Some(pixel) || palette.contains(pixel) {
            continue;
        }
        if palette.len() == PALETTE {
            out.push(0);
            return format.write_parts(pixels, place, out);
        }
        palette.push(*pixel);
    }
    out.push(u8::try_from(palette.len()).unwrap_or(0));
    format.write_parts(&palette, place, out);
    if palette.len() < 2 {
        return;
    }
    let bits = bits(palette.len());
    for row in pixels.chunks(wide) {
        for some in row.chunks(8 / bits) {
            let mut byte = 0;
            for (at, pixel) in some.iter().enumerate() {
                let number = palette
                    .iter()
                    .position(|colour| colour == pixel)
                    .unwrap_or(0);
                byte |= number << (8 - bits * (1 + at));
            }
            out.push(u8::try_from(byte).unwrap_or(0));
        }
    }
}

/// Bits of a number that tells one of so many colours.
fn bits(colours: usize) -> usize {
    match colours {
        0..=2 => 1,
        3 | 4 => 2,
        _ => 4,
    }
}

/// `None` for what is broken.
fn read(
    reader: &mut Reader<'_>,
    format: Format,
    wide: usize,
    high: usize,
    out: &mut Vec<u32>,
) -> Option<()> {
    let count = wide * high;
    let kind = usize::from(reader.u8()?);
    let size = if kind & 0x7f > 1 || kind == 1 {
        kind & 0x7f
    } else {
        0
    };
    let pixel = |reader: &mut Reader<'_>| reader.take(format.bytes).map(|bytes| format.read(bytes));
    let mut palette = Vec::new();
    for _ in 0..size {
        palette.push(pixel(reader)?);
    }
    match kind {
        0 => {
            let bytes = reader.take(count * format.bytes)?;
            format.read_all(bytes, out);
        }
        1 => out.resize(count, *palette.first()?),
        2..=16 => {
            let bits = bits(size);
            let per = 8 / bits;
            for _ in 0..high {
                let row = reader.take(wide.div_ceil(per))?;
                for column in 0..wide {
                    let byte = row.get(column / per)?;
                    let index = byte >> (8 - bits * (1 + column % per)) & ((1 << bits) - 1);
                    out.push(*palette.get(usize::from(index))?);
                }
            }
        }
        128 | 130.. => {
            while out.len() < count {
                let (colour, run) = if kind == 128 {
                    (pixel(reader)?, length(reader)?)
                } else {
                    let index = reader.u8()?;
                    let run = if index & 0x80 == 0 {
                        1
                    } else {
                        length(reader)?
                    };
                    (*palette.get(usize::from(index & 0x7f))?, run)
                };
                if run > count - out.len() {
                    return None;
                }
                out.resize(out.len() + run, colour);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Bytes of 255 and one that is less, all summed up, and one more.
fn length(reader: &mut Reader<'_>) -> Option<usize> {
    let mut length = 1;
    loop {
        let byte = reader.u8()?;
        length += usize::from(byte);
        if byte < 255 {
            return Some(length);
        }
    }
}
