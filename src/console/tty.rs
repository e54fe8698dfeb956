//! Opens and sets up a tty by ioctl. The only unsafe code of the console room; it does no other I/O.
//!
//! The crates for serial ports are avoided: `serialport::open` turns `O_NONBLOCK` off in between, fails with
//! "Settings did not apply correctly" on drivers that round a flag, and leaves HUPCL set, so that a restart of oobd
//! would drop DTR and reset the device. What is opened here is read and written by `port/serial`.

#![allow(
    unsafe_code,
    reason = "termios2, exclusive use and break are ioctls that no crate here wraps"
)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::port::Error;
use super::wires;
use crate::config::{Flow, Line, Parity};

/// Baud rates further off than this many thousandths do not carry data over ten bits.
const BAUD_TOLERANCE: u64 = 25;
/// `ASYNC_LOW_LATENCY` of linux/tty_flags.h: FTDI adapters then deliver after 1 ms instead of 16 ms.
const LOW_LATENCY: libc::c_int = 1 << 13;
/// `ASYNC_CLOSING_WAIT_NONE` of linux/serial.h: closing never waits for the line to take what is queued.
const CLOSING_WAIT_NONE: libc::c_ushort = 65_535;

mod sys {
    use nix::libc;

    nix::ioctl_read!(tcgets2, b'T', 0x2A, libc::termios2);
    nix::ioctl_write_ptr!(tcsets2, b'T', 0x2B, libc::termios2);
    nix::ioctl_none_bad!(tiocexcl, libc::TIOCEXCL);
    nix::ioctl_none_bad!(tiocsbrk, libc::TIOCSBRK);
    nix::ioctl_none_bad!(tioccbrk, libc::TIOCCBRK);
    nix::ioctl_write_int_bad!(tcflsh, libc::TCFLSH);
    nix::ioctl_read_bad!(tiocgserial, libc::TIOCGSERIAL, SerialStruct);
    nix::ioctl_write_ptr_bad!(tiocsserial, libc::TIOCSSERIAL, SerialStruct);

    /// `struct serial_struct` of linux/serial.h, which libc does not carry.
    #[repr(C)]
    #[derive(Debug)]
    pub(super) struct SerialStruct {
        pub kind: libc::c_int,
        pub line: libc::c_int,
        pub port: libc::c_uint,
        pub irq: libc::c_int,
        pub flags: libc::c_int,
        pub xmit_fifo_size: libc::c_int,
        pub custom_divisor: libc::c_int,
        pub baud_base: libc::c_int,
        pub close_delay: libc::c_ushort,
        pub io_type: libc::c_char,
        pub reserved_char: [libc::c_char; 1],
        pub hub6: libc::c_int,
        pub closing_wait: libc::c_ushort,
        pub closing_wait2: libc::c_ushort,
        pub iomem_base: *mut libc::c_uchar,
        pub iomem_reg_shift: libc::c_ushort,
        pub port_high: libc::c_uint,
        pub iomap_base: libc::c_ulong,
    }
}

/// A tty that is ours, set up as the line says.
#[derive(Debug)]
pub(super) struct Opened {
    pub fd: OwnedFd,
    /// Baud rate the driver really uses, when it differs from what was asked.
    pub baud_in_effect: Option<u32>,
    /// Modem lines and counters at the start.
    pub reading: wires::Reading,
}

/// Opens a port raw, exclusive, with HUPCL off and CLOCAL on. The kernel raises DTR and RTS as it opens; with `dtr` off
/// DTR falls again at once, before anything else is set. Blocks: a USB adapter that hangs answers after seconds.
///
/// # Errors
/// [`Error`]; the file is closed again.
pub(super) fn open(path: &Path, line: Line, dtr: bool) -> Result<Opened, Error> {
    let port = path.display().to_string();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        // NOCTTY: else the unplugging of a port that became our controlling terminal kills us with SIGHUP.
        // NONBLOCK: else open waits for carrier, and a write waits for the flow control of the device.
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)
        .map_err(|source| classify(&port, "open", source))?;
    let fd = OwnedFd::from(file);
    // SAFETY: the descriptor is open for as long as `fd` lives; the ioctl takes no argument.
    done(unsafe { sys::tiocexcl(fd.as_raw_fd()) })
        .map_err(|source| classify(&port, "reserve", source))?;
    lock(&fd).map_err(|source| classify(&port, "lock", source))?;
    if !dtr {
        wires::drive(fd.as_fd(), wires::Output::Dtr, false)
            .map_err(|source| classify(&port, "lower DTR of", source))?;
    }
    let baud_in_effect = set_line(fd.as_fd(), line, &port)?;
    relax(fd.as_fd());
    let reading = wires::read(fd.as_fd()).unwrap_or_default();
    Ok(Opened {
        fd,
        baud_in_effect,
        reading,
    })
}

