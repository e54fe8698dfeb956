//! The flow of Serial over LAN against a BMC that loses, repeats, refuses and cuts.

use std::time::Duration;

use proptest::prelude::*;

use super::flow::Flow;
use super::packet::{Packet, operation, status};
use crate::clock::Instant;
use crate::ipmi::Limits;

fn flow() -> (Flow, Instant) {
    (Flow::new(Limits::default(), 24), Instant::now())
}

fn ack(seq: u8, accepted: usize, flags: u8) -> Packet {
    let accepted = u8::try_from(accepted).unwrap();
    Packet {
        ack: seq,
        accepted,
        flags,
        ..Packet::default()
    }
}

fn data(seq: u8, bytes: &[u8]) -> Packet {
    Packet {
        seq,
        data: bytes.to_vec(),
        ..Packet::default()
    }
}

/// Past the empty packet that begins.
fn begun() -> (Flow, Instant) {
    let (mut flow, now) = flow();
    let greeting = flow.next_packet(now).unwrap();
    assert_eq!(
        (greeting.seq, &greeting.data[..], greeting.flags),
        (1, &[][..], 0)
    );
    flow.hear(&ack(1, 0, 0), now);
    assert_eq!(flow.next_packet(now), None);
    assert!(flow.is_idle());
    (flow, now)
}

fn read(flow: &mut Flow) -> Vec<u8> {
    let mut buffer = vec![0; 64 * 1024];
    let count = flow.read(&mut buffer);
    buffer.truncate(count);
    buffer
}

#[test]
fn one_packet_at_a_time_as_large_as_the_bmc_takes() {
    let (mut flow, now) = begun();
    assert_eq!(flow.write(&[b'x'; 50]), 50);
    for (seq, length) in [(2, 20), (3, 20), (4, 10)] {
        let packet = flow.next_packet(now).unwrap();
        assert_eq!((packet.seq, packet.data.len()), (seq, length));
        assert_eq!(flow.next_packet(now), None, "one in flight");
        assert!(!flow.is_idle());
        flow.hear(&ack(seq, length, 0), now);
    }
    assert_eq!(flow.next_packet(now), None);
    assert!(flow.is_idle());
}

#[test]
fn numbers_go_round_without_zero() {
    let (mut flow, now) = begun();
    let mut seen = Vec::new();
    for _ in 0..17 {
        flow.write(b"x");
        let packet = flow.next_packet(now).unwrap();
        flow.hear(&ack(packet.seq, 1, 0), now);
        seen.push(packet.seq);
    }
    let round = (2..=15).chain(1..=3).collect::<Vec<u8>>();
    assert_eq!(seen, round);
}

#[test]
fn a_lost_packet_is_repeated_and_then_given_up() {
    let (mut flow, mut now) = begun();
    flow.write(b"ls\r");
    let first = flow.next_packet(now).unwrap();
    for _ in 1..8 {
        now = flow.due().unwrap();
        assert_eq!(flow.next_packet(now).as_ref(), Some(&first));
    }
    now = flow.due().unwrap();
    assert_eq!(flow.next_packet(now), None);
    assert!(flow.fault().unwrap().contains("acknowledges"));
}

#[test]
fn a_bmc_that_ignores_the_first_empty_packet_is_typed_to_all_the_same() {
    let (mut flow, mut now) = flow();
    flow.write(b"x");
    for _ in 0..3 {
        assert_eq!(flow.next_packet(now).unwrap().data, b"");
        now = flow.due().unwrap();
    }
    assert_eq!(flow.next_packet(now).unwrap().data, b"x");
    assert_eq!(flow.fault(), None);
}

#[test]
fn what_was_not_accepted_comes_again_under_a_new_number() {
    let (mut flow, now) = begun();
    flow.write(b"abcdef");
    assert_eq!(flow.next_packet(now).unwrap().data, b"abcdef");
    flow.hear(&ack(2, 4, 0), now);
    let rest = flow.next_packet(now).unwrap();
    assert_eq!((rest.seq, &rest.data[..]), (3, &b"ef"[..]));
    // A late acknowledgement of the first changes nothing, one that claims too much ends it.
    flow.hear(&ack(2, 0, 0), now);
    assert!(!flow.is_idle());
    flow.hear(&ack(3, 200, 0), now);
    assert!(flow.is_idle());
}

#[test]
fn a_refusal_is_waited_out() {
    let (mut flow, now) = begun();
    flow.write(b"abc");
    flow.next_packet(now).unwrap();
    flow.hear(&ack(2, 1, status::NACK | status::UNAVAILABLE), now);
    assert_eq!(flow.next_packet(now), None);
    let later = now + Duration::from_secs(1);
    assert_eq!(flow.next_packet(later).unwrap().data, b"bc");
}

