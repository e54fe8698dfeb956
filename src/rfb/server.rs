//! RFB 3.8 for viewers: greets without a password (the door has let them in), sends what changed as ZRLE or Raw, whichever the
//! viewer names first, in the viewer's format, tells of another size, hears keys and pointer. RFC 6143.

use super::deflate::Deflate;
use super::frame::{Frame, TILE};
use super::pixel::Format;
use super::{Bad, Reader, encoding, limited, zrle};

/// Bytes of one update, more or less; the rest comes with the next.
const AT_ONCE: usize = 128 * 1024;
/// Tiles of one update that are deflated: the picture is held meanwhile, some 20 ms of a small board.
const MOST_TILES: u16 = 32;
/// Longest clipboard, which is dropped.
const LONGEST_TEXT: usize = 256 * 1024;

/// What a viewer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// By the keysym of X11.
    Key {
        down: bool,
        keysym: u32,
    },
    Pointer {
        buttons: u8,
        x: u16,
        y: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Version,
    Security,
    Init,
    Running,
}

/// One viewer.
#[derive(Debug)]
pub struct Server {
    name: String,
    bytes: Vec<u8>,
    stage: Stage,
    format: Format,
    /// Understands that the screen changes its size.
    resizes: bool,
    /// It would rather have ZRLE than Raw.
    squeezed: bool,
    /// The one stream of all that was sent as ZRLE.
    deflate: Option<Deflate>,
    /// The size it was told.
    size: (usize, usize),
    /// The change of each tile that it has.
    seen: Vec<u64>,
    /// The tile that the next update begins with: where everything changes all the time, the lower part has its turn, too.
    next: usize,
    /// It waits for an update.
    waits: bool,
    said: Vec<u8>,
}

