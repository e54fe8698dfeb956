//! Where a USB serial port is plugged in: controller, chain of hub ports, interface, port. Pure.
//!
//! Unlike a serial number it tells identical adapters apart, and unlike a bus number it is the same at every start.

use std::fmt;

/// Hubs nest five deep (USB 2.0, 4.1.1): with the root that makes six ports, and one to spare.
const DEEPEST: usize = 7;

/// A place for a USB serial port, written `[CONTROLLER/]CHAIN[:INTERFACE[:PORT]]`, as in `1.2`, `1.2:3` or
/// `0000:01:00.0/1.2:0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The device that the bus hangs on, as sysfs names it; `None` is any, for boards with one.
    pub controller: Option<String>,
    /// Ports from the root hub on, each 1 or more.
    pub chain: Vec<u8>,
    /// 0 to 3 tell the four ports of an FT4232H apart.
    pub interface: u8,
    /// Among the ports of one interface; nearly always 0.
    pub port: u8,
}

impl Position {
    /// Is the port at the whole position `other` meant?
    #[must_use]
    pub fn fits(&self, other: &Self) -> bool {
        (self.controller.is_none() || self.controller == other.controller)
            && self.chain == other.chain
            && self.interface == other.interface
            && self.port == other.port
    }
}

/// The interface is always written, the port only when it is not 0.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(controller) = &self.controller {
            write!(f, "{controller}/")?;
        }
        for (depth, port) in self.chain.iter().enumerate() {
            let dot = if depth == 0 { "" } else { "." };
            write!(f, "{dot}{port}")?;
        }
        write!(f, ":{}", self.interface)?;
        match self.port {
            0 => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

impl std::str::FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            format!(
                "`{}` is no USB position{why}; write the chain of hub ports and, after a colon, the interface, as in \"1.2\" or \"1.2:3\" (oobctl console ports lists them)",
                text.escape_debug()
            )
        };
        let (controller, rest) = match text.rsplit_once('/') {
            Some((controller, rest)) => (Some(controller), rest),
            None => (None, text),
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".:_-".contains(letter);
        if let Some(name) = controller
            && (name.is_empty() || name.len() > 64 || !name.chars().all(plain))
        {
            return Err(bad(": the controller has a strange name"));
        }
        if rest.contains('-') {
            return Err(bad(
                ": the number before the `-` is the bus, which may be another one after a restart",
            ));
        }
        let mut parts = rest.split(':');
        let chain = parts.next().unwrap_or_default();
        let chain: Option<Vec<u8>> = chain.split('.').map(number).collect();
        let chain = chain.ok_or_else(|| bad(""))?;
        if chain.len() > DEEPEST || chain.contains(&0) {
            return Err(bad(": ports count from 1, and hubs nest five deep"));
        }
        let mut next = || parts.next().map_or(Some(0), number).ok_or_else(|| bad(""));
        let (interface, port) = (next()?, next()?);
        if parts.next().is_some() {
            return Err(bad(""));
        }
        Ok(Self {
            controller: controller.map(str::to_owned),
            chain,
            interface,
            port,
        })
    }
}

/// A plain decimal number; `str::parse` alone would take `+1`.
fn number(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn positions_as_people_write_them() {
        for (text, whole) in [
            ("1.2", "1.2:0"),
            ("3", "3:0"),
            ("1.2:3", "1.2:3"),
            ("1.2.4:0:7", "1.2.4:0:7"),
            ("0000:01:00.0/1.2", "0000:01:00.0/1.2:0"),
            ("1f00200000.usb/1:1", "1f00200000.usb/1:1"),
        ] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), whole);
        }
        for text in [
            "",
            "1.",
            ".1",
            "0",
            "1.0",
            "1-1.2",
            "1-1.2:1.0",
            "/1",
            "a b/1",
            "1:",
            "1:x",
            "1:1:1:1",
            "+1",
            "1.300",
            "1.1.1.1.1.1.1.1",
        ] {
            let told = text.parse::<Position>();
            assert!(told.is_err(), "{text}: {told:?}");
        }
        assert!("1-1.2:1.0".parse::<Position>().unwrap_err().contains("bus"));
    }

    #[test]
    fn one_without_controller_fits_any() {
        let whole: Position = "0000:01:00.0/1.2:1".parse().unwrap();
        for (text, fits) in [
            ("1.2:1", true),
            ("0000:01:00.0/1.2:1", true),
            ("1.2", false),
            ("1.2:1:1", false),
            ("usb/1.2:1", false),
            ("1.2.1:1", false),
        ] {
            assert_eq!(
                text.parse::<Position>().unwrap().fits(&whole),
                fits,
                "{text}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_is_written_so(text in "([0-9a-z:.]{1,9}/)?[0-9.:-]{0,12}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
            }
        }
    }
}
