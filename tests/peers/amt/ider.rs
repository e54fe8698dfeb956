//! The machine behind IDE redirection: a host on a bus with two drives, which asks for blocks as a BIOS or an operating system does
//! and looks at every register of the answers. It shares no code with the client. What is wrong is told, and ends the device.
//!
//! `"ider_buffers": [8192, 8192]` are the most bytes of one message to the host and from it; `"ider_takes": 0` refuses the drives;
//! `"lenient": true` takes what firmware takes of amtider: other numbers of messages, another opening. Orders, each with an answer of its own; DRIVE is `cd` or `floppy`:
//!
//! ```text
//! IDER packet DRIVE HEX [dma]         one command as it stands
//! IDER all DRIVE [BLOCKS] [dma]       reads the whole medium, so many blocks at a time (64)
//! IDER write DRIVE BLOCK COUNT BYTE   writes blocks full of this byte
//! IDER reset DRIVE BLOCK COUNT        reads, and resets the bus when the first piece is there
//! IDER ping | IDER mute | IDER end    asks for a sign of life | says and hears nothing any more | ends it from this side
//! cut IDER                            breaks the connection, also in the middle of something
//! ```

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::redirection::{Conn, End, done, misbehave, next_order};
use crate::{Shared, lock, tell};

/// Longest wait for an answer of the drives.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a command comes to no answer.
enum Stop {
    Io(io::Error),
    Over(End),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a command came to.
enum Came {
    Good,
    Data(Vec<u8>),
    Sense([u8; 3]),
}

struct Host<'a> {
    conn: &'a mut Conn,
    said: u32,
    heard: u32,
    rooms: [usize; 2],
    lenient: bool,
    next_beat: Instant,
    beat: Duration,
}

/// Says what is wrong, for everybody to hear.
fn check(right: bool, what: impl FnOnce() -> String) {
    if !right {
        let what = what();
        tell(&json!({"service": "IDER", "wrong": what}));
        eprintln!("IDER: {what}");
        std::process::exit(1);
    }
}

pub fn run(conn: &mut Conn, machine: &Shared) -> io::Result<End> {
    let given = lock(machine).given.clone();
    let room = |at: usize| given["ider_buffers"][at].as_u64().unwrap_or(8192);
    let rooms = [room(0), room(1)].map(|room| usize::try_from(room).unwrap());
    let mut host = Host {
        conn,
        said: 0,
        heard: 0,
        rooms,
        lenient: given["lenient"] == true,
        next_beat: Instant::now(),
        beat: Duration::from_secs(20),
    };
    let takes = u32::try_from(given["ider_takes"].as_u64().unwrap_or(1)).unwrap();
    match host.life(takes) {
        Ok(never) => match never {},
        Err(Stop::Over(end)) => Ok(end),
        Err(Stop::Io(error)) => Err(error),
    }
}

