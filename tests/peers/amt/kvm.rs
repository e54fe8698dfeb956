//! The machine's screen: RFB 4.0 after the channel is open, RGB565 or RGB332, tiles of 64×64 in ZRLE (one zlib stream of stored
//! blocks) or Raw. It shares no code with the client.
//!
//! The picture is a gradient by x and y, and in its upper left corner a square that shows what was last typed: its colour is
//! the low bits of the keysym. `"size": [800, 600]`, `"zrle": false`, `"idle_ms"` ends a session that hears nothing, not even
//! on the side channel. Orders: `KVMR colour N` paints the square, `KVMR size W H` changes the mode, `KVMR move` lets the square
//! wander, `KVMR film` sends the whole screen, changed in every pixel, whenever it is asked for changes, `KVMR end` closes.

use std::io;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::redirection::{Conn, End, done, misbehave, next_order};
use crate::{Shared, lock, tell};

const SQUARE: usize = 32;

struct Screen {
    width: usize,
    height: usize,
    /// Of the square, as RGB565, and where it is.
    colour: u16,
    at: usize,
    bytes: usize,
    zrle: bool,
    begun: bool,
    /// All colours are turned into their opposite.
    turned: bool,
}

impl Screen {
    fn pixel(&self, x: usize, y: usize) -> u16 {
        if (self.at..self.at + SQUARE).contains(&x) && y < SQUARE {
            return self.colour;
        }
        let part =
            |place: usize, edge: usize, most: usize| u16::try_from(place * most / edge).unwrap();
        let colour = part(x, self.width, 31) << 11 | part(y, self.height, 63) << 5;
        if self.turned { !colour } else { colour }
    }

    fn put(&self, colour: u16, out: &mut Vec<u8>) {
        if self.bytes == 2 {
            out.extend(colour.to_le_bytes());
        } else {
            let (red, green, blue) = (colour >> 13, colour >> 8 & 7, colour >> 3 & 3);
            out.push(u8::try_from(red << 5 | green << 2 | blue).unwrap());
        }
    }

    /// One tile of at most 64 by 64.
    fn tile(&mut self, x: usize, y: usize) -> Vec<u8> {
        let (wide, high) = (64.min(self.width - x), 64.min(self.height - y));
        let mut pixels = Vec::new();
        for line in y..y + high {
            for column in x..x + wide {
                self.put(self.pixel(column, line), &mut pixels);
            }
        }
        let kind = if self.zrle { 16 } else { 0 };
        let mut out = head(x, y, wide, high, kind);
        if !self.zrle {
            out.extend(pixels);
            return out;
        }
        // A tile of one colour is told as one.
        let first = pixels[..self.bytes].to_vec();
        let solid = pixels.chunks(self.bytes).all(|pixel| pixel == first);
        let data = if solid {
            [&[1][..], &first].concat()
        } else {
            [&[0][..], &pixels].concat()
        };
        let mut zlib = if self.begun {
            Vec::new()
        } else {
            vec![0x78, 0x9c]
        };
        self.begun = true;
        let length = u16::try_from(data.len()).unwrap();
        zlib.push(0);
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(data);
        out.extend(u32::try_from(zlib.len()).unwrap().to_be_bytes());
        out.extend(zlib);
        out
    }

    fn update(&mut self, all: bool) -> Vec<u8> {
        let (width, height) = if all {
            (self.width, self.height)
        } else {
            (self.width, 64)
        };
        let mut tiles = Vec::new();
        for y in (0..height).step_by(64) {
            for x in (0..width).step_by(64) {
                tiles.push(self.tile(x, y));
            }
        }
        let count = u16::try_from(tiles.len()).unwrap().to_be_bytes();
        [&[0, 0][..], &count, &tiles.concat()].concat()
    }
}

fn head(x: usize, y: usize, width: usize, height: usize, kind: i32) -> Vec<u8> {
    let numbers = [x, y, width, height]
        .into_iter()
        .flat_map(|number| u16::try_from(number).unwrap().to_be_bytes());
    numbers.chain(kind.to_be_bytes()).collect()
}

