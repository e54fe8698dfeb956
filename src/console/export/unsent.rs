//! How much of what was written to a TCP socket its peer has not acknowledged. The one ioctl of the export.

#![allow(unsafe_code, reason = "SIOCOUTQ has no safe wrapper")]

use std::io;
use std::os::fd::AsRawFd;

nix::ioctl_read_bad!(siocoutq, libc::TIOCOUTQ, libc::c_int);

/// Bytes in the send queue of a TCP socket: not sent, or sent and not acknowledged (tcp(7), SIOCOUTQ).
///
/// # Errors
/// What the kernel says.
pub(super) fn unsent(socket: &impl AsRawFd) -> io::Result<u64> {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which is TIOCOUTQ by number, writes one int to the place it is given, and `count` is one.
    unsafe { siocoutq(socket.as_raw_fd(), &raw mut count) }?;
    Ok(u64::try_from(count).unwrap_or(0))
}
