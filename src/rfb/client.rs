//! RFB as AMT's firmware speaks it: version 4.0 or 3.8, no password of its own, 16 or 8 bits, Raw and ZRLE.
//!
//! Sources: RFC 6143; Ylianst/MeshCommander amt-desktop-0.0.2.js; the traces of MeshCommander#91 and MeshCentral#3279.

use super::frame::{Frame, TILE};
use super::inflate::Inflate;
use super::pixel::Format;
use super::{Bad, Reader, encoding, limited, zrle};

/// Bytes of a picture past which firmware has no room (facts of MeshCommander: 8 bits for more).
const LARGEST: usize = 9_216_000;
/// Longest name, clipboard, reason; longest compressed rectangle.
const LONGEST_TEXT: usize = 64 * 1024;
const LONGEST_RECT: usize = 32 << 20;
/// The name of the firmware's side channel, also among the encodings: 1092.
const CHANNEL: &[u8; 16] = b"\0KvmDataChannel\0";
const CHANNEL_ENCODING: i32 = 1092;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Security,
    Result,
    Init,
    Running,
    /// In an update, so many rectangles left.
    Update(usize),
}

/// One session with a machine.
#[derive(Debug)]
pub struct Client {
    bytes: Vec<u8>,
    stage: Stage,
    format: Format,
    inflate: Inflate,
    /// What is to be sent.
    said: Vec<u8>,
    resized: bool,
    /// An update is whole and the next one not asked for; does that have to be the whole screen?
    owes: Option<bool>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            stage: Stage::Greeting,
            format: Format::RGB565,
            inflate: Inflate::default(),
            said: Vec::new(),
            resized: false,
            owes: None,
        }
    }
}

