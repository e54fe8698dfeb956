//! A frame as PNG (ISO/IEC 15948): rows as differences to the row above, compressed by miniz_oxide.

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::frame::Frame;

/// Of ten: the fastest that finds repetitions. A screen is mostly plain areas, which any level makes small.
const LEVEL: u8 = 1;

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
    let mut rows = Vec::with_capacity(height * (1 + width * 3));
    for y in 0..height {
        let mut line = Vec::with_capacity(width * 3);
        for colour in frame.row(0, y, width) {
            let [_, red, green, blue] = colour.to_be_bytes();
            line.extend([red, green, blue]);
        }
        rows.push(2);
        let pairs = line.iter().zip(&above);
        rows.extend(pairs.map(|(byte, old)| byte.wrapping_sub(*old)));
        above = line;
    }
    compress_to_vec_zlib(&rows, LEVEL)
}
