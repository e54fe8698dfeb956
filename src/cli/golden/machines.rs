//! Screens about machines against their golden files.

use crate::clock::Timestamp;
use crate::fact::{DevicePhase, Fact, Ider, IderDrive, IderPhase, Machine};
use crate::machine::{BiosAttribute, Boot, BootTarget, Health, LogEntry, Medium, Part, Sensor};
use crate::reset::{Action, Outcome, PowerState, Try, Verb};
use crate::state::State;

use super::{NOW, before, golden};
use crate::cli::amt::ider;
use crate::cli::machine::tables;

fn action() -> Action {
    let tried = |method: &str, outcome, why: &str| Try {
        method: method.into(),
        outcome,
        why: why.into(),
    };
    Action {
        id: 7,
        verb: Verb::PowerCycle,
        by: "alice (ssh 172.20.10.1:50122)".into(),
        began: before(90),
        outcome: Outcome::Confirmed,
        millis: 21_380,
        why: String::new(),
        trail: vec![
            tried(
                "ipmi",
                Outcome::Failed,
                "BMC 10.0.0.30:623 does not answer: to open a session",
            ),
            tried("outlets", Outcome::Confirmed, ""),
        ],
    }
}

fn rack() -> State {
    let mut state = State::default();
    let machine = |name: &str, phase, power| Machine {
        name: name.into(),
        methods: vec!["redfish".into(), "ipmi".into(), "outlets".into()],
        phase,
        since: before(4000),
        read_at: Some(before(12)),
        state: power,
        verbs: vec![
            Verb::On,
            Verb::GracefulShutdown,
            Verb::PowerCycle,
            Verb::ForceOff,
        ],
        ..Machine::default()
    };
    state.apply(Fact::Machine(Machine {
        model: "Dell Inc. PowerEdge R650".into(),
        outlets: vec!["rack/5".into(), "ups/2".into()],
        action: Some(action()),
        ..machine("db1", DevicePhase::Up, PowerState::On)
    }));
    state.apply(Fact::Machine(Machine {
        why: "ipmi: BMC 10.0.0.32:623 has another password for admin".into(),
        methods: vec!["ipmi".into()],
        read_at: None,
        ..machine("db2", DevicePhase::Refused, PowerState::Unknown)
    }));
    state.apply(Fact::Machine(Machine {
        in_transition: true,
        ..machine("web\u{1b}1", DevicePhase::Up, PowerState::Off)
    }));
    state
}

#[test]
fn machines() {
    let state = rack();
    golden(
        "machine-list.txt",
        &tables::list(&state, NOW, 80, false),
        80,
    );
    let sheet = tables::sheet(&state.machines["db1"], NOW, 80, false);
    golden("machine-show.txt", &sheet, 80);
}

#[test]
fn what_a_machine_tells() {
    let sensor = |name: &str, kind: &str, value, unit: &str, health, text: &str| Sensor {
        name: name.into(),
        kind: kind.into(),
        value,
        unit: unit.into(),
        health,
        text: text.into(),
    };
    let sensors = [
        sensor("CPU Temp", "temperature", Some(42.0), "°C", Health::Ok, ""),
        sensor("FAN1", "fan", Some(300.0), "rpm", Health::Critical, ""),
        sensor("12V", "voltage", Some(12.06), "V", Health::Ok, ""),
        sensor(
            "PSU2",
            "power_supply",
            None,
            "",
            Health::Warning,
            "input lost",
        ),
    ];
    let entry = LogEntry {
        id: "12".into(),
        at: Some(Timestamp(NOW.0 - 60_000)),
        health: Health::Critical,
        part: "FAN1".into(),
        text: "lower critical, going low \u{7}".into(),
    };
    let boot = Boot {
        target: BootTarget::Pxe,
        once: true,
    };
    let medium = |slot: &str, image: Option<&str>| Medium {
        slot: slot.into(),
        image: image.map(str::to_owned),
    };
    let media = [
        medium("Cd", Some("http://10.0.0.5:40123/f00/rescue.iso")),
        medium("Floppy", None),
    ];
    let attribute = |name: &str, value: &str, pending: Option<&str>| BiosAttribute {
        name: name.into(),
        value: value.into(),
        pending: pending.map(str::to_owned),
        kind: crate::machine::BiosKind::Text,
    };
    let bios = [
        attribute("BootMode", "Bios", Some("Uefi")),
        attribute("ProcTurboMode", "Enabled", None),
    ];
    let part = |kind: &str, name: &str, bytes| Part {
        kind: kind.into(),
        name: name.into(),
        model: "PERC H755".into(),
        bytes,
        health: Health::Ok,
    };
    let parts = [
        part("controller", "RAID.1", None),
        part("drive", "Disk 0", Some(1_920_383_410_176)),
        part("volume", "system", Some(480_103_981_056)),
    ];
    let text = [
        tables::sensors(&sensors, false),
        tables::log(&[entry], 80, false),
        tables::boot(boot),
        tables::media(&media, false),
        tables::bios(&bios, false),
        tables::parts(&parts, false),
    ];
    golden("machine-tells.txt", &text.join("\n"), 90);
}

#[test]
fn redirected_drives() {
    let mut state = State::default();
    state.apply(Fact::Ider(Ider {
        machine: "db1".into(),
        phase: IderPhase::Open,
        since: before(3),
        why: String::new(),
        by: "alice (ssh 172.20.10.1:50122)".into(),
        inserted_at: before(300),
        cd: Some(IderDrive {
            file: "rescue.iso".into(),
            bytes: 660_602_880,
            read: 41_943_040,
            last_block: Some(20_479),
            ..IderDrive::default()
        }),
        floppy: Some(IderDrive {
            file: "answers.img".into(),
            bytes: 1_474_560,
            writable: true,
            read: 512,
            written: 4096,
            last_block: Some(33),
            ..IderDrive::default()
        }),
    }));
    state.apply(Fact::Ider(Ider {
        machine: "web\u{1b}1".into(),
        phase: IderPhase::Lost,
        why: "web1: IDE redirection is in use by another session".into(),
        inserted_at: before(400),
        cd: Some(IderDrive::default()),
        ..Ider::default()
    }));
    let text = ider::show(&state, NOW, 80, false);
    golden("amt-ider.txt", &text, 80);
}