impl Host<'_> {
    fn say(&mut self, kind: u8, rest: &[u8]) -> io::Result<()> {
        let head = [&[kind, 0, 0, 0][..], &self.said.to_le_bytes()].concat();
        self.said += 1;
        self.conn.send(&[&head, rest].concat())
    }

    fn life(&mut self, takes: u32) -> Result<std::convert::Infallible, Stop> {
        let open = self.answer()?;
        check(open[0] == 0x40, || format!("it opens with {open:02x?}"));
        if !self.lenient {
            check(
                open[8..] == [0x30, 0x75, 0, 0, 0x20, 0x4e, 1, 0, 0, 0],
                || format!("it opens with {open:02x?}"),
            );
        }
        self.next_beat = Instant::now() + self.beat;
        let [read, write] = self
            .rooms
            .map(|room| u16::try_from(room).unwrap().to_le_bytes());
        let mut opened = vec![1, 0, 15, 0, 0, 0, 0, 0];
        opened.extend([read, write].concat());
        // Protocol 0, the number of Intel, two bytes of the maker.
        opened.extend([0, 0, 0, 0, 0, 0x57, 1, 0, 0, 2, 0x5a, 0x5a]);
        self.say(0x41, &opened)?;
        let features = self.answer()?;
        check(
            features[0] == 0x48 && features[8] == 3 && features[9] & 1 == 1,
            || format!("it does not set the features: {features:02x?}"),
        );
        let start = match features[9] {
            0x09 => "reboot",
            0x11 => "graceful",
            0x19 => "now",
            _ => "unknown",
        };
        tell(&json!({"service": "IDER", "start": start}));
        self.say(0x49, &[&[3][..], &takes.to_le_bytes()].concat())?;
        loop {
            if let Some(order) = next_order("IDER") {
                if order == "cut" {
                    done("IDER");
                    return Err(Stop::Over(End::Cut));
                }
                // It is answered when it is done, which may be long after it is heard.
                done("IDER");
                self.order(&order)?;
                continue;
            }
            if let Some(message) = self.hear()? {
                check(self.lenient, || format!("nobody asked for {message:02x?}"));
            }
        }
    }

    fn order(&mut self, order: &str) -> Result<(), Stop> {
        let words: Vec<&str> = order.split(' ').collect();
        let number = |at: usize| words.get(at).map(|word| word.parse::<u32>().unwrap());
        let drive = match words.get(1) {
            Some(&"cd") => 0xb0,
            _ => 0xa0,
        };
        let dma = words.last() == Some(&"dma");
        let answer = match words[0] {
            "packet" => {
                let mut packet = [0; 12];
                for (slot, pair) in packet.iter_mut().zip(words[2].as_bytes().chunks(2)) {
                    let pair = std::str::from_utf8(pair).unwrap();
                    *slot = u8::from_str_radix(pair, 16).unwrap();
                }
                let came = self.command(drive, packet, dma, &[])?;
                told(&came)
            }
            "all" => {
                let most = words.get(2).and_then(|word| word.parse().ok());
                self.all(drive, most.unwrap_or(64), dma)?
            }
            "write" => {
                let (block, count) = (number(2).unwrap(), number(3).unwrap());
                let byte = u8::from_str_radix(words[4], 16).unwrap();
                let data = vec![byte; usize::try_from(count).unwrap() * 512];
                let packet = ten(0x2a, block, u16::try_from(count).unwrap());
                told(&self.command(drive, packet, false, &data)?)
            }
            "reset" => {
                let count = u16::try_from(number(3).unwrap()).unwrap();
                self.ask(drive, ten(0x28, number(2).unwrap(), count), dma)?;
                let first = self.answer()?;
                check(first[0] == 0x54, || format!("no piece but {first:02x?}"));
                self.say(0x46, &[3])?;
                let mut pieces = 1;
                loop {
                    let message = self.answer()?;
                    if message[0] == 0x47 {
                        break json!({ "reset": true, "pieces": pieces });
                    }
                    check(message[0] == 0x54, || {
                        format!("no piece but {message:02x?}")
                    });
                    pieces += 1;
                }
            }
            "ping" => {
                self.say(0x44, &[])?;
                let pong = self.answer()?;
                check(pong[0] == 0x45, || format!("no pong but {pong:02x?}"));
                json!({ "pong": true })
            }
            "end" => {
                self.say(0x43, &[])?;
                return Err(Stop::Over(End::Cut));
            }
            "mute" => {
                misbehave(self.conn, order)?;
                return Ok(());
            }
            other => panic!("no order {other}"),
        };
        let mut answer = answer;
        answer["service"] = "IDER".into();
        answer["order"] = order.into();
        tell(&answer);
        Ok(())
    }

    /// Reads the whole medium; tells its length and hash.
    fn all(&mut self, drive: u8, most: u32, dma: bool) -> Result<Value, Stop> {
        // New media are told once.
        let mut ready = false;
        for _ in 0..3 {
            if matches!(self.command(drive, [0; 12], dma, &[])?, Came::Good) {
                ready = true;
                break;
            }
        }
        if !ready {
            return Ok(json!({ "ready": false }));
        }
        let mut packet = [0; 12];
        packet[0] = 0x25;
        let Came::Data(capacity) = self.command(drive, packet, dma, &[])? else {
            return Ok(json!({ "capacity": null }));
        };
        check(capacity.len() == 8, || {
            format!("a capacity of {capacity:02x?}")
        });
        let word = |at: usize| u32::from_be_bytes(capacity[at..at + 4].try_into().unwrap());
        let (blocks, size) = (word(0) + 1, word(4));
        let wanted = if drive == 0xb0 { 2048 } else { 512 };
        check(size == wanted, || format!("blocks of {size} bytes"));
        let (mut at, mut hash, mut bytes) = (0, md5::Context::new(), 0);
        while at < blocks {
            let count = most.min(blocks - at);
            let packet = ten(0x28, at, u16::try_from(count).unwrap());
            match self.command(drive, packet, dma, &[])? {
                Came::Data(data) => {
                    let wanted = usize::try_from(count * size).unwrap();
                    check(data.len() == wanted, || {
                        format!("{} bytes for {count} blocks at {at}", data.len())
                    });
                    hash.consume(&data);
                    bytes += data.len();
                }
                other => return Ok(told(&other)),
            }
            at += count;
        }
        let hash = format!("{:x}", hash.finalize());
        Ok(json!({ "bytes": bytes, "md5": hash }))
    }

    fn ask(&mut self, drive: u8, packet: [u8; 12], dma: bool) -> io::Result<()> {
        let registers = [0, u8::from(dma), 0, 0, 0xfe, 0xff, drive, 0xa0];
        self.say(0x50, &[&registers[..], &packet].concat())
    }

    /// One command with all of its answers. `data` is what it writes.
    fn command(
        &mut self,
        drive: u8,
        packet: [u8; 12],
        dma: bool,
        data: &[u8],
    ) -> Result<Came, Stop> {
        self.ask(drive, packet, dma)?;
        let (mut left, mut had) = (data, Vec::new());
        loop {
            let said = self.answer()?;
            match said[0] {
                0x51 => {
                    check(said[8..20] == [0; 12], || format!("registers {said:02x?}"));
                    check(said[3] == 2, || {
                        format!("an end with attributes {}", said[3])
                    });
                    let (registers, sense) = (&said[20..28], [said[28], said[29], said[30]]);
                    if registers[0] == 0x87 {
                        let wanted = [0x87, sense[0] << 4, 3, 0, 0, 0, drive, 0x51];
                        check(registers == wanted && sense[0] != 0, || {
                            format!("a failure with {said:02x?}")
                        });
                        return Ok(Came::Sense(sense));
                    }
                    let mask = registers[0];
                    check(
                        (mask == 0xc5 || mask == 0x85)
                            && registers[1..] == [0, 3, 0, 0, 0, drive, 0x50]
                            && sense == [0; 3],
                        || format!("a good end with {said:02x?}"),
                    );
                    check(left.is_empty() && had.is_empty(), || {
                        format!("it is done with {} bytes not asked for", left.len())
                    });
                    return Ok(Came::Good);
                }
                0x52 => {
                    let count = usize::from(u16::from_le_bytes([said[9], said[10]]));
                    let wanted = [0xb5, 0, 0, 0, said[9], said[10], drive, 0x58];
                    check(
                        said[3] == 0 && said[8] == 0 && said[11] == 0 && said[12..20] == wanted,
                        || format!("it wants data with {said:02x?}"),
                    );
                    check(said[20..] == [0; 11], || format!("more in {said:02x?}"));
                    check(
                        count > 0 && count <= self.rooms[1] && count <= left.len(),
                        || format!("it wants {count} bytes of {}", left.len()),
                    );
                    let (now, rest) = left.split_at(count);
                    left = rest;
                    // In two messages, as firmware may.
                    for piece in [&now[..count / 3], &now[count / 3..]] {
                        let length = u16::try_from(piece.len()).unwrap().to_le_bytes();
                        let head = [&[0][..], &length, &[0, 0, 0]].concat();
                        self.say(0x53, &[&head, piece].concat())?;
                    }
                }
                0x54 => {
                    let piece = &said[34..];
                    let (low, high) = (said[9], said[10]);
                    let counted = match (dma, self.lenient) {
                        (true, _) => [0xb4, 0, 0],
                        // amtider counts what it reads only.
                        (false, true) => [0xb5, said[16], said[17]],
                        (false, false) => [0xb5, low, high],
                    };
                    let input = [counted[0], 0, 2, 0, counted[1], counted[2], drive, 0x58];
                    check(
                        said[8] == 0 && said[11] == 0 && said[12..20] == input,
                        || format!("a piece with {:02x?}", &said[..34]),
                    );
                    check(said[3] & 1 == u8::from(dma), || "no DMA, or some".into());
                    check(!piece.is_empty() && piece.len() <= self.rooms[0], || {
                        format!("a piece of {} bytes", piece.len())
                    });
                    let is_last = said[3] & 2 != 0;
                    let output = if is_last {
                        [0x85, 0, 3, 0, 0, 0, drive, 0x50]
                    } else {
                        [0; 8]
                    };
                    check(said[20..28] == output && said[28..34] == [0; 6], || {
                        format!("a piece with {:02x?}", &said[..34])
                    });
                    had.extend_from_slice(piece);
                    if is_last {
                        return Ok(Came::Data(had));
                    }
                }
                _ => check(false, || format!("an answer {said:02x?}")),
            }
        }
    }

    /// The next message that is no sign of life.
    fn answer(&mut self) -> Result<Vec<u8>, Stop> {
        let limit = Instant::now() + PATIENCE;
        loop {
            if next_order("IDER").as_deref() == Some("cut") {
                done("IDER");
                return Err(Stop::Over(End::Cut));
            }
            if let Some(message) = self.hear()? {
                return Ok(message);
            }
            check(Instant::now() < limit, || "no answer for a minute".into());
        }
    }

    /// Takes what is there for a moment; answers signs of life and the end itself.
    fn hear(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        if self.next_beat <= Instant::now() && self.heard > 0 {
            self.next_beat += self.beat;
            self.say(0x4b, &[])?;
        }
        let Some(length) = length(self.conn.peek()) else {
            self.conn.fill()?;
            return Ok(None);
        };
        let message = self.conn.take(length)?;
        if message[0] == 0x12 {
            return Err(Stop::Over(End::Said));
        }
        let number = u32::from_le_bytes(message[4..8].try_into().unwrap());
        check(self.lenient || number == self.heard, || {
            format!("message {number}, and {} was next", self.heard)
        });
        check(self.lenient || message[1..3] == [0, 0], || {
            format!("a head {message:02x?}")
        });
        self.heard += 1;
        match message[0] {
            0x42 => {
                tell(&json!({"service": "IDER", "closed": true}));
                self.say(0x43, &[])?;
            }
            0x44 => self.say(0x45, &[])?,
            0x4b => {}
            _ => return Ok(Some(message)),
        }
        Ok(None)
    }
}

fn ten(code: u8, block: u32, count: u16) -> [u8; 12] {
    let [a, b, c, d] = block.to_be_bytes();
    let [high, low] = count.to_be_bytes();
    [code, 0, a, b, c, d, 0, high, low, 0, 0, 0]
}

fn told(came: &Came) -> Value {
    match came {
        Came::Good => json!({ "good": true }),
        Came::Data(data) => {
            let hex: Vec<String> = data.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex.concat() })
        }
        Came::Sense(sense) => json!({ "sense": sense }),
    }
}

/// Length of the whole message that is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.first()? {
        0x12 => 4,
        0x40 => 18,
        0x42 | 0x44 | 0x45 | 0x47 | 0x4b => 8,
        0x48 => match bytes.get(8)? {
            3 => 13,
            _ => 9,
        },
        0x51 | 0x52 => 31,
        0x54 => 34 + usize::from(u16::from_le_bytes([*bytes.get(9)?, *bytes.get(10)?])),
        other => {
            check(false, || format!("a message {other:#x}"));
            return None;
        }
    };
    (bytes.len() >= length).then_some(length)
}
