//! The codec against what ipmitool 1.8.19 computed and sent (`-vvvvv`, OpenSSL's arithmetic), and against damage of all kinds.

use proptest::prelude::*;

use super::crypto::{Keys, Suite};
use super::link::Link;
use super::message::{self, netfn};
use super::packet::{self, payload};
use super::setup::*;
use super::sol::packet::Packet;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// One sign-in of ipmitool as `admin` with `secret`.
struct Recorded {
    suite: Suite,
    console: &'static str,
    bmc: &'static str,
    ours: &'static str,
    theirs: &'static str,
    rakp2: &'static str,
    rakp3: &'static str,
    sik: &'static str,
    rakp4: &'static str,
    /// Set Session Privilege Level to administrator, and the answer.
    sent: &'static str,
    received: &'static str,
}

const RECORDED: [Recorded; 2] = [
    Recorded {
        suite: Suite::Sha256,
        console: "a4 a3 a2 a0",
        bmc: "57 58 ff cb",
        ours: "84 be 1f b2 02 d1 b9 e1 cc 70 98 e7 c1 57 4b ef",
        theirs: "2a 36 90 44 a5 8a 68 cb d6 a4 56 9e 8c f9 b8 50",
        rakp2: "02 1b 99 84 5c 9b ee f8 43 56 74 96 2a 3e 12 f5 c2 01 02 1c 11 18 16 68 ef c9 bd 0e 60 9e 2b 97",
        rakp3: "73 d1 8f fa 37 ea 92 ef e4 6c f8 f6 55 14 4c 2a 35 ee 4d 78 c0 1e 43 30 24 07 c8 20 0e c7 30 57",
        sik: "52 f5 36 96 eb a5 a3 81 d6 77 74 60 83 27 5c f1 9f a6 4f 2d 92 8c e0 cc 0f 5b b4 11 66 c3 0b 9e",
        rakp4: "1b 92 38 0d a2 e2 14 96 9d 3a 84 82 12 cd d4 a4",
        sent: "06 00 ff 07 06 c0 57 58 ff cb 03 00 00 00 20 00 b5 8e 10 70 11 60 8d dd 08 10 a3 67 40 4c ed 0e
            cd a8 ff f1 42 ed d0 18 41 5a 36 bb 35 ef 2b 6b ff ff 02 07 6e cb b9 6c 93 2f b0 21 1c 09 40 cb 37 51 26 51",
        received: "06 00 ff 07 06 c0 a4 a3 a2 a0 01 00 00 00 20 00 59 0f 95 32 30 01 91 e5 af da 30 14 38 91 b7 80
            38 c7 d7 23 1c 27 3c bd ae 15 21 c7 1b 9a 83 b2 ff ff 02 07 7a 5f 0d f4 b3 1a 95 c4 cd 2c 35 da 84 93 f9 38",
    },
    Recorded {
        suite: Suite::Sha1,
        console: "a4 a3 a2 a0",
        bmc: "1f a8 0e 7a",
        ours: "05 d2 b6 d5 3c cc dc fa 0c f6 95 ef 60 88 91 82",
        theirs: "96 ff e7 9d 85 28 ae f8 ea 6e c6 a6 88 8d c4 d6",
        rakp2: "bc 1a 78 81 3b f9 3b 15 d1 d9 c8 59 a9 13 b1 bd 74 c7 8e 81",
        rakp3: "41 36 a8 bf 2a 3c 27 99 a2 6a 18 c9 13 0b 04 e0 6c b8 34 dd",
        sik: "49 5e 4e fe 2c 38 36 4e 98 2e 10 52 1a 15 06 57 3c b5 5d 68",
        rakp4: "6a db 14 fa cc 50 47 7a 39 48 cf 3f",
        sent: "06 00 ff 07 06 c0 1f a8 0e 7a 03 00 00 00 20 00 28 0e 7b 33 67 81 2c 28 23 4f fa 8a 3b 9c cb 45
            aa 5f 0e 5a f4 08 30 ea 24 5b 6d e8 61 74 f6 b3 ff ff 02 07 5f 88 96 a4 18 19 05 f2 59 3a 23 9f",
        received: "06 00 ff 07 06 c0 a4 a3 a2 a0 01 00 00 00 20 00 96 d0 61 d4 d3 7a 49 6f e9 dd 7a 58 0d 5c ae d3
            14 27 a4 04 6f ca a3 4d 2c 4e 9c ef 0b de 1f 3b ff ff 02 07 4b b2 a0 a8 1e d0 c2 97 3c 6b 99 82",
    },
];

fn number(text: &str) -> u32 {
    u32::from_le_bytes(hex(text).try_into().unwrap())
}