/// Starts or ends a break. Blocks for the length of a USB transfer. A pty has no break and says nothing.
///
/// # Errors
/// What the driver says; some USB bridges fail with EPIPE at the end of a break though the line is fine.
pub(super) fn hold_break(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let raw = fd.as_raw_fd();
    // SAFETY: `fd` borrows an open descriptor; neither ioctl takes an argument.
    done(unsafe {
        if on {
            sys::tiocsbrk(raw)
        } else {
            sys::tioccbrk(raw)
        }
    })
}

/// Throws away what the kernel still holds for the device. Never blocks.
pub(super) fn discard_output(fd: BorrowedFd<'_>) {
    // SAFETY: `fd` borrows an open descriptor; the argument is a plain number.
    let flushed = done(unsafe { sys::tcflsh(fd.as_raw_fd(), libc::TCOFLUSH) });
    if let Err(error) = flushed {
        tracing::debug!(%error, "cannot discard queued output");
    }
}

/// Sets speed, frame and flow control; gives back the baud rate in effect when the driver rounded it.
///
/// # Errors
/// [`Error`]; some of it may have been set.
pub(super) fn set_line(fd: BorrowedFd<'_>, line: Line, port: &str) -> Result<Option<u32>, Error> {
    let mut termios =
        get_termios(fd).map_err(|source| classify(port, "read settings of", source))?;
    // Raw, every byte value passes both ways, errors in the frame show as bytes instead of silence.
    termios.c_iflag = match line.flow {
        Flow::XonXoff => libc::IXON | libc::IXOFF,
        Flow::None | Flow::RtsCts => 0,
    };
    termios.c_oflag = 0;
    termios.c_lflag = 0;
    // One byte wakes the reader; with VMIN 0 a read of nothing would look like an unplugged port.
    termios.c_cc[libc::VMIN] = 1;
    termios.c_cc[libc::VTIME] = 0;
    termios.c_cc[libc::VSTART] = 0x11;
    termios.c_cc[libc::VSTOP] = 0x13;
    let mut control = libc::CREAD | libc::CLOCAL | libc::BOTHER;
    control |= match line.data_bits {
        5 => libc::CS5,
        6 => libc::CS6,
        7 => libc::CS7,
        _ => libc::CS8,
    };
    match line.parity {
        Parity::None => {}
        Parity::Even => control |= libc::PARENB,
        Parity::Odd => control |= libc::PARENB | libc::PARODD,
        Parity::Space => control |= libc::PARENB | libc::CMSPAR,
        Parity::Mark => control |= libc::PARENB | libc::PARODD | libc::CMSPAR,
    }
    if line.parity != Parity::None {
        termios.c_iflag |= libc::INPCK;
    }
    if line.stop_bits == 2 {
        control |= libc::CSTOPB;
    }
    if line.flow == Flow::RtsCts {
        control |= libc::CRTSCTS;
    }
    termios.c_cflag = control;
    termios.c_ispeed = line.baud;
    termios.c_ospeed = line.baud;
    // SAFETY: `fd` borrows an open descriptor; the kernel reads one termios2 behind the pointer.
    done(unsafe { sys::tcsets2(fd.as_raw_fd(), &raw const termios) }).map_err(
        |source| match source.raw_os_error() {
            Some(libc::EINVAL) => Error::Unsupported {
                port: port.to_owned(),
                what: line.to_string(),
            },
            _ => classify(port, "set", source),
        },
    )?;
    let now = get_termios(fd).map_err(|source| classify(port, "read settings of", source))?;
    check(line, &termios, &now, port)
}

