//! A drive as the packets of its host see it: what is asked, and what is answered. Pure; blocks are moved by others.
//!
//! Sources: T10 SPC-3, SBC-2 and MMC-5 for the commands; Ylianst/MeshCommander amt-ider-ws-0.0.1.js for those that reach a
//! console, and for what firmware is used to be told of media.

/// Which of the two drives that AMT has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Floppy,
    Cd,
}

impl Kind {
    /// By the drive register of a command.
    #[must_use]
    pub fn of(register: u8) -> Self {
        if register & 0x10 == 0 {
            Self::Floppy
        } else {
            Self::Cd
        }
    }

    /// The drive register of an answer.
    #[must_use]
    pub fn register(self) -> u8 {
        match self {
            Self::Floppy => 0xa0,
            Self::Cd => 0xb0,
        }
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block(self) -> u32 {
        match self {
            Self::Floppy => 512,
            Self::Cd => 2048,
        }
    }
}

/// Why a command was not done: key, additional code and its qualifier (SPC-3 §4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sense {
    pub key: u8,
    pub code: u8,
    pub qualifier: u8,
}

impl Sense {
    const fn new(key: u8, code: u8, qualifier: u8) -> Self {
        Self {
            key,
            code,
            qualifier,
        }
    }

    pub const NO_MEDIUM: Self = Self::new(2, 0x3a, 0);
    pub const UNREADABLE: Self = Self::new(3, 0x11, 0);
    pub const UNWRITABLE: Self = Self::new(3, 0x0c, 0);
    pub const NO_SUCH_COMMAND: Self = Self::new(5, 0x20, 0);
    pub const OUT_OF_RANGE: Self = Self::new(5, 0x21, 0);
    pub const BAD_FIELD: Self = Self::new(5, 0x24, 0);
    pub const NOT_SAVED: Self = Self::new(5, 0x39, 0);
    pub const LOCKED: Self = Self::new(5, 0x53, 2);
    pub const CHANGED: Self = Self::new(6, 0x28, 0);
    pub const PROTECTED: Self = Self::new(7, 0x27, 0);
}

/// A part of the medium, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub at: u64,
    pub length: u64,
}

/// What a packet comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Done, and nothing to say.
    Good,
    Fail(Sense),
    Say(Vec<u8>),
    /// At least one block, all of them on the medium.
    Read(Span),
    Write(Span),
}

/// A packet of twelve bytes; what is missing is 0.
struct Packet<'a>(&'a [u8]);

impl Packet<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) << 16 | u32::from(self.u16(at + 2))
    }

    /// Block and count of the commands with six bytes; 0 is 256 there.
    fn short_span(&self) -> (u32, u32) {
        let block = (u32::from(self.byte(1) & 0x1f) << 16) | u32::from(self.u16(2));
        let count = match self.byte(4) {
            0 => 256,
            count => u32::from(count),
        };
        (block, count)
    }
}

/// One drive and what is in it.
#[derive(Debug)]
pub struct Drive {
    kind: Kind,
    /// Of the medium; `None` when there is none.
    blocks: Option<u32>,
    writable: bool,
    /// The host has ejected it.
    out: bool,
    /// The host wants it to stay.
    locked: bool,
    /// The host was not told yet that there is another medium: by a sense, and by an event.
    changed: bool,
    news: bool,
    sense: Sense,
}

