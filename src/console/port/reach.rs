//! How transports reach other hosts: connecting, within a limit. Knows no protocol.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Error;
use crate::tcp;

/// Longest wait for a host to take the connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Connects by the LAN's interface only; `port` is the name for errors.
///
/// # Errors
/// [`Error::Unreached`].
pub(super) async fn connect(
    port: &str,
    lan: &str,
    address: SocketAddr,
) -> Result<TcpStream, Error> {
    let why = match timeout(CONNECT_LIMIT, tcp::connect(lan, address)).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) if error.raw_os_error() == Some(libc::ENODEV) => {
            format!("there is no interface {lan}")
        }
        Ok(Err(error)) => tcp::reason(&error),
        Err(_) => format!("no answer within {} s", CONNECT_LIMIT.as_secs()),
    };
    Err(Error::Unreached {
        port: port.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_not_there_is_named_with_the_reason() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        connect("tcp://x", "none0", address).await.unwrap();
        drop(listener);
        let error = connect("tcp://x", "none0", address).await.unwrap_err();
        assert!(error.is_gone());
        assert_eq!(error.to_string(), "tcp://x: connection refused");

        // TEST-NET-1; nothing is sent, there is no such interface.
        let far = "192.0.2.1:1".parse().unwrap();
        let error = connect("tcp://x", "none0", far).await.unwrap_err();
        assert_eq!(error.to_string(), "tcp://x: there is no interface none0");
    }
}