impl Client {
    /// Bytes came in: draws, and says what is to be said ([`Client::said`]). How many updates became whole.
    ///
    /// # Errors
    /// [`Bad`]; the session is over then.
    pub fn feed(&mut self, bytes: &[u8], frame: &mut Frame) -> Result<u64, Bad> {
        self.bytes.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.bytes);
        let (mut done, mut updates) = (0, 0);
        loop {
            let mut reader = Reader::new(input.get(done..).unwrap_or_default());
            let Some(whole) = self.step(&mut reader, frame)? else {
                break;
            };
            done += reader.at;
            updates += u64::from(whole);
        }
        input.drain(..done);
        self.bytes = input;
        Ok(updates)
    }

    /// What is to be sent now.
    pub fn said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.said)
    }

    /// Has the machine shown how large its screen is?
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running | Stage::Update(_))
    }

    /// A key by its keysym of X11 goes down or up.
    pub fn key(&mut self, down: bool, keysym: u32) {
        self.said.extend([4, u8::from(down), 0, 0]);
        self.said.extend(keysym.to_be_bytes());
    }

    pub fn pointer(&mut self, buttons: u8, x: u16, y: u16) {
        self.said.extend([5, buttons]);
        self.said.extend(x.to_be_bytes());
        self.said.extend(y.to_be_bytes());
    }

    /// Says on the firmware's side channel that somebody is there; not more often than every five seconds.
    pub fn keep_alive(&mut self) {
        self.said.extend([6, 0, 0, 0, 0, 0, 0, 16]);
        self.said.extend(CHANNEL);
    }

    /// One message or a part of it: `None` while it is not whole, else whether an update became whole.
    fn step(&mut self, reader: &mut Reader<'_>, frame: &mut Frame) -> Result<Option<bool>, Bad> {
        match self.stage {
            Stage::Update(left) => self.rectangle(reader, frame, left),
            Stage::Running => self.message(reader),
            _ => Ok(self.shake(reader, frame)?.then_some(false)),
        }
    }

    /// Is a step of the handshake done?
    fn shake(&mut self, reader: &mut Reader<'_>, frame: &mut Frame) -> Result<bool, Bad> {
        match self.stage {
            Stage::Greeting => {
                let Some(greeting) = reader.take(12) else {
                    return Ok(false);
                };
                if !greeting.starts_with(b"RFB ") {
                    return Err(Bad::Greeting);
                }
                self.said.extend(b"RFB 003.008\n");
                self.stage = Stage::Security;
            }
            Stage::Security => {
                let Some(count) = reader.u8() else {
                    return Ok(false);
                };
                if count == 0 {
                    return refusal(reader);
                }
                let Some(kinds) = reader.take(usize::from(count)) else {
                    return Ok(false);
                };
                if !kinds.contains(&1) {
                    return Err(Bad::Security);
                }
                self.said.push(1);
                self.stage = Stage::Result;
            }
            Stage::Result => {
                match reader.u32() {
                    None => return Ok(false),
                    Some(0) => {}
                    Some(_) => return refusal(reader),
                }
                // Shared: whoever else is there stays.
                self.said.push(1);
                self.stage = Stage::Init;
            }
            Stage::Init => return self.init(reader, frame),
            Stage::Running | Stage::Update(_) => {}
        }
        Ok(true)
    }

    fn init(&mut self, reader: &mut Reader<'_>, frame: &mut Frame) -> Result<bool, Bad> {
        let (Some(width), Some(height)) = (reader.u16(), reader.u16()) else {
            return Ok(false);
        };
        let (Some(_), Some(length)) = (reader.take(16), reader.u32()) else {
            return Ok(false);
        };
        let length = limited(length, LONGEST_TEXT, "a name")?;
        if reader.take(length).is_none() {
            return Ok(false);
        }
        self.begin(width, height, frame)?;
        self.ask(false, frame);
        self.stage = Stage::Running;
        Ok(true)
    }

    /// Takes the screen's size, and a format for which the firmware has room.
    fn begin(&mut self, width: usize, height: usize, frame: &mut Frame) -> Result<(), Bad> {
        frame.resize(width, height)?;
        let wide = width * height * Format::RGB565.bytes <= LARGEST;
        self.format = if wide { Format::RGB565 } else { Format::RGB332 };
        self.said.extend([0; 4]);
        self.said.extend(self.format.encode());
        let encodings = [
            encoding::ZRLE,
            encoding::RAW,
            CHANNEL_ENCODING,
            encoding::SIZE,
        ];
        self.said.extend([2, 0, 0, 4]);
        self.said
            .extend(encodings.iter().flat_map(|one| one.to_be_bytes()));
        Ok(())
    }

    /// Is it time to [`Client::go_on`]?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.owes.is_some()
    }

    /// Asks for the next update, once the one before is whole.
    pub fn go_on(&mut self, frame: &Frame) {
        if let Some(whole) = self.owes.take() {
            self.ask(!whole, frame);
        }
    }

    /// Asks for a corner of the screen, changed or not: a machine that is there answers.
    pub fn look(&mut self, frame: &Frame) {
        let (width, height) = frame.size();
        self.ask_for(false, (width.min(TILE), height.min(TILE)));
    }

    fn ask(&mut self, incremental: bool, frame: &Frame) {
        self.ask_for(incremental, frame.size());
    }

    fn ask_for(&mut self, incremental: bool, (width, height): (usize, usize)) {
        self.said.extend([3, u8::from(incremental), 0, 0, 0, 0]);
        for size in [width, height] {
            self.said
                .extend(u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes());
        }
    }

    fn message(&mut self, reader: &mut Reader<'_>) -> Result<Option<bool>, Bad> {
        let Some(kind) = reader.u8() else {
            return Ok(None);
        };
        let whole = match kind {
            0 => {
                let Some(count) = reader.take(1).and_then(|_| reader.u16()) else {
                    return Ok(None);
                };
                self.stage = Stage::Update(count);
                return Ok(Some(false));
            }
            // A colour map, which true colour has no use for.
            1 => {
                let count = reader.take(3).and_then(|_| reader.u16());
                count.and_then(|count| reader.take(count * 6))
            }
            2 => Some(&[][..]),
            3 => match reader.take(3).and_then(|_| reader.u32()) {
                None => None,
                Some(length) => reader.take(limited(length, LONGEST_TEXT, "a clipboard")?),
            },
            other => return Err(Bad::Kind(other)),
        };
        Ok(whole.map(|_| false))
    }

    fn rectangle(
        &mut self,
        reader: &mut Reader<'_>,
        frame: &mut Frame,
        left: usize,
    ) -> Result<Option<bool>, Bad> {
        if left == 0 {
            self.stage = Stage::Running;
            let whole = std::mem::take(&mut self.resized) || self.owes == Some(true);
            self.owes = Some(whole);
            return Ok(Some(true));
        }
        let (Some(x), Some(y), Some(width), Some(height)) =
            (reader.u16(), reader.u16(), reader.u16(), reader.u16())
        else {
            return Ok(None);
        };
        let Some(kind) = reader.array().map(i32::from_be_bytes) else {
            return Ok(None);
        };
        let (wide, high) = frame.size();
        if kind != encoding::SIZE && (x + width > wide || y + height > high) {
            return Err(Bad::Edge);
        }
        match kind {
            encoding::RAW => {
                let bytes = self.format.bytes;
                let Some(pixels) = reader.take(width * height * bytes) else {
                    return Ok(None);
                };
                let mut line = Vec::with_capacity(width);
                for (row, bytes) in pixels.chunks((width * bytes).max(1)).enumerate() {
                    line.clear();
                    self.format.read_all(bytes, &mut line);
                    frame.put(x, y + row, &line);
                }
            }
            encoding::ZRLE => {
                let Some(length) = reader.u32() else {
                    return Ok(None);
                };
                let Some(data) = reader.take(limited(length, LONGEST_RECT, "a rectangle")?) else {
                    return Ok(None);
                };
                let most = zrle::most(width, height, self.format);
                let data = self.inflate.feed(data, most)?;
                zrle::draw(&data, self.format, (x, y, width, height), frame)?;
            }
            encoding::SIZE => {
                // What was on the screen is gone: all of it is asked for again, once this update is whole.
                self.begin(width, height, frame)?;
                self.resized = true;
            }
            other => return Err(Bad::Encoding(other)),
        }
        self.stage = Stage::Update(left - 1);
        Ok(Some(false))
    }
}

/// The reason that follows; `Ok` while it is not whole.
fn refusal(reader: &mut Reader<'_>) -> Result<bool, Bad> {
    let Some(length) = reader.u32() else {
        return Ok(false);
    };
    let Some(text) = reader.take(limited(length, LONGEST_TEXT, "a reason")?) else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(text);
    Err(Bad::Refused(
        text.chars()
            .filter(|letter| !letter.is_control())
            .take(200)
            .collect(),
    ))
}
