//! From the first message of a device to its tunnel: who it is, if it may, and which ports it forwards.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, timeout};

use super::gate::{Caller, Gate};
use crate::access::printable;
use crate::amt::apf::message::{self, AUTH, FORWARD, Message};
use crate::amt::apf::{Error as Fault, Line};
use crate::clock::Instant;

/// From the encrypted connection to the sign-in, and to the first port after it.
const LIMIT: Duration = Duration::from_secs(30);
/// The last port that firmware names, when it serves VNC there.
const LAST_PORT: u32 = 5900;
/// So long after another port nothing more is to come.
const SETTLE: Duration = Duration::from_secs(2);
/// Ports of one device.
pub(super) const PORTS: usize = 32;
/// How often the device shall say that it is there, in seconds.
const KEEPALIVE: u32 = 30;
/// A wrong password is answered no sooner.
const REFUSAL: Duration = Duration::from_secs(1);

/// Why a device gets no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The connection came to nothing, as those of scanners do.
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("not within {} s", LIMIT.as_secs())]
    Late,
    /// To be journaled.
    #[error("{why}")]
    SignIn { user: String, why: String },
}

/// A device that may have a tunnel.
pub(super) struct Greeted {
    pub(super) caller: Caller,
    pub(super) ports: BTreeSet<u16>,
}

/// Hears a device out until it has named its ports, and asks it to say now and then that it is there.
///
/// # Errors
/// [`Refusal`]; the device has heard it.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    gate: &Gate,
    line: &mut Line<S>,
    from: IpAddr,
) -> Result<Greeted, Refusal> {
    let signing_in = timeout(LIMIT, sign_in(gate, line, from)).await;
    let caller = signing_in.map_err(|_| Refusal::Late)??;
    let named = timeout(LIMIT, ports(line)).await;
    let ports = named.map_err(|_| Refusal::Late)??;
    line.say(&message::keepalive_options(KEEPALIVE));
    Ok(Greeted { caller, ports })
}

async fn sign_in<S: AsyncRead + AsyncWrite + Unpin>(
    gate: &Gate,
    line: &mut Line<S>,
    from: IpAddr,
) -> Result<Caller, Refusal> {
    let mut uuid = None;
    loop {
        match line.hear().await? {
            Message::ProtocolVersion { uuid: bytes, .. } => uuid = Some(crate::amt::uuid(&bytes)),
            Message::ServiceRequest { name } if name == AUTH => {
                line.say(&message::service_accept(&name));
            }
            Message::SignIn { user, password } => {
                let Some(uuid) = &uuid else {
                    return Err(Fault::Unexpected("a sign-in before its UUID").into());
                };
                let begun = Instant::now();
                let judged = gate.judge(uuid, &user, password.as_deref(), from);
                match judged {
                    Ok(caller) => {
                        line.say(&message::sign_in_success());
                        return Ok(caller);
                    }
                    Err(why) => {
                        sleep_until(begun + REFUSAL).await;
                        line.say(&message::sign_in_failure());
                        line.flush().await?;
                        let user = printable(&String::from_utf8_lossy(&user));
                        return Err(Refusal::SignIn { user, why });
                    }
                }
            }
            Message::KeepaliveRequest { cookie } => line.say(&message::keepalive_reply(cookie)),
            Message::Disconnect { reason } => return Err(Fault::Ended(reason).into()),
            _ => return Err(Fault::Unexpected("something else than a sign-in").into()),
        }
    }
}

/// The ports that it forwards; it names one after the other, each after the answer to the last.
async fn ports<S: AsyncRead + AsyncWrite + Unpin>(
    line: &mut Line<S>,
) -> Result<BTreeSet<u16>, Refusal> {
    let mut ports = BTreeSet::new();
    let mut settled = None;
    loop {
        let timer = async {
            match settled {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            biased;
            // cancel-safe: see Line::hear
            heard = line.hear() => heard?,
            // cancel-safe: a timer made anew each time
            () = timer => return Ok(ports),
        };
        match heard {
            Message::ServiceRequest { name } if name == FORWARD => {
                line.say(&message::service_accept(&name));
            }
            Message::Forward { port, wants_reply } => {
                if wants_reply {
                    line.say(&message::request_success(Some(port)));
                }
                if ports.len() < PORTS {
                    ports.extend(u16::try_from(port).ok());
                }
                if port == LAST_PORT {
                    return Ok(ports);
                }
                settled = Some(Instant::now() + SETTLE);
            }
            Message::CancelForward { port, wants_reply } => {
                if wants_reply {
                    line.say(&message::request_success(None));
                }
                ports.retain(|one| u32::from(*one) != port);
            }
            Message::Datagram => {}
            Message::KeepaliveRequest { cookie } => line.say(&message::keepalive_reply(cookie)),
            Message::Disconnect { reason } => return Err(Fault::Ended(reason).into()),
            _ => return Err(Fault::Unexpected("something else than its ports").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::duplex;
    use tokio::sync::watch;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_sent_away() {
        let gate = Gate::new(watch::Sender::default().subscribe());
        let (near, _far) = duplex(1024);
        let gone = greet(&gate, &mut Line::new(near), Ipv4Addr::LOCALHOST.into()).await;
        assert!(matches!(gone, Err(Refusal::Late)));
    }
}
