//! Serial ports as the kernel lists them below `/sys/class/tty`: where they are plugged in and what they are. Only reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Position;
use crate::fact::SerialPort;

/// Longest text taken from an adapter: USB strings have 126 characters.
const LONGEST: usize = 128;

/// Where the kernel's and udev's trees are mounted; a test has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub sys: PathBuf,
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            dev: "/dev".into(),
        }
    }
}

/// Every serial port with hardware behind it, in the order of names. What vanishes meanwhile is left out.
#[must_use]
pub(in crate::console) fn scan(roots: &Roots) -> Vec<SerialPort> {
    let links = links(&roots.dev);
    let mut ports: Vec<SerialPort> = names(roots)
        .into_iter()
        .filter_map(|name| look(roots, &name, &links))
        .collect();
    ports.sort_by(|a, b| natural(&a.device).cmp(&natural(&b.device)));
    ports
}

/// The device file of the port that is plugged in there. Two that fit (on two controllers) give the first.
#[must_use]
pub(in crate::console) fn find(roots: &Roots, wanted: &Position) -> Option<PathBuf> {
    let class = roots.sys.join("class/tty");
    let mut found: Vec<String> = names(roots)
        .into_iter()
        .filter(|name| {
            let device = fs::canonicalize(class.join(name).join("device"));
            let place = device.ok().and_then(|device| position(&device));
            place.is_some_and(|place| wanted.fits(&place))
        })
        .collect();
    found.sort();
    Some(roots.dev.join(found.first()?))
}

/// The terminals that have hardware: of virtual consoles and ptys the kernel names no `device`.
fn names(roots: &Roots) -> Vec<String> {
    let class = roots.sys.join("class/tty");
    let entries = fs::read_dir(&class).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| class.join(name).join("device").exists())
        // A legacy UART that was probed and not found: PORT_UNKNOWN of linux/serial_core.h.
        .filter(|name| text(&class.join(name).join("type")).as_deref() != Some("0"))
        .collect()
}

fn look(roots: &Roots, name: &str, links: &BTreeMap<PathBuf, Vec<String>>) -> Option<SerialPort> {
    let file = roots.dev.join(name);
    let device = fs::canonicalize(roots.sys.join("class/tty").join(name).join("device")).ok()?;
    let usb = usb_device(&device);
    let about = |key: &str| text(&usb.as_deref()?.join(key));
    let id = about("idVendor").zip(about("idProduct"));
    Some(SerialPort {
        position: position(&device).map(|position| position.to_string()),
        driver: link_name(&device.join("driver")).unwrap_or_default(),
        usb_id: id.map(|(vendor, product)| format!("{vendor}:{product}")),
        maker: about("manufacturer"),
        product: about("product"),
        serial: about("serial"),
        links: links.get(&file).cloned().unwrap_or_default(),
        device: file.display().to_string(),
    })
}

/// Reads the position from the whole sysfs path of a device; `None` when it hangs on no USB.
#[must_use]
fn position(device: &Path) -> Option<Position> {
    let (interface, name) = interface(device)?;
    // BUS-CHAIN:CONFIGURATION.INTERFACE
    let (_, rest) = name.split_once('-')?;
    let (chain, rest) = rest.split_once(':')?;
    let (_, number) = rest.split_once('.')?;
    let bus = interface.ancestors().find(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        (name.strip_prefix("usb")).is_some_and(|rest| rest.parse::<u16>().is_ok())
    })?;
    // An xhci made by another driver is numbered as it comes (`xhci-hcd.0.auto`); what made it has an address.
    let controller = bus.ancestors().skip(1).find_map(|path| {
        let name = path.file_name().and_then(OsStr::to_str)?;
        (!name.starts_with("xhci-hcd.")).then(|| name.to_owned())
    })?;
    // sysfs writes interfaces as they are numbered, in decimal; the ports of an interface too.
    let port = text(&device.join("port_number")).and_then(|text| text.parse().ok());
    Some(Position {
        controller: Some(controller),
        chain: (chain.split('.').map(|port| port.parse().ok())).collect::<Option<_>>()?,
        interface: number.parse().ok()?,
        port: port.unwrap_or(0),
    })
}

