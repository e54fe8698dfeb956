//! Who may have a tunnel, and how often an address may try. Sees no connection.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use crate::access::Source;
use crate::access::limit::Limiter;
use crate::clock::Instant;
use crate::config::CiraLogin;

/// A machine that may call in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub machine: String,
    pub login: CiraLogin,
}

/// Those that may, and what addresses have tried lately.
pub(super) struct Gate {
    callers: watch::Receiver<Vec<Caller>>,
    limiter: Mutex<Limiter>,
}

impl Gate {
    #[must_use]
    pub(super) fn new(callers: watch::Receiver<Vec<Caller>>) -> Self {
        Self {
            callers,
            limiter: Mutex::default(),
        }
    }

    /// Follows who may.
    #[must_use]
    pub(super) fn callers(&self) -> watch::Receiver<Vec<Caller>> {
        self.callers.clone()
    }

    /// May a connection from here be taken at all?
    pub(super) fn admits(&self, from: IpAddr) -> bool {
        self.limiter().connect(Source::from(from), Instant::now())
    }

    /// Should a refusal of this address be journaled, or is it flooding?
    pub(super) fn reports(&self, from: IpAddr) -> bool {
        self.limiter().report(Source::from(from), Instant::now())
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who this is, or why nobody that is let in.
    pub(super) fn judge(
        &self,
        uuid: &str,
        user: &[u8],
        password: Option<&[u8]>,
        from: IpAddr,
    ) -> Result<Caller, String> {
        let source = Source::from(from);
        if let Some(wait) = self.limiter().wait(source, Instant::now()) {
            let seconds = wait.as_secs() + 1;
            return Err(format!(
                "too many wrong passwords from this address; wait {seconds} s"
            ));
        }
        let callers = self.callers.borrow();
        let known = callers.iter().find(|caller| caller.login.uuid == uuid);
        let fits = known.filter(|caller| {
            let (login, password) = (&caller.login, password.unwrap_or_default());
            let user = login.username.as_bytes().ct_eq(user);
            bool::from(user & login.password.expose().as_bytes().ct_eq(password))
        });
        match (known, fits) {
            (_, Some(caller)) => {
                self.limiter().succeed(source);
                Ok(caller.clone())
            }
            (Some(caller), None) => {
                self.limiter().fail(source, Instant::now());
                Err(format!(
                    "wrong user or password for machine {}",
                    caller.machine
                ))
            }
            (None, None) => {
                self.limiter().fail(source, Instant::now());
                Err(format!("no machine has the UUID {uuid}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::config::Secret;

    const UUID: &str = "03020100-0504-0706-0809-0a0b0c0d0e0f";

    fn gate() -> Gate {
        let caller = |machine: &str, uuid: &str, password: &str| Caller {
            machine: machine.into(),
            login: CiraLogin {
                uuid: uuid.into(),
                username: "caller".into(),
                password: Secret::new(password),
            },
        };
        let other = "13020100-0504-0706-0809-0a0b0c0d0e0f";
        let callers = vec![caller("a", UUID, "right"), caller("b", other, "other")];
        Gate::new(watch::Sender::new(callers).subscribe())
    }

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_signs_in_as_its_own_machine_and_guessing_has_a_price() {
        let gate = gate();
        let judge = |user: &[u8], password: &[u8], from| {
            gate.judge(UUID, user, Some(password), from)
                .map(|caller| caller.machine)
        };
        assert_eq!(judge(b"caller", b"right", ip(1)).as_deref(), Ok("a"));
        for (user, password) in [
            (&b"caller"[..], &b"other"[..]),
            (b"admin", b"right"),
            (b"caller", b""),
            (b"", b"right"),
            (b"caller", b"right\0"),
        ] {
            let why = judge(user, password, ip(1)).unwrap_err();
            assert_eq!(why, "wrong user or password for machine a");
        }
        // Not even the right one is looked at now; another address is.
        let why = judge(b"caller", b"right", ip(1)).unwrap_err();
        assert!(why.starts_with("too many wrong passwords"), "{why}");
        assert!(judge(b"caller", b"right", ip(2)).is_ok());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(judge(b"caller", b"right", ip(1)).is_ok());
    }
}