impl Recorded {
    fn exchange(&self) -> Exchange {
        Exchange {
            suite: self.suite,
            console: number(self.console),
            bmc: number(self.bmc),
            ours: hex(self.ours).try_into().unwrap(),
            theirs: hex(self.theirs).try_into().unwrap(),
            guid: *b"oobd-test-bmc-01",
            role: 0x14,
            user: b"admin".to_vec(),
        }
    }

    /// Links of the console and of the BMC.
    fn links(&self) -> (Link, Link) {
        let keys = Keys::derive(self.suite, &hex(self.sik));
        let (console, bmc) = (number(self.console), number(self.bmc));
        (
            Link::new(keys.clone(), console, bmc),
            Link::new(keys, bmc, console),
        )
    }
}

#[test]
fn proofs_and_keys_are_those_that_ipmitool_computed() {
    for recorded in &RECORDED {
        let exchange = recorded.exchange();
        assert_eq!(exchange.rakp2_code(b"secret"), hex(recorded.rakp2));
        assert_eq!(exchange.rakp3_code(b"secret"), hex(recorded.rakp3));
        assert_ne!(exchange.rakp2_code(b"Secret"), hex(recorded.rakp2));
        let sik = exchange.sik(b"secret");
        assert_eq!(sik, hex(recorded.sik));
        assert_eq!(exchange.rakp4_check(&sik), hex(recorded.rakp4));
        let suite = recorded.suite;
        assert_eq!(hex(recorded.rakp3).len(), suite.code_length());
        assert_eq!(hex(recorded.rakp4).len(), suite.tag_length());
    }
}

#[test]
fn packets_of_ipmitool_open_once_and_only_whole() {
    for recorded in &RECORDED {
        let sent = hex(recorded.sent);
        let (mut console, mut bmc) = recorded.links();
        for bit in 0..sent.len() * 8 {
            let mut damaged = sent.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(bmc.open(&damaged), None, "bit {bit}");
        }
        for length in 0..sent.len() {
            assert_eq!(bmc.open(&sent[..length]), None, "{length} bytes");
        }
        let (kind, bytes) = bmc.open(&sent).unwrap();
        assert_eq!(kind, payload::IPMI);
        let request = message::parse_request(&bytes).unwrap();
        assert_eq!((request.netfn, request.command), (netfn::APP, 0x3b));
        assert_eq!(request.data, [4]);
        assert_eq!(bmc.open(&sent), None, "a packet counts once");

        let (_, bytes) = console.open(&hex(recorded.received)).unwrap();
        let response = message::parse_response(&bytes).unwrap();
        assert_eq!((response.netfn, response.command), (netfn::APP, 0x3b));
        assert_eq!((response.code, response.data), (0, &[4][..]));
        assert_eq!(
            bmc.open(&hex(recorded.received)),
            None,
            "of another session"
        );
    }
}

