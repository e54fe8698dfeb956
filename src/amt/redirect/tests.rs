//! The codec of redirection against bytes of real devices and against bytes of nobody.

use proptest::prelude::*;

use super::auth::{self, Challenge};
use super::message::{self, Bad, Splitter, kind};
use super::{Service, sol};

/// From MeshCentral#3279 and MeshCommander#24: replies of AMT 15 and 11.8, a list of methods, what a line says.
const SAID: &[&[u8]] = &[
    &[0x11, 0, 0, 0, 1, 0, 0x0f, 0, 0x57, 1, 0, 0, 0],
    &[0x14, 0, 0, 0, 0, 1, 0, 0, 0, 4],
    &[
        0x14, 1, 0, 0, 4, 9, 0, 0, 0, 1, b'r', 1, b'n', 4, b'a', b'u', b't', b'h',
    ],
    &[0x14, 0, 0, 0, 4, 0, 0, 0, 0],
    &[
        0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    &[0x29, 0, 0, 0, 1, 0, 0, 0, 3, 4],
    &[0x2a, 0, 0, 0, 2, 0, 0, 0, 3, 0, b'a', b'b', b'c'],
    &[0x2b, 0, 0, 0, 3, 0, 0, 0],
    &[0x2a, 0, 0, 0, 2, 0, 0, 0, 0, 0],
];

fn all(splitter: &mut Splitter) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some(message) = splitter.next_message().unwrap() {
        found.push(message.bytes().to_vec());
    }
    found
}

#[test]
fn messages_are_put_together_however_they_are_cut() {
    let whole = SAID.concat();
    for first in 0..=whole.len() {
        for size in [1, 2, 7, whole.len()] {
            let mut splitter = Splitter::new(Service::Sol);
            let (head, tail) = whole.split_at(first);
            splitter.push(head);
            let mut found = all(&mut splitter);
            for piece in tail.chunks(size) {
                splitter.push(piece);
                found.extend(all(&mut splitter));
            }
            assert_eq!(found, SAID, "cut at {first}, then each {size}");
        }
    }
}

#[test]
fn what_follows_a_session_is_left_whole() {
    let mut splitter = Splitter::new(Service::Kvm);
    splitter.push(b"\x41\0\0\0\0\0\0\0RFB 004.000\n");
    assert_eq!(all(&mut splitter), [b"\x41\0\0\0\0\0\0\0"]);
    assert_eq!(splitter.into_rest(), b"RFB 004.000\n");
}

#[test]
fn a_refusal_has_four_bytes_and_an_unknown_kind_ends_it() {
    let mut splitter = Splitter::new(Service::Sol);
    splitter.push(&[0x11, 2, 0, 0, 0x55]);
    let refused = splitter.next_message().unwrap().unwrap();
    assert_eq!((refused.kind(), refused.status()), (kind::STARTED, 2));
    assert_eq!(splitter.next_message(), Err(Bad::Kind(0x55)));
    let mut splitter = Splitter::new(Service::Sol);
    splitter.push(&[0x14, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(splitter.next_message(), Err(Bad::Length(0x14, 0x7fff_ffff)));
    // Each service has its own: a drive's message is none of a line's.
    let mut splitter = Splitter::new(Service::Sol);
    splitter.push(&[0x50]);
    assert_eq!(splitter.next_message(), Err(Bad::Kind(0x50)));
}

#[test]
fn what_is_said_has_the_bytes_of_other_clients() {
    assert_eq!(message::start(Service::Sol), *b"\x10\0\0\0SOL ");
    assert_eq!(message::start(Service::Kvm), *b"\x10\x01\0\0KVMR");
    assert_eq!(auth::query(), [0x13, 0, 0, 0, 0, 0, 0, 0, 0]);
    let begin = auth::begin("admin").unwrap();
    assert_eq!(begin[..10], [0x13, 0, 0, 0, 4, 32, 0, 0, 0, 5]);
    assert_eq!(begin[10..], *b"admin\0\0\x13/RedirectionService\0\0\0\0");
    let plain = auth::plain("admin", "p:w").unwrap();
    assert_eq!(plain, b"\x13\0\0\0\x01\x0a\0\0\0\x05admin\x03p:w");
    assert_eq!(auth::plain(&"x".repeat(256), "p"), None);
    let settings = sol::settings(0);
    assert_eq!((settings.len(), settings[8], settings[9]), (24, 0xe8, 3));
    assert_eq!(sol::typed(7, b"ls"), b"\x28\0\0\0\x07\0\0\0\x02\0ls");
    assert_eq!(sol::control(1, 0), b"\x27\0\0\0\x01\0\0\0\0\0\x1b\0\0\0");
}

#[test]
fn a_digest_is_that_of_rfc_2617() {
    let challenge = Challenge {
        realm: b"Digest:0123".to_vec(),
        nonce: b"abc".to_vec(),
        qop: b"auth".to_vec(),
    };
    let answer = auth::answer("admin", "P@ss:1", &challenge, "c").unwrap();
    // Of coreutils: MD5(MD5(admin:Digest:0123:P@ss:1):abc:00000002:c:auth:MD5(POST:/RedirectionService)).
    let response = DIGEST;
    let wanted = format!(
        "\x05admin\x0bDigest:0123\x03abc\x13/RedirectionService\x01c\x0800000002\x20{response}\x04auth"
    );
    assert_eq!(answer[9..], *wanted.as_bytes());
    assert_eq!(answer[5], u8::try_from(wanted.len()).unwrap());
}

const DIGEST: &str = "5dcb3d93d2bc030b0d56fa1d12c60079";

proptest! {
    #[test]
    fn nothing_that_a_device_says_panics_or_grows(
        service in prop::sample::select(vec![Service::Sol, Service::Kvm, Service::Ider]),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40),
    ) {
        let mut splitter = Splitter::new(service);
        let mut total = 0;
        for piece in pieces {
            splitter.push(&piece);
            total += piece.len();
            loop {
                match splitter.next_message() {
                    Ok(Some(message)) => {
                        let _ = (auth::challenge(&message), message.u32(4), message.rest(10));
                        prop_assert!(message.bytes().len() <= total);
                        total -= message.bytes().len();
                    }
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
        prop_assert_eq!(splitter.into_rest().len(), total);
    }
}
