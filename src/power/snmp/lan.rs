//! The datagrams of one SNMP device, on a socket of the LAN's interface: what the SNMP crate calls a transport.
//! Its own transports cannot be bound to an interface. Reads no SNMP: whose answer it is, the crate says.

use std::net::SocketAddr;
use std::sync::Arc;

use async_snmp::v3::ReportStatus;
use async_snmp::transport::{Candidate, RequestRegistration, ResponseIdentity, Transport};
use async_snmp::{Error, Result};
use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A datagram is never longer.
const LONGEST: usize = 65_535;

/// `usmStats`, 1.3.6.1.6.3.15.1.1, as the beginning of an object of ten bytes in BER.
const USM_STATS: [u8; 10] = [0x06, 0x0a, 0x2b, 6, 1, 6, 3, 0x0f, 1, 1];

/// One connected socket: the kernel drops what comes from anybody else. One request at a time.
#[derive(Clone, Debug)]
pub(super) struct Lan {
    socket: Arc<UdpSocket>,
    target: SocketAddr,
    local: SocketAddr,
}

impl Lan {
    /// Opens the socket; asks nothing.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) async fn open(interface: &str, target: SocketAddr) -> std::io::Result<Self> {
        let socket = crate::tcp::connect_udp(interface, target).await?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket: Arc::new(socket),
            target,
            local,
        })
    }

    fn broken(&self, source: std::io::Error) -> Box<Error> {
        Error::Network {
            target: self.target,
            source,
        }
        .boxed()
    }

    fn refused(&self, status: ReportStatus) -> Box<Error> {
        Error::Report {
            target: self.target,
            status: Box::new(status),
            metadata: Box::default(),
        }
        .boxed()
    }

    fn late(&self, since: Instant) -> Box<Error> {
        Error::Timeout {
            target: self.target,
            elapsed: since.elapsed(),
            retries: 0,
        }
        .boxed()
    }
}

/// Why an agent does not take a message, by the counter that it shows instead of an answer (RFC 3414 §3.2). Such reports
/// cannot be signed, for the key is what is wrong; the crate passes over them.
fn objection_in(data: &[u8]) -> Option<ReportStatus> {
    let after = data
        .windows(USM_STATS.len())
        .position(|window| window == USM_STATS)?
        + USM_STATS.len();
    let counter = 0;
    match data.get(after)? {
        1 => Some(ReportStatus::UnsupportedSecurityLevel { counter }),
        3 => Some(ReportStatus::UnknownUserName { counter }),
        5 => Some(ReportStatus::WrongDigest { counter }),
        6 => Some(ReportStatus::DecryptionError { counter }),
        _ => None,
    }
}

impl Transport for Lan {
    async fn send(&self, data: &[u8]) -> Result<()> {
        let sent = self.socket.send(data).await;
        sent.map(drop).map_err(|error| self.broken(error))
    }

    async fn request_with<T, F>(
        &self,
        data: &[u8],
        registration: RequestRegistration,
        mut validate: F,
    ) -> Result<T>
    where
        T: Send,
        F: FnMut(Bytes, SocketAddr) -> Result<Candidate<T>> + Send,
    {
        let (since, deadline) = (Instant::now(), registration.deadline());
        // Dropping either branch loses a datagram at most, and the question is asked again then.
        tokio::select! {
            biased;
            () = sleep_until(deadline) => return Err(self.late(since)),
            sent = self.send(data) => sent?,
        }
        let mut buffer = vec![0; LONGEST];
        let mut objection = None;
        loop {
            let heard = timeout_at(deadline, self.socket.recv(&mut buffer)).await;
            let Ok(heard) = heard else {
                return Err(objection.map_or_else(|| self.late(since), |why| self.refused(why)));
            };
            let length = heard.map_err(|error| self.broken(error))?;
            let data = buffer.get(..length).unwrap_or_default();
            // A late answer to an older question has another number.
            if registration.evaluate_response_identity(data, true) == ResponseIdentity::Reject {
                continue;
            }
            if let Candidate::Accept(value) = validate(Bytes::copy_from_slice(data), self.target)? {
                return Ok(value);
            }
            // Nobody signed it, so a real answer may still come; without one, this is why.
            objection = objection.or_else(|| objection_in(data));
        }
    }

    fn peer_addr(&self) -> SocketAddr {
        self.target
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn is_reliable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objection_is_found_and_nothing_else() {
        let mut report = vec![0x30, 0x0e];
        report.extend(USM_STATS);
        report.extend([5, 0, 0x41, 1, 7]);
        assert!(matches!(
            objection_in(&report),
            Some(ReportStatus::WrongDigest { .. })
        ));
        // 2 and 4 are how clocks and engines find each other.
        for other in [2, 4, 7] {
            report[12] = other;
            assert_eq!(objection_in(&report), None, "{other}");
        }
        assert_eq!(objection_in(&report[..12]), None);
        assert_eq!(objection_in(b""), None);
    }
}
