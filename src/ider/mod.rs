//! Drives of this board for a machine with AMT: one owner, which has the one session of IDE redirection that the machine gives.
//! What is inserted stays so until it is ejected, over lost sessions too; a restart of oobd ejects it. docs/amt-redirection.md

mod tray;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::amt::redirect::ider::{Ider, Start};
use crate::amt::redirect::{Error as Fault, Service, Target};
use crate::clock::Instant;
use crate::command::{Actor, Answer, Ask, Command, Refusal, Reply};
use crate::config::Amt;
use crate::event::Kind;
use crate::fact::{Fact, IderPhase};
use crate::fault::chain;
use crate::http::{Legacy, Pinned, Trust};
use crate::pin::Pins;
use crate::supervisor::context::Context;
use crate::tcp::Route;

use tray::Tray;

/// For one try to open a session: who asks waits 20 s.
const OPEN: Duration = Duration::from_secs(18);
/// Before a lost session is tried again, and the most that grows to: AMT may hold the one that broke for minutes.
const RETRY: Duration = Duration::from_secs(5);
const SLOWEST: Duration = Duration::from_secs(60);
/// How often the numbers of the state are renewed.
const TELL: Duration = Duration::from_secs(1);

/// Why an owner of drives ends. There is no reason yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

/// Of the session.
enum Link {
    /// Nothing is inserted.
    Closed,
    /// Gives up when it is dropped.
    Opening {
        _cancel: DropGuard,
    },
    Open(Box<Ider>),
    /// Lost; again then.
    Waiting(Instant),
}

type Opened = Result<(Ider, Option<Pinned>), Fault>;