impl Server {
    /// `name` is what viewers show as the title.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bytes: Vec::new(),
            stage: Stage::Version,
            format: Format::RGB888,
            resizes: false,
            squeezed: false,
            deflate: None,
            size: (0, 0),
            seen: Vec::new(),
            next: 0,
            waits: false,
            said: b"RFB 003.008\n".to_vec(),
        }
    }

    /// As [`Server::new`], for a viewer that has said its version and signed in already: its next word is ClientInit.
    #[must_use]
    pub fn let_in(name: &str) -> Self {
        Self {
            stage: Stage::Init,
            said: Vec::new(),
            ..Self::new(name)
        }
    }

    /// What is to be sent now.
    pub fn said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.said)
    }

    /// Bytes of the viewer came in: what it did.
    ///
    /// # Errors
    /// [`Bad`]; it is to be left then.
    pub fn feed(&mut self, bytes: &[u8], frame: &Frame) -> Result<Vec<Input>, Bad> {
        self.bytes.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.bytes);
        let (mut done, mut did) = (0, Vec::new());
        loop {
            let mut reader = Reader::new(input.get(done..).unwrap_or_default());
            let Some(one) = self.step(&mut reader, frame)? else {
                break;
            };
            done += reader.at;
            did.extend(one);
        }
        input.drain(..done);
        self.bytes = input;
        Ok(did)
    }

    /// `None` while nothing is whole.
    fn step(
        &mut self,
        reader: &mut Reader<'_>,
        frame: &Frame,
    ) -> Result<Option<Option<Input>>, Bad> {
        if self.stage == Stage::Running {
            return self.message(reader);
        }
        Ok(self.shake(reader, frame)?.then_some(None))
    }

    fn shake(&mut self, reader: &mut Reader<'_>, frame: &Frame) -> Result<bool, Bad> {
        match self.stage {
            Stage::Version => {
                let Some(version) = reader.take(12) else {
                    return Ok(false);
                };
                if !version.starts_with(b"RFB 003.00") {
                    return Err(Bad::Greeting);
                }
                if version.get(10) == Some(&b'3') {
                    // Version 3.3 is told, not asked.
                    self.said.extend([0, 0, 0, 1]);
                    self.stage = Stage::Init;
                } else {
                    self.said.extend([1, 1]);
                    self.stage = Stage::Security;
                }
            }
            Stage::Security => match reader.u8() {
                None => return Ok(false),
                Some(1) => {
                    self.said.extend([0; 4]);
                    self.stage = Stage::Init;
                }
                Some(_) => return Err(Bad::Security),
            },
            Stage::Init => {
                if reader.u8().is_none() {
                    return Ok(false);
                }
                self.size = frame.size();
                self.say_size();
                self.said.extend(self.format.encode());
                let length = u32::try_from(self.name.len()).unwrap_or(0);
                self.said.extend(length.to_be_bytes());
                self.said.extend(self.name.as_bytes());
                self.stage = Stage::Running;
            }
            Stage::Running => {}
        }
        Ok(true)
    }

    fn say_size(&mut self) {
        let (width, height) = self.size;
        for size in [width, height] {
            self.said
                .extend(u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes());
        }
    }

    fn message(&mut self, reader: &mut Reader<'_>) -> Result<Option<Option<Input>>, Bad> {
        let Some(kind) = reader.u8() else {
            return Ok(None);
        };
        let mut did = None;
        let whole = match kind {
            0 => match reader.take(3).and_then(|_| reader.array()) {
                None => false,
                Some(format) => {
                    self.format = Format::parse(format)?;
                    self.seen.clear();
                    true
                }
            },
            2 => match reader
                .take(1)
                .and_then(|_| reader.u16())
                .and_then(|count| reader.take(count * 4))
            {
                None => false,
                Some(list) => {
                    let at = |kind: i32| list.chunks(4).position(|one| one == kind.to_be_bytes());
                    self.resizes = at(encoding::SIZE).is_some();
                    self.squeezed = at(encoding::ZRLE)
                        .is_some_and(|zrle| at(encoding::RAW).is_none_or(|raw| zrle < raw));
                    true
                }
            },
            3 => match reader.array::<9>() {
                None => false,
                Some([incremental, ..]) => {
                    if incremental == 0 {
                        self.seen.clear();
                    }
                    self.waits = true;
                    true
                }
            },
            4 => match reader.array::<7>() {
                None => false,
                Some([down, _, _, a, b, c, d]) => {
                    let keysym = u32::from_be_bytes([a, b, c, d]);
                    did = Some(Input::Key {
                        down: down != 0,
                        keysym,
                    });
                    true
                }
            },
            5 => match reader.array::<5>() {
                None => false,
                Some([buttons, a, b, c, d]) => {
                    let (x, y) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                    did = Some(Input::Pointer { buttons, x, y });
                    true
                }
            },
            6 => match reader.take(3).and_then(|_| reader.u32()) {
                None => false,
                Some(length) => reader
                    .take(limited(length, LONGEST_TEXT, "a clipboard")?)
                    .is_some(),
            },
            other => return Err(Bad::Kind(other)),
        };
        Ok(whole.then_some(did))
    }

    /// An update, if the viewer waits for one and there is something to tell. Call again once that is sent.
    pub fn update(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        if !self.waits || self.stage != Stage::Running {
            return None;
        }
        if self.size != frame.size() && self.resizes {
            self.size = frame.size();
            self.waits = false;
            self.seen.clear();
            let mut out = vec![0, 0, 0, 1];
            self.rectangle((0, 0), self.size, encoding::SIZE, &mut out);
            return Some(out);
        }
        let (width, height) = frame.size();
        // A viewer that knows no other size sees what fits.
        let (width, height) = (width.min(self.size.0), height.min(self.size.1));
        let across = frame.size().0.div_ceil(TILE);
        let changes = frame.changes();
        self.seen.resize(changes.len(), 0);
        let (mut body, mut count) = (Vec::new(), 0_u16);
        let tiles = changes.iter().enumerate();
        let first = self.next.min(changes.len());
        for (tile, change) in tiles.clone().skip(first).chain(tiles.take(first)) {
            if self.seen.get(tile) == Some(change) {
                continue;
            }
            let (x, y) = (tile % across * TILE, tile / across * TILE);
            if x < width && y < height {
                if body.len() >= AT_ONCE || (self.squeezed && count >= MOST_TILES) {
                    self.next = tile;
                    break;
                }
                let (wide, high) = (TILE.min(width - x), TILE.min(height - y));
                self.tile((x, y), (wide, high), frame, &mut body);
                count = count.saturating_add(1);
            }
            if let Some(seen) = self.seen.get_mut(tile) {
                *seen = *change;
            }
        }
        if count == 0 {
            return None;
        }
        self.waits = false;
        let [high, low] = count.to_be_bytes();
        Some([&[0, 0, high, low][..], &body].concat())
    }

    fn tile(
        &mut self,
        (x, y): (usize, usize),
        (wide, high): (usize, usize),
        frame: &Frame,
        out: &mut Vec<u8>,
    ) {
        let rows = (y..y + high).map(|line| frame.row(x, line, wide));
        if !self.squeezed {
            self.rectangle((x, y), (wide, high), encoding::RAW, out);
            for row in rows {
                self.format.write(row, out);
            }
            return;
        }
        self.rectangle((x, y), (wide, high), encoding::ZRLE, out);
        let pixels = rows.collect::<Vec<_>>().concat();
        let mut plain = Vec::new();
        zrle::write(&pixels, wide, self.format, &mut plain);
        let length = out.len();
        out.extend([0; 4]);
        self.deflate
            .get_or_insert_with(Deflate::default)
            .feed(&plain, out);
        let bytes = u32::try_from(out.len() - length - 4).unwrap_or(0);
        if let Some(place) = out.get_mut(length..length + 4) {
            place.copy_from_slice(&bytes.to_be_bytes());
        }
    }

    fn rectangle(
        &self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        kind: i32,
        out: &mut Vec<u8>,
    ) {
        for number in [x, y, width, height] {
            out.extend(u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
        }
        out.extend(kind.to_be_bytes());
    }
}