impl Drive {
    /// With a medium of so many blocks, or empty.
    #[must_use]
    pub fn new(kind: Kind, blocks: Option<u32>, writable: bool) -> Self {
        Self {
            kind,
            blocks,
            writable,
            out: false,
            locked: false,
            changed: blocks.is_some(),
            news: blocks.is_some(),
            sense: Sense::default(),
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Has the host ejected what is in it?
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.out
    }

    /// A command failed while its blocks were moved.
    pub fn failed(&mut self, sense: Sense) {
        self.sense = sense;
    }

    /// Answers a packet.
    pub fn answer(&mut self, packet: &[u8]) -> Act {
        let act = self.act(&Packet(packet)).unwrap_or_else(Act::Fail);
        self.sense = match act {
            Act::Fail(sense) => sense,
            _ => Sense::default(),
        };
        match act {
            Act::Say(said) if said.is_empty() => Act::Good,
            act => act,
        }
    }

    fn act(&mut self, packet: &Packet<'_>) -> Result<Act, Sense> {
        let is_cd = self.kind == Kind::Cd;
        Ok(match packet.byte(0) {
            // TEST UNIT READY
            0x00 => {
                self.medium()?;
                if std::mem::take(&mut self.changed) {
                    return Err(Sense::CHANGED);
                }
                Act::Good
            }
            // REQUEST SENSE
            0x03 => cut(self.sense_data(), packet.byte(4).into()),
            // READ (6), (10), (12)
            0x08 => self.read(packet.short_span())?,
            0x28 => self.read((packet.u32(2), packet.u16(7).into()))?,
            0xa8 => self.read((packet.u32(2), packet.u32(6)))?,
            // WRITE (6), (10), AND VERIFY (10), (12)
            0x0a if !is_cd => self.write(packet.short_span())?,
            0x2a | 0x2e if !is_cd => self.write((packet.u32(2), packet.u16(7).into()))?,
            0xaa if !is_cd => self.write((packet.u32(2), packet.u32(6)))?,
            // INQUIRY
            0x12 if packet.byte(1) & 1 == 0 => cut(self.inquiry(), packet.u16(3)),
            // MODE SENSE (6), (10)
            0x1a => self.modes(packet, true)?,
            0x5a => self.modes(packet, false)?,
            // START STOP UNIT
            0x1b => self.start_stop(packet.byte(4))?,
            // PREVENT ALLOW MEDIUM REMOVAL
            0x1e => {
                self.medium()?;
                self.locked = packet.byte(4) & 1 != 0;
                Act::Good
            }
            // READ FORMAT CAPACITIES
            0x23 if !is_cd => {
                let blocks = self.medium()?.to_be_bytes();
                // One descriptor of eight bytes: a formatted medium.
                let said = [&[0, 0, 0, 8][..], &blocks, &[2, 0, 2, 0]].concat();
                cut(said, packet.u16(7))
            }
            // READ CAPACITY (10)
            0x25 => {
                let last = self.medium()?.saturating_sub(1);
                Act::Say([last.to_be_bytes(), self.kind.block().to_be_bytes()].concat())
            }
            // SEEK (10), VERIFY (10)
            0x2b => {
                self.span((packet.u32(2), 0))?;
                Act::Good
            }
            0x2f => {
                self.span((packet.u32(2), packet.u16(7).into()))?;
                Act::Good
            }
            // SYNCHRONIZE CACHE (10): nothing is kept back.
            0x35 => {
                self.medium()?;
                Act::Good
            }
            // READ TOC
            0x43 if is_cd => self.contents(packet)?,
            // GET CONFIGURATION
            0x46 if is_cd => cut(self.configuration(packet), packet.u16(7)),
            // GET EVENT STATUS NOTIFICATION
            0x4a if is_cd => self.event(packet)?,
            0x12 => return Err(Sense::BAD_FIELD),
            _ => return Err(Sense::NO_SUCH_COMMAND),
        })
    }

    /// Blocks of the medium that is in.
    fn medium(&self) -> Result<u32, Sense> {
        let blocks = self.blocks.filter(|_| !self.out);
        blocks.ok_or(Sense::NO_MEDIUM)
    }

    fn span(&self, (block, count): (u32, u32)) -> Result<Span, Sense> {
        let blocks = u64::from(self.medium()?);
        let (block, count) = (u64::from(block), u64::from(count));
        if block + count > blocks || (count == 0 && block >= blocks) {
            return Err(Sense::OUT_OF_RANGE);
        }
        let size = u64::from(self.kind.block());
        Ok(Span {
            at: block * size,
            length: count * size,
        })
    }

    fn read(&mut self, wanted: (u32, u32)) -> Result<Act, Sense> {
        let span = self.span(wanted)?;
        // Who reads without having asked first knows the medium well enough.
        self.changed = false;
        Ok(match span.length {
            0 => Act::Good,
            _ => Act::Read(span),
        })
    }

    fn write(&mut self, wanted: (u32, u32)) -> Result<Act, Sense> {
        self.medium()?;
        if !self.writable {
            return Err(Sense::PROTECTED);
        }
        let span = self.span(wanted)?;
        self.changed = false;
        Ok(match span.length {
            0 => Act::Good,
            _ => Act::Write(span),
        })
    }

    /// Fixed format, SPC-3 §4.5.3.
    fn sense_data(&self) -> Vec<u8> {
        let Sense {
            key,
            code,
            qualifier,
        } = self.sense;
        let mut said = vec![0; 18];
        for (at, value) in [(0, 0x70), (2, key), (7, 10), (12, code), (13, qualifier)] {
            put(&mut said, at, &[value]);
        }
        said
    }

    fn inquiry(&self) -> Vec<u8> {
        let (class, product) = match self.kind {
            Kind::Floppy => (0, b"Redirected floppy"),
            Kind::Cd => (5, b"Redirected CD-ROM"),
        };
        // Removable, no version, response format 2 of ATAPI, and the rest of 36 bytes.
        let mut said = vec![class, 0x80, 0, 0x21, 31, 0, 0, 0];
        said.extend(b"oobd    ");
        said.extend(product.iter().take(16));
        said.extend(b"1.0 ");
        said
    }

    /// MODE SENSE: a header and the pages that are asked for, `0x3f` for all.
    fn modes(&self, packet: &Packet<'_>, short: bool) -> Result<Act, Sense> {
        let (wanted, control) = (packet.byte(2) & 0x3f, packet.byte(2) >> 6);
        if control == 3 {
            return Err(Sense::NOT_SAVED);
        }
        let blocks = self.medium().unwrap_or_default();
        let mut pages = self.pages(blocks);
        pages.retain(|page| wanted == 0x3f || page.first() == Some(&wanted));
        if pages.is_empty() {
            return Err(Sense::BAD_FIELD);
        }
        if control == 1 {
            // Nothing of them can be changed.
            for page in &mut pages {
                page.iter_mut().skip(2).for_each(|byte| *byte = 0);
            }
        }
        let body = pages.concat();
        let kind = match (self.kind, short) {
            (Kind::Cd, true) => 0x05,
            (Kind::Cd, false) => 0x01,
            (Kind::Floppy, true) => 0x00,
            (Kind::Floppy, false) if blocks <= SMALL => 0x24,
            (Kind::Floppy, false) => 0x31,
        };
        let protected = if self.writable { 0 } else { 0x80 };
        let length = |header: usize| u8::try_from(header + body.len()).unwrap_or(u8::MAX);
        let (header, room) = if short {
            (vec![length(3), kind, protected, 0], packet.byte(4).into())
        } else {
            let header = vec![0, length(6), kind, protected, 0, 0, 0, 0];
            (header, packet.u16(7))
        };
        Ok(cut([header, body].concat(), room))
    }

    fn pages(&self, blocks: u32) -> Vec<Vec<u8>> {
        let empty = |page: u8| [&[page, 10][..], &[0; 10]].concat();
        match self.kind {
            Kind::Cd => {
                // Capabilities: a tray that can be locked and ejects, and 128 KiB of buffer.
                let mut able = vec![0; 26];
                for (at, value) in [(0, 0x2a), (1, 24), (6, 0x29), (13, 0x80)] {
                    put(&mut able, at, &[value]);
                }
                let recovery = vec![0x01, 6, 0, 0xff, 0, 0, 0, 0];
                vec![recovery, empty(0x1a), empty(0x1d), able]
            }
            Kind::Floppy => {
                let recovery = vec![0x01, 10, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0];
                // Flexible disk: a floppy of 1.44 MB, or an LS-120 for all that is larger.
                let (rate, heads, sectors): (u16, u8, u8) = match blocks {
                    0..=SMALL => (0x04b0, 2, 18),
                    _ => (0x10a9, 8, 32),
                };
                let track = u32::from(heads) * u32::from(sectors);
                let cylinders = u16::try_from(blocks.div_ceil(track)).unwrap_or(u16::MAX);
                let mut disk = vec![0; 32];
                put(&mut disk, 0, &[0x05, 30]);
                put(&mut disk, 2, &rate.to_be_bytes());
                put(&mut disk, 4, &[heads, sectors, 2, 0]);
                put(&mut disk, 8, &cylinders.to_be_bytes());
                put(&mut disk, 20, &[0x28]);
                put(&mut disk, 28, &[0x02, 0xd0]);
                vec![recovery, disk, empty(0x08)]
            }
        }
    }

    fn start_stop(&mut self, flags: u8) -> Result<Act, Sense> {
        let (load_or_eject, start) = (flags & 2 != 0, flags & 1 != 0);
        if !load_or_eject {
            return Ok(Act::Good);
        }
        if !start && self.locked {
            return Err(Sense::LOCKED);
        }
        let is_back = start && self.out && self.blocks.is_some();
        (self.changed, self.news) = (self.changed || is_back, self.news || is_back);
        self.out = !start && self.blocks.is_some();
        Ok(Act::Good)
    }

    /// READ TOC (MMC-5 §6.26): one session with one track of data.
    fn contents(&self, packet: &Packet<'_>) -> Result<Act, Sense> {
        let blocks = self.medium()?;
        let msf = packet.byte(1) & 2 != 0;
        let place = |block: u32| match msf {
            false => block.to_be_bytes(),
            true => minutes(block),
        };
        // Old ATAPI hosts put the format elsewhere.
        let format = match packet.byte(2) & 0x0f {
            0 => packet.byte(9) >> 6,
            format => format,
        };
        let track = |number: u8, at: u32| [&[0, 0x14, number, 0][..], &place(at)].concat();
        let said = match (format, packet.byte(6)) {
            (0, 0 | 1) => [&[0, 18, 1, 1][..], &track(1, 0), &track(0xaa, blocks)].concat(),
            (0, 0xaa) => [&[0, 10, 1, 1][..], &track(0xaa, blocks)].concat(),
            (1, _) => [&[0, 10, 1, 1][..], &track(1, 0)].concat(),
            _ => return Err(Sense::BAD_FIELD),
        };
        Ok(cut(said, packet.u16(7)))
    }

    /// GET CONFIGURATION (MMC-5 §6.6): a CD-ROM drive, all of whose features are current while there is a disc.
    fn configuration(&self, packet: &Packet<'_>) -> Vec<u8> {
        let is_in = self.medium().is_ok();
        let (kind, first) = (packet.byte(1) & 3, packet.u16(2));
        let mut body = Vec::new();
        for (code, always, data) in FEATURES {
            let asked = if kind == 2 {
                code == first
            } else {
                code >= first
            };
            if !asked || (kind == 1 && !always && !is_in) {
                continue;
            }
            // Version 0; persistent and current where it always is.
            let flags = if always { 3 } else { u8::from(is_in) };
            body.extend(code.to_be_bytes());
            body.extend([flags, u8::try_from(data.len()).unwrap_or_default()]);
            body.extend(data);
            if code == 0
                && let Some(current) = body.get_mut(6)
            {
                *current = u8::from(is_in);
            }
        }
        let length = u32::try_from(4 + body.len()).unwrap_or_default();
        let profile = [0, 0, 0, if is_in { 8 } else { 0 }];
        [&length.to_be_bytes()[..], &profile, &body].concat()
    }

    /// GET EVENT STATUS NOTIFICATION (MMC-5 §6.7), of media only, and only when polled.
    fn event(&mut self, packet: &Packet<'_>) -> Result<Act, Sense> {
        if packet.byte(1) & 1 == 0 {
            return Err(Sense::BAD_FIELD);
        }
        if packet.byte(4) & MEDIA == 0 {
            // No class of those that are asked for.
            return Ok(cut(vec![0, 2, 0x80, MEDIA], packet.u16(7)));
        }
        let is_in = self.medium().is_ok();
        let room = packet.u16(7);
        // Told once; who leaves no room for it was not told.
        let event = match self.news && is_in && room > 4 {
            true => 2,
            false => 0,
        };
        self.news &= event == 0;
        let status = u8::from(is_in) << 1 | u8::from(self.out);
        Ok(cut(vec![0, 6, 4, MEDIA, event, status, 0, 0], room))
    }
}

/// The largest floppy; what is larger is an LS-120 to the host.
const SMALL: u32 = 2880;
/// The class of events about media.
const MEDIA: u8 = 0x10;

/// Features of a CD-ROM drive: code, whether it has it without a disc, data.
const FEATURES: [(u16, bool, &[u8]); 7] = [
    // Profiles: CD-ROM.
    (0x0000, true, &[0, 8, 0, 0]),
    // Core: ATAPI.
    (0x0001, true, &[0, 0, 0, 2]),
    // Morphing: no asynchronous events.
    (0x0002, true, &[0, 0, 0, 0]),
    // Removable: a tray that ejects and can be locked.
    (0x0003, true, &[0x29, 0, 0, 0]),
    // Random readable: blocks of 2048, one at a time.
    (0x0010, false, &[0, 0, 8, 0, 0, 1, 0, 0]),
    // CD read: no more than that.
    (0x001e, false, &[0, 0, 0, 0]),
    // Power management.
    (0x0100, true, &[]),
];

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    for (slot, byte) in into.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}

/// As much as the host has room for.
fn cut(mut said: Vec<u8>, room: u16) -> Act {
    said.truncate(room.into());
    Act::Say(said)
}

/// A block as minutes, seconds and frames; two seconds lie before the first.
fn minutes(block: u32) -> [u8; 4] {
    let frames = block.saturating_add(150);
    let part = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    [
        0,
        part(frames / 75 / 60),
        part(frames / 75 % 60),
        part(frames % 75),
    ]
}
