//! RFC 2217 as a port: a serial line at a terminal server, its settings and wires included. Falls back to plain telnet
//! where the server does not take COM-PORT. Knows the socket; the protocol is in [`client`].

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, timeout};

use super::{Control, Doing, Error, Moved, Port, reach};
use crate::line::{Line, LineState, Order};
use crate::tcp;
use client::Client;

mod client;

/// How long the server may take to say whether it takes COM-PORT; ser2net's own client waits as long.
const OFFER_LIMIT: Duration = Duration::from_secs(4);
/// How long it may take to answer what is set.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Bytes typed and orders that wait for the socket; past that the owner keeps what is typed.
const WAITING: usize = 8 * 1024;
/// Bytes of the device that wait for the owner.
const AHEAD: usize = 16 * 1024;

/// What the control handle asks of the port.
#[derive(Debug)]
enum Asked {
    Order(Order),
    /// IAC BRK.
    PlainBreak,
}

type Reply = oneshot::Sender<Result<LineState, String>>;
type Ask = (Asked, Reply);

struct Remote {
    port: String,
    stream: TcpStream,
    client: Client,
    remark: Option<String>,
    asks: mpsc::Receiver<Ask>,
    asking: mpsc::Sender<Ask>,
    /// The answers that are waited for, who waits, and until when.
    waiting: Option<(u16, Reply, Pin<Box<Sleep>>)>,
}

/// Connects by the interface `lan`, offers COM-PORT and sets the line.
///
/// # Errors
/// [`Error::Unreached`].
pub(super) async fn open(
    port: String,
    lan: Arc<str>,
    address: SocketAddr,
    line: Line,
) -> Result<Box<dyn Port>, Error> {
    let mut stream = reach::connect(&port, &lan, address).await?;
    let mut client = Client::new(line);
    let offered = talk(&mut stream, &mut client, |client| client.comport.is_some());
    let lost = |why| Error::Unreached {
        port: port.clone(),
        why,
    };
    let offered = timeout(OFFER_LIMIT, offered).await;
    offered.unwrap_or(Ok(())).map_err(lost)?;
    let remark = if client.comport == Some(true) {
        let asked = client.set_up();
        let set = talk(&mut stream, &mut client, |client| {
            client.answered & asked == asked
        });
        match timeout(ANSWER_LIMIT, set).await {
            Err(_) => Some("the server does not answer every setting".to_owned()),
            Ok(Err(why)) => return Err(lost(why)),
            Ok(Ok(())) => differs(line, client.state.line),
        }
    } else {
        Some("the server refuses RFC 2217: plain telnet, settings as they are there".to_owned())
    };
    client.news = false;
    let (asking, asks) = mpsc::channel(1);
    Ok(Box::new(Remote {
        port,
        stream,
        client,
        remark,
        asks,
        asking,
        waiting: None,
    }))
}

fn differs(wanted: Line, found: Line) -> Option<String> {
    let same = (wanted.baud, wanted.data_bits, wanted.parity)
        == (found.baud, found.data_bits, found.parity)
        && wanted.stop_bits == found.stop_bits;
    (!same).then(|| format!("the server makes {found} of {wanted}"))
}

/// Writes and reads until `done`.
async fn talk(
    stream: &mut TcpStream,
    client: &mut Client,
    done: impl Fn(&Client) -> bool,
) -> Result<(), String> {
    let mut buffer = [0; 1024];
    loop {
        if !client.out.is_empty() {
            let out = client.out.split();
            let written = stream.write_all(&out).await;
            written.map_err(|error| tcp::reason(&error))?;
        }
        // A server that floods us is not read further than this; the line comes first.
        if done(client) || client.data.len() > AHEAD {
            return Ok(());
        }
        match stream.read(&mut buffer).await {
            Ok(0) => return Err("the other end closed the connection".into()),
            Ok(count) => client.hear(&buffer[..count]),
            Err(error) => return Err(tcp::reason(&error)),
        }
    }
}

