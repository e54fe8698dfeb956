//! Modem lines and error counters of a tty by ioctl. Judges nothing; what a driver does not have is `None`.

#![allow(
    unsafe_code,
    reason = "modem lines, error counters and purging are ioctls that no crate here wraps"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use crate::line::{Faults, Signals};

mod sys {
    use nix::libc;

    nix::ioctl_read_bad!(tiocmget, libc::TIOCMGET, libc::c_int);
    nix::ioctl_write_ptr_bad!(tiocmbis, libc::TIOCMBIS, libc::c_int);
    nix::ioctl_write_ptr_bad!(tiocmbic, libc::TIOCMBIC, libc::c_int);
    nix::ioctl_read_bad!(tiocgicount, TIOCGICOUNT, Counts);
    nix::ioctl_write_int_bad!(tcflsh, libc::TCFLSH);

    /// asm-generic/ioctls.h; libc has it for some architectures only.
    const TIOCGICOUNT: libc::c_ulong = 0x545D;

    /// `struct serial_icounter_struct` of linux/serial.h.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, Default)]
    pub(super) struct Counts {
        pub cts: libc::c_int,
        pub dsr: libc::c_int,
        pub rng: libc::c_int,
        pub dcd: libc::c_int,
        pub rx: libc::c_int,
        pub tx: libc::c_int,
        pub frame: libc::c_int,
        pub overrun: libc::c_int,
        pub parity: libc::c_int,
        pub brk: libc::c_int,
        pub buf_overrun: libc::c_int,
        pub reserved: [libc::c_int; 9],
    }
}

/// A wire that we drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Dtr,
    Rts,
}

/// What a driver says at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub signals: Option<Signals>,
    /// Since the driver was loaded.
    pub counts: Option<Counts>,
}

/// What a driver counts; 32 bits that wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    framing: u32,
    parity: u32,
    /// In the UART, and in the kernel's buffer.
    overruns: [u32; 2],
    breaks: u32,
}

impl Counts {
    /// What was counted between two moments.
    #[must_use]
    pub(super) fn since(self, before: Self) -> Faults {
        let between = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
        let overrun = |at: usize| between(self.overruns[at], before.overruns[at]);
        Faults {
            framing: between(self.framing, before.framing),
            parity: between(self.parity, before.parity),
            overrun: overrun(0) + overrun(1),
            breaks: between(self.breaks, before.breaks),
        }
    }
}

/// Reads modem lines and counters. Blocks: on a USB adapter it is a transfer.
///
/// # Errors
/// The port is gone, mostly. A driver that has neither answers two `None`.
pub(super) fn read(fd: BorrowedFd<'_>) -> io::Result<Reading> {
    let mut bits: libc::c_int = 0;
    // SAFETY: `fd` borrows an open descriptor; the kernel writes one int behind the pointer.
    let lines = wired(unsafe { sys::tiocmget(fd.as_raw_fd(), &raw mut bits) })?;
    let mut counts = sys::Counts::default();
    // SAFETY: `fd` borrows an open descriptor; the kernel writes one struct of this layout behind the pointer.
    let counted = wired(unsafe { sys::tiocgicount(fd.as_raw_fd(), &raw mut counts) })?;
    Ok(Reading {
        signals: lines.then_some(Signals {
            cts: bits & libc::TIOCM_CTS != 0,
            dsr: bits & libc::TIOCM_DSR != 0,
            dcd: bits & libc::TIOCM_CAR != 0,
            ri: bits & libc::TIOCM_RNG != 0,
        }),
        counts: counted.then_some(Counts {
            framing: counts.frame.cast_unsigned(),
            parity: counts.parity.cast_unsigned(),
            overruns: [
                counts.overrun.cast_unsigned(),
                counts.buf_overrun.cast_unsigned(),
            ],
            breaks: counts.brk.cast_unsigned(),
        }),
    })
}

/// Drives one of our wires. False when the port has none, as a pty. Blocks as [`read`].
///
/// # Errors
/// What the driver says.
pub(super) fn drive(fd: BorrowedFd<'_>, output: Output, on: bool) -> io::Result<bool> {
    let bit = match output {
        Output::Dtr => libc::TIOCM_DTR,
        Output::Rts => libc::TIOCM_RTS,
    };
    let raw = fd.as_raw_fd();
    // SAFETY: `fd` borrows an open descriptor; the kernel reads one int behind the pointer.
    wired(unsafe {
        if on {
            sys::tiocmbis(raw, &raw const bit)
        } else {
            sys::tiocmbic(raw, &raw const bit)
        }
    })
}

/// Throws away what the kernel holds: received and not read, written and not sent. Never blocks.
///
/// # Errors
/// What the driver says.
pub(super) fn purge(fd: BorrowedFd<'_>, received: bool, typed: bool) -> io::Result<()> {
    let queue = match (received, typed) {
        (true, true) => libc::TCIOFLUSH,
        (true, false) => libc::TCIFLUSH,
        (false, true) => libc::TCOFLUSH,
        (false, false) => return Ok(()),
    };
    // SAFETY: `fd` borrows an open descriptor; the argument is a plain number.
    unsafe { sys::tcflsh(fd.as_raw_fd(), queue) }?;
    Ok(())
}

/// False when the driver does not know the ioctl (EINVAL by kernels before 6.0).
fn wired(result: nix::Result<libc::c_int>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(nix::Error::ENOTTY | nix::Error::EINVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_may_wrap() {
        let before = Counts {
            framing: u32::MAX,
            breaks: 7,
            overruns: [1, u32::MAX - 1],
            ..Counts::default()
        };
        let now = Counts {
            framing: 2,
            breaks: 9,
            overruns: [2, 1],
            ..Counts::default()
        };
        let faults = now.since(before);
        assert_eq!(
            (faults.framing, faults.breaks, faults.overrun, faults.parity),
            (3, 2, 4, 0)
        );
    }

    #[test]
    fn a_pty_has_no_wires_and_no_counters() {
        use std::os::fd::AsFd;
        let (_master, slave) = serialport::TTYPort::pair().unwrap();
        let file = std::fs::File::open(serialport::SerialPort::name(&slave).unwrap()).unwrap();
        assert_eq!(read(file.as_fd()).unwrap(), Reading::default());
        assert!(!drive(file.as_fd(), Output::Dtr, true).unwrap());
        purge(file.as_fd(), true, true).unwrap();
    }
}
