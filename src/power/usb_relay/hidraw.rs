//! Relay boards that are a HID device, 16c0:05df ("USBRelay2" and its like), by feature reports through `/dev/hidraw…`.
//!
//! darrylb123/usbrelay, `libusbrelay.c`: the report (number 0) has eight bytes; read, the last is a bit for each relay; written, `FF n`
//! closes relay n and `FD n` opens it.

#![allow(
    unsafe_code,
    reason = "feature reports are ioctls that no crate here wraps"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use tokio::task::spawn_blocking;

use crate::power::driver::Fault;
use crate::reset::PowerState;

/// The report's number and its eight bytes.
const LENGTH: usize = 9;
const CLOSE: u8 = 0xff;
const OPEN: u8 = 0xfd;

mod sys {
    nix::ioctl_readwrite_buf!(set_feature, b'H', 0x06, u8);
    nix::ioctl_readwrite_buf!(get_feature, b'H', 0x07, u8);
}

/// What sets one relay.
fn order(relay: u8, on: bool) -> [u8; LENGTH] {
    let mut report = [0; LENGTH];
    report[1] = if on { CLOSE } else { OPEN };
    report[2] = relay;
    report
}

/// The states of the first so many relays.
fn states(report: [u8; LENGTH], relays: u8) -> Vec<PowerState> {
    let bits = report[LENGTH - 1];
    let state = |relay: u8| match bits.checked_shr(u32::from(relay)) {
        Some(rest) if rest & 1 == 1 => PowerState::On,
        Some(_) => PowerState::Off,
        None => PowerState::Unknown,
    };
    (0..relays).map(state).collect()
}

/// # Errors
/// [`Fault::Silent`] when there is no such device, [`Fault::NotPossible`] when it has no such report.
pub(super) async fn read(device: &Path, relays: u8) -> Result<Vec<PowerState>, Fault> {
    let report = with(device, move |file| {
        let mut report = [0; LENGTH];
        // SAFETY: the descriptor is open; the kernel writes at most the slice's length, which is in the request's number.
        unsafe { sys::get_feature(file.as_raw_fd(), &mut report) }?;
        Ok(report)
    });
    Ok(states(report.await?, relays))
}

/// # Errors
/// As [`read`].
pub(super) async fn switch(device: &Path, relay: u8, on: bool) -> Result<(), Fault> {
    with(device, move |file| {
        let mut report = order(relay, on);
        // SAFETY: the descriptor is open; the kernel reads the slice's length, which is in the request's number.
        unsafe { sys::set_feature(file.as_raw_fd(), &mut report) }?;
        Ok(())
    })
    .await
}

/// A USB transfer waits for the device.
async fn with<T: Send + 'static>(
    device: &Path,
    work: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let path = device.to_owned();
    let done = spawn_blocking(move || {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        work(&file)
    });
    let done = done.await;
    let done = done.unwrap_or_else(|error| Err(io::Error::other(error.to_string())));
    done.map_err(|error| {
        let text = format!("{}: {error}", device.display());
        match error.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL) => Fault::NotPossible(text),
            _ => Fault::Silent(text),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_as_the_boards_take_them() {
        assert_eq!(order(2, true), [0, 0xff, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(order(1, false), [0, 0xfd, 1, 0, 0, 0, 0, 0, 0]);
        let report = [0, b'A', b'B', b'C', b'D', b'E', 0, 0, 0b101];
        let (on, off) = (PowerState::On, PowerState::Off);
        assert_eq!(states(report, 4), [on, off, on, off]);
        assert_eq!(states(report, 9).last(), Some(&PowerState::Unknown));
    }

    #[tokio::test]
    async fn what_is_no_such_device_is_told() {
        let gone = read(Path::new("/dev/nothere"), 1).await.unwrap_err();
        assert!(matches!(gone, Fault::Silent(_)), "{gone}");
        let other = switch(Path::new("/dev/null"), 1, true).await.unwrap_err();
        assert!(matches!(other, Fault::NotPossible(_)), "{other}");
    }
}