pub fn run(conn: &mut Conn, machine: &Shared) -> io::Result<End> {
    let given = lock(machine).given.clone();
    let number = |place: usize, usual: u64| {
        usize::try_from(given["size"][place].as_u64().unwrap_or(usual)).unwrap()
    };
    let mut screen = Screen {
        width: number(0, 800),
        height: number(1, 600),
        colour: 0,
        at: 0,
        bytes: 2,
        zrle: given["zrle"] != false,
        begun: false,
        turned: false,
    };
    let idle = Duration::from_millis(given["idle_ms"].as_u64().unwrap_or(180_000));
    assert_eq!(conn.take(8)?[0], 0x40);
    // RFB begins in the same segment.
    let banner = lock(machine).profile.banner;
    conn.send(&[&b"\x41\0\0\0\0\0\0\0"[..], banner].concat())?;
    assert_eq!(conn.take(12)?, b"RFB 003.008\n");
    conn.send(&[2, 1, 0x80])?;
    assert_eq!(conn.take(1)?, [1]);
    conn.send(&[0; 4])?;
    conn.take(1)?;
    let size = [screen.width, screen.height]
        .into_iter()
        .flat_map(|size| u16::try_from(size).unwrap().to_be_bytes());
    conn.send(&size.collect::<Vec<u8>>())?;
    conn.send(&[
        16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0, 0, 0, 0, 16,
    ])?;
    conn.send(b"Intel(r) AMT KVM")?;
    let (mut wanted, mut changed, mut moves) = (None, false, false);
    let mut film = [Vec::new(), Vec::new()];
    let mut heard = Instant::now();
    loop {
        while let Some(order) = next_order("KVMR") {
            if order.starts_with("raw") || order == "mute" {
                done("KVMR");
                misbehave(conn, &order)?;
                continue;
            }
            let words: Vec<&str> = order.split(' ').collect();
            let number = |at: usize| words[at].parse::<usize>().unwrap();
            match words[0] {
                "colour" => (screen.colour, changed) = (u16::try_from(number(1)).unwrap(), true),
                "size" => {
                    (screen.width, screen.height) = (number(1), number(2));
                    let size = head(0, 0, screen.width, screen.height, -223);
                    conn.send(&[&[0, 0, 0, 1][..], &size].concat())?;
                    wanted = None;
                }
                "move" => moves = true,
                // Blocks that are stored can be sent again: made once, for this program is not quick.
                "film" => {
                    film = [true, false].map(|turned| {
                        screen.turned = turned;
                        screen.update(true)
                    });
                }
                _ => {
                    done("KVMR");
                    return Ok(End::Cut);
                }
            }
            done("KVMR");
        }
        if heard.elapsed() > idle {
            tell(&json!({"service": "KVMR", "idle": true}));
            return Ok(End::Cut);
        }
        if moves {
            screen.at = (screen.at + 1) % (screen.width - SQUARE);
            changed = true;
        }
        if wanted == Some(false) || (wanted == Some(true) && changed) {
            let all = wanted == Some(false);
            (wanted, changed) = (None, false);
            let update = screen.update(all);
            conn.send(&update)?;
        }
        if wanted == Some(true) && !film[0].is_empty() {
            conn.send(&film[0])?;
            film.swap(0, 1);
            wanted = None;
        }
        conn.fill()?;
        while let Some(length) = length(conn.peek()) {
            let said = conn.take(length)?;
            match said[0] {
                0x12 => return Ok(End::Said),
                0 => {
                    screen.bytes = usize::from(said[4] / 8);
                    // Real firmware hangs up.
                    assert!(screen.bytes <= 2, "32 bits per pixel");
                }
                // A corner, changed or not; who waits for changes waits on.
                3 if said[1] == 0 && said[6] == 0 && said[7] <= 64 && screen.width > 64 => {
                    tell(&json!({"service": "KVMR", "look": true}));
                    let tile = screen.tile(0, 0);
                    conn.send(&[&[0, 0, 0, 1][..], &tile].concat())?;
                }
                3 => wanted = Some(said[1] == 1),
                4 => {
                    let keysym = u32::from_be_bytes([said[4], said[5], said[6], said[7]]);
                    tell(&json!({"service": "KVMR", "key": keysym, "down": said[1] == 1}));
                    (screen.colour, changed) = (u16::try_from(keysym & 0xffff).unwrap(), true);
                    heard = Instant::now();
                }
                5 => {
                    let at = [
                        u16::from_be_bytes([said[2], said[3]]),
                        u16::from_be_bytes([said[4], said[5]]),
                    ];
                    tell(&json!({"service": "KVMR", "pointer": at, "buttons": said[1]}));
                    heard = Instant::now();
                }
                6 => {
                    assert_eq!(&said[8..], b"\0KvmDataChannel\0");
                    heard = Instant::now();
                }
                _ => {}
            }
        }
    }
}

/// Length of the whole message that is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.first()? {
        0x12 => 4,
        0 => 20,
        2 => 4 + 4 * usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
        3 => 10,
        4 => 8,
        5 => 6,
        6 => 8 + usize::try_from(u32::from_be_bytes(bytes.get(4..8)?.try_into().unwrap())).unwrap(),
        other => panic!("a message {other} to the screen"),
    };
    (bytes.len() >= length).then_some(length)
}
