//! What a device says, cut anywhere; hostile lengths; and one tunnel against a device that is only bytes.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::message::{self, Bad, Message, Splitter, WINDOW, kind};
use super::*;
use crate::tcp::{Tunnels, Wire};

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

fn numbers(kind: u8, numbers: &[u32]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    out
}

/// One of each, as a device says it, and what is read of it.
fn all() -> Vec<(Vec<u8>, Message)> {
    let mut version = numbers(kind::PROTOCOL_VERSION, &[1, 0, 1]);
    version.extend(0..16);
    version.extend([0; 64]);
    let mut disconnect = numbers(kind::DISCONNECT, &[11]);
    disconnect.extend([0; 2]);
    let mut service = vec![kind::SERVICE_REQUEST];
    text(&mut service, b"auth@amt.intel.com");
    let mut sign_in = vec![kind::USERAUTH_REQUEST];
    for word in ["admin", "pfwd@amt.intel.com", "password"] {
        text(&mut sign_in, word.as_bytes());
    }
    sign_in.push(0);
    text(&mut sign_in, b"P@ssw0rd");
    let mut anonymous = vec![kind::USERAUTH_REQUEST];
    for word in ["", "pfwd@amt.intel.com", "none"] {
        text(&mut anonymous, word.as_bytes());
    }
    let global = |name: &str| {
        let mut out = vec![kind::GLOBAL_REQUEST];
        text(&mut out, name.as_bytes());
        out.push(1);
        text(&mut out, b"0.0.0.0");
        out.extend(16992_u32.to_be_bytes());
        out
    };
    let mut datagram = global("udp-send-to@amt.intel.com");
    text(&mut datagram, b"10.0.0.1");
    datagram.extend(162_u32.to_be_bytes());
    text(&mut datagram, b"an alert");
    let mut open = vec![kind::CHANNEL_OPEN];
    text(&mut open, b"direct-tcpip");
    open.extend([7_u32, 4096, u32::MAX].iter().flat_map(|n| n.to_be_bytes()));
    for _ in 0..2 {
        text(&mut open, b"127.0.0.1");
        open.extend(80_u32.to_be_bytes());
    }
    let mut data = numbers(kind::CHANNEL_DATA, &[3]);
    text(&mut data, b"hello");
    let uuid = std::array::from_fn(|at| u8::try_from(at).unwrap());
    vec![
        (
            version,
            Message::ProtocolVersion {
                major: 1,
                minor: 0,
                uuid,
            },
        ),
        (disconnect, Message::Disconnect { reason: 11 }),
        (
            service,
            Message::ServiceRequest {
                name: Bytes::from_static(b"auth@amt.intel.com"),
            },
        ),
        (
            sign_in,
            Message::SignIn {
                user: Bytes::from_static(b"admin"),
                password: Some(Bytes::from_static(b"P@ssw0rd")),
            },
        ),
        (
            anonymous,
            Message::SignIn {
                user: Bytes::new(),
                password: None,
            },
        ),
        (
            global("tcpip-forward"),
            Message::Forward {
                port: 16992,
                wants_reply: true,
            },
        ),
        (
            global("cancel-tcpip-forward"),
            Message::CancelForward {
                port: 16992,
                wants_reply: true,
            },
        ),
        (datagram, Message::Datagram),
        (open, Message::Open { sender: 7 }),
        (
            numbers(kind::CHANNEL_OPEN_CONFIRMATION, &[1, 2, 4096, u32::MAX]),
            Message::Confirmation {
                recipient: 1,
                sender: 2,
                window: 4096,
            },
        ),
        (
            numbers(kind::CHANNEL_OPEN_FAILURE, &[1, 2, 0, 0]),
            Message::Failure {
                recipient: 1,
                reason: 2,
            },
        ),
        (
            numbers(kind::CHANNEL_WINDOW_ADJUST, &[1, 2048]),
            Message::Adjust {
                recipient: 1,
                bytes: 2048,
            },
        ),
        (
            data,
            Message::Data {
                recipient: 3,
                data: Bytes::from_static(b"hello"),
            },
        ),
        (
            numbers(kind::CHANNEL_CLOSE, &[9]),
            Message::Close { recipient: 9 },
        ),
        (
            numbers(kind::KEEPALIVE_REQUEST, &[5]),
            Message::KeepaliveRequest { cookie: 5 },
        ),
        (
            numbers(kind::KEEPALIVE_REPLY, &[5]),
            Message::KeepaliveReply,
        ),
        (
            numbers(kind::KEEPALIVE_OPTIONS_REPLY, &[30, 0]),
            Message::OptionsReply,
        ),
    ]
}

