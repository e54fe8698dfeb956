//! wpa_supplicant through its control socket. Owns the sockets and the supplicant's networks; never decides what to join, never starts the daemon.
//!
//! The `wpactrl` crate blocks and loses step after an error, so its use is fenced in here:
//! * commands and events have a socket and a thread each;
//! * after any error both sockets are closed and opened again, because a late reply would answer the next question;
//! * each socket has a directory of its own: the crate removes a file of the same name, its own other socket's included;
//! * `select` cannot take descriptors from 1024 on, so none is opened up there;
//! * a message that is not UTF-8 is an error of the crate. The supplicant escapes every SSID (`printf_encode`), and the
//!   `BSS` mask leaves out the fields it does not escape, so none is expected; it would cost one reopening.

mod commands;
mod events;
pub mod network;
pub mod parse;
pub mod security;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use tokio::sync::mpsc;

use crate::config::Wifi;
pub use parse::{Bss, Bssid, Event, Status};
pub use security::Method;

/// Where wpa_supplicant keeps one socket per interface.
pub const CONTROL_DIR: &str = "/run/wpa_supplicant";
/// Orders that may wait. More can only pile up behind a silent supplicant, whose session is about to end anyway.
const WAITING_ORDERS: usize = 32;
/// Reports that may wait; the threads then wait too, and the supplicant's socket buffers for them.
const WAITING_REPORTS: usize = 256;
/// Descriptors from here on would make the crate panic (`FD_SETSIZE` is 1024, some slack for races).
const HIGHEST_DESCRIPTOR: i32 = 1000;

/// Why the supplicant cannot be talked to. The text is for a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be opened", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("there is no Wi-Fi device {interface}")]
    NoDevice { interface: String },
    #[error("no answer to {command}")]
    Request {
        command: &'static str,
        source: std::io::Error,
    },
    #[error("it refused {command}")]
    Refused { command: String },
    #[error("its events cannot be read")]
    Events(#[source] std::io::Error),
    #[error("it is shutting down")]
    Terminating,
    #[error("{} cannot be prepared", path.display())]
    Directory {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("too many open files for its control socket")]
    Descriptors,
}

/// What the owner asks of the supplicant. Each is answered by at most one report; none is answered after `Lost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Look for access points on these channels (MHz); all of them when empty.
    Scan {
        frequencies: Vec<u32>,
    },
    /// Tell the whole table of access points.
    List,
    Join {
        /// Index into the configured SSIDs.
        ssid: usize,
        method: Method,
        bssid: Bssid,
        frequency_mhz: u32,
    },
    /// Leave whatever is joined or being joined, and stay quiet.
    Leave,
    Status,
    Signal,
    /// Give up a scan that never ends.
    AbortScan,
    /// Close both sockets and start over.
    Reopen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanAnswer {
    Started,
    /// Another scan or a connection is under way.
    Busy,
    /// Not on these channels.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// There, configured, nothing joined.
    Found,
    /// Gone or silent; everything it knew is lost. Looked for again without end.
    Lost {
        reason: String,
    },
    Event(Event),
    Scan(ScanAnswer),
    Rows(Vec<Bss>),
    Status(Status),
    /// RSSI in dBm.
    Signal(i32),
    /// The order to join was refused, with the command that was.
    JoinRefused {
        command: String,
    },
}

/// Both threads. They end when this is dropped, at the latest when the supplicant's answer limit (10 s) has passed.
#[derive(Debug)]
pub struct Supplicant {
    orders: SyncSender<Order>,
    closed: Arc<AtomicBool>,
}

impl Supplicant {
    /// Starts looking for the supplicant of this interface and never stops; reports arrive on the receiver.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(
        wifi: Wifi,
        control_dir: &Path,
        run_dir: &Path,
    ) -> std::io::Result<(Self, mpsc::Receiver<Report>)> {
        let (orders, receiver) = sync_channel(WAITING_ORDERS);
        let (reports, inbox) = mpsc::channel(WAITING_REPORTS);
        let closed = Arc::new(AtomicBool::new(false));
        let place = Place {
            control: control_dir.join(&wifi.interface),
            run: run_dir.join("wpa").join(&wifi.interface),
        };
        let worker = commands::Worker::new(wifi, place, receiver, reports, closed.clone());
        std::thread::Builder::new()
            .name("wpa-commands".into())
            .spawn(move || worker.run())?;
        Ok((Self { orders, closed }, inbox))
    }

    /// Never waits. An order that finds the queue full is dropped: the supplicant is silent and about to be given up.
    pub fn order(&self, order: Order) {
        if let Err(TrySendError::Full(order)) = self.orders.try_send(order) {
            tracing::warn!(?order, "wpa_supplicant is silent, order dropped");
        }
    }
}

impl Drop for Supplicant {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// The two ends of the control sockets in the file system.
#[derive(Clone, Debug)]
struct Place {
    control: PathBuf,
    run: PathBuf,
}

impl Place {
    /// Opens one socket of ours, named by its directory `end`.
    fn open(&self, end: &str) -> Result<wpactrl::Client, Error> {
        let dir = self.run.join(end);
        let failed = |source| Error::Directory {
            path: dir.clone(),
            source,
        };
        // Left over by an open that failed half-way (the crate keeps the file) or by a process that was killed.
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => std::fs::create_dir_all(&dir).map_err(failed)?,
        }
        let next = std::fs::File::open(&dir).map_err(failed)?;
        if std::os::fd::AsRawFd::as_raw_fd(&next) > HIGHEST_DESCRIPTOR {
            return Err(Error::Descriptors);
        }
        drop(next);
        wpactrl::Client::builder()
            .cli_path(dir)
            .ctrl_path(self.control.clone())
            .open()
            .map_err(|error| self.not_open(plain(error)))
    }

    /// Nothing to open is mostly nothing plugged in: udev starts a supplicant with the device.
    fn not_open(&self, source: std::io::Error) -> Error {
        let interface = self.control.file_name().unwrap_or_default();
        if source.kind() == std::io::ErrorKind::NotFound
            && !Path::new("/sys/class/net").join(interface).exists()
        {
            return Error::NoDevice {
                interface: interface.to_string_lossy().into_owned(),
            };
        }
        Error::Open {
            path: self.control.clone(),
            source,
        }
    }
}

/// The crate's error without its wrapping, which calls every fault of the system a failed command.
fn plain(error: wpactrl::Error) -> std::io::Error {
    match error {
        // What its `select` of 10 s ends in.
        wpactrl::Error::Io(inner) if inner.kind() == std::io::ErrorKind::WouldBlock => {
            std::io::Error::new(std::io::ErrorKind::TimedOut, "silent for 10 s")
        }
        wpactrl::Error::Io(inner) => inner,
        other => std::io::Error::other(other),
    }
}

/// An error with everything that caused it, as one sentence.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        inner = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
