//! How people share a console: everybody types, one at a time, idle sessions, the keyboard given, the last one's parting.

use std::time::Duration;

use oobd::command::{Attach, Command, Output, Refusal, Reply};
use oobd::config::{Sessions, Sharing};
use oobd::event::Kind;
use oobd::fact::PortPhase;

#[path = "support/console.rs"]
mod support;
use support::{Bench, Device, wait_for};

async fn started(sessions: Sessions) -> (Bench, Device) {
    let mut bench = Bench::new();
    bench.console.sessions = sessions;
    let device = bench.plug();
    bench.start();
    bench.phase(PortPhase::Open).await;
    (bench, device)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_may_types_on_a_shared_console() {
    let (bench, mut device) = started(Sessions {
        sharing: Sharing::Shared,
        ..Sessions::default()
    })
    .await;
    let alice = bench.attach("alice", true, 0).await;
    let mut bob = bench.attach("bob", true, 0).await;
    let mut carol = bench.attach("carol", false, 0).await;
    assert!(alice.0.writer && bob.0.writer && !carol.0.writer);
    alice.type_in(b"a").await;
    assert_eq!(device.expect(1).await, b"a");
    bob.type_in(b"b").await;
    assert_eq!(device.expect(1).await, b"b");
    carol.type_in(b"c").await;
    carol.notice("you are watching").await;
    bob.give(oobd::command::Input::TakeWriter).await;
    bob.notice("everybody types here").await;
    let console = bench
        .until("two writers", |console| console.sessions.len() == 3)
        .await;
    let writes: Vec<bool> = console.sessions.iter().map(|one| one.writer).collect();
    assert_eq!(writes, [true, true, false]);
    // Who leaves stops typing, the others do not notice.
    drop(alice);
    bench
        .until("alice gone", |console| console.sessions.len() == 2)
        .await;
    bob.type_in(b"d").await;
    assert_eq!(device.expect(1).await, b"d");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_session_keeps_others_out_until_it_ends() {
    let (bench, _device) = started(Sessions {
        sharing: Sharing::Single,
        ..Sessions::default()
    })
    .await;
    let alice = bench.attach("alice", true, 0).await;
    let request = Attach {
        console: "core".into(),
        user: "bob".into(),
        ..Attach::default()
    };
    match bench.commands.attach(request).await {
        Err(Refusal::Busy { why, .. }) => assert!(why.contains("alice (test) is on it"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(alice);
    bench
        .until("free", |console| console.sessions.is_empty())
        .await;
    assert!(bench.attach("bob", true, 0).await.0.writer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_is_given_with_notice_and_an_event() {
    let (mut bench, mut device) = started(Sessions::default()).await;
    let mut alice = bench.attach("alice", true, 0).await;
    let mut bob = bench.attach("bob", true, 0).await;
    let carol = bench.attach("carol", false, 0).await;
    let give = |session| Command::GiveWriter {
        console: "core".into(),
        session,
    };
    assert_eq!(bench.command(give(bob.0.session)).await, Ok(Reply::Done));
    bob.notice("root (test) gave you the keyboard").await;
    alice
        .notice("root (test) gave the keyboard to bob (test), you are watching")
        .await;
    let user = bench.event("given", |kind| match kind {
        Kind::WriterChanged { user, .. } => Some(user.clone()),
        _ => None,
    });
    assert_eq!(user.await, "bob");
    bob.type_in(b"b").await;
    assert_eq!(device.expect(1).await, b"b");
    for (session, part) in [(bob.0.session, "already"), (carol.0.session, "only watch")] {
        let refused = bench.command(give(session)).await.unwrap_err();
        assert!(refused.to_string().contains(part), "{refused}");
    }
    assert!(matches!(
        bench.command(give(99)).await,
        Err(Refusal::Unknown { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_types_nothing_is_warned_and_ended_and_a_watcher_is_not() {
    let (mut bench, mut device) = started(Sessions {
        idle_timeout: Some(Duration::from_secs(3)),
        ..Sessions::default()
    })
    .await;
    let mut idle = bench.attach("idle", true, 0).await;
    let mut watcher = bench.attach("watcher", false, 0).await;
    idle.notice("this session ends in 1 s").await;
    // A key is all it takes.
    idle.type_in(b"x").await;
    assert_eq!(device.expect(1).await, b"x");
    idle.notice("this session ends in 1 s").await;
    assert_eq!(idle.ended().await, "nothing was typed for too long");
    let reason = bench.event("closed", |kind| match kind {
        Kind::SessionClosed { user, reason, .. } if user == "idle" => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, "nothing was typed for too long");
    let console = bench
        .until("one left", |console| console.sessions.len() == 1)
        .await;
    assert_eq!(console.sessions[0].user, "watcher");
    device.send(b"still").await;
    assert_eq!(watcher.expect(5).await, b"still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_one_to_leave_has_the_parting_typed_if_anybody_typed() {
    let (mut bench, mut device) = started(Sessions {
        on_last_detach: Some("exit\r".into()),
        ..Sessions::default()
    })
    .await;
    // Who only looked leaves the device as it was.
    drop(bench.attach("looker", true, 0).await);
    bench
        .until("empty", |console| console.sessions.is_empty())
        .await;
    let alice = bench.attach("alice", true, 0).await;
    let bob = bench.attach("bob", true, 0).await;
    alice.type_in(b"ls\r").await;
    assert_eq!(device.expect(3).await, b"ls\r");
    drop(alice);
    bench
        .until("one left", |console| console.sessions.len() == 1)
        .await;
    drop(bob);
    assert_eq!(device.expect(5).await, b"exit\r");
    let bytes = bench.event("typed", |kind| match kind {
        Kind::DetachStringTyped { bytes, .. } => Some(*bytes),
        _ => None,
    });
    assert_eq!(bytes.await, 5);
    // Once is enough.
    drop(bench.attach("looker", true, 0).await);
    bench
        .until("empty", |console| console.sessions.is_empty())
        .await;
    let mut carol = bench.attach("carol", true, 0).await;
    carol.type_in(b"!").await;
    assert_eq!(device.expect(1).await, b"!");
    device.send(b"#").await;
    assert_eq!(carol.next().await, Output::Bytes(b"#".to_vec().into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_says_who_typed_when() {
    let (bench, mut device) = started(Sessions::default()).await;
    let alice = bench.attach("alice", true, 0).await;
    let came = bench
        .until("there", |console| console.sessions.len() == 1)
        .await;
    let came = came.sessions[0].clone();
    assert_eq!(came.typed_at, came.since);
    tokio::time::sleep(Duration::from_millis(5)).await;
    alice.type_in(b"x").await;
    assert_eq!(device.expect(1).await, b"x");
    bench
        .until("typed", |console| {
            console.sessions[0].typed_at > came.typed_at
        })
        .await;
    wait_for("the fact", || bench.fact().is_some()).await;
}
