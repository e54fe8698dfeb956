//! Ports that are named by where they are plugged in, and who is told that one came: a sysfs tree of our own, ptys below it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use oobd::config::{PortName, Transport};
use oobd::console::plug::{self, Plugs, Roots};
use oobd::fact::PortPhase;
use serialport::SerialPort;
use tokio::time::timeout;
use tokio_serial::SerialStream;

#[path = "support/console.rs"]
mod support;
use support::{Bench, Device, LIMIT};

/// USB sockets of a board, as sysfs shows them.
struct Sockets {
    roots: Roots,
}

impl Sockets {
    fn new(bench: &Bench) -> Self {
        let root = bench.dir.path().canonicalize().expect("path");
        let roots = Roots {
            sys: root.join("sys"),
            dev: root.join("dev"),
        };
        fs::create_dir_all(roots.sys.join("class/tty")).expect("tree");
        fs::create_dir_all(&roots.dev).expect("tree");
        Self { roots }
    }

    fn interface(&self, socket: &str) -> PathBuf {
        let bus = self.roots.sys.join("devices/pci0000:00/0000:00:14.0/usb1");
        bus.join(format!("1-{socket}/1-{socket}:1.0"))
    }

    /// An adapter in the socket `1.2`; the kernel gives it the next free name.
    fn plug(&self, socket: &str, name: &str) -> Device {
        let (master, slave) = SerialStream::pair().expect("pty");
        let device = self.interface(socket).join(name);
        let tty = device.join("tty").join(name);
        fs::create_dir_all(&tty).expect("tree");
        symlink(&device, tty.join("device")).expect("link");
        symlink(slave.name().expect("name"), self.roots.dev.join(name)).expect("link");
        symlink(&tty, self.roots.sys.join("class/tty").join(name)).expect("link");
        Device(master)
    }

    fn unplug(&self, device: Device, socket: &str, name: &str) {
        drop(device);
        for link in [
            self.roots.sys.join("class/tty").join(name),
            self.roots.dev.join(name),
        ] {
            fs::remove_file(link).expect("unlink");
        }
        fs::remove_dir_all(self.interface(socket)).expect("tree");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_keeps_to_its_socket_whatever_the_kernel_calls_it() {
    let mut bench = Bench::new();
    let sockets = Sockets::new(&bench);
    bench.plugs = Plugs::new(sockets.roots.clone());
    let Transport::Serial(serial) = &mut bench.console.transport else {
        panic!("the bench's port is serial");
    };
    serial.port = PortName::Usb("1.2".parse().expect("position"));
    bench.start();
    let console = bench.phase(PortPhase::Gone).await;
    assert_eq!(console.port, "usb 1.2:0");
    let mut alice = bench.attach("alice", true, 0).await;

    // Two of a kind without serial numbers: only the place tells them apart.
    let mut other = sockets.plug("1.1", "ttyUSB0");
    let mut ours = sockets.plug("1.2", "ttyUSB1");
    bench.phase(PortPhase::Open).await;
    ours.send(b"mine").await;
    assert_eq!(alice.expect(4).await, b"mine");

    // Both are unplugged and come back in the other order.
    sockets.unplug(ours, "1.2", "ttyUSB1");
    sockets.unplug(other, "1.1", "ttyUSB0");
    bench.phase(PortPhase::Gone).await;
    ours = sockets.plug("1.2", "ttyUSB0");
    other = sockets.plug("1.1", "ttyUSB1");
    bench.phase(PortPhase::Open).await;
    other.send(b"not mine").await;
    ours.send(b"again").await;
    assert_eq!(alice.expect(5).await, b"again");
}

/// The rescan alone takes 30 s; the kernel's word is what makes it soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernels_word_has_the_ports_looked_at_anew() {
    let bench = Bench::new();
    let sockets = Sockets::new(&bench);
    let _first = sockets.plug("1.1", "ttyUSB0");
    let plugs = Plugs::new(sockets.roots.clone());
    let owner = tokio::spawn(plug::run(bench.context("ports"), plugs));
    let seen = async |count: usize| {
        let mut state = bench.store.watch();
        let found = state.wait_for(|state| state.ports.len() == count);
        let found = timeout(LIMIT, found).await.expect("never seen");
        found.expect("store lives").ports.clone()
    };
    let ports = seen(1).await;
    assert_eq!(ports[0].position.as_deref(), Some("0000:00:14.0/1.1:0"));

    let _second = sockets.plug("1.2", "ttyUSB1");
    // The kernel says again that a terminal is there, as it does when one comes.
    let said = fs::OpenOptions::new()
        .write(true)
        .open("/sys/class/tty/tty/uevent")
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"change"));
    if let Err(error) = said {
        println!("not asked of the kernel: {error} (this needs root and a writable /sys)");
        return;
    }
    let ports = seen(2).await;
    assert_eq!(ports[1].position.as_deref(), Some("0000:00:14.0/1.2:0"));
    bench.stop.cancel();
    let ended = timeout(LIMIT, owner).await.expect("ends");
    ended.expect("no panic").expect("ends well");
}
