//! The screen of a machine with AMT: one owner, which has the one session that the machine gives, and gives all who look the
//! same picture. One of them may type and point. docs/screen.md

mod desk;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::amt::redirect::kvm::Kvm;
use crate::amt::redirect::{Error as Fault, Target};
use crate::clock::Instant;
use crate::command::{Ask, Refusal};
use crate::config::Amt;
use crate::event::Kind;
use crate::fault::chain;
use crate::http::{Legacy, Pinned, Trust};
use crate::pin::Pins;
use crate::rfb::{Input, Picture};
use crate::supervisor::context::Context;
use crate::tcp::Route;

use desk::Desk;

/// Keys and movements of all viewers that may wait.
const INPUTS: usize = 64;
/// A session that nobody looks at any more is kept for who comes right back.
const LINGER: Duration = Duration::from_secs(10);
/// Before a lost session is tried again, and the most that grows to.
const RETRY: Duration = Duration::from_secs(5);
const SLOWEST: Duration = Duration::from_secs(60);

/// Why an owner of a screen ends. There is no reason yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

/// Of the session.
enum Link {
    /// Nobody looks.
    Closed,
    Opening,
    Open(Box<Kvm>),
    /// Lost while somebody looks; again then.
    Waiting(Instant),
}

type Opened = Result<(Kvm, Option<Pinned>), Fault>;

/// Runs the owner of one machine's screen until stopped. `route` is the way to it.
///
/// # Errors
/// None today.
pub async fn run(mut ctx: Context, machine: String, amt: Amt, route: Route) -> Result<(), Error> {
    let target = Arc::new(Target {
        machine: machine.clone(),
        wsman: amt.url(),
        user: amt.username,
        password: amt.password.expose().to_owned(),
        route,
        trust: Trust {
            pins: Pins::new(&ctx.dirs.state),
            pin: amt.pin,
            legacy: Legacy::asked(amt.legacy_tls),
        },
    });
    let mut views = ctx.commands.screens.register(&machine);
    let picture = Arc::new(Picture::default());
    let (input, mut inputs) = mpsc::channel::<(u64, Input)>(INPUTS);
    // Ends all views when it is dropped.
    let (_alive, ended) = watch::channel(());
    let mut desk = Desk::new(machine, picture.clone(), input, ended);
    let mut link = Link::Closed;
    let (done, mut opened) = mpsc::channel::<Opened>(1);
    let (mut retry, mut close_at) = (RETRY, None);
    let (mut pulse, mut asks_open) = (ctx.pulse.clone(), true);
    loop {
        if matches!(link, Link::Closed) && desk.wants() {
            link = Link::Opening;
            let (target, picture, done) = (target.clone(), picture.clone(), done.clone());
            let stop = ctx.stop.clone();
            ctx.tracker.spawn(async move {
                tokio::select! {
                    // Neither is polled again after the other has ended.
                    () = stop.cancelled() => {}
                    opened = Kvm::open(&target, &picture) => drop(done.send(opened).await),
                }
            });
        }
        let waits = match (&link, close_at) {
            (Link::Waiting(at), _) => Some(*at),
            (Link::Open(_), at) => at,
            _ => None,
        };
        let timer = async {
            match waits {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let turn = async {
            match &mut link {
                Link::Open(kvm) => kvm.turn(&picture).await,
                _ => std::future::pending().await,
            }
        };
        let mut lost = None;
        tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: recv loses nothing
            ask = ctx.asks.recv(), if asks_open => match ask {
                Some(ask) => refuse(ask),
                None => asks_open = false,
            },
            // cancel-safe: recv loses nothing
            Some((view, reply)) = views.recv() => {
                close_at = None;
                let is_open = matches!(link, Link::Open(_));
                if let Some(event) = desk.join(view, reply, is_open) {
                    ctx.publish(event).await;
                }
            }
            // cancel-safe: recv loses nothing
            Some(session) = opened.recv() => match session {
                Ok((kvm, pinned)) => {
                    (link, retry) = (Link::Open(Box::new(kvm)), RETRY);
                    if let Some(Pinned { what, fingerprint }) = pinned {
                        ctx.publish(Kind::Pinned { what, fingerprint }).await;
                    }
                    for event in desk.admit() {
                        ctx.publish(event).await;
                    }
                    close_at = desk.is_empty().then(|| Instant::now() + LINGER);
                }
                Err(error) => lost = Some(error),
            },
            // cancel-safe: see Kvm::turn
            drawn = turn => lost = drawn.err(),
            // cancel-safe: recv loses nothing
            Some((id, input)) = inputs.recv() => {
                if let Link::Open(kvm) = &mut link && desk.controls(id) {
                    kvm.input(input);
                }
            }
            // cancel-safe: see Desk::left
            event = desk.left() => {
                ctx.publish(event).await;
                close_at = desk.is_empty().then(|| Instant::now() + LINGER);
            }
            // cancel-safe: a timer made anew each time
            () = timer => {
                link = Link::Closed;
                close_at = None;
            }
        }
        if let Some(error) = lost {
            let why = chain(&error);
            tracing::info!(why, "the screen is away");
            desk.turn_away(&why);
            link = if desk.is_empty() {
                Link::Closed
            } else {
                Link::Waiting(Instant::now() + retry)
            };
            retry = (retry * 2).min(SLOWEST);
        }
    }
    Ok(())
}

/// It has no command of its own.
fn refuse(ask: Ask) {
    let refusal = Refusal::Failed("a screen takes no commands".into());
    match ask {
        Ask::Command { reply, .. } => drop(reply.send(Err(refusal))),
        Ask::Attach { reply, .. } => drop(reply.send(Err(refusal))),
    }
}
