//! The bytes of a shell on another host, once it is open: two pipes between the owner's turns and the SSH channel.

use std::sync::Arc;
use std::task::{self, Poll};

use bytes::{Buf, Bytes};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::{DropGuard, PollSender};
use tokio_util::task::TaskTracker;

use super::ssh::Checker;
use super::{Control, Doing, Error, Moved, Port, standing};
use crate::event::Kind;
use crate::line::{LineState, Order};

/// Pieces on their way either way. russh's window bounds what comes, a piece typed is 4 KiB at most.
const PIECES: usize = 4;

/// What the host says, or why it says no more.
type Heard = Result<Bytes, String>;

pub(super) struct Shell {
    port: String,
    heard: mpsc::Receiver<Heard>,
    typed: PollSender<Bytes>,
    /// What did not fit into the last read.
    rest: Bytes,
    events: Vec<Kind>,
    /// Ends russh's own task.
    _guard: DropGuard,
}

impl Shell {
    /// `early` came before the shell was granted.
    pub(super) fn new(
        port: String,
        handle: Handle<Checker>,
        channel: Channel<Msg>,
        early: Vec<Bytes>,
        events: Vec<Kind>,
        guard: DropGuard,
        tracker: &TaskTracker,
    ) -> Self {
        let (said, heard) = mpsc::channel(PIECES);
        let (typed, typing) = mpsc::channel(1);
        let (read, write) = channel.split();
        tracker.spawn(async move {
            let ends = said.clone();
            let why = tokio::select! {
                // What is not the first to end is dropped; the port ends then, so nothing that it still held matters.
                why = down(read, said) => why,
                why = up(write, typing) => why,
            };
            // The owner that dropped the port asks no more.
            let _ = ends.send(Err(why)).await;
            drop(handle);
        });
        Self {
            port,
            heard,
            typed: PollSender::new(typed),
            rest: early.concat().into(),
            events,
            _guard: guard,
        }
    }

    fn hand_over(&mut self, input: &mut [u8]) -> Moved {
        let count = self.rest.len().min(input.len());
        self.rest.copy_to_slice(&mut input[..count]);
        Moved::Read(count)
    }
}

/// From the host to the owner, until there is no more or nobody listens.
async fn down(mut read: ChannelReadHalf, said: mpsc::Sender<Heard>) -> String {
    let mut status = None;
    loop {
        match read.wait().await {
            Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                if !data.is_empty() && said.send(Ok(data)).await.is_err() {
                    return "nobody listens".into();
                }
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
            // The status, if any, comes before the close and often after the end of the data.
            Some(ChannelMsg::Close) => {
                return status.map_or_else(
                    || "the shell ended".into(),
                    |status| format!("the shell ended with status {status}"),
                );
            }
            None => return "the SSH connection ended".into(),
            Some(_) => {}
        }
    }
}

/// From the owner to the host.
async fn up(write: ChannelWriteHalf<Msg>, mut typing: mpsc::Receiver<Bytes>) -> String {
    while let Some(piece) = typing.recv().await {
        if write.data_bytes(piece).await.is_err() {
            return "the SSH connection ended".into();
        }
    }
    "nobody types".into()
}

impl Port for Shell {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        // A failure to reserve is told by the other pipe, with the reason.
        if !output.is_empty()
            && let Poll::Ready(Ok(())) = self.typed.poll_reserve(context)
            && self.typed.send_item(Bytes::copy_from_slice(output)).is_ok()
        {
            return Poll::Ready(Moved::Wrote(output.len()));
        }
        if !read {
            return Poll::Pending;
        }
        if !self.rest.is_empty() {
            return Poll::Ready(self.hand_over(input));
        }
        match self.heard.poll_recv(context) {
            Poll::Ready(Some(Ok(data))) => {
                self.rest = data;
                Poll::Ready(self.hand_over(input))
            }
            Poll::Ready(Some(Err(why))) => Poll::Ready(Moved::Lost(why)),
            Poll::Ready(None) => Poll::Ready(Moved::Lost("the SSH connection ended".into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        Ok(Arc::new(Nothing(self.port.clone())))
    }

    fn state(&self) -> LineState {
        standing()
    }

    fn events(&mut self) -> Vec<Kind> {
        std::mem::take(&mut self.events)
    }

    /// One piece may be on its way; it cannot be called back.
    fn discard_output(&mut self) {}
}

/// A shell has no line. A terminal server's may have one behind it; its break is a request of RFC 4335, which russh's
/// client has no way to send.
struct Nothing(String);

impl Control for Nothing {
    fn apply(&self, order: Order) -> Doing<LineState> {
        let port = self.0.clone();
        let what = match order {
            Order::Look => return Box::pin(async { Ok(standing()) }),
            Order::Break(_) => "breaks: this version cannot ask an SSH server for one",
            _ => "line settings: there is no line behind a shell",
        };
        let what = what.into();
        Box::pin(async { Err(Error::Unsupported { port, what }) })
    }
}
