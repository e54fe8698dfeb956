//! `GET /metrics`: what this person may see of the board, for Prometheus. Values are those of the state; only events are
//! counted here. docs/metrics.md names them.

mod page;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

use crate::event::{Event, Severity};
use crate::fact::{DevicePhase, Internet, LinkRole, OwnerPhase, PortPhase, UplinkPhase};
use crate::file::{Traffic, traffic};
use crate::reset::PowerState;
use crate::state;

use super::house::House;
use super::sign_in::Caller;
use page::{Kind, Page, flag, number};

/// The text format that every scraper takes.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Events by source and severity since the door opened.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<BTreeMap<(String, Severity), u64>>);

impl Counts {
    pub(super) fn add(&self, events: &[Event]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            *counts
                .entry((event.source.clone(), event.severity))
                .or_default() += 1;
        }
    }

    fn now(&self) -> BTreeMap<(String, Severity), u64> {
        let counts = self.0.lock();
        counts.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) async fn show(State(house): State<Arc<House>>, caller: Caller) -> Response {
    let state = house.control.state_for(&caller.person);
    let interfaces = state.links.keys().cloned().collect();
    let traffic = spawn_blocking(|| traffic(interfaces)).await;
    let mut page = Page::default();
    board(&mut page, &state);
    links(&mut page, &state, &traffic.unwrap_or_default());
    consoles(&mut page, &state);
    power(&mut page, &state);
    upses(&mut page, &state);
    machines(&mut page, &state);
    events(&mut page, &state, &house.counts.now());
    let headers = [(header::CONTENT_TYPE, TYPE)];
    (headers, page.finish()).into_response()
}

fn board(page: &mut Page, state: &state::State) {
    use Kind::{Counter, Gauge};
    let labels = [
        ("device", state.device.as_str()),
        ("version", state.version.as_str()),
        ("mode", state.mode.as_str()),
    ];
    page.family(Gauge, "oobd_build_info", "What runs here; always 1.")
        .sample(&labels, 1.0);
    let help = "When oobd started, in seconds since 1970.";
    page.family(Gauge, "oobd_start_time_seconds", help)
        .sample(&[], number(state.started_at.0) / 1000.0);
    page.family(Gauge, "oobd_ready", "Every door is open.")
        .sample(&[], flag(state.ready));
    let help = "The OOB indicator: more than one working network.";
    page.family(Gauge, "oobd_oob", help)
        .sample(&[], flag(state.oob));
    let help = "Problems of the configuration file that was refused last.";
    let problems = u64::try_from(state.config_problems.len()).unwrap_or(u64::MAX);
    page.family(Gauge, "oobd_config_problems", help)
        .sample(&[], number(problems));
    let help = "The guard's last check found that the board is no gateway.";
    page.family(Gauge, "oobd_guard_sealed", help)
        .sample(&[], state.guard.sealed.map(flag));
    let help = "Ways through the board that the guard found, undone or not.";
    page.family(Counter, "oobd_guard_breaches_total", help)
        .sample(&[], number(state.guard.breaches));
    let help = "Packets the firewall dropped.";
    let mut dropped = page.family(Counter, "oobd_firewall_dropped_packets_total", help);
    for (chain, count) in &state.guard.dropped {
        dropped.sample(&[("chain", chain)], number(*count));
    }
    let mut up = page.family(Gauge, "oobd_task_up", "The task runs.");
    for (name, owner) in &state.owners {
        let running = owner.phase == OwnerPhase::Running;
        up.sample(&[("task", name)], flag(running));
    }
    let help = "How often the task was started again after a failure.";
    let mut restarts = page.family(Counter, "oobd_task_restarts_total", help);
    for (name, owner) in &state.owners {
        restarts.sample(&[("task", name)], number(owner.restarts));
    }
    let mut doors = page.family(Gauge, "oobd_door_open", "A way in for operators is open.");
    for (name, door) in &state.doors {
        doors.sample(&[("door", name), ("address", &door.address)], 1.0);
    }
}

