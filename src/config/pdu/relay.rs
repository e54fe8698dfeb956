//! Relays of this board: `gpio = { lines = { door = { chip = "gpiochip0", offset = 17 } } }`, and on USB
//! `usb_relay = { board = "lcus", device = "/dev/serial/by-path/…" }`.

use std::path::{Path, PathBuf};

use super::key;
use crate::config::reader::Field;

/// Lines that one section may take.
const MOST_LINES: usize = 32;
/// Longest name of a line (`GPIO_MAX_NAME_SIZE` of linux/gpio.h, less the NUL).
const LONGEST_LINE_NAME: usize = 31;

/// Lines of the kernel's GPIO chips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpio {
    /// In the order of the file; each is an outlet.
    pub lines: Vec<GpioLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioLine {
    /// The outlet.
    pub key: String,
    pub at: GpioAt,
    /// On is the low level.
    pub active_low: bool,
}

/// Which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpioAt {
    Offset {
        chip: PathBuf,
        offset: u32,
    },
    /// As the device tree calls it; the first chip that has it.
    Name(String),
}

/// A board of relays on USB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbRelay {
    pub kind: UsbRelayKind,
    pub device: PathBuf,
    /// 1 to 8; its outlets are called 1 and on.
    pub relays: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsbRelayKind {
    /// A CH340 serial port.
    Lcus,
    /// A HID device, 16c0:05df.
    Hid,
}

impl Gpio {
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let hint = "write lines = { NAME = { chip = \"gpiochip0\", offset = 17 } }";
        let lines = table.need("lines", hint);
        table.finish();
        let field = lines?;
        let named = field.table()?.named();
        if named.is_empty() || named.len() > MOST_LINES {
            field.wrong_so(format!("expected 1 to {MOST_LINES} lines"), hint);
            return None;
        }
        let mut lines = Vec::new();
        for (name, field) in named {
            if let Err(fault) = key(&name.text()) {
                name.wrong(fault, None);
            }
            lines.extend(read_line(name.text(), &field));
        }
        Some(Self { lines })
    }
}

fn read_line(key: String, field: &Field<'_>) -> Option<GpioLine> {
    let mut table = field.table()?;
    let [chip, offset, name] = ["chip", "offset", "name"].map(|key| table.take(key));
    let active_low = table.take("active_low");
    let whole = matches!(
        (&chip, &offset, &name),
        (Some(_), Some(_), None) | (None, None, Some(_))
    );
    if !whole {
        table.missing(
            "says not which line".to_owned(),
            "write chip = \"gpiochip0\" and offset = 17, or name = \"GPIO17\" alone",
        );
    }
    table.finish();
    let chip = chip.map_or(Some(None), |field| field.parsed(read_chip).map(Some));
    let offset = offset.map_or(Some(None), |field| field.number(0..=1023).map(Some));
    let name = name.map_or(Some(None), |field| field.parsed(read_line_name).map(Some));
    let active_low = active_low.map_or(Some(false), |field| field.flag());
    let at = match (chip?, offset?, name?) {
        (Some(chip), Some(offset), None) => GpioAt::Offset { chip, offset },
        (None, None, Some(name)) => GpioAt::Name(name),
        _ => return None,
    };
    Some(GpioLine {
        key,
        at,
        active_low: active_low?,
    })
}

impl UsbRelay {
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let kind = table.need("board", "write board = \"lcus\" or \"hid\"");
        let device = table.need(
            "device",
            "write device = \"/dev/serial/by-path/…\" (lcus) or \"/dev/hidraw0\" (hid)",
        );
        let relays = table.take("relays");
        table.finish();
        let kind = kind.and_then(|field| {
            field.choice(&[("lcus", UsbRelayKind::Lcus), ("hid", UsbRelayKind::Hid)])
        });
        let device = device.and_then(|field| field.parsed(read_device));
        let relays = relays.map_or(Some(1), |field| field.number(1..=8));
        Some(Self {
            kind: kind?,
            device: device?,
            relays: relays?,
        })
    }
}

/// `gpiochip0`, or its path.
fn read_chip(text: &str) -> Result<PathBuf, String> {
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(good) {
        return Err(format!(
            "`{}` is no chip; write as in \"gpiochip0\"",
            text.escape_debug()
        ));
    }
    Ok(Path::new("/dev").join(name))
}

fn read_line_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST_LINE_NAME || text.contains(char::is_control) {
        return Err(format!("a line's name has 1 to {LONGEST_LINE_NAME} letters"));
    }
    Ok(text.to_owned())
}

fn read_device(text: &str) -> Result<PathBuf, String> {
    let inside = text.strip_prefix("/dev/");
    let whole = inside.is_some_and(|rest| !rest.is_empty() && rest.split('/').all(|p| !p.is_empty() && p != ".."));
    if !whole || text.len() > 255 || text.contains(char::is_control) {
        return Err(format!(
            "`{}` is no device; it is a path below /dev",
            text.escape_debug()
        ));
    }
    Ok(PathBuf::from(text))
}
