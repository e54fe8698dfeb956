//! Records and answers of a real BMC program (OpenIPMI 2.0.33), read as bytes; and what no BMC should send.

use proptest::prelude::*;

use super::linear::{Format, Linearity};
use super::sdr::text;
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let byte = |word: &str| u8::from_str_radix(word, 16).unwrap();
    text.split_whitespace().map(byte).collect()
}

const CPU_TEMP: &str = "03 00 51 01 33 20 00 01 03 01 77 48 01 01 85 32 00 30 1b 00 00 01 00 00 01 00 00 01 01 00 00 00
    00 00 ff 00 00 00 00 00 00 00 00 00 00 00 00 c8 43 50 55 20 54 65 6d 70 00 00 00 00 00 00";
const FAN1: &str = "04 00 51 01 2f 20 00 02 1d 01 77 48 04 01 85 32 00 30 1b 00 00 12 00 00 64 00 00 01 01 00 00 00
    00 00 ff 00 00 00 00 00 00 00 00 00 00 00 00 c4 46 41 4e 31 00 00 00 00 00 00";
const INTRUSION: &str = "06 00 51 02 24 20 00 04 17 01 00 00 05 6f 01 00 01 00 01 00 c0 00 00 00 00 00 00 00 00 00 00 c9
    49 6e 74 72 75 73 69 6f 6e 00 00 00 00 00 00";
/// By §43.3; the compiler of OpenIPMI puts the name one byte too far.
const WATCHDOG: &str = "02 00 51 03 14 20 00 00 07 01 23 6f 00 00 00 00 c8 77 61 74 63 68 64 6f 67";
const BOARD: &str =
    "01 00 51 12 12 20 00 00 8f 00 00 00 07 01 00 c7 4f 4f 42 20 73 69 6d 00 00 00 00 00 00";

fn inventory() -> Inventory {
    let mut inventory = Inventory::default();
    for record in [CPU_TEMP, FAN1, INTRUSION, WATCHDOG, BOARD] {
        inventory.add(Record::parse(&hex(record)));
    }
    inventory
}

