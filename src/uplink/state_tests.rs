//! The machine against tables and against random inputs.

use proptest::prelude::*;

use super::*;
use crate::uplink::wpa::Method;

fn ap(n: u8) -> Bssid {
    Bssid([2, 0, 0, 0, 0, n])
}

fn target(n: u8) -> Target {
    Target {
        ssid: 0,
        name: "remote.it".into(),
        bssid: ap(n),
        frequency_mhz: 2437,
        signal_dbm: -40,
        method: Method::Psk,
    }
}

fn gone(n: u8) -> Input {
    Input::Disconnected {
        bssid: ap(n),
        reason: 4,
        local: true,
    }
}

/// Feeds inputs one second apart and returns the machine and the effects of the last.
fn after(inputs: &[Input]) -> (Machine, Vec<Effect>, Instant) {
    let (mut machine, mut effects, mut now) = (Machine::default(), vec![], Instant::now());
    for input in inputs {
        now += Duration::from_secs(1);
        (machine, effects) = machine.step(input.clone(), now);
    }
    (machine, effects, now)
}

fn up() -> Vec<Input> {
    vec![
        Input::Wanted(true),
        Input::SupplicantFound,
        Input::Sighted(target(1)),
        Input::Connected(ap(1)),
        Input::LeaseAcquired("172.20.10.2/28".into()),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_straight_way() {
    let (machine, effects, _) = after(&up());
    assert!(matches!(machine.state(), State::Up { .. }));
    let after_want = Duration::from_secs(2);
    assert!(matches!(&effects[..], [Effect::Up { after, .. }] if *after == after_want));
    let (_, effects, _) = after(&up()[..4]);
    assert_eq!(effects, [Effect::Address, Effect::Accepted(target(1))]);
}

#[tokio::test(start_paused = true)]
async fn each_way_out_of_up() {
    for (input, want, unaddressed) in [
        (gone(1), State::Searching, true),
        (Input::Wanted(false), State::Off, true),
        (
            Input::SupplicantLost("killed".into()),
            State::Absent {
                reason: "killed".into(),
            },
            true,
        ),
        (Input::SupplicantFound, State::Searching, true),
    ] {
        let mut inputs = up();
        inputs.push(input.clone());
        let (machine, effects, _) = after(&inputs);
        assert_eq!(*machine.state(), want, "{input:?}");
        let down = effects.iter().any(|e| matches!(e, Effect::Down { .. }));
        assert!(down, "{input:?}: {effects:?}");
        assert_eq!(
            effects.contains(&Effect::Unaddress),
            unaddressed,
            "{input:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hotspot_without_dhcp_fails_and_is_tried_again() {
    let (machine, _, now) = after(&up()[..4]);
    let now = now + LEASE_LIMIT;
    let (mut machine, effects) = machine.step(Input::Tick, now);
    let State::Failed { reason, .. } = machine.state() else {
        panic!("{machine:?}");
    };
    assert!(reason.contains("DHCP"), "{reason}");
    assert!(effects.contains(&Effect::Leave) && effects.contains(&Effect::Unaddress));
    machine.retry_at(now + Duration::from_secs(2));
    assert_eq!(machine.wake_at(), Some(now + Duration::from_secs(2)));
    let (machine, _) = machine.step(Input::Tick, now + Duration::from_secs(2));
    assert_eq!(*machine.state(), State::Searching);
}

#[tokio::test(start_paused = true)]
async fn a_hotspot_with_ipv6_only_is_up_after_a_grace() {
    let (machine, _, now) = after(&up()[..4]);
    let (machine, effects) = machine.step(Input::RouterFound("2001:db8::/64".into()), now);
    assert_eq!(effects, []);
    let (machine, _) = machine.step(Input::Tick, now + ROUTER_GRACE);
    assert!(matches!(machine.state(), State::Up { address, .. } if address == "2001:db8::/64"));
    let silent = Input::LeaseLost("nobody answers".into());
    let (machine, effects) = machine.step(silent, now + ROUTER_GRACE);
    assert!(matches!(machine.state(), State::Up { .. }) && effects.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_broken_join_waits_for_the_verdict() {
    let (machine, _, now) = after(&up()[..3]);
    let (machine, effects) = machine.step(gone(1), now);
    assert_eq!(effects, []);
    let refused = Input::Refused {
        bssid: None,
        fault: HotspotFault::WrongPassphrase,
    };
    let (verdict, effects) = machine.clone().step(refused, now);
    assert!(
        matches!(verdict.state(), State::Failed { reason, .. } if reason.contains("passphrase"))
    );
    assert!(effects.contains(&Effect::Penalise(target(1), HotspotFault::WrongPassphrase)));
    let (silent, _) = machine.step(Input::Tick, now + VERDICT);
    assert!(matches!(silent.state(), State::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_echo_of_a_leave_and_other_access_points_do_not_break_a_join() {
    let (machine, _, now) = after(&up()[..3]);
    let echo = Input::Disconnected {
        bssid: ap(1),
        reason: 3,
        local: true,
    };
    for input in [echo, gone(2), Input::Connected(ap(2))] {
        let (next, effects) = machine.clone().step(input.clone(), now);
        assert_eq!((&next, effects), (&machine, vec![]), "{input:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_that_never_ends_is_ended() {
    let (machine, _, now) = after(&up()[..3]);
    assert_eq!(machine.wake_at(), Some(now + JOIN_LIMIT));
    let (machine, effects) = machine.step(Input::Tick, now + JOIN_LIMIT);
    assert!(matches!(machine.state(), State::Failed { .. }));
    assert!(effects.contains(&Effect::Leave));
}

#[tokio::test(start_paused = true)]
async fn a_link_owner_that_forgot_is_told_again() {
    let mut inputs = up();
    inputs.push(Input::LinkForgot);
    assert_eq!(after(&inputs).1, [Effect::Address]);
    let mut inputs = up()[..4].to_vec();
    inputs.push(Input::LinkForgot);
    assert_eq!(after(&inputs).1, [Effect::Address]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_waited_for_and_then_the_hotspot_is_left() {
    let mut inputs = up();
    inputs.push(Input::LeaseLost("expired".into()));
    let (machine, effects, now) = after(&inputs);
    assert!(matches!(machine.state(), State::Leasing { .. }));
    assert!(matches!(&effects[..], [Effect::Down { .. }]));
    let (machine, _) = machine.step(Input::Tick, now + LEASE_LIMIT);
    assert!(matches!(machine.state(), State::Failed { .. }));
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => any::<bool>().prop_map(Input::Wanted),
        4 => Just(Input::SupplicantFound),
        1 => Just(Input::SupplicantLost("gone".into())),
        6 => (1..3u8).prop_map(|n| Input::Sighted(target(n))),
        6 => (1..3u8).prop_map(|n| Input::Connected(ap(n))),
        2 => (1..3u8, any::<u16>(), any::<bool>()).prop_map(|(n, reason, local)| Input::Disconnected { bssid: ap(n), reason, local }),
        2 => (proptest::option::of(1..3u8), any::<bool>()).prop_map(|(n, wrong)| Input::Refused {
            bssid: n.map(ap),
            fault: if wrong { HotspotFault::WrongPassphrase } else { HotspotFault::Rejected("x".into()) },
        }),
        6 => Just(Input::LeaseAcquired("10.0.0.2/24".into())),
        1 => Just(Input::LeaseLost("expired".into())),
        2 => Just(Input::RouterFound("2001:db8::/64".into())),
        1 => Just(Input::LinkForgot),
        6 => Just(Input::Tick),
    ]
}

proptest! {
    /// Whatever happens: no panic; `Up` only after `Connected` to that access point with no disconnection since; addresses
    /// are asked for and given back in pairs; every `Up` is followed by a `Down` before the next; and from any state the way up is open.
    #[test]
    fn no_sequence_of_inputs_leads_astray(inputs in proptest::collection::vec((any_input(), 0..8000u64), 0..200)) {
        let (mut machine, mut now) = (Machine::default(), Instant::now());
        let (mut associated, mut addressed, mut up) = (None, false, false);
        for (input, pause) in inputs {
            now += Duration::from_millis(pause);
            let was_joining = matches!(machine.state(), State::Joining { target, .. } if input == Input::Connected(target.bssid));
            match &input {
                Input::Connected(bssid) if was_joining => associated = Some(*bssid),
                Input::Disconnected { bssid, .. } if associated == Some(*bssid) => associated = None,
                Input::SupplicantFound | Input::SupplicantLost(_) => associated = None,
                _ => {}
            }
            let (next, effects) = machine.step(input, now);
            machine = next;
            for effect in &effects {
                match effect {
                    Effect::Leave => associated = None,
                    Effect::Address => addressed = true,
                    Effect::Unaddress => { prop_assert!(addressed); addressed = false; }
                    Effect::Up { .. } => { prop_assert!(!up); up = true; }
                    Effect::Down { .. } => { prop_assert!(up); up = false; }
                    _ => {}
                }
            }
            match machine.state() {
                State::Up { target, .. } => prop_assert!(associated == Some(target.bssid) && addressed && up),
                State::Leasing { target, .. } => prop_assert!(associated == Some(target.bssid) && addressed && !up),
                _ => prop_assert!(!addressed && !up && associated.is_none()),
            }
            if let State::Joining { .. } | State::Leasing { .. } | State::Failed { .. } = machine.state() {
                prop_assert!(machine.wake_at().is_some(), "no way out of {:?}", machine.state());
            }
        }
        // The way up from wherever that ended.
        for input in [Input::Wanted(true), Input::SupplicantFound, Input::Sighted(target(1)), Input::Connected(ap(1)), Input::LeaseAcquired("a".into())] {
            machine = machine.step(input, now).0;
        }
        let up = matches!(machine.state(), State::Up { .. });
        prop_assert!(up, "{:?}", machine.state());
    }

    /// Time alone leads out of every state that waits.
    #[test]
    fn every_wait_ends(inputs in proptest::collection::vec(any_input(), 0..60)) {
        let (mut machine, mut now) = (Machine::default(), Instant::now());
        for input in inputs {
            machine = machine.step(input, now).0;
        }
        for _ in 0..40 {
            let Some(at) = machine.wake_at() else { break };
            now = now.max(at);
            machine = machine.step(Input::Tick, now).0;
        }
        prop_assert!(machine.wake_at().is_none(), "{:?} waits for ever", machine.state());
    }
}
