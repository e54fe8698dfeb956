//! Raw TCP as a port: every byte as it is, both ways. Knows no line settings and no break.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Control, Doing, Error, Moved, Port, reach, standing};
use crate::line::{LineState, Order};
use crate::tcp;

struct Raw {
    port: String,
    stream: TcpStream,
}

/// Connects by the interface `lan` only.
///
/// # Errors
/// [`Error::Unreached`].
pub(super) async fn open(
    port: String,
    lan: Arc<str>,
    address: SocketAddr,
) -> Result<Box<dyn Port>, Error> {
    let stream = reach::connect(&port, &lan, address).await?;
    Ok(Box::new(Raw { port, stream }))
}

impl Port for Raw {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        if !output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, output) {
                Poll::Ready(Ok(count)) => return Poll::Ready(Moved::Wrote(count)),
                Poll::Ready(Err(error)) => return Poll::Ready(Moved::Lost(tcp::reason(&error))),
                Poll::Pending => {}
            }
        }
        if !read {
            return Poll::Pending;
        }
        let mut buffer = ReadBuf::new(input);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                Poll::Ready(Moved::Lost("the other end closed the connection".into()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Moved::Read(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Moved::Lost(tcp::reason(&error))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        Ok(Arc::new(Nothing(self.port.clone())))
    }

    fn state(&self) -> LineState {
        standing()
    }

    /// What the kernel took is on its way.
    fn discard_output(&mut self) {}
}

/// There is nothing to steer.
struct Nothing(String);

impl Control for Nothing {
    fn apply(&self, order: Order) -> Doing<LineState> {
        let port = self.0.clone();
        Box::pin(async move {
            match order {
                Order::Look => Ok(standing()),
                Order::Break(_) => Err(Error::Unsupported {
                    port,
                    what: "breaks: raw TCP carries bytes only".into(),
                }),
                _ => Err(Error::Unsupported {
                    port,
                    what: "line settings: raw TCP carries bytes only".into(),
                }),
            }
        })
    }
}