#[test]
fn a_break_follows_what_was_typed_before() {
    let (mut flow, now) = begun();
    flow.write(b"a");
    flow.send_break();
    assert_eq!(flow.next_packet(now).unwrap().flags, 0);
    flow.hear(&ack(2, 1, 0), now);
    let packet = flow.next_packet(now).unwrap();
    assert_eq!((packet.flags, packet.data.len()), (operation::BREAK, 0));
    flow.hear(&ack(3, 0, status::NACK), now);
    let packet = flow.next_packet(now + Duration::from_secs(1)).unwrap();
    assert_eq!(packet.flags, operation::BREAK, "refused, so it comes again");
    flow.hear(&ack(4, 0, 0), now);
    assert!(flow.is_idle());
    flow.write(b"x");
    flow.send_break();
    flow.discard_output();
    assert!(flow.is_idle());
}

#[test]
fn what_comes_in_twice_is_taken_once_and_acknowledged_twice() {
    let (mut flow, now) = begun();
    for _ in 0..2 {
        flow.hear(&data(1, b"abc"), now);
        let said = flow.next_packet(now).unwrap();
        assert_eq!((said.seq, said.ack, said.accepted), (0, 1, 3));
    }
    // A repeated packet may have grown.
    flow.hear(&data(1, b"abcde"), now);
    assert_eq!(flow.next_packet(now).unwrap().accepted, 5);
    flow.hear(&data(2, b"fg"), now);
    assert_eq!(read(&mut flow), b"abcdefg");
}

#[test]
fn a_reader_that_is_slow_makes_the_bmc_wait() {
    let (mut flow, now) = begun();
    let mut seq = 1;
    let refused = loop {
        flow.hear(&data(seq, &[b'x'; 255]), now);
        let said = flow.next_packet(now).unwrap();
        assert_eq!(said.ack, seq);
        if said.flags == operation::NACK {
            break said;
        }
        seq = if seq == 15 { 1 } else { seq + 1 };
    };
    assert_eq!(refused.accepted, 0);
    assert_eq!(flow.next_packet(now), None);
    let all = read(&mut flow);
    assert_eq!(all.len() % 255, 0);
    // Told to go on, and what was refused is taken now.
    let resumed = flow.next_packet(now).unwrap();
    assert_eq!((resumed.ack, resumed.accepted, resumed.flags), (seq, 0, 0));
    flow.hear(&data(seq, b"refused"), now);
    assert_eq!(read(&mut flow), b"refused");
}

#[test]
fn a_deactivation_ends_it() {
    let (mut flow, now) = begun();
    flow.hear(&ack(0, 0, status::DEACTIVATED), now);
    assert!(flow.fault().is_some());
}

proptest! {
    /// Both ways over a network that loses and repeats, with a BMC that takes what it likes.
    #[test]
    fn every_byte_gets_there_once_and_in_order(
        typed in proptest::collection::vec(any::<u8>(), 1..400),
        fate in proptest::collection::vec(0u8..10, 400..401),
        takes in proptest::collection::vec(0usize..30, 400..401),
    ) {
        let (mut flow, mut now) = flow();
        let (mut fate, mut takes) = (fate.into_iter().cycle(), takes.into_iter().cycle());
        let (mut arrived, mut last, mut sent) = (Vec::new(), (0, 0), 0);
        for _ in 0..20_000 {
            sent += flow.write(&typed[sent..]);
            if sent == typed.len() && flow.is_idle() {
                break;
            }
            let Some(packet) = flow.next_packet(now) else {
                if flow.fault().is_some() {
                    break;
                }
                now = flow.due().unwrap_or(now).max(now);
                continue;
            };
            // Every third is lost.
            if fate.next() < Some(3) {
                fate.next();
                continue;
            }
            if packet.seq != last.0 {
                let count = packet.data.len().min(takes.next().unwrap());
                arrived.extend_from_slice(&packet.data[..count]);
                last = (packet.seq, count);
            }
            if fate.next() != Some(0) {
                let answer = ack(packet.seq, last.1, 0);
                flow.hear(&answer, now);
                if fate.next() == Some(1) {
                    flow.hear(&answer, now);
                }
            }
        }
        // Lost eight times in a row is given up; rare, and not what this is about.
        prop_assume!(flow.fault().is_none());
        prop_assert_eq!(arrived, typed);
    }

    #[test]
    fn nothing_that_a_bmc_says_panics_or_grows(packets in proptest::collection::vec(
        (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), 0usize..300), 0..200)) {
        let (mut flow, now) = flow();
        flow.write(b"typed");
        for (seq, ack, accepted, flags, length) in packets {
            let packet = Packet { seq, ack, accepted, flags: flags & !status::DEACTIVATED, data: vec![0; length] };
            flow.hear(&Packet::parse(&packet.encode()).unwrap(), now);
            let mut said = 0;
            while flow.next_packet(now).is_some() {
                said += 1;
                prop_assert!(said < 40);
            }
        }
        prop_assert!(read(&mut flow).len() <= 32 * 1024);
    }
}
