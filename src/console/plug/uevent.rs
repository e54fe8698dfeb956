//! The kernel's word that a device came or went: a netlink socket of uevents. Says that, never what follows from it.

use std::io;

use bytes::BytesMut;
use netlink_proto::sys::protocols::NETLINK_KOBJECT_UEVENT;
use netlink_proto::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

/// Group 1 is the kernel's own (lib/kobject_uevent.c); udev repeats everything, later, in group 2.
const KERNEL: u32 = 1;
/// `UEVENT_BUFFER_SIZE` and some more.
const LONGEST: usize = 8192;

/// One message of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uevent {
    /// `add`, `remove`, `bind` …
    pub action: String,
    /// `tty`, `usb`, `usb-serial` …
    pub subsystem: String,
}

impl Uevent {
    /// Reads `add@/devices/…` and the NUL-ended `KEY=value` after it; `None` when it is not the kernel's.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut parts = message.split(|byte| *byte == 0);
        let head = std::str::from_utf8(parts.next()?).ok()?;
        let (action, _) = head.split_once('@')?;
        let subsystem = parts.find_map(|part| part.strip_prefix(b"SUBSYSTEM="))?;
        Some(Self {
            action: action.to_owned(),
            subsystem: std::str::from_utf8(subsystem).ok()?.to_owned(),
        })
    }

    /// May it have brought or taken a serial port?
    pub(super) fn is_port(&self) -> bool {
        matches!(self.subsystem.as_str(), "tty" | "usb-serial")
    }
}

/// Hears the kernel. Needs no capability.
pub(super) struct Listener(TokioSocket);

impl Listener {
    /// # Errors
    /// No sockets of that family here.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_KOBJECT_UEVENT)?;
        socket.socket_mut().bind(&SocketAddr::new(0, KERNEL))?;
        Ok(Self(socket))
    }

    /// Waits until a serial port may have come or gone. When more happened than the socket holds, one may have.
    ///
    /// Cancel-safe: a message that was read is judged at once, with no waiting in between.
    ///
    /// # Errors
    /// The socket is broken.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        loop {
            let mut buffer = BytesMut::with_capacity(LONGEST);
            match self.0.recv_from(&mut buffer).await {
                Ok(from) => {
                    // Port 0 is the kernel; a program on the board has another.
                    let kernel = from.port_number() == 0;
                    if kernel && Uevent::parse(&buffer).is_some_and(|event| event.is_port()) {
                        return Ok(());
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_words() {
        let message = b"add@/devices/platform/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=tty\0MAJOR=188\0MINOR=0\0DEVNAME=ttyUSB0\0SEQNUM=4711\0";
        let event = Uevent::parse(message).unwrap();
        assert_eq!((event.action.as_str(), event.is_port()), ("add", true));
        let other = b"bind@/devices/x\0ACTION=bind\0SUBSYSTEM=usb\0";
        assert!(!Uevent::parse(other).unwrap().is_port());
        // udev's own messages begin otherwise.
        for strange in [
            &b"libudev\0\xfe\xed\xca\xfe"[..],
            b"",
            b"\0\0",
            b"add@/x",
            b"\xff@\0SUBSYSTEM=tty\0",
        ] {
            assert_eq!(Uevent::parse(strange), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_message_panics(message in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Uevent::parse(&message);
        }

        #[test]
        fn the_subsystem_is_found_wherever_it_stands(before in "([A-Z]{1,5}=[a-z]{0,9}\0){0,4}", after in "[A-Z=\0]{0,9}") {
            let message = format!("remove@/devices/x\0{before}SUBSYSTEM=tty\0{after}");
            prop_assert!(Uevent::parse(message.as_bytes()).unwrap().is_port());
        }
    }
}