#[test]
fn messages_are_put_together_wherever_they_are_cut() {
    let wanted: Vec<Message> = all().into_iter().map(|(_, message)| message).collect();
    let bytes: Vec<u8> = all().into_iter().flat_map(|(bytes, _)| bytes).collect();
    for cut in 0..bytes.len() {
        let (mut splitter, mut found) = (Splitter::default(), Vec::new());
        for piece in [&bytes[..cut], &bytes[cut..]] {
            splitter.push(piece);
            while let Some(message) = splitter.next_message().unwrap() {
                found.push(message);
            }
        }
        assert_eq!(found, wanted, "cut at {cut}");
    }
    let (mut splitter, mut found) = (Splitter::default(), Vec::new());
    for byte in bytes {
        splitter.push(&[byte]);
        found.extend(splitter.next_message().unwrap());
    }
    assert_eq!(found, wanted, "byte by byte");
}

#[test]
fn hostile_lengths_are_refused_before_their_bytes_are_there() {
    let long = u32::MAX.to_be_bytes();
    for (first, most) in [
        (kind::SERVICE_REQUEST, 256),
        (kind::USERAUTH_REQUEST, 256),
        (kind::GLOBAL_REQUEST, 256),
        (kind::CHANNEL_OPEN, 256),
    ] {
        let mut splitter = Splitter::default();
        splitter.push(&[&[first][..], &long].concat());
        let length = usize::try_from(u32::MAX).unwrap();
        assert_eq!(
            splitter.next_message(),
            Err(Bad::Length(first, length, most))
        );
    }
    let mut splitter = Splitter::default();
    splitter.push(&numbers(kind::CHANNEL_DATA, &[1, WINDOW + 1]));
    let most = usize::try_from(WINDOW).unwrap();
    assert_eq!(
        splitter.next_message(),
        Err(Bad::Length(kind::CHANNEL_DATA, most + 1, most))
    );
    for (unknown, bad) in [
        (vec![0], Bad::Kind(0)),
        (vec![255], Bad::Kind(255)),
        ([&[80, 0, 0, 0, 1][..], b"x\x01"].concat(), Bad::Request),
    ] {
        let mut splitter = Splitter::default();
        splitter.push(&unknown);
        assert_eq!(splitter.next_message(), Err(bad));
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_in_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut splitter = Splitter::default();
        for piece in bytes.chunks(7) {
            splitter.push(piece);
            loop {
                match splitter.next_message() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}

/// A device behind a tunnel, and the tunnels that it is one of.
struct Device {
    wire: DuplexStream,
    tunnels: Tunnels,
    serving: JoinHandle<Error>,
}

impl Device {
    fn new() -> Self {
        let (near, wire) = duplex(1 << 20);
        let tunnels = Tunnels::default();
        let mut tunnel = Tunnel::new(Line::new(near), tunnels.open("a"));
        let serving = tokio::spawn(async move {
            loop {
                if let Err(error) = tunnel.serve().await {
                    return error;
                }
            }
        });
        Self {
            wire,
            tunnels,
            serving,
        }
    }

    async fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut heard = vec![0; count];
        let read = self.wire.read_exact(&mut heard);
        timeout(Duration::from_secs(60), read)
            .await
            .unwrap()
            .unwrap();
        heard
    }

    async fn hears(&mut self, wanted: &[u8]) {
        assert_eq!(self.hear(wanted.len()).await, wanted);
    }

    async fn say(&mut self, message: &[u8]) {
        self.wire.write_all(message).await.unwrap();
    }

    /// A stream to a port, which the device gives the number 50 and this window.
    async fn opened(&mut self, id: u32, window: u32) -> Wire {
        let route = self.tunnels.route("lo", Some("a"));
        let to = (Ipv4Addr::LOCALHOST, 16992).into();
        let asking = tokio::spawn(async move { route.connect(to).await });
        self.hears(&message::open(id, 16992)).await;
        let confirmed = numbers(kind::CHANNEL_OPEN_CONFIRMATION, &[id, 50, window, 0]);
        self.say(&confirmed).await;
        asking.await.unwrap().unwrap()
    }

    fn data(id: u32, bytes: &[u8]) -> Vec<u8> {
        message::data(id, bytes)
    }
}

#[tokio::test]
async fn streams_go_both_ways_and_end_from_both_sides() {
    let mut device = Device::new();
    let mut stream = device.opened(1, 4096).await;
    stream.write_all(b"ask").await.unwrap();
    device.hears(&Device::data(50, b"ask")).await;
    device.say(&Device::data(1, b"answer")).await;
    let mut heard = [0; 6];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"answer");
    // From our side: what was written before goes first.
    stream.write_all(b"bye").await.unwrap();
    drop(stream);
    device.hears(&Device::data(50, b"bye")).await;
    device.hears(&message::close(50)).await;
    device.say(&message::close(1)).await;
    // From its side: what it said before is still read, and the end is answered.
    let mut stream = device.opened(2, 4096).await;
    device.say(&Device::data(2, b"last")).await;
    device.say(&message::close(2)).await;
    device.hears(&message::close(50)).await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"last");
    device.say(&message::keepalive_request(7)).await;
    device.hears(&message::keepalive_reply(7)).await;
}