/// The USB interface above a tty, e.g. `…/1-1.2/1-1.2:1.0`, and its name.
fn interface(device: &Path) -> Option<(&Path, &str)> {
    device.ancestors().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        let digits = name.strip_suffix(|letter: char| letter.is_ascii_digit())?;
        let usb = digits.starts_with(|letter: char| letter.is_ascii_digit())
            && name.contains('-')
            && name
                .split_once(':')
                .is_some_and(|(_, rest)| rest.contains('.'));
        usb.then_some((path, name))
    })
}

fn usb_device(device: &Path) -> Option<PathBuf> {
    let (interface, _) = interface(device)?;
    interface.parent().map(Path::to_owned)
}

/// The stable names that udev made, by what they lead to.
fn links(dev: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let mut found: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for folder in ["serial/by-path", "serial/by-id"] {
        let entries = fs::read_dir(dev.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            if let Ok(target) = fs::canonicalize(entry.path()) {
                let name = entry.path().display().to_string();
                found.entry(target).or_default().push(name);
            }
        }
    }
    found.values_mut().for_each(|names| names.sort());
    found
}

/// A line of sysfs without what a terminal would react to: adapters bring these strings along.
fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text: String = text
        .trim()
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect();
    (!text.is_empty()).then_some(text)
}

