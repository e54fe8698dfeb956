//! Is there internet behind an uplink? TCP connects by marked sockets bound to the interface. Sends no byte of payload, never decides about the link.

use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Probe;
use crate::fact::Internet;

/// Longest one connect may take; mobile networks wake up within 2 s.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// While nothing is known yet the rounds come closer together.
const FIRST_PITCH: Duration = Duration::from_secs(1);

/// What changed, and the target or reason that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub internet: Internet,
    pub because: String,
}

/// Rise and fall counters. Pure.
#[derive(Clone, Debug)]
pub struct Judge {
    fail_after: u32,
    clear_after: u32,
    internet: Internet,
    /// Rounds in a row that disagree with `internet`.
    against: u32,
}

impl Judge {
    #[must_use]
    pub fn new(fail_after: u32, clear_after: u32) -> Self {
        Self {
            fail_after: fail_after.max(1),
            clear_after: clear_after.max(1),
            internet: Internet::Unknown,
            against: 0,
        }
    }

    #[must_use]
    pub fn known(&self) -> bool {
        self.internet != Internet::Unknown
    }

    /// Takes one round in; the new value when it changed. The first success counts at once: there is nothing to flap from.
    pub fn round(&mut self, reached: bool) -> Option<Internet> {
        let says = if reached { Internet::Yes } else { Internet::No };
        if self.internet == says {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = match (self.internet, reached) {
            (Internet::Unknown, true) => 1,
            (_, true) => self.clear_after,
            (_, false) => self.fail_after,
        };
        if self.against < needed {
            return None;
        }
        (self.internet, self.against) = (says, 0);
        Some(says)
    }
}

/// Probes until `stop`; tells changes only. Nothing is told when there are no targets.
pub async fn run(
    config: Probe,
    mark: u32,
    interface: String,
    told: mpsc::Sender<Verdict>,
    stop: CancellationToken,
) {
    if config.targets.is_empty() {
        return;
    }
    let mut judge = Judge::new(config.fail_after, config.clear_after);
    let mut pause = tokio::time::interval(config.every.max(FIRST_PITCH));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = async {
            if judge.known() {
                pause.tick().await;
            } else {
                tokio::time::sleep(FIRST_PITCH.min(config.every)).await;
            }
        };
        let round = async {
            let outcome = round(&config.targets, mark, &interface).await;
            first.await;
            outcome
        };
        let outcome = tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = stop.cancelled() => return,
            // cancelled only together with the whole probe: its sockets close
            outcome = round => outcome,
        };
        let because = match &outcome {
            Ok(target) => target.to_string(),
            Err(reason) => reason.clone(),
        };
        if let Some(internet) = judge.round(outcome.is_ok()) {
            // A full channel means the owner is stuck; it is restarted then, and the probe with it.
            let _ = told.try_send(Verdict { internet, because });
        }
    }
}

/// All targets at once; the first that answers ends the round.
async fn round(targets: &[SocketAddr], mark: u32, interface: &str) -> Result<SocketAddr, String> {
    let mut tries: FuturesUnordered<_> = targets
        .iter()
        .map(|target| async move { (*target, reach(*target, mark, interface).await) })
        .collect();
    let mut reasons = vec![];
    while let Some((target, outcome)) = tries.next().await {
        match outcome {
            Ok(()) => return Ok(target),
            Err(error) => reasons.push(format!("{target}: {error}")),
        }
    }
    reasons.sort();
    Err(reasons.join("; "))
}

/// One connect. The mark chooses the uplink's routing table and passes the firewall; the binding keeps the socket on its interface.
///
/// # Errors
/// Why the target was not reached.
pub async fn reach(target: SocketAddr, mark: u32, interface: &str) -> std::io::Result<()> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_mark(mark)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(target)) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let stream = tokio::net::TcpStream::from_std(socket.into())?;
    match timeout(CONNECT_LIMIT, stream.writable()).await {
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        Ok(ready) => {
            ready?;
            match stream.take_error()? {
                Some(error) => Err(error),
                None => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rise_and_fall() {
        let mut judge = Judge::new(3, 2);
        let rounds = [
            (false, None),
            (false, None),
            (false, Some(Internet::No)),
            (false, None),
            (true, None),
            (false, None),
            (true, None),
            (true, Some(Internet::Yes)),
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(Internet::No)),
        ];
        for (turn, (reached, want)) in rounds.into_iter().enumerate() {
            assert_eq!(judge.round(reached), want, "round {turn}");
        }
        assert_eq!(Judge::new(3, 3).round(true), Some(Internet::Yes));
    }
}