/// Compares only what would garble data: a driver may round or drop other flags.
fn check(
    line: Line,
    asked: &libc::termios2,
    now: &libc::termios2,
    port: &str,
) -> Result<Option<u32>, Error> {
    let unsupported = |what: String| Error::Unsupported {
        port: port.to_owned(),
        what,
    };
    // A pty keeps 8 bits and no parity whatever is asked, and loses nothing by it.
    let frame = libc::CSIZE | libc::PARENB | libc::PARODD | libc::CMSPAR;
    let pty = (now.c_cflag & frame) == libc::CS8 && is_pty(port);
    if !pty && (asked.c_cflag & frame) != (now.c_cflag & frame) {
        return Err(unsupported(line.to_string()));
    }
    let off = u64::from(line.baud.abs_diff(now.c_ospeed)) * 1000;
    if off > u64::from(line.baud) * BAUD_TOLERANCE {
        return Err(unsupported(format!(
            "{} baud (it would do {})",
            line.baud, now.c_ospeed
        )));
    }
    Ok((now.c_ospeed != line.baud).then_some(now.c_ospeed))
}

fn is_pty(port: &str) -> bool {
    std::fs::canonicalize(port).is_ok_and(|path| path.starts_with("/dev/pts"))
}

fn get_termios(fd: BorrowedFd<'_>) -> io::Result<libc::termios2> {
    // SAFETY: termios2 is plain numbers, for which zero is a value.
    let mut termios: libc::termios2 = unsafe { std::mem::zeroed() };
    // SAFETY: `fd` borrows an open descriptor; the kernel writes one termios2 behind the pointer.
    done(unsafe { sys::tcgets2(fd.as_raw_fd(), &raw mut termios) })?;
    Ok(termios)
}

/// Low latency, and no waiting at close. Neither is vital: a pty and some drivers know neither.
fn relax(fd: BorrowedFd<'_>) {
    // SAFETY: the struct is plain numbers and a pointer that may be null; zero is a value for all.
    let mut serial: sys::SerialStruct = unsafe { std::mem::zeroed() };
    // SAFETY: `fd` borrows an open descriptor; the kernel writes one serial_struct behind the pointer.
    if done(unsafe { sys::tiocgserial(fd.as_raw_fd(), &raw mut serial) }).is_err() {
        return;
    }
    serial.flags |= LOW_LATENCY;
    let waits = serial.closing_wait;
    for closing_wait in [CLOSING_WAIT_NONE, waits] {
        serial.closing_wait = closing_wait;
        // SAFETY: as above; the kernel only reads. Without CAP_SYS_ADMIN it refuses a new closing_wait: then without.
        if done(unsafe { sys::tiocsserial(fd.as_raw_fd(), &raw const serial) }).is_ok() {
            return;
        }
    }
}

/// An advisory lock beside TIOCEXCL, which root passes: picocom, minicom and tio look at it.
fn lock(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `fd` lives; no memory is passed.
    done(Errno::result(unsafe {
        libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB)
    }))
}

/// Has the runtime watch an open tty.
///
/// # Errors
/// It cannot.
pub(super) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what is given back, which never lets it out, so that it is neither closed nor
    // replaced while the runtime watches it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

fn done(result: nix::Result<libc::c_int>) -> io::Result<()> {
    result.map(drop).map_err(io::Error::from)
}

/// What a failed call means for the port.
pub(super) fn classify(port: &str, what: &'static str, source: io::Error) -> Error {
    let port = port.to_owned();
    match source.raw_os_error() {
        // EIO: the other side of a pty is closed, or the adapter was pulled while we opened it.
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV | libc::EIO | libc::ENOTDIR) => {
            Error::Gone { port }
        }
        Some(libc::EBUSY | libc::EWOULDBLOCK) => Error::Busy { port },
        Some(libc::ENOTTY | libc::EISDIR) => Error::NotATty { port },
        _ => Error::Io { port, what, source },
    }
}