fn link_name(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// `ttyUSB10` comes after `ttyUSB9`.
fn natural(device: &str) -> (&str, u32) {
    let stem = device.trim_end_matches(|letter: char| letter.is_ascii_digit());
    (stem, device[stem.len()..].parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A tree as the kernel and udev make it.
    struct Fake {
        dir: TempDir,
        roots: Roots,
    }

    impl Fake {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            let root = dir.path().canonicalize().unwrap();
            let roots = Roots {
                sys: root.join("sys"),
                dev: root.join("dev"),
            };
            for folder in ["sys/class/tty", "sys/drivers", "dev/serial/by-path"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            Self { dir, roots }
        }

        /// A tty whose device is this folder below `sys/devices`.
        fn tty(&self, name: &str, device: &str, driver: &str, files: &[(&str, &str)]) {
            let sys = &self.roots.sys;
            let device = sys.join("devices").join(device);
            let tty = device.join("tty").join(name);
            fs::create_dir_all(&tty).unwrap();
            symlink(sys.join("drivers").join(driver), device.join("driver")).unwrap();
            symlink(&device, tty.join("device")).unwrap();
            symlink(&tty, sys.join("class/tty").join(name)).unwrap();
            for (file, text) in files {
                fs::write(device.join(file), text).unwrap();
            }
            fs::write(self.roots.dev.join(name), "").unwrap();
        }

        fn usb(&self, device: &str, files: &[(&str, &str)]) {
            let device = self.roots.sys.join("devices").join(device);
            fs::create_dir_all(&device).unwrap();
            for (file, text) in files {
                fs::write(device.join(file), text).unwrap();
            }
        }
    }

    const PI4: &str = "platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb1";

    #[test]
    fn adapters_are_told_apart_by_their_place() {
        let fake = Fake::new();
        // Two CH340 of one kind, without serial numbers.
        for (tty, place) in [("ttyUSB0", "1-1/1-1.1"), ("ttyUSB1", "1-1/1-1.2")] {
            let usb = format!("{PI4}/{place}");
            let last = place.rsplit('/').next().unwrap();
            fake.usb(&usb, &[("idVendor", "1a86\n"), ("idProduct", "7523\n")]);
            let device = format!("{usb}/{last}:1.0/{tty}");
            fake.tty(tty, &device, "ch341-uart", &[("port_number", "0\n")]);
        }
        // An FT4232H with its four interfaces, behind a hub.
        let usb = format!("{PI4}/1-1/1-1.3/1-1.3.4");
        let about = [
            ("idVendor", "0403\n"),
            ("idProduct", "6011\n"),
            ("manufacturer", "FTDI\n"),
            ("product", "Quad\u{1b}[2J RS232-HS\n"),
            ("serial", "FT1\n"),
        ];
        fake.usb(&usb, &about);
        for interface in 0..4 {
            let tty = format!("ttyUSB{}", 10 + interface);
            let device = format!("{usb}/1-1.3.4:1.{interface}/{tty}");
            fake.tty(&tty, &device, "ftdi_sio", &[("port_number", "0\n")]);
        }
        // A modem of CDC ACM on a Pi 5, two ports in one interface, and a UART of the board.
        let pi5 = "platform/axi/1000120000.pcie/1f00200000.usb/xhci-hcd.0/usb3/3-2";
        fake.tty("ttyACM0", &format!("{pi5}/3-2:1.0"), "cdc_acm", &[]);
        let mos = format!("{PI4}/1-1/1-1.4/1-1.4:1.0/ttyUSB20");
        fake.tty("ttyUSB20", &mos, "mos7840", &[("port_number", "3\n")]);
        fake.tty("ttyAMA0", "platform/soc/fe201000.serial", "uart-pl011", &[]);
        // Neither a virtual console nor a UART that is not there is a port.
        fs::create_dir_all(fake.roots.sys.join("class/tty/tty0")).unwrap();
        fake.tty("ttyS0", "platform/serial8250", "serial8250", &[]);
        fs::write(fake.roots.sys.join("class/tty/ttyS0/type"), "0\n").unwrap();
        let by_path = fake
            .roots
            .dev
            .join("serial/by-path/pci-usb-0:1.2:1.0-port0");
        symlink("../../ttyUSB1", &by_path).unwrap();

        let ports = scan(&fake.roots);
        let places: Vec<_> = ports
            .iter()
            .map(|port| {
                let name = port.device.rsplit('/').next().unwrap();
                format!("{name} {}", port.position.as_deref().unwrap_or("-"))
            })
            .collect();
        assert_eq!(
            places,
            [
                "ttyACM0 1f00200000.usb/2:0",
                "ttyAMA0 -",
                "ttyUSB0 0000:01:00.0/1.1:0",
                "ttyUSB1 0000:01:00.0/1.2:0",
                "ttyUSB10 0000:01:00.0/1.3.4:0",
                "ttyUSB11 0000:01:00.0/1.3.4:1",
                "ttyUSB12 0000:01:00.0/1.3.4:2",
                "ttyUSB13 0000:01:00.0/1.3.4:3",
                "ttyUSB20 0000:01:00.0/1.4:0:3",
            ]
        );
        assert_eq!(ports[3].links, [by_path.display().to_string()]);
        assert_eq!(ports[3].usb_id.as_deref(), Some("1a86:7523"));
        assert_eq!(ports[4].product.as_deref(), Some("Quad[2J RS232-HS"));
        assert_eq!(ports[4].driver, "ftdi_sio");

        for (wanted, tty) in [
            ("1.2", Some("ttyUSB1")),
            ("1.3.4:2", Some("ttyUSB12")),
            ("0000:01:00.0/1.1:0", Some("ttyUSB0")),
            ("1.4:0:3", Some("ttyUSB20")),
            ("1f00200000.usb/2", Some("ttyACM0")),
            ("xhci/1.1", None),
            ("1.4", None),
        ] {
            let found = find(&fake.roots, &wanted.parse().unwrap());
            assert_eq!(found, tty.map(|tty| fake.roots.dev.join(tty)), "{wanted}");
        }
        drop(fake.dir);
        assert_eq!(scan(&fake.roots), vec![]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_path_panics(path in "(/[a-z0-9:.-]{0,8}){0,6}", tail in "/usb[0-9]{1,6}/[0-9.:-]{0,12}/[a-z0-9:.-]{0,9}") {
            let _ = position(Path::new(&path));
            let _ = position(Path::new(&format!("{path}{tail}")));
        }
    }
}
