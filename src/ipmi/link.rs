//! An open session's packets: signed, encrypted, counted. §13.6 table 13-8 and §13.28. Either end has one; knows no socket.

use super::crypto::{BLOCK, Keys};
use super::packet::{RMCP_IPMI, V20};
use super::read::Reader;
use super::window::Window;

/// Encrypted and authenticated, beside the kind of payload.
const PROTECTED: u8 = 0xc0;
/// §13.6: "currently, only 07h".
const NEXT_HEADER: u8 = 7;

/// One end of a session.
#[derive(Debug)]
pub struct Link {
    keys: Keys,
    /// What comes in names this session.
    ours: u32,
    /// What goes out names that one.
    theirs: u32,
    next: u32,
    window: Window,
}

impl Link {
    /// Of a session that both ends have just agreed on.
    #[must_use]
    pub fn new(keys: Keys, ours: u32, theirs: u32) -> Self {
        Self {
            keys,
            ours,
            theirs,
            next: 1,
            window: Window::default(),
        }
    }

    /// Our name of the session.
    #[must_use]
    pub fn ours(&self) -> u32 {
        self.ours
    }

    /// The other end's name of the session.
    #[must_use]
    pub fn theirs(&self) -> u32 {
        self.theirs
    }

    /// The datagram of a payload. A payload is sent again by sealing it again.
    pub fn seal(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let sequence = self.next;
        self.next = self.next.checked_add(1).unwrap_or(1);
        let sealed = self.keys.encrypt(payload, rand::random::<[u8; BLOCK]>());
        let length = u16::try_from(sealed.len()).unwrap_or(u16::MAX);
        let mut out = RMCP_IPMI.to_vec();
        out.extend([V20, PROTECTED | kind & 0x3f]);
        out.extend(self.theirs.to_le_bytes());
        out.extend(sequence.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(sealed);
        // From the session header to `next header` it is a multiple of four.
        let mut pad = 0u8;
        while !(out.len() - RMCP_IPMI.len() + 2).is_multiple_of(4) {
            out.push(0xff);
            pad += 1;
        }
        out.extend([pad, NEXT_HEADER]);
        let code = self
            .keys
            .sign(out.get(RMCP_IPMI.len()..).unwrap_or_default());
        out.extend(code);
        out
    }

    /// Kind and payload of a datagram. `None` for everything that is not of this session, not genuine, or not new.
    pub fn open(&mut self, datagram: &[u8]) -> Option<(u8, Vec<u8>)> {
        let packet = datagram.strip_prefix(&RMCP_IPMI)?;
        let mut reader = Reader::new(packet);
        let [V20, kind] = reader.array()? else {
            return None;
        };
        let (session, sequence, length) = (reader.u32()?, reader.u32()?, reader.u16()?);
        if kind & PROTECTED != PROTECTED || session != self.ours {
            return None;
        }
        let sealed = reader.take(usize::from(length))?;
        // The padding between is signed, too; what BMCs put there differs.
        let cut = packet.len().checked_sub(self.keys.tag_length())?;
        let (signed, code) = packet.split_at_checked(cut)?;
        if !self.keys.verify(signed, code) {
            return None;
        }
        let payload = self.keys.decrypt(sealed)?;
        self.window.take(sequence).then_some((kind & 0x3f, payload))
    }
}
