//! Answers questions to a console's transcript, piece by piece: flash and regular expressions run off the reactor.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::access::Right;
use crate::command::Refusal;
use crate::pattern;
use crate::transcript::{self, Log, Query};

use super::serve::{Caller, House};
use super::wire::{Error, Request, Response, Wire};

/// Longest one piece of an answer may take: a megabyte of flash.
const PIECE_LIMIT: Duration = Duration::from_secs(20);
/// How often the end of a transcript is looked at for who follows; it is written four times a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Answers until all is told, or, when it follows, until the client hangs up.
///
/// # Errors
/// Why the conversation broke off.
pub(super) async fn answer<S>(
    wire: &mut Wire<S>,
    house: &House,
    caller: &Caller,
    console: &str,
    query: Query,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if let Err(denied) = allowed(house, caller, console, &query) {
        return wire.send(&denied).await;
    }
    let pattern = query.pattern.as_deref().map(pattern::compile);
    let pattern = match pattern.transpose() {
        Ok(pattern) => pattern,
        Err(bad) => return refuse(wire, format!("this is no pattern: {bad}")).await,
    };
    let dir = transcript::dir(house.state_dir(), console);
    if !matches!(tokio::fs::try_exists(&dir).await, Ok(true)) {
        let what = format!(
            "transcript of a console {}",
            crate::access::printable(console)
        );
        let refusal = Response::Refused(Refusal::Unknown { what });
        return wire.send(&refusal).await;
    }
    let follow = query.follow;
    let asked = query.clone();
    let begun = off_reactor(move || Log::new(&dir, asked, pattern)).await;
    let mut log = match begun {
        Ok(log) => log,
        Err(reason) => return refuse(wire, reason).await,
    };
    let mut changes = house.access().changes();
    loop {
        let worked = off_reactor(move || {
            let found = log.go_on()?;
            Ok((log, found))
        });
        let (items, end) = match worked.await {
            Ok((same, found)) => {
                log = same;
                found
            }
            Err(reason) => return refuse(wire, reason).await,
        };
        if !items.is_empty() {
            wire.send(&Response::Log(items)).await?;
        }
        if end && !follow {
            return wire.send(&Response::End).await;
        }
        let pause = async {
            if end {
                sleep(FOLLOW_EVERY).await;
            } else {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            // cancel-safe as Changes::next() says
            () = changes.next() => {
                if let Err(denied) = allowed(house, caller, console, &query) {
                    return wire.send(&denied).await;
                }
            }
            // cancel-safe as Wire::receive() says; anything but a hang-up is against the rules
            ended = wire.receive::<Request>() => {
                return ended.and(Err(Error::Closed));
            }
            // cancel-safe: a timer has nothing to lose
            () = pause => {}
        }
    }
}

/// Watching a console is the right to its record. What was typed holds passwords of others: administrators only.
fn allowed(house: &House, caller: &Caller, console: &str, query: &Query) -> Result<(), Response> {
    let person = caller.person(house)?;
    // The name becomes a path: nothing but what oobd.toml takes as a name.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let named = console.starts_with(|first: char| first.is_ascii_alphanumeric())
        && console.chars().all(plain);
    let may = person
        .may(Right::WatchConsole(console))
        .and_then(|()| match query.typed {
            true => person.may(Right::Administer),
            false => Ok(()),
        });
    match may {
        Ok(()) if named => Ok(()),
        Ok(()) => Err(Response::Denied(format!(
            "there is no console {}",
            crate::access::printable(console)
        ))),
        Err(sentence) => Err(Response::Denied(sentence)),
    }
}

async fn refuse<S>(wire: &mut Wire<S>, reason: String) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    wire.send(&Response::Refused(Refusal::Failed(reason))).await
}

async fn off_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, transcript::Error> + Send + 'static,
) -> Result<T, String> {
    match timeout(PIECE_LIMIT, spawn_blocking(work)).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(crate::fault::chain(&error)),
        Ok(Err(_)) | Err(_) => Err("the transcript cannot be read now".into()),
    }
}