impl Remote {
    /// Takes the next order, if none is being carried out, and ends one that was answered or took too long.
    fn serve(&mut self, context: &mut task::Context<'_>) {
        loop {
            if let Some((asked, _, limit)) = &mut self.waiting {
                let answered = self.client.answered & *asked == *asked;
                if !answered && limit.as_mut().poll(context).is_pending() {
                    return;
                }
                if let Some((_, reply, _)) = self.waiting.take() {
                    let answer = if answered {
                        Ok(self.client.state.clone())
                    } else {
                        Err("the server does not answer".to_owned())
                    };
                    // Who asked may have left.
                    let _ = reply.send(answer);
                }
            }
            let Poll::Ready(Some((asked, reply))) = self.asks.poll_recv(context) else {
                return;
            };
            let comport = self.client.comport == Some(true);
            let bits = match asked {
                Asked::PlainBreak => {
                    self.client.plain_break();
                    0
                }
                Asked::Order(order) if comport || order == Order::Look => self.client.ask(order),
                Asked::Order(_) => {
                    let _ = reply.send(Err("the server refuses RFC 2217".into()));
                    continue;
                }
            };
            let limit = Box::pin(tokio::time::sleep(ANSWER_LIMIT));
            self.waiting = Some((bits, reply, limit));
        }
    }

    /// Writes what waits, as far as the socket takes it.
    fn flush(&mut self, context: &mut task::Context<'_>) -> Result<(), String> {
        while !self.client.out.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.client.out) {
                Poll::Ready(Ok(count)) => self.client.out.advance(count),
                Poll::Ready(Err(error)) => return Err(tcp::reason(&error)),
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

impl Port for Remote {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        loop {
            self.serve(context);
            if let Err(why) = self.flush(context) {
                return Poll::Ready(Moved::Lost(why));
            }
            if std::mem::take(&mut self.client.news) {
                return Poll::Ready(Moved::Told(self.client.state.clone()));
            }
            if !output.is_empty() && self.client.out.len() < WAITING && !self.client.suspended {
                self.client.type_in(output);
                return match self.flush(context) {
                    Ok(()) => Poll::Ready(Moved::Wrote(output.len())),
                    Err(why) => Poll::Ready(Moved::Lost(why)),
                };
            }
            if read && !self.client.data.is_empty() {
                return Poll::Ready(Moved::Read(self.client.hand_over(input)));
            }
            // Read on even while the owner gathers: answers to orders come this way, too. Never further than AHEAD.
            if self.client.data.len() >= AHEAD {
                return Poll::Pending;
            }
            let mut space = [0; 4096];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Poll::Ready(Moved::Lost("the other end closed the connection".into()));
                }
                Poll::Ready(Ok(())) => self.client.hear(buffer.filled()),
                Poll::Ready(Err(error)) => return Poll::Ready(Moved::Lost(tcp::reason(&error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        Ok(Arc::new(Handle {
            port: self.port.clone(),
            asking: self.asking.clone(),
            plain: self.client.comport != Some(true),
        }))
    }

    fn state(&self) -> LineState {
        self.client.state.clone()
    }

    fn remark(&self) -> Option<String> {
        self.remark.clone()
    }

    /// What the socket has not taken may end in the middle of an order: it is sent.
    fn discard_output(&mut self) {}
}

struct Handle {
    port: String,
    asking: mpsc::Sender<Ask>,
    plain: bool,
}

impl Handle {
    fn send(&self, asked: Asked) -> Doing<LineState> {
        let (port, asking) = (self.port.clone(), self.asking.clone());
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let gone = || Error::Gone { port: port.clone() };
            let exchange = async {
                asking.send((asked, reply)).await.map_err(|_| gone())?;
                answer.await.map_err(|_| gone())
            };
            let said = timeout(super::ORDER_LIMIT, exchange)
                .await
                .map_err(|_| gone())??;
            said.map_err(|why| Error::Refused { port, why })
        })
    }
}

impl Control for Handle {
    fn apply(&self, order: Order) -> Doing<LineState> {
        self.send(Asked::Order(order))
    }

    fn timed_break(&self, _length: Duration) -> Option<Doing<()>> {
        let sending = self.plain.then(|| self.send(Asked::PlainBreak))?;
        Some(Box::pin(async move { sending.await.map(drop) }))
    }
}