fn links(page: &mut Page, state: &state::State, traffic: &Traffic) {
    use Kind::{Counter, Gauge};
    let mut carrier = page.family(Gauge, "oobd_link_carrier", "The interface has a carrier.");
    for (name, link) in &state.links {
        let role = match &link.role {
            LinkRole::Lan => "lan",
            LinkRole::Uplink(_) => "uplink",
            LinkRole::Unused => "unused",
        };
        carrier.sample(&[("interface", name), ("role", role)], flag(link.carrier));
    }
    let directions = ["in", "out"];
    let help = "Bytes over the interface, as the kernel counts them.";
    let mut bytes = page.family(Counter, "oobd_link_bytes_total", help);
    for (name, counts) in traffic {
        for (direction, count) in directions.iter().zip(counts) {
            let labels = [("interface", name.as_str()), ("dir", direction)];
            bytes.sample(&labels, count.map(number));
        }
    }
    let mut up = page.family(Gauge, "oobd_uplink_up", "The uplink is up.");
    for (name, uplink) in &state.uplinks {
        let labels = [("uplink", name.as_str()), ("kind", &uplink.kind)];
        up.sample(&labels, flag(uplink.phase == UplinkPhase::Up));
    }
    let help = "There is internet behind the uplink; without a value while that is not known.";
    let mut internet = page.family(Gauge, "oobd_uplink_internet", help);
    for (name, uplink) in &state.uplinks {
        let known = match uplink.internet {
            Internet::Unknown => None,
            Internet::Yes => Some(1.0),
            Internet::No => Some(0.0),
        };
        internet.sample(&[("uplink", name)], known);
    }
    let help = "Signal of the radio.";
    let mut signal = page.family(Gauge, "oobd_uplink_signal_dbm", help);
    for (name, uplink) in &state.uplinks {
        signal.sample(&[("uplink", name)], uplink.signal_dbm.map(f64::from));
    }
    let help = "Bytes over the interface of the uplink, as the kernel counts them.";
    let mut bytes = page.family(Counter, "oobd_uplink_bytes_total", help);
    for (name, uplink) in &state.uplinks {
        let counts = traffic.get(&uplink.interface).copied().unwrap_or_default();
        for (direction, count) in directions.iter().zip(counts) {
            let labels = [("uplink", name.as_str()), ("dir", direction)];
            bytes.sample(&labels, count.map(number));
        }
    }
}

fn consoles(page: &mut Page, state: &state::State) {
    use Kind::{Counter, Gauge};
    let mut up = page.family(Gauge, "oobd_console_up", "The port of the console is open.");
    for (name, console) in &state.consoles {
        up.sample(&[("console", name)], flag(console.phase == PortPhase::Open));
    }
    let help = "Bytes from the device (in) and to it (out).";
    let mut bytes = page.family(Counter, "oobd_console_bytes_total", help);
    for (name, console) in &state.consoles {
        bytes.sample(
            &[("console", name), ("dir", "in")],
            number(console.rx_bytes),
        );
        bytes.sample(
            &[("console", name), ("dir", "out")],
            number(console.tx_bytes),
        );
    }
    let count = |sessions: usize| number(u64::try_from(sessions).unwrap_or(u64::MAX));
    let help = "Sessions on the console, those that only watch as well.";
    let mut sessions = page.family(Gauge, "oobd_console_sessions", help);
    for (name, console) in &state.consoles {
        sessions.sample(&[("console", name)], count(console.sessions.len()));
    }
    let help = "Sessions on the console that type: one, or none.";
    let mut writers = page.family(Gauge, "oobd_console_writers", help);
    for (name, console) in &state.consoles {
        let all = console.sessions.iter();
        let typing = all.filter(|session| session.writer).count();
        writers.sample(&[("console", name)], count(typing));
    }
}

/// A device that has not been heard yet has no value.
fn answers(phase: DevicePhase) -> Option<f64> {
    match phase {
        DevicePhase::Unknown => None,
        DevicePhase::Up => Some(1.0),
        DevicePhase::Silent | DevicePhase::Refused => Some(0.0),
    }
}

/// Unknown is never shown as off.
fn is_on(state: PowerState) -> Option<f64> {
    match state {
        PowerState::Unknown => None,
        PowerState::On => Some(1.0),
        PowerState::Off => Some(0.0),
    }
}

