//! Files of text as a gzipped tar archive (POSIX ustar, RFC 1952), in memory: what every `tar xz` reads.

use miniz_oxide::deflate::compress_to_vec;

/// A header and the padding of content.
const BLOCK: usize = 512;
/// Of ten.
const LEVEL: u8 = 6;

/// Packs files, by their names; `at` is when, in seconds since 1970. Names of more than 100 bytes are cut.
#[must_use]
pub(super) fn pack(files: &[(String, Vec<u8>)], at: u64) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        archive.extend(header(name, content.len(), at));
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    gzip(&archive)
}

fn header(name: &str, length: usize, at: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |from: usize, most: usize, bytes: &[u8]| {
        for (place, byte) in block.iter_mut().skip(from).zip(bytes.iter().take(most)) {
            *place = *byte;
        }
    };
    put(0, 100, name.as_bytes());
    put(100, 8, b"0000644\0");
    put(108, 8, b"0000000\0");
    put(116, 8, b"0000000\0");
    put(124, 12, format!("{length:011o}\0").as_bytes());
    put(136, 12, format!("{at:011o}\0").as_bytes());
    // The sum is made with blanks in its own place.
    put(148, 8, b"        ");
    put(156, 1, b"0");
    put(257, 8, b"ustar\x0000");
    put(265, 32, b"root");
    put(297, 32, b"root");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let text = format!("{sum:06o}\0 ");
    for (place, byte) in block.iter_mut().skip(148).zip(text.as_bytes()) {
        *place = *byte;
    }
    block
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Deflate, no flags, no time, made on Unix.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    out.extend(compress_to_vec(bytes, LEVEL));
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    // The length is kept modulo 2³².
    let length = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or_default();
    out.extend(length.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tar_unpacks_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("rack7/state.json".to_owned(), b"{}\n".to_vec()),
            ("rack7/empty".to_owned(), vec![]),
            ("rack7/long".to_owned(), vec![b'x'; 100_000]),
        ];
        let path = folder.path().join("bundle.tar.gz");
        std::fs::write(&path, pack(&files, 1_795_000_000)).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("xzf").arg(&path).arg("-C").arg(folder.path());
        assert!(tar.status().unwrap().success());
        for (name, content) in &files {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), *content);
        }
    }
}
