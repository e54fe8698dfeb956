//! Pushes events to receivers: a task for each, which reads the journal from where the receiver had come. The journal is the queue, so a
//! receiver that is dead costs a timer, and one that is slow no memory. Each event comes at least once, in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::api::House;
use crate::control::{Follow, wire};
use crate::event::Event;
use crate::fact::LinkRole;
use crate::http::{Client, Legacy, Limits, Method, Request, Trust, Url};
use crate::pin::Pins;

use super::record;
use super::service::{Listed, Policy, Push};

/// Events in one POST.
const BATCH: usize = 16;
/// How far each receiver has come is on flash after this; a restart without warning repeats as much.
const SAVE: Duration = Duration::from_secs(60);
/// What one POST may take.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    whole: Duration::from_secs(15),
    body: 64 * 1024,
};
/// Tries before a receiver is given up, where it wants that, and the pause between them.
pub(super) const ATTEMPTS: u32 = 3;
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// First and longest pause of who is tried for ever.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Serves every receiver there is, and keeps on flash how far they are.
pub(crate) fn start(house: &Arc<House>) {
    for (id, cut) in house.redfish.pushes() {
        serve(house, id, cut);
    }
    let keeper = house.clone();
    house.tracker.spawn(async move {
        let mut tick = interval(SAVE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saved = cursors(&keeper);
        loop {
            let over = tokio::select! {
                // cancel-safe: waits for the token only
                () = keeper.stop.cancelled() => true,
                // cancel-safe: a tick that is not taken comes again
                _ = tick.tick() => false,
            };
            let now = cursors(&keeper);
            if now != saved {
                save(&keeper).await;
                saved = now;
            }
            if over {
                return;
            }
        }
    });
}

fn cursors(house: &House) -> Vec<(u64, u64)> {
    let all = house.redfish.list().into_iter();
    let pushes = all.filter_map(|(id, one)| match one {
        Listed::Push(push) => Some((id, push.cursor)),
        Listed::Stream(_) => None,
    });
    pushes.collect()
}

/// Puts the receivers on flash; says whether that went well.
pub(super) async fn save(house: &Arc<House>) -> bool {
    let keeper = house.clone();
    let saved = spawn_blocking(move || keeper.redfish.save()).await;
    match saved {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the subscriptions to events cannot be kept");
            false
        }
        Err(_) => false,
    }
}

/// Serves one receiver until it is removed or the board stops.
pub(super) fn serve(house: &Arc<House>, id: u64, cut: CancellationToken) {
    let worker = house.clone();
    house.tracker.spawn(async move {
        tokio::select! {
            // cancel-safe: what was not taken comes again
            () = worker.stop.cancelled() => {}
            // cancel-safe: as above
            () = cut.cancelled() => {}
            // ends by itself when the receiver is given up
            () = run(&worker, id) => {}
        }
    });
}

fn push(house: &House, id: u64) -> Option<Push> {
    match house.redfish.get(id) {
        Some(Listed::Push(push)) => Some(push),
        _ => None,
    }
}

async fn run(house: &Arc<House>, id: u64) {
    let Some(first) = push(house, id).filter(|push| !push.suspended) else {
        return;
    };
    let query = wire::Query {
        after: Some(first.cursor),
        follow: true,
        ..wire::Query::default()
    };
    let mut follow = Follow::new(&house.control, query);
    loop {
        let Some(push) = push(house, id) else {
            return;
        };
        let Some(person) = house.access.person(&push.owner) else {
            // Whose rights it had is no user any more.
            house.redfish.remove(id);
            save(house).await;
            return;
        };
        let events = match follow.next(&person).await {
            Ok(Some(events)) => events,
            Ok(None) => return,
            Err(refusal) => {
                tracing::warn!("events of subscription {id} cannot be read: {refusal}");
                sleep(LONGEST).await;
                continue;
            }
        };
        let wanted: Vec<Event> = events
            .iter()
            .filter(|event| push.filter.takes(event))
            .cloned()
            .collect();
        for batch in wanted.chunks(BATCH) {
            if !deliver(house, id, batch).await {
                return;
            }
        }
        if let Some(last) = events.last() {
            house.redfish.change(id, |push| push.cursor = last.seq);
        }
    }
}

/// Tries until the receiver has these events; `false` when it is given up.
async fn deliver(house: &Arc<House>, id: u64, events: &[Event]) -> bool {
    let mut failures = 0_u32;
    loop {
        // Its context and policy may have been changed meanwhile.
        let Some(push) = push(house, id) else {
            return false;
        };
        let body = record::body(events, &push.context);
        let Err(why) = post(house, &push, &body).await else {
            if let Some(last) = events.last() {
                house.redfish.change(id, |push| push.cursor = last.seq);
            }
            return true;
        };
        failures += 1;
        if failures == 1 {
            tracing::info!(
                "the receiver {} of events does not take them: {why}",
                push.destination
            );
        }
        let pause = match push.policy {
            Policy::RetryForeverWithBackoff => {
                let doubled = FIRST.saturating_mul(1 << failures.min(10));
                doubled.min(LONGEST)
            }
            Policy::TerminateAfterRetries if failures > ATTEMPTS => {
                house.redfish.remove(id);
                save(house).await;
                return false;
            }
            Policy::SuspendRetries if failures > ATTEMPTS => {
                house.redfish.change(id, |push| push.suspended = true);
                save(house).await;
                return false;
            }
            Policy::TerminateAfterRetries | Policy::SuspendRetries => PAUSE,
        };
        sleep(pause).await;
    }
}

async fn post(house: &House, push: &Push, body: &Value) -> Result<(), String> {
    let url = Url::parse(&push.destination).map_err(|e| e.to_string())?;
    let lan = {
        let state = house.store.watch();
        let state = state.borrow();
        let mut links = state.links.values();
        let lan = links.find(|link| link.role == LinkRole::Lan);
        lan.map(|link| link.interface.clone())
    };
    let lan = lan.ok_or("there is no LAN")?;
    let target = url.target().to_owned();
    let trust = Trust {
        pins: Pins::new(&house.dirs.state),
        pin: None,
        legacy: Legacy::Never,
    };
    let mut client = Client::new(url, lan.as_str(), trust).limits(LIMITS);
    let mut request = Request::new(Method::POST, &target).json(body);
    for (name, value) in &push.headers {
        request = request.header(name, value);
    }
    let reply = client.send(&request).await;
    let reply = reply.map_err(|error| crate::fault::chain(&error))?;
    reply.accept().map(drop).map_err(|error| error.to_string())
}