fn sensor(of: &str) -> SensorRecord {
    match Record::parse(&hex(of)) {
        Some(Record::Sensors(mut sensors)) => sensors.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn recorded_records_have_their_names() {
    let inventory = inventory();
    let names: Vec<&str> = inventory
        .sensors
        .iter()
        .map(|sensor| sensor.name.as_str())
        .collect();
    assert_eq!(names, ["CPU Temp", "FAN1", "Intrusion"]);
    assert_eq!(inventory.event_only[0].name, "watchdog");
    assert_eq!(inventory.locators[0].name, "OOB sim");
    assert_eq!(inventory.locators[0].address, 0x20);
    assert_eq!(inventory.unread, 0);
    assert_eq!(inventory.find(0x20, 2).unwrap().name, "FAN1");
    assert_eq!(inventory.find(0x22, 2), None, "of another controller");
}

#[test]
fn readings_become_numbers_with_thresholds() {
    let record = sensor(FAN1);
    let analog = record.analog.unwrap();
    let mut fan = Sensor::unread(&record);
    assert_eq!((fan.kind, fan.unit.as_str()), (Kind::Fan, "RPM"));
    assert_eq!(fan.health, Health::Unknown);
    fan.take_thresholds(&analog, analog.linearity, &hex("03 08 05 00 00 00 00"));
    // 1 is below both: the bits say so.
    assert!(fan.take(&record, Some(analog.linearity), &hex("01 c0 c3 00")));
    assert_eq!(fan.value, Some(100.0));
    assert_eq!(fan.health, Health::Critical);
    assert_eq!(fan.thresholds.lower_warning, Some(800.0));
    assert_eq!(fan.thresholds.lower_critical, Some(500.0));
    assert_eq!(fan.thresholds.upper_warning, None);
    // A BMC that does not compare: by the thresholds.
    for (raw, health) in [(1, Health::Critical), (8, Health::Warning), (9, Health::Ok)] {
        let mut again = fan.clone();
        assert!(again.take(&record, Some(analog.linearity), &[raw, 0xc0]));
        assert_eq!(again.health, health, "{raw}");
    }
}

#[test]
fn a_reading_that_is_not_there_is_no_zero() {
    let record = sensor(CPU_TEMP);
    let linearity = record.analog.map(|analog| analog.linearity);
    for flags in [0xe0, 0x80, 0x00] {
        let mut temperature = Sensor::unread(&record);
        assert!(temperature.take(&record, linearity, &[0, flags, 0xc0]));
        assert_eq!(temperature.value, None);
        assert_eq!(temperature.health, Health::Unavailable, "{flags:02x}");
    }
    let mut temperature = Sensor::unread(&record);
    assert!(!temperature.take(&record, linearity, &[42]));
    assert_eq!(temperature.health, Health::Unknown);
}

#[test]
fn states_are_said_in_words() {
    let record = sensor(INTRUSION);
    let mut cover = Sensor::unread(&record);
    assert!(cover.take(&record, None, &hex("00 c0 00 80")));
    assert_eq!((cover.health, &cover.states[..]), (Health::Ok, &[][..]));
    assert!(cover.take(&record, None, &hex("00 c0 11 80")));
    assert_eq!(cover.states, ["chassis intrusion", "LAN leash lost"]);
    assert_eq!(
        (cover.kind, cover.health),
        (Kind::Intrusion, Health::Critical)
    );
    // A power supply: present is well, lost input is not; a state of no table has a number.
    let supply = SensorRecord {
        sensor_type: 8,
        ..record
    };
    let mut psu = Sensor::unread(&supply);
    assert!(psu.take(&supply, None, &hex("00 c0 01")));
    assert_eq!(psu.health, Health::Ok);
    assert!(psu.take(&supply, None, &hex("00 c0 08 40")));
    assert_eq!(psu.states, ["present", "input lost", "state 14"]);
    assert_eq!(psu.health, Health::Critical);
}

#[test]
fn a_compact_record_of_several_sensors_is_several() {
    let mut bytes = hex(INTRUSION);
    // Three of them, lettered from C, one entity each.
    bytes[23] = 0x13;
    bytes[24] = 0x82;
    let Some(Record::Sensors(sensors)) = Record::parse(&bytes) else {
        panic!();
    };
    let seen: Vec<_> = sensors
        .iter()
        .map(|sensor| (sensor.number, sensor.name.as_str(), sensor.entity.1))
        .collect();
    assert_eq!(
        seen,
        [
            (4, "IntrusionC", 1),
            (5, "IntrusionD", 2),
            (6, "IntrusionE", 3)
        ]
    );
    bytes[23] = 0x02;
    bytes[24] = 0x09;
    let Some(Record::Sensors(sensors)) = Record::parse(&bytes) else {
        panic!();
    };
    assert_eq!(sensors[1].name, "Intrusion10");
}

#[test]
fn names_come_in_four_writings() {
    assert_eq!(text(0xc3, b"12V"), "12V");
    assert_eq!(text(0xc4, &[b'T', 0xb0, b'C', 0]), "T°C");
    // Six bits: IPMI, the example of §43.15.
    assert_eq!(text(0x83, &[0x29, 0xdc, 0xa6]), "IPMI");
    assert_eq!(text(0x42, &[0x12, 0xc4]), "12.4");
    assert_eq!(text(0x02, "µ".as_bytes()), "µ");
    assert_eq!(text(0xdf, b"short"), "short");
}

#[test]
fn the_log_reads_as_people_speak() {
    let inventory = inventory();
    let read = |raw: &str| Entry::parse(&hex(raw).try_into().unwrap(), &inventory);
    let low = read("02 00 02 10 12 00 00 20 00 04 04 02 01 52 01 05");
    assert_eq!(
        (low.id, low.time),
        (2, None),
        "counted from the start of the BMC"
    );
    assert_eq!(low.sensor, "FAN1");
    assert_eq!(
        low.text,
        "lower critical going low (reading 100 RPM, threshold 500 RPM)"
    );
    assert_eq!((low.severity, low.asserted), (Severity::Critical, true));
    let over = read("07 00 02 13 12 00 00 20 00 04 04 02 81 52 25 05");
    assert_eq!((over.severity, over.asserted), (Severity::Ok, false));
    assert!(over.text.ends_with(", ended"), "{}", over.text);
    let open = read("05 00 02 00 00 00 65 20 00 04 05 04 6f 00 ff ff");
    assert_eq!(
        (open.sensor.as_str(), open.text.as_str()),
        ("Intrusion", "chassis intrusion")
    );
    assert_eq!(open.time.unwrap().to_string(), "2023-09-12T06:06:56.000Z");
    let lost = read("08 00 02 00 00 00 65 20 00 04 08 63 6f 03 ff ff");
    assert_eq!(
        (lost.sensor.as_str(), lost.text.as_str()),
        ("Power Supply #99", "input lost")
    );
    let vendor = read("09 00 c1 00 00 00 65 57 01 00 01 02 03 04 05 06");
    assert_eq!(vendor.text, "record type c1h: 57 01 00 01 02 03 04 05 06");
    assert!(vendor.time.is_some());
    assert_eq!(
        read("09 00 e1 00 00 00 65 57 01 00 01 02 03 04 05 06").time,
        None
    );
}

#[test]
fn answers_about_the_machine_read_as_what_they_are() {
    let status = ChassisStatus::parse(&hex("21 10 40")).unwrap();
    assert!(status.power_on && status.last_event.commanded_on && !status.intrusion);
    assert_eq!(
        (status.restore, status.identify),
        (Restore::AsBefore, Indicator::Off)
    );
    let status = ChassisStatus::parse(&hex("68 01 21")).unwrap();
    assert!(!status.power_on && status.power_fault && status.intrusion);
    assert!(status.last_event.mains_failed);
    assert_eq!(
        (status.restore, status.identify),
        (Restore::Unknown, Indicator::Unknown)
    );
    assert_eq!(ChassisStatus::parse(&hex("21 10")), None);

    let device = Device::parse(&hex("20 01 09 12 02 9f 91 12 00 02 0f 00 00 00 00")).unwrap();
    assert_eq!((device.firmware, device.ipmi), ((9, 12), (2, 0)));
    assert_eq!((device.manufacturer, device.product), (0x1291, 0xf02));
    assert!(device.has_log && device.has_repository && !device.is_updating);

    let log = Log::parse(&hex("51 09 00 f0 3d 14 12 00 00 0f 12 00 00 8a")).unwrap();
    assert_eq!((log.entries, log.free, log.overflowed), (9, 0x3df0, true));
}

#[test]
fn boot_choices_are_the_five_bytes_of_the_standard() {
    for (device, persistent, efi, bytes) in [
        (BootDevice::Pxe, false, false, "80 04 00 00 00"),
        (BootDevice::Disk, true, true, "e0 08 00 00 00"),
        (BootDevice::BiosSetup, false, true, "a0 18 00 00 00"),
        (BootDevice::Floppy, false, false, "80 3c 00 00 00"),
        (BootDevice::None, false, false, "00 00 00 00 00"),
    ] {
        let boot = Boot {
            device,
            is_persistent: persistent,
            is_efi: efi,
        };
        assert_eq!(boot.encode().to_vec(), hex(bytes), "{boot:?}");
        let valid = device != BootDevice::None;
        assert_eq!(Boot::parse(&hex(bytes)), Some((boot, valid)));
    }
}

proptest! {
    #[test]
    fn damaged_records_never_panic(
        which in 0usize..5,
        cut in 0usize..70,
        flips in proptest::collection::vec((0usize..70, 0u8..8), 0..4),
    ) {
        let mut bytes = hex([CPU_TEMP, FAN1, INTRUSION, WATCHDOG, BOARD][which]);
        for (at, bit) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        bytes.truncate(cut);
        let mut inventory = Inventory::default();
        inventory.add(Record::parse(&bytes));
        for record in &inventory.sensors {
            let linearity = record.analog.map(|analog| analog.linearity);
            let mut sensor = Sensor::unread(record);
            sensor.take(record, linearity, &bytes);
            prop_assert!(sensor.value.is_none_or(f64::is_finite));
        }
    }

    #[test]
    fn any_entry_reads_as_something(raw in any::<[u8; 16]>()) {
        let entry = Entry::parse(&raw, &inventory());
        prop_assert!(!entry.text.is_empty() && !entry.sensor.is_empty());
    }

    #[test]
    fn any_curve_gives_a_number_or_none(bytes in any::<[u8; 6]>(), function in any::<u8>(), raw in any::<u8>()) {
        let curve = Linearity::parse(Format::TwosComplement, function, bytes);
        prop_assert!(curve.value(raw).is_none_or(f64::is_finite));
    }
}