#[tokio::test]
async fn nothing_is_sent_that_the_window_of_the_device_does_not_allow() {
    let mut device = Device::new();
    let mut stream = device.opened(1, 5).await;
    stream.write_all(b"0123456789").await.unwrap();
    device.hears(&Device::data(50, b"01234")).await;
    device
        .say(&numbers(kind::CHANNEL_WINDOW_ADJUST, &[1, 3]))
        .await;
    device.hears(&Device::data(50, b"567")).await;
    device
        .say(&numbers(kind::CHANNEL_WINDOW_ADJUST, &[1, u32::MAX]))
        .await;
    device.hears(&Device::data(50, b"89")).await;
}

#[tokio::test]
async fn a_device_may_send_as_much_as_is_read_and_no_more() {
    let mut device = Device::new();
    let mut stream = device.opened(1, 4096).await;
    let half = vec![b'x'; usize::try_from(WINDOW / 2).unwrap()];
    // A window that nobody reads. What fits into the stream itself counts as taken.
    device.say(&Device::data(1, &half)).await;
    device.say(&Device::data(1, &half)).await;
    let mut taken = vec![0; half.len()];
    stream.read_exact(&mut taken).await.unwrap();
    // Told once half of the window was taken, all that was taken until then.
    let told = device.hear(9).await;
    assert_eq!(told[..5], numbers(kind::CHANNEL_WINDOW_ADJUST, &[50])[..]);
    let more = u32::from_be_bytes(told[5..].try_into().unwrap());
    assert!((WINDOW / 2..=WINDOW).contains(&more), "{more}");
    let more = vec![b'y'; usize::try_from(more).unwrap()];
    device.say(&Device::data(1, &more)).await;
    device.say(&Device::data(1, b"!")).await;
    let ended = timeout(Duration::from_secs(60), device.serving).await;
    assert!(matches!(ended.unwrap().unwrap(), Error::Overrun));
}

#[tokio::test]
async fn refusals_say_why_and_a_newer_tunnel_takes_over() {
    let mut device = Device::new();
    let route = device.tunnels.route("lo", Some("a"));
    let to = (Ipv4Addr::LOCALHOST, 16994).into();
    let asking = tokio::spawn(async move { route.connect(to).await });
    device.hears(&message::open(1, 16994)).await;
    device
        .say(&numbers(kind::CHANNEL_OPEN_FAILURE, &[1, 2, 0, 0]))
        .await;
    let refused = asking.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("reason 2"), "{refused}");
    let mut stream = device.opened(2, 4096).await;
    let _newer = device.tunnels.open("a");
    let ended = timeout(Duration::from_secs(60), device.serving).await;
    assert!(matches!(ended.unwrap().unwrap(), Error::Replaced));
    // Streams of the old one end with it.
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_is_asked_and_then_given_up() {
    let mut device = Device::new();
    let asked = device.hear(5).await;
    assert_eq!(asked[0], kind::KEEPALIVE_REQUEST);
    device.say(&numbers(kind::KEEPALIVE_REPLY, &[1])).await;
    // It said something: that begins anew.
    let asked = device.hear(5).await;
    assert_eq!(asked[0], kind::KEEPALIVE_REQUEST);
    assert!(matches!(device.serving.await.unwrap(), Error::Silent));
}

#[tokio::test(start_paused = true)]
async fn channels_are_bounded_and_those_that_hang_are_let_go() {
    let mut device = Device::new();
    let to = (Ipv4Addr::LOCALHOST, 16992).into();
    let mut asking = Vec::new();
    for id in 1..=16 {
        let route = device.tunnels.route("lo", Some("a"));
        asking.push(tokio::spawn(async move { route.connect(to).await }));
        device.hears(&message::open(id, 16992)).await;
    }
    let route = device.tunnels.route("lo", Some("a"));
    let full = route.connect(to).await.unwrap_err();
    assert!(full.to_string().contains("16 channels"), "{full}");
    // Nobody answers: who wished hears so, and the places come back.
    for one in asking {
        let late = one.await.unwrap().unwrap_err();
        assert_eq!(late.kind(), std::io::ErrorKind::TimedOut);
    }
    let opened = loop {
        device.say(&numbers(kind::KEEPALIVE_REPLY, &[1])).await;
        let asking = route.connect(to);
        match timeout(Duration::from_secs(1), asking).await {
            Ok(Err(_)) => tokio::time::sleep(Duration::from_secs(5)).await,
            other => break other,
        }
    };
    assert!(opened.is_err(), "it waits for the device");
}
