//! Line ends of a network virtual terminal (RFC 854), for ends that are not BINARY (RFC 856): CR LF and CR NUL on the wire.
//! Knows no IAC.

use bytes::{Bytes, BytesMut};

/// What a person's terminal sends, as a serial device wants it: CR NUL and CR LF become CR. Over any split.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fold {
    after_cr: bool,
}

impl Fold {
    /// Takes data of a client that is not BINARY.
    #[must_use]
    pub fn fold(&mut self, data: Bytes) -> Bytes {
        let drops = self.after_cr || data.contains(&b'\r');
        if !drops {
            return data;
        }
        let mut out = BytesMut::with_capacity(data.len());
        for &byte in &data {
            let swallowed = std::mem::take(&mut self.after_cr) && matches!(byte, b'\n' | 0);
            if !swallowed {
                out.extend_from_slice(&[byte]);
            }
            self.after_cr = byte == b'\r';
        }
        out.freeze()
    }

    /// The client is BINARY from here on, or no longer.
    pub fn reset(&mut self) {
        self.after_cr = false;
    }
}

/// What a device says, for a client that does not take BINARY: a CR without LF gets a NUL, so that the client gives back
/// the very bytes. A CR goes out at once; its NUL follows when the next byte shows that it needs one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unfold {
    after_cr: bool,
}

impl Unfold {
    /// Appends the device's bytes as they go on the wire but for IAC.
    pub fn unfold(&mut self, data: &[u8], out: &mut Vec<u8>) {
        for &byte in data {
            if self.after_cr && byte != b'\n' {
                out.push(0);
            }
            out.push(byte);
            self.after_cr = byte == b'\r';
        }
    }

    /// We are BINARY from here on, or no longer.
    pub fn reset(&mut self) {
        self.after_cr = false;
    }
}
