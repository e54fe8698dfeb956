//! The threads against a socket that misbehaves as wpa_supplicant does when it is killed, restarted or stuck. What a
//! healthy one does is proven with the real one in tests/lab.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::config::{Sae, Secret};

const WAIT: Duration = Duration::from_secs(15);

/// Answers until dropped; `log` keeps what it was told.
struct Peer {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// `answer` gives the reply to a command; `None` leaves it unanswered.
    fn start(dir: &Path, answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let path = dir.join("wlan0");
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let (stop, log) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(vec![])),
        );
        let (ended, heard) = (stop.clone(), log.clone());
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut monitor) = ([0; 4096], None);
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                let from = from.as_pathname().unwrap().to_owned();
                if text == "ATTACH" {
                    monitor = Some(from.clone());
                }
                if let Some(reply) = answer(&text) {
                    let _ = socket.send_to(reply.as_bytes(), &from);
                }
                if let (true, Some(monitor)) = (text.starts_with("SCAN"), &monitor) {
                    let garbled = text.ends_with("freq=1");
                    let event: &[u8] = if garbled {
                        b"<3>\xff\xfe"
                    } else {
                        b"<3>CTRL-EVENT-SCAN-RESULTS "
                    };
                    let _ = socket.send_to(event, monitor);
                }
                heard.lock().unwrap().push(text);
            }
        });
        Self {
            stop,
            thread: Some(thread),
            log,
        }
    }

    fn heard(&self, start: &str) -> bool {
        let log = self.log.lock().unwrap();
        log.iter().any(|line| line.starts_with(start))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn healthy(command: &str) -> Option<String> {
    Some(match command {
        "PING" => "PONG\n".into(),
        "ADD_NETWORK" => "0\n".into(),
        _ => "OK\n".into(),
    })
}

fn wifi() -> Wifi {
    Wifi {
        interface: "wlan0".into(),
        ssids: vec![b"remote.it".to_vec()],
        passphrase: Some(Secret::new("remote.it1234")),
        country: None,
        open: false,
        hidden: false,
        sae: Sae::Auto,
    }
}

async fn next(reports: &mut mpsc::Receiver<Report>) -> Report {
    timeout(WAIT, reports.recv()).await.unwrap().unwrap()
}

/// Skips reports until one fits.
async fn until(reports: &mut mpsc::Receiver<Report>, fits: impl Fn(&Report) -> bool) -> Report {
    loop {
        let report = next(reports).await;
        if fits(&report) {
            return report;
        }
    }
}

#[tokio::test]
async fn one_that_is_killed_and_restarted_is_found_again_and_configured_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (supplicant, mut reports) = Supplicant::spawn(wifi(), dir.path(), dir.path()).unwrap();
    assert!(matches!(next(&mut reports).await, Report::Lost { .. }));
    for _ in 0..3 {
        let peer = Peer::start(dir.path(), healthy);
        until(&mut reports, |report| *report == Report::Found).await;
        assert!(peer.heard("SET_NETWORK 0 ssid 72656d6f74652e6974"));
        supplicant.order(Order::Scan {
            frequencies: vec![2437],
        });
        let results = Report::Event(Event::ScanResults);
        until(&mut reports, |report| *report == results).await;
        drop(peer);
        until(&mut reports, |report| matches!(report, Report::Lost { .. })).await;
    }
}

#[tokio::test]
async fn a_late_reply_never_answers_the_next_question() {
    let dir = tempfile::tempdir().unwrap();
    // Never answers the first STATUS: the crate gives up after 10 s and would then be one reply behind for ever.
    let asked = Mutex::new(0);
    let peer = Peer::start(dir.path(), move |command| {
        if command != "STATUS" {
            return healthy(command);
        }
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        (*asked > 1).then(|| "wpa_state=COMPLETED\n".into())
    });
    let (supplicant, mut reports) = Supplicant::spawn(wifi(), dir.path(), dir.path()).unwrap();
    until(&mut reports, |report| *report == Report::Found).await;
    supplicant.order(Order::Status);
    until(&mut reports, |report| matches!(report, Report::Lost { .. })).await;
    until(&mut reports, |report| *report == Report::Found).await;
    supplicant.order(Order::Status);
    let status = until(&mut reports, |report| matches!(report, Report::Status(_))).await;
    assert!(matches!(status, Report::Status(status) if status.state == "COMPLETED"));
    drop(peer);
}

#[tokio::test]
async fn the_passphrase_is_in_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let _peer = Peer::start(dir.path(), |command| {
        if command.contains("psk") {
            return Some("FAIL\n".into());
        }
        healthy(command)
    });
    let (_supplicant, mut reports) = Supplicant::spawn(wifi(), dir.path(), dir.path()).unwrap();
    let Report::Lost { reason } = next(&mut reports).await else {
        panic!("it was found");
    };
    assert!(
        reason.contains("psk") && !reason.contains("remote.it1234"),
        "{reason}"
    );
}

#[tokio::test]
async fn bytes_that_are_not_utf8_cost_one_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let _peer = Peer::start(dir.path(), healthy);
    let (supplicant, mut reports) = Supplicant::spawn(wifi(), dir.path(), dir.path()).unwrap();
    until(&mut reports, |report| *report == Report::Found).await;
    supplicant.order(Order::Scan {
        frequencies: vec![1],
    });
    until(&mut reports, |report| matches!(report, Report::Lost { .. })).await;
    until(&mut reports, |report| *report == Report::Found).await;
}