/// HMAC as the RFCs have it: RFC 2202 case 2, RFC 4231 case 2.
#[test]
fn the_algorithms_are_the_standard_ones() {
    let of = |suite: Suite| suite.hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
    assert_eq!(
        of(Suite::Sha1),
        hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    );
    assert_eq!(
        of(Suite::Sha256),
        hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

#[test]
fn a_suite_below_the_two_does_not_exist() {
    for authentication in 0..=255 {
        for integrity in 0..8 {
            for confidentiality in 0..4 {
                let algorithms = [authentication, integrity, confidentiality];
                let ours = [[3, 4, 1], [1, 1, 1]].contains(&algorithms);
                assert_eq!(Suite::of(algorithms).is_some(), ours);
            }
        }
    }
}

#[test]
fn setup_messages_read_back() {
    let open = OpenRequest {
        tag: 7,
        privilege: 4,
        console: 0x1234_5678,
        algorithms: [3, 4, 1],
    };
    assert_eq!(open.encode().len(), 32);
    assert_eq!(OpenRequest::parse(&open.encode()), Some(open));
    let opened = OpenResponse {
        tag: 7,
        privilege: 4,
        console: 1,
        bmc: 2,
        algorithms: [1, 1, 1],
    };
    assert_eq!(opened.encode().len(), 36);
    assert_eq!(OpenResponse::parse(&opened.encode()), Some(Ok(opened)));
    let rakp1 = Rakp1 {
        tag: 1,
        bmc: 2,
        random: [3; 16],
        role: 0x14,
        user: b"admin".to_vec(),
    };
    assert_eq!(rakp1.encode().len(), 28 + 5);
    assert_eq!(Rakp1::parse(&rakp1.encode()), Some(rakp1));
    let rakp2 = Rakp2 {
        tag: 1,
        console: 2,
        random: [3; 16],
        guid: [4; 16],
        code: vec![5; 32],
    };
    assert_eq!(Rakp2::parse(&rakp2.encode()), Some(Ok(rakp2)));
    let rakp3 = Rakp3 {
        tag: 1,
        status: 0,
        bmc: 2,
        code: vec![5; 20],
    };
    assert_eq!(Rakp3::parse(&rakp3.encode()), Some(rakp3));
    let rakp4 = Rakp4 {
        tag: 1,
        console: 2,
        check: vec![5; 12],
    };
    assert_eq!(Rakp4::parse(&rakp4.encode()), Some(Ok(rakp4)));
    // Refusals may end right after the status.
    let refusal = Refusal {
        tag: 9,
        status: status::NO_SUITE,
    };
    for bytes in [refusal.encode(3), vec![9, status::NO_SUITE, 0, 0]] {
        assert_eq!(OpenResponse::parse(&bytes), Some(Err(refusal)));
        assert_eq!(Rakp2::parse(&bytes), Some(Err(refusal)));
        assert_eq!(Rakp4::parse(&bytes), Some(Err(refusal)));
    }
    // A name longer than the standard has is no name.
    let mut long = Rakp1 {
        tag: 1,
        bmc: 2,
        random: [3; 16],
        role: 4,
        user: vec![b'x'; 17],
    }
    .encode();
    assert_eq!(Rakp1::parse(&long), None);
    long[27] = 16;
    assert!(Rakp1::parse(&long).is_some());
}

#[test]
fn messages_are_those_of_the_wire() {
    // Get Channel Authentication Capabilities of ipmitool, and the answer.
    let sent = hex("06 00 ff 07 00 00 00 00 00 00 00 00 00 09 20 18 c8 81 00 38 8e 04 b5");
    let ours = message::request(0, netfn::APP, 0, 0x38, &[0x8e, 4]);
    assert_eq!(packet::sessionless(&ours), Some(sent.clone()));
    let request = message::parse_request(packet::parse_sessionless(&sent).unwrap()).unwrap();
    let answer = message::response(&request, 0, &[1, 0x80, 4, 2, 0, 0, 0, 0]);
    let received = hex(
        "06 00 ff 07 00 00 00 00 00 00 00 00 00 10 81 1c 63 20 00 38 00 01 80 04 02 00 00 00 00 21",
    );
    assert_eq!(packet::sessionless(&answer), Some(received.clone()));
    for bit in 8 * 14..received.len() * 8 {
        let mut damaged = received.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let message = packet::parse_sessionless(&damaged).unwrap();
        assert_eq!(message::parse_response(message), None, "bit {bit}");
    }
    // A presence ping and its pong. §13.2.3, §13.2.4.
    assert_eq!(packet::ping(5), hex("06 00 ff 06 00 00 11 be 80 05 00 00"));
    assert_eq!(packet::parse_ping(&packet::ping(5)), Some(5));
    assert_eq!(packet::parse_pong(&packet::pong(5), 5), Some(true));
    assert_eq!(packet::parse_pong(&packet::pong(5), 6), None);
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..2) {
        for recorded in &RECORDED {
            let (mut console, mut bmc) = recorded.links();
            let sealed = console.seal(kind, &bytes);
            prop_assert_eq!(sealed.len() % 4, 0);
            prop_assert_eq!(bmc.open(&sealed), Some((kind, bytes.clone())));
        }
    }

    #[test]
    fn a_wrong_padding_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let keys = Keys::derive(Suite::Sha1, b"any");
        let sealed = keys.encrypt(&bytes, [7; 16]);
        prop_assert_eq!(keys.decrypt(&sealed), Some(bytes));
        // Whatever decrypts has a padding that says so itself.
        if let Some(open) = keys.decrypt(&[&[0; 16][..], &sealed].concat()) {
            prop_assert!(open.len() < sealed.len());
        }
    }

    #[test]
    fn nothing_that_comes_in_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = packet::parse_ping(&bytes);
        let _ = packet::parse_pong(&bytes, 0);
        let _ = packet::parse_setup(&bytes);
        let _ = packet::parse_sessionless(&bytes);
        let _ = (message::parse_request(&bytes), message::parse_response(&bytes));
        let _ = (OpenRequest::parse(&bytes), OpenResponse::parse(&bytes));
        let _ = (Rakp1::parse(&bytes), Rakp2::parse(&bytes), Rakp3::parse(&bytes), Rakp4::parse(&bytes));
        if let Some(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(Packet::parse(&packet.encode()), Some(packet));
        }
        let mut headed = hex("06 00 ff 07 06 c0 a4 a3 a2 a0");
        headed.extend(&bytes);
        prop_assert_eq!(RECORDED[0].links().0.open(&headed), None);
    }
}
