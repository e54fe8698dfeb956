//! What a BMC sends, to the client and to the codec's other end: nothing panics, what is understood is written and read
//! back as the same, numbers are finite, and a console costs bounded memory and says a bounded number of things.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::bmc::ipmi::{Boot, ChassisStatus, Device, Entry, Inventory, Log, Record, Sensor};
use oobd_fuzz::clock::Instant;
use oobd_fuzz::ipmi::Limits;
use oobd_fuzz::ipmi::crypto::{Keys, Suite};
use oobd_fuzz::ipmi::link::Link;
use oobd_fuzz::ipmi::setup::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4};
use oobd_fuzz::ipmi::sol::flow::Flow;
use oobd_fuzz::ipmi::sol::packet::Packet;
use oobd_fuzz::ipmi::{message, packet};

fn codec(bytes: &[u8]) {
    for tag in [0, 7] {
        let _ = packet::parse_pong(bytes, tag);
    }
    let _ = packet::parse_ping(bytes);
    if let Some((kind, payload)) = packet::parse_setup(bytes) {
        assert_eq!(packet::parse_setup(&packet::setup(kind, payload)), Some((kind, payload)));
    }
    let inner = packet::parse_sessionless(bytes).unwrap_or(bytes);
    if let Some(request) = message::parse_request(inner) {
        let again = message::request(request.seq, request.netfn, request.lun, request.command, request.data);
        assert_eq!(message::parse_request(&again), Some(request));
        let answer = message::response(&request, 0xc1, request.data);
        let answer = message::parse_response(&answer).unwrap();
        assert_eq!((answer.seq, answer.command, answer.code), (request.seq, request.command, 0xc1));
    }
    let _ = message::parse_response(inner);

    if let Some(message) = OpenRequest::parse(bytes) {
        assert_eq!(OpenRequest::parse(&message.encode()), Some(message));
    }
    if let Some(Ok(message)) = OpenResponse::parse(bytes) {
        assert_eq!(OpenResponse::parse(&message.encode()), Some(Ok(message)));
    }
    if let Some(message) = Rakp1::parse(bytes) {
        assert_eq!(Rakp1::parse(&message.encode()), Some(message));
    }
    if let Some(Ok(message)) = Rakp2::parse(bytes) {
        assert_eq!(Rakp2::parse(&message.encode()), Some(Ok(message)));
    }
    if let Some(message) = Rakp3::parse(bytes) {
        assert_eq!(Rakp3::parse(&message.encode()), Some(message));
    }
    if let Some(Ok(message)) = Rakp4::parse(bytes) {
        assert_eq!(Rakp4::parse(&message.encode()), Some(Ok(message)));
    }
}

fn session(bytes: &[u8]) {
    for suite in Suite::ALL {
        let keys = Keys::derive(suite, b"known");
        if let Some(open) = keys.decrypt(bytes) {
            assert!(open.len() + 16 < bytes.len());
        }
        assert_eq!(keys.decrypt(&keys.encrypt(bytes, [9; 16])).as_deref(), Some(bytes));
        let (mut console, mut bmc) = (Link::new(keys.clone(), 1, 2), Link::new(keys, 2, 1));
        assert_eq!(bmc.open(bytes), None, "forged");
        let short = &bytes[..bytes.len().min(900)];
        let sealed = console.seal(1, short);
        assert_eq!(bmc.open(&sealed), Some((1, short.to_vec())));
        assert_eq!(bmc.open(&sealed), None, "twice");
    }
}

fn machine(data: &[u8]) {
    let _ = (ChassisStatus::parse(data), Device::parse(data), Log::parse(data));
    if let Some((boot, valid)) = Boot::parse(data) {
        assert!(!valid || Boot::parse(&boot.encode()).is_some());
    }
    let mut inventory = Inventory::default();
    for (_, record) in Reads::new(data, 80) {
        inventory.add(Record::parse(record));
    }
    assert!(inventory.sensors.len() <= data.len() * 15 + 15);
    for record in &inventory.sensors {
        let linearity = record.analog.map(|analog| analog.linearity);
        let mut sensor = Sensor::unread(record);
        if let (Some(analog), Some(linearity)) = (&record.analog, linearity) {
            sensor.take_thresholds(analog, linearity, data);
        }
        sensor.take(record, linearity, data);
        assert!(sensor.value.is_none_or(f64::is_finite) && sensor.states.len() <= 15);
    }
    for raw in data.as_chunks::<16>().0 {
        assert!(!Entry::parse(raw, &inventory).text.is_empty());
    }
}

fn console(data: &[u8]) {
    let now = Instant::now();
    let mut flow = Flow::new(Limits::default(), usize::from(data.first().copied().unwrap_or(0)));
    let mut typed = 0;
    for (control, read) in Reads::new(data, 60) {
        let Some(packet) = Packet::parse(read) else { continue };
        assert_eq!(Packet::parse(&packet.encode()).as_ref(), Some(&packet));
        flow.hear(&packet, now);
        typed += flow.write(b"typed");
        if control & 0x80 != 0 {
            flow.send_break();
        }
        let mut said = 0;
        while let Some(packet) = flow.next_packet(now) {
            assert!(packet.data.len() <= typed.max(1));
            said += 1;
            assert!(said < 64, "it never falls silent");
        }
    }
    let mut buffer = vec![0; 1 << 20];
    assert!(flow.read(&mut buffer) <= 32 * 1024);
}

fuzz_target!(|data: &[u8]| {
    codec(data);
    session(data);
    machine(data);
    console(data);
    for (_, read) in Reads::new(data, 60) {
        codec(read);
    }
});
