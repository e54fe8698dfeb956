//! The thread that gives the supplicant commands, one at a time, and keeps both sockets alive. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::events::Reader;
use super::network::{self, Network};
use super::{Bssid, Error, Method, Order, Place, Report, ScanAnswer, chain, parse};
use crate::clock::Instant;
use crate::config::Wifi;

/// Pause between two looks for a supplicant that is not there.
const LOOK: Duration = Duration::from_millis(200);
/// Longest the thread waits for an order before it looks after the session.
const ATTENTION: Duration = Duration::from_millis(250);
/// A supplicant that was asked nothing for this long is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(2);
/// id, bssid, freq, level, age, flags, ssid (`WPA_BSS_MASK_*`): none of the fields that are printed raw.
const BSS_MASK: &str = "1a87";
/// Pages of about 25 rows; a supplicant that has more repeats itself.
const MOST_PAGES: usize = 64;
/// A reply shorter than this had room for one more row (400 bytes at most), so it was the last page.
const FULL_PAGE: usize = 3500;

pub(super) struct Worker {
    wifi: Wifi,
    place: Place,
    orders: Receiver<Order>,
    reports: mpsc::Sender<Report>,
    closed: Arc<AtomicBool>,
}

/// What ends a session.
enum End {
    Failed(Error),
    /// The owner is gone.
    Closed,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Worker {
    pub(super) fn new(
        wifi: Wifi,
        place: Place,
        orders: Receiver<Order>,
        reports: mpsc::Sender<Report>,
        closed: Arc<AtomicBool>,
    ) -> Self {
        Self {
            wifi,
            place,
            orders,
            reports,
            closed,
        }
    }

    pub(super) fn run(self) {
        let mut told = String::new();
        while !self.closed.load(Ordering::Relaxed) && !self.reports.is_closed() {
            let error = match Session::open(&self) {
                Ok(mut session) => {
                    told.clear();
                    let end = session.serve();
                    let why = session.close();
                    match end {
                        End::Closed => return,
                        End::Failed(error) => why.unwrap_or(error),
                    }
                }
                Err(error) => error,
            };
            let reason = chain(&error);
            if reason != told {
                told.clone_from(&reason);
                if self.reports.blocking_send(Report::Lost { reason }).is_err() {
                    return;
                }
            }
            #[allow(clippy::disallowed_methods, reason = "this is a thread, no task")]
            std::thread::sleep(LOOK);
            // Orders for a supplicant that is gone mean nothing to the next one.
            while self.orders.try_recv().is_ok() {}
        }
    }
}

/// One life of both sockets.
struct Session<'a> {
    worker: &'a Worker,
    client: wpactrl::Client,
    reader: Option<JoinHandle<Option<Error>>>,
    ended: Arc<AtomicBool>,
    /// The supplicant's number of each network of ours, and the method it is set to.
    networks: BTreeMap<(usize, bool), (u32, Option<Method>)>,
    asked: Instant,
}

impl<'a> Session<'a> {
    /// Opens both sockets, makes the supplicant ours and tells so.
    fn open(worker: &'a Worker) -> Result<Self, Error> {
        let client = worker.place.open("commands")?;
        let mut session = Self {
            worker,
            client,
            reader: None,
            ended: Arc::new(AtomicBool::new(false)),
            networks: BTreeMap::new(),
            asked: Instant::now(),
        };
        session.expect("PING", "PING", "PONG")?;
        let attached = worker
            .place
            .open("events")?
            .attach()
            .map_err(|error| Error::Events(super::plain(error)))?;
        session.configure()?;
        if worker.reports.blocking_send(Report::Found).is_err() {
            return Err(Error::Terminating);
        }
        let reader = Reader {
            client: attached,
            reports: worker.reports.clone(),
            ended: session.ended.clone(),
        };
        let spawned = std::thread::Builder::new()
            .name("wpa-events".into())
            .spawn(move || reader.run());
        session.reader = Some(spawned.map_err(|source| Error::Directory {
            path: "thread wpa-events".into(),
            source,
        })?);
        Ok(session)
    }

    /// Ends the other thread; the error is why it had ended the session itself.
    fn close(self) -> Option<Error> {
        self.ended.store(true, Ordering::Relaxed);
        self.reader.and_then(|reader| reader.join().ok().flatten())
    }