fn power(page: &mut Page, state: &state::State) {
    use Kind::Gauge;
    let mut up = page.family(Gauge, "oobd_pdu_up", "The PDU answers.");
    for (name, pdu) in &state.pdus {
        let labels = [("pdu", name.as_str()), ("kind", &pdu.kind)];
        up.sample(&labels, answers(pdu.phase));
    }
    let help = "1 for on, 0 for off, without a value while that is not known.";
    let mut on = page.family(Gauge, "oobd_outlet_state", help);
    for (name, pdu) in &state.pdus {
        for outlet in &pdu.outlets {
            let labels = [
                ("pdu", name.as_str()),
                ("outlet", &outlet.key),
                ("label", &outlet.label),
            ];
            on.sample(&labels, is_on(outlet.state));
        }
    }
    let outlets = || {
        let pdus = state.pdus.iter();
        pdus.flat_map(|(name, pdu)| pdu.outlets.iter().map(move |outlet| (name, outlet)))
    };
    let mut watts = page.family(Gauge, "oobd_outlet_watts", "Power drawn at the outlet.");
    for (name, outlet) in outlets() {
        watts.sample(&[("pdu", name), ("outlet", &outlet.key)], outlet.watts);
    }
    let mut amps = page.family(Gauge, "oobd_outlet_amperes", "Current at the outlet.");
    for (name, outlet) in outlets() {
        amps.sample(&[("pdu", name), ("outlet", &outlet.key)], outlet.amps);
    }
}

fn upses(page: &mut Page, state: &state::State) {
    use Kind::Gauge;
    let mut up = page.family(Gauge, "oobd_ups_up", "The UPS answers.");
    for (name, ups) in &state.upses {
        up.sample(&[("ups", name)], answers(ups.phase));
    }
    let help = "Words of the UPS's status that hold, as NUT spells them; always 1.";
    let mut status = page.family(Gauge, "oobd_ups_status", help);
    for (name, ups) in &state.upses {
        for word in &ups.status {
            status.sample(&[("ups", name), ("status", word)], 1.0);
        }
    }
    type Read = fn(&crate::fact::Ups) -> Option<f64>;
    let numbers: [(&str, &str, Read); 4] = [
        (
            "oobd_ups_charge_ratio",
            "Charge of the battery, 1 for full.",
            |ups| Some(ups.charge? / 100.0),
        ),
        (
            "oobd_ups_runtime_seconds",
            "How long the battery lasts.",
            |ups| ups.runtime,
        ),
        (
            "oobd_ups_load_ratio",
            "Load, 1 for all that it can carry.",
            |ups| Some(ups.load? / 100.0),
        ),
        ("oobd_ups_input_volts", "Voltage at the input.", |ups| {
            ups.input_volts
        }),
    ];
    for (name, help, read) in numbers {
        let mut family = page.family(Gauge, name, help);
        for (name, ups) in &state.upses {
            family.sample(&[("ups", name)], read(ups));
        }
    }
}

fn machines(page: &mut Page, state: &state::State) {
    use Kind::Gauge;
    let mut up = page.family(
        Gauge,
        "oobd_machine_up",
        "The machine's controller answers.",
    );
    for (name, machine) in &state.machines {
        up.sample(&[("machine", name)], answers(machine.phase));
    }
    let help = "1 for on, 0 for off, without a value while that is not known.";
    let mut on = page.family(Gauge, "oobd_machine_state", help);
    for (name, machine) in &state.machines {
        on.sample(&[("machine", name)], is_on(machine.state));
    }
    let help = "Sensors of the machine, as they were read last, in the unit that they say.";
    let mut sensors = page.family(Gauge, "oobd_machine_sensor_value", help);
    for (name, machine) in &state.machines {
        // Some controllers have two sensors of one name; a scrape must not.
        let mut seen = std::collections::BTreeSet::new();
        for sensor in &machine.sensors {
            if seen.insert((&sensor.name, &sensor.kind)) {
                let labels = [
                    ("machine", name.as_str()),
                    ("sensor", &sensor.name),
                    ("kind", &sensor.kind),
                    ("unit", &sensor.unit),
                ];
                sensors.sample(&labels, sensor.value);
            }
        }
    }
}

fn events(page: &mut Page, state: &state::State, counts: &BTreeMap<(String, Severity), u64>) {
    let help = "Events since the HTTPS door opened.";
    let mut events = page.family(Kind::Counter, "oobd_events_total", help);
    for ((source, severity), count) in counts {
        // The name of a console or machine that is not there for this person, or not any more, is not told.
        if source.contains('.') && !state.owners.contains_key(source) {
            continue;
        }
        let severity = severity.to_string();
        let labels = [("source", source.as_str()), ("severity", &severity)];
        events.sample(&labels, number(*count));
    }
}
