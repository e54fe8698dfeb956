//! Lines to and from a device over TCP, with a limit on how long one may be. Knows no protocol.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::driver::Fault;
use crate::tcp;

/// A device on a LAN answers a connect in milliseconds; five seconds outlast one lost SYN and its repeat.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest line that is taken; the longest that a device of these protocols has reason to send is a hundredth of it.
const LONGEST_LINE: usize = 16 * 1024;

/// A connection that speaks in lines.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    /// Heard and not given out yet.
    heard: Vec<u8>,
}

/// Connects to a device by the LAN's interface.
///
/// # Errors
/// [`Fault::Silent`], [`Fault::Offline`]: nothing was asked.
pub(super) async fn connect(lan: &str, address: SocketAddr) -> Result<TcpStream, Fault> {
    match timeout(CONNECT_LIMIT, tcp::connect(lan, address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == ErrorKind::AddrNotAvailable => {
            Err(Fault::Offline(error.to_string()))
        }
        Ok(Err(error)) => Err(Fault::Silent(format!(
            "cannot connect to {address}: {error}"
        ))),
        Err(_) => Err(Fault::Silent(format!("{address} does not answer"))),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            heard: Vec::new(),
        }
    }

    /// The connection itself, for what follows the lines.
    ///
    /// # Errors
    /// [`Fault::Odd`] when more was heard than was given out: whoever said that did not wait for us.
    pub(super) fn into_stream(self) -> Result<S, Fault> {
        match self.heard.as_slice() {
            [] => Ok(self.stream),
            _ => Err(Fault::Odd("it goes on before it is asked".into())),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// [`Fault::Silent`]: the connection broke.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), Fault> {
        let sent = self.stream.write_all(text.as_bytes()).await;
        sent.map_err(|error| Fault::Silent(format!("the connection broke: {error}")))
    }

    /// The next line without its end, as UTF-8 where it is that.
    ///
    /// # Errors
    /// [`Fault::Silent`] when the connection ends, [`Fault::Odd`] for a line without end.
    pub(super) async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let rest = self.heard.split_off(end + 1);
                let line = std::mem::replace(&mut self.heard, rest);
                let text = String::from_utf8_lossy(&line);
                return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
            }
            if self.heard.len() > LONGEST_LINE {
                return Err(Fault::Odd("it sends a line without end".into()));
            }
            let mut chunk = [0; 2048];
            let count = self.stream.read(&mut chunk).await;
            let count =
                count.map_err(|error| Fault::Silent(format!("the connection broke: {error}")))?;
            if count == 0 {
                return Err(Fault::Silent("it closed the connection".into()));
            }
            self.heard.extend(chunk.iter().take(count));
        }
    }
}