    fn serve(&mut self) -> End {
        loop {
            if self.worker.closed.load(Ordering::Relaxed) {
                return End::Closed;
            }
            if self.ended.load(Ordering::Relaxed) {
                return End::Failed(Error::Terminating);
            }
            let done = match self.worker.orders.recv_timeout(ATTENTION) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) if self.asked.elapsed() < PING_EVERY => Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    self.expect("PING", "PING", "PONG").map_err(End::Failed)
                }
                Err(RecvTimeoutError::Disconnected) => Err(End::Closed),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Scan { frequencies } => {
                let list: Vec<String> = frequencies.iter().map(u32::to_string).collect();
                // Without only_new the kernel repeats what it heard up to 30 s ago, a hotspot just switched off among it.
                let mut command = String::from("SCAN TYPE=ONLY only_new=1");
                if !list.is_empty() {
                    command += &format!(" freq={}", list.join(","));
                }
                if self.worker.wifi.hidden {
                    // A directed probe per trigger SSID; the blank one finds the others.
                    for ssid in &self.worker.wifi.ssids {
                        command += &format!(" ssid {}", network::hex(ssid));
                    }
                }
                let reply = self.request("SCAN", &command)?;
                self.tell(Report::Scan(match reply.trim_end() {
                    "OK" => ScanAnswer::Started,
                    "FAIL-BUSY" => ScanAnswer::Busy,
                    _ => ScanAnswer::Refused,
                }))
            }
            Order::List => {
                let rows = self.list()?;
                self.tell(Report::Rows(rows))
            }
            Order::Join {
                ssid,
                method,
                bssid,
                frequency_mhz,
            } => match self.join(ssid, method, bssid, frequency_mhz) {
                Err(Error::Refused { command }) => self.tell(Report::JoinRefused { command }),
                other => Ok(other?),
            },
            Order::Leave => {
                self.request("DISCONNECT", "DISCONNECT")?;
                self.request("DISABLE_NETWORK", "DISABLE_NETWORK all")?;
                Ok(())
            }
            Order::Status => {
                let reply = self.request("STATUS", "STATUS")?;
                self.tell(Report::Status(parse::status(&reply)))
            }
            Order::Signal => {
                let reply = self.request("SIGNAL_POLL", "SIGNAL_POLL")?;
                match parse::rssi(&reply) {
                    Some(dbm) => self.tell(Report::Signal(dbm)),
                    None => Ok(()),
                }
            }
            Order::AbortScan => {
                self.request("ABORT_SCAN", "ABORT_SCAN")?;
                Ok(())
            }
            Order::Reopen => Err(End::Failed(Error::Refused {
                command: "to scan".into(),
            })),
        }
    }

    fn tell(&self, report: Report) -> Result<(), End> {
        self.worker
            .reports
            .blocking_send(report)
            .map_err(|_| End::Closed)
    }

    fn configure(&mut self) -> Result<(), Error> {
        for (command, must) in network::settings(&self.worker.wifi) {
            let reply = self.request("SET", &command)?;
            if reply.trim_end() != "OK" {
                if must {
                    return Err(Error::Refused { command });
                }
                tracing::info!(command, "wpa_supplicant does not take this setting");
            }
        }
        for network in network::networks(&self.worker.wifi) {
            let id = self.add(&network)?;
            self.networks
                .insert((network.ssid, network.open), (id, None));
        }
        Ok(())
    }

    fn add(&mut self, network: &Network) -> Result<u32, Error> {
        let reply = self.request("ADD_NETWORK", "ADD_NETWORK")?;
        let id: u32 = reply.trim_end().parse().map_err(|_| Error::Refused {
            command: "ADD_NETWORK".into(),
        })?;
        for (name, value) in network::variables(&self.worker.wifi, network) {
            self.set(id, name, &value)?;
        }
        Ok(id)
    }

    fn set(&mut self, id: u32, name: &str, value: &str) -> Result<(), Error> {
        let reply = self.request("SET_NETWORK", &format!("SET_NETWORK {id} {name} {value}"))?;
        // The value may be the passphrase: only the name goes into the error.
        if reply.trim_end() == "OK" {
            Ok(())
        } else {
            Err(Error::Refused {
                command: format!("SET_NETWORK {name}"),
            })
        }
    }

    fn join(
        &mut self,
        ssid: usize,
        method: Method,
        bssid: Bssid,
        frequency_mhz: u32,
    ) -> Result<(), Error> {
        let open = method == Method::Open;
        let Some(&(id, set_to)) = self.networks.get(&(ssid, open)) else {
            return Err(Error::Refused {
                command: "to join: no such network".into(),
            });
        };
        if set_to != Some(method) {
            self.set(id, "key_mgmt", method.key_mgmt())?;
            self.set(id, "ieee80211w", method.ieee80211w())?;
            self.networks.insert((ssid, open), (id, Some(method)));
        }
        self.set(id, "bssid", &bssid.to_string())?;
        let select = format!("SELECT_NETWORK {id} freq={frequency_mhz}");
        self.expect("SELECT_NETWORK", &select, "OK")
    }

    /// The whole table, page by page: a reply holds 4096 bytes and is cut after the last row that fits.
    fn list(&mut self) -> Result<Vec<parse::Bss>, Error> {
        let (mut rows, mut from) = (vec![], 0);
        for _ in 0..MOST_PAGES {
            let reply = self.request("BSS", &format!("BSS RANGE={from}- MASK=0x{BSS_MASK}"))?;
            let Some(last) = parse::last_id(&reply).filter(|last| *last >= from) else {
                break;
            };
            rows.extend(parse::rows(&reply));
            match last.checked_add(1) {
                Some(next) if reply.len() >= FULL_PAGE => from = next,
                _ => break,
            }
        }
        Ok(rows)
    }

    fn request(&mut self, name: &'static str, command: &str) -> Result<String, Error> {
        self.asked = Instant::now();
        self.client
            .request(command)
            .map_err(|error| Error::Request {
                command: name,
                source: super::plain(error),
            })
    }

    fn expect(&mut self, name: &'static str, command: &str, want: &str) -> Result<(), Error> {
        if self.request(name, command)?.trim_end() == want {
            Ok(())
        } else {
            Err(Error::Refused {
                command: name.into(),
            })
        }
    }
}
