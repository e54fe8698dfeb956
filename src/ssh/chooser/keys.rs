//! Keys of a terminal out of the bytes it sends. Pure: the caller says when an Escape has waited long enough to be one.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Erase,
    /// Ctrl-U, Ctrl-W.
    EraseAll,
    Escape,
    /// Ctrl-C, Ctrl-D.
    Leave,
    /// Ctrl-L.
    Redraw,
}

/// Longest sequence that is waited for; a longer one is dropped.
const LONGEST: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// An unfinished sequence or character.
    held: Vec<u8>,
    /// The last key was CR: a LF or NUL behind it belongs to it.
    after_cr: bool,
}

impl Keys {
    /// Takes one byte; gives the key it completes.
    pub(super) fn take(&mut self, byte: u8) -> Option<Key> {
        if std::mem::take(&mut self.after_cr) && matches!(byte, b'\n' | 0) {
            return None;
        }
        match self.held.first() {
            None => self.first(byte),
            Some(0x1b) => self.sequence(byte),
            Some(_) => self.character(byte),
        }
    }

    /// Is an Escape waiting that may be a key of its own?
    pub(super) fn waits(&self) -> bool {
        self.held == [0x1b]
    }

    /// Nothing followed the Escape: it was the key.
    pub(super) fn flush(&mut self) -> Option<Key> {
        let alone = self.waits();
        self.held.clear();
        alone.then_some(Key::Escape)
    }

    fn first(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'\r' => {
                self.after_cr = true;
                Some(Key::Enter)
            }
            b'\n' => Some(Key::Enter),
            3 | 4 => Some(Key::Leave),
            8 | 0x7f => Some(Key::Erase),
            0x0c => Some(Key::Redraw),
            0x15 | 0x17 => Some(Key::EraseAll),
            // Ctrl-P and Ctrl-N, as readline has them.
            0x10 => Some(Key::Up),
            0x0e => Some(Key::Down),
            b' '..=b'~' => Some(Key::Char(char::from(byte))),
            0x1b | 0xc2..=0xf4 => {
                self.held.push(byte);
                None
            }
            _ => None,
        }
    }

    fn sequence(&mut self, byte: u8) -> Option<Key> {
        let started = self.held.len() == 1;
        match (started, byte) {
            (true, b'[' | b'O') => {}
            // Escape twice, or Alt with a letter: the Escape was a key, the other one is the next.
            (true, _) => {
                self.held.clear();
                if byte == 0x1b {
                    self.held.push(byte);
                }
                return Some(Key::Escape);
            }
            (false, b'@'..=b'~') => {
                let parameters = self.held.split_off(2);
                self.held.clear();
                return named(&parameters, byte);
            }
            (false, _) if self.held.len() >= LONGEST => {
                self.held.clear();
                return None;
            }
            (false, _) => {}
        }
        self.held.push(byte);
        None
    }

    fn character(&mut self, byte: u8) -> Option<Key> {
        self.held.push(byte);
        match std::str::from_utf8(&self.held) {
            Ok(text) => {
                let letter = text.chars().next().filter(|c| !c.is_control());
                self.held.clear();
                letter.map(Key::Char)
            }
            Err(fault) if fault.error_len().is_none() => None,
            Err(_) => {
                self.held.clear();
                None
            }
        }
    }
}

/// Cursor keys of VT100 and xterm, in both keypad modes.
fn named(parameters: &[u8], last: u8) -> Option<Key> {
    match (last, parameters) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        (b'M', b"") => Some(Key::Enter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut all: Vec<Key> = bytes.iter().filter_map(|&byte| keys.take(byte)).collect();
        all.extend(keys.flush());
        all
    }

    #[test]
    fn keys_of_real_terminals() {
        use Key::*;
        for (bytes, expected) in [
            (&b"ab1"[..], vec![Char('a'), Char('b'), Char('1')]),
            (b"\x1b[A\x1bOB\x1b[1;5A", vec![Up, Down, Up]),
            (
                b"\x1b[5~\x1b[6~\x1b[H\x1bOF\x1b[1~\x1b[4~",
                vec![PageUp, PageDown, Home, End, Home, End],
            ),
            (b"\r\n\r\0x\n", vec![Enter, Enter, Char('x'), Enter]),
            (b"\x1b", vec![Escape]),
            (b"\x1b\x1b", vec![Escape, Escape]),
            (
                b"\x03\x04\x15\x7f\x08\x0c",
                vec![Leave, Leave, EraseAll, Erase, Erase, Redraw],
            ),
            ("é".as_bytes(), vec![Char('é')]),
            // A mouse report, an F key, a bracketed paste: nothing of it is typed.
            (b"\x1b[<0;3;4M\x1b[15~\x1b[200~", vec![]),
            (b"\xff\xc3(x", vec![Char('x')]),
        ] {
            assert_eq!(typed(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut keys = Keys::default();
            for byte in bytes {
                let _ = keys.take(byte);
                prop_assert!(keys.held.len() <= LONGEST);
            }
        }
    }
}