/// Runs the owner of one machine's redirected drives until stopped. `route` is the way to it.
///
/// # Errors
/// None today.
pub async fn run(mut ctx: Context, machine: String, amt: Amt, route: Route) -> Result<(), Error> {
    let target = Target {
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
    };
    let (done, mut opened) = mpsc::channel(1);
    let mut owner = Owner {
        machine,
        target: Arc::new(target),
        link: Link::Closed,
        tray: None,
        asker: None,
        retry: RETRY,
        attempt: 0,
        done,
    };
    let mut pulse = ctx.pulse.clone();
    let mut tell_at = Instant::now() + TELL;
    loop {
        let wake = match &owner.link {
            Link::Waiting(at) => Some(*at),
            Link::Open(_) => Some(tell_at),
            Link::Closed | Link::Opening { .. } => None,
        };
        let timer = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let serve = async {
            match &mut owner.link {
                Link::Open(ider) => ider.serve().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => break,
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: recv loses nothing
            Some(ask) = ctx.asks.recv() => owner.answer(&ctx, ask).await,
            // cancel-safe: recv loses nothing; the owner holds a sender, so never None
            Some((attempt, session)) = opened.recv() => owner.learn(&ctx, attempt, session).await,
            // cancel-safe: see Ider::serve
            Err(error) = serve => owner.lost(&ctx, &error).await,
            // cancel-safe: a timer made anew each time
            () = timer => {
                tell_at = Instant::now() + TELL;
                match owner.link {
                    Link::Waiting(_) => owner.open(&ctx, Start::Now),
                    _ => owner.tell(&ctx),
                }
            }
        }
    }
    if let Link::Open(ider) = std::mem::replace(&mut owner.link, Link::Closed) {
        ider.close().await;
    }
    let machine = owner.machine;
    ctx.observe(Fact::IderGone { machine });
    Ok(())
}

struct Owner {
    machine: String,
    target: Arc<Target>,
    link: Link,
    /// What is inserted.
    tray: Option<Tray>,
    /// Waits for the first session.
    asker: Option<Answer>,
    retry: Duration,
    attempt: u64,
    done: mpsc::Sender<(u64, Opened)>,
}

impl Owner {
    async fn answer(&mut self, ctx: &Context, ask: Ask) {
        let Some((actor, command, reply)) = ask.command(&ctx.name) else {
            return;
        };
        match command {
            Command::InsertIder { .. } => self.insert(ctx, &actor, command, reply).await,
            Command::EjectIder { .. } => {
                let ejected = self.eject(ctx, &actor).await;
                // The asker may have gone; it is out all the same.
                let _ = reply.send(ejected);
            }
            _ => {
                let what = "such command of redirected drives".into();
                let _ = reply.send(Err(Refusal::Unknown { what }));
            }
        }
    }

    async fn insert(&mut self, ctx: &Context, actor: &Actor, command: Command, reply: Answer) {
        if let Some(tray) = &self.tray {
            let _ = reply.send(Err(Refusal::Busy {
                what: format!("IDE redirection of machine {}", self.machine),
                why: format!("{} of {} is in; eject it first", tray.files(), tray.by()),
            }));
            return;
        }
        let by = actor.to_string();
        match Tray::load(&ctx.dirs.state, command, by).await {
            Ok((tray, start)) => {
                (self.tray, self.asker, self.retry) = (Some(tray), Some(reply), RETRY);
                self.open(ctx, start);
            }
            Err(why) => drop(reply.send(Err(Refusal::Failed(why)))),
        }
    }

    async fn eject(&mut self, ctx: &Context, actor: &Actor) -> Result<Reply, Refusal> {
        let (machine, by) = (self.machine.clone(), actor.to_string());
        let Some(mut tray) = self.tray.take() else {
            return Err(Refusal::Failed(format!(
                "machine {machine} has no drive of this board"
            )));
        };
        if let Some(asker) = self.asker.take() {
            let why = format!("{by} has ejected it meanwhile");
            let _ = asker.send(Err(Refusal::Failed(why)));
        }
        if let Link::Open(ider) = std::mem::replace(&mut self.link, Link::Closed) {
            tray.count(&ider);
            ider.close().await;
        }
        let (read, written) = tray.moved();
        ctx.observe(Fact::IderGone {
            machine: machine.clone(),
        });
        ctx.publish(Kind::IderClosed {
            machine,
            by,
            read,
            written,
        })
        .await;
        Ok(Reply::Done)
    }

    /// Begins to open a session.
    fn open(&mut self, ctx: &Context, start: Start) {
        let Some(tray) = &mut self.tray else {
            self.link = Link::Closed;
            return;
        };
        tray.turn(IderPhase::Opening, None);
        let (cd, floppy) = tray.media();
        self.attempt += 1;
        let (attempt, target, done) = (self.attempt, self.target.clone(), self.done.clone());
        let (stop, cancel) = (ctx.stop.clone(), CancellationToken::new());
        self.link = Link::Opening {
            _cancel: cancel.clone().drop_guard(),
        };
        ctx.tracker.spawn(async move {
            let late = || Fault::Late {
                machine: target.machine.clone(),
                service: Service::Ider,
                limit: OPEN,
            };
            let opening = timeout(OPEN, Box::pin(Ider::open(&target, cd, floppy, start)));
            tokio::select! {
                // None is polled again after another has ended.
                () = stop.cancelled() => {}
                () = cancel.cancelled() => {}
                opened = opening => {
                    let opened = opened.unwrap_or_else(|_| Err(late()));
                    drop(done.send((attempt, opened)).await);
                }
            }
        });
        self.tell(ctx);
    }

    /// A session was opened, or not. One that nobody waits for any more ends when it is dropped.
    async fn learn(&mut self, ctx: &Context, attempt: u64, opened: Opened) {
        let is_ours = attempt == self.attempt && matches!(self.link, Link::Opening { .. });
        let Some(tray) = self.tray.as_mut().filter(|_| is_ours) else {
            return;
        };
        match opened {
            Ok((ider, pinned)) => {
                tray.turn(IderPhase::Open, Some(String::new()));
                let event = tray.opened(&self.machine);
                (self.link, self.retry) = (Link::Open(Box::new(ider)), RETRY);
                self.tell(ctx);
                if let Some(Pinned { what, fingerprint }) = pinned {
                    ctx.publish(Kind::Pinned { what, fingerprint }).await;
                }
                ctx.publish(event).await;
                if let Some(asker) = self.asker.take() {
                    // The asker may have gone; it is in all the same.
                    let _ = asker.send(Ok(Reply::Done));
                }
            }
            Err(error) => {
                let why = chain(&error);
                let Some(asker) = self.asker.take() else {
                    return self.wait(ctx, why);
                };
                // Nothing was in before, and nothing is now.
                (self.link, self.tray) = (Link::Closed, None);
                let machine = self.machine.clone();
                ctx.observe(Fact::IderGone { machine });
                let _ = asker.send(Err(Refusal::Failed(why)));
            }
        }
    }

    /// The session broke: it is opened again, and again.
    async fn lost(&mut self, ctx: &Context, error: &Fault) {
        let reason = chain(error);
        if let (Some(tray), Link::Open(ider)) = (&mut self.tray, &self.link) {
            tray.count(ider);
        }
        self.wait(ctx, reason.clone());
        let machine = self.machine.clone();
        ctx.publish(Kind::IderLost { machine, reason }).await;
    }

    fn wait(&mut self, ctx: &Context, why: String) {
        self.link = Link::Waiting(Instant::now() + self.retry);
        self.retry = (self.retry * 2).min(SLOWEST);
        if let Some(tray) = &mut self.tray {
            tray.turn(IderPhase::Lost, Some(why));
        }
        self.tell(ctx);
    }

    /// Shows how it stands.
    fn tell(&self, ctx: &Context) {
        let Some(tray) = &self.tray else { return };
        let ider = match &self.link {
            Link::Open(ider) => Some(ider.as_ref()),
            _ => None,
        };
        ctx.observe(Fact::Ider(tray.fact(&self.machine, ider)));
    }
}
