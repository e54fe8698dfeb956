//! One session channel: waits for what the client wants of it, has that done, and says how it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg};

use super::house::House;
use super::login::Login;
use super::terminal::{Size, Terminal};
use super::{command, session};

/// Exit status after a fault of ours; OpenSSH uses it for its own.
const FAULT: u32 = 255;

/// What the client asked for.
enum Wanted {
    Shell,
    Command(Vec<u8>),
}

/// Serves the channel to its end. A panic ends this channel alone.
pub(super) async fn serve(
    house: Arc<House>,
    login: Arc<Login>,
    channel: Channel<Msg>,
    handle: Handle,
) {
    let id = channel.id();
    let work = AssertUnwindSafe(run(house, login, channel));
    if work.catch_unwind().await.is_err() {
        tracing::error!(channel = %id, "a session failed badly and was closed");
        let _ = handle.exit_status_request(id, FAULT).await;
        let _ = handle.close(id).await;
    }
}

async fn run(house: Arc<House>, login: Arc<Login>, channel: Channel<Msg>) {
    let (mut read, write) = channel.split();
    let mut size = None;
    let wanted = loop {
        match read.wait().await {
            Some(ChannelMsg::RequestPty {
                term,
                col_width,
                row_height,
                ..
            }) => {
                size = Some(Size::new(col_width, row_height, &term));
            }
            Some(ChannelMsg::RequestShell { .. }) => break Wanted::Shell,
            Some(ChannelMsg::Exec { command, .. }) => break Wanted::Command(command),
            Some(ChannelMsg::Close) | None => return,
            Some(_) => {}
        }
    };
    let mut terminal = Terminal::new(read, write, size);
    let status = match wanted {
        Wanted::Shell => session::run(&house, &login, &mut terminal).await,
        Wanted::Command(line) => command::run(&house, &login, &mut terminal, &line).await,
    };
    if let Ok(status) = status {
        terminal.writer.finish(status).await;
    }
}
