//! What was measured lately: signal and traffic of uplinks, sensors of machines, one value a minute. Reads the state and
//! the kernel's counters; asks no device, and keeps nothing over a restart.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Timestamp;
use crate::command::{Command, Past, Refusal, Reply, Series};
use crate::file::{Traffic, traffic};
use crate::machine::Sensor;
use crate::state::State;
use crate::supervisor::context::Context;

const EVERY: Duration = Duration::from_secs(60);
/// A day of an uplink.
const UPLINK_KEPT: usize = 24 * 60;
/// Six hours of a sensor.
const SENSOR_KEPT: usize = 6 * 60;
/// Sensors kept of all machines together, the first by name: 1.5 KB each.
const MOST_SENSORS: usize = 512;

/// Keeps values until stopped, and tells them to who asks.
///
/// # Errors
/// None.
pub async fn run(mut ctx: Context, state: watch::Receiver<State>) -> Result<(), Infallible> {
    let mut pulse = ctx.pulse.clone();
    let mut book = Book::default();
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = ctx.stop.cancelled() => return Ok(()),
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => {}
            // cancel-safe: a tick that is not taken comes again
            _ = look.tick() => {
                let interfaces = state.borrow().uplinks.values().map(|up| up.interface.clone()).collect();
                let counted = spawn_blocking(|| traffic(interfaces)).await.unwrap_or_default();
                book.write(&state.borrow(), &counted, Timestamp::now());
            }
            // cancel-safe per docs on mpsc::Receiver::recv()
            Some(ask) = ctx.asks.recv() => {
                if let Some((_, command, reply)) = ask.command("history") {
                    // The asker may have gone.
                    let counted = look_at(&command, &state).await;
                    let _ = reply.send(book.tell(&command, counted));
                }
            }
        }
    }
}

/// What the kernel has counted by now of the uplink that is asked about.
async fn look_at(command: &Command, state: &watch::Receiver<State>) -> [Option<u64>; 2] {
    let Command::ReadUplinkHistory { uplink } = command else {
        return [None; 2];
    };
    let found = state
        .borrow()
        .uplinks
        .get(uplink)
        .map(|up| up.interface.clone());
    let interfaces = found.into_iter().collect();
    let counted = spawn_blocking(|| traffic(interfaces)).await;
    counted
        .unwrap_or_default()
        .into_values()
        .next()
        .unwrap_or_default()
}

/// Values of one thing; a value that was not there is no number.
#[derive(Clone, Debug, Default)]
struct Ring(VecDeque<f32>);

impl Ring {
    fn push(&mut self, value: Option<f64>, most: usize) {
        while self.0.len() >= most {
            self.0.pop_front();
        }
        #[allow(clippy::cast_possible_truncation, reason = "for a plot")]
        self.0
            .push_back(value.map_or(f32::NAN, |value| value as f32));
    }

    fn is_blank(&self) -> bool {
        self.0.iter().all(|value| value.is_nan())
    }

    fn series(&self, name: &str, unit: &str, total: Option<u64>) -> Series {
        let values = self.0.iter();
        Series {
            name: name.into(),
            unit: unit.into(),
            values: values.map(|v| v.is_finite().then_some(*v)).collect(),
            total,
        }
    }
}

#[derive(Debug, Default)]
struct Way {
    signal: Ring,
    /// Received and sent.
    bytes: [(Option<u64>, Ring); 2],
}

#[derive(Debug, Default)]
struct Book {
    at: Option<Timestamp>,
    uplinks: BTreeMap<String, Way>,
    /// By machine and sensor; with the unit.
    sensors: BTreeMap<String, BTreeMap<String, (String, Ring)>>,
}

impl Book {
    fn write(&mut self, state: &State, counted: &Traffic, now: Timestamp) {
        self.at = Some(now);
        self.uplinks
            .retain(|name, _| state.uplinks.contains_key(name));
        for (name, uplink) in &state.uplinks {
            let way = self.uplinks.entry(name.clone()).or_default();
            way.signal
                .push(uplink.signal_dbm.map(f64::from), UPLINK_KEPT);
            let counts = counted.get(&uplink.interface).copied().unwrap_or_default();
            for ((before, ring), count) in way.bytes.iter_mut().zip(counts) {
                ring.push(step(*before, count), UPLINK_KEPT);
                *before = count;
            }
        }
        self.sensors
            .retain(|name, _| state.machines.contains_key(name));
        let mut room = MOST_SENSORS;
        for (name, machine) in &state.machines {
            let kept = self.sensors.entry(name.clone()).or_default();
            follow(kept, &machine.sensors, &mut room);
        }
    }

    fn tell(&self, command: &Command, totals: [Option<u64>; 2]) -> Result<Reply, Refusal> {
        let series = match command {
            Command::ReadUplinkHistory { uplink } => {
                let way = self.uplinks.get(uplink);
                let way = way.ok_or_else(|| unknown("uplink", uplink))?;
                let [(_, inward), (_, outward)] = &way.bytes;
                let [received, sent] = totals;
                vec![
                    way.signal.series("signal", "dBm", None),
                    inward.series("received", "B", received),
                    outward.series("sent", "B", sent),
                ]
            }
            Command::ReadSensorHistory { machine } => {
                let kept = self.sensors.get(machine);
                let kept = kept.ok_or_else(|| unknown("machine", machine))?;
                kept.iter()
                    .map(|(name, (unit, ring))| ring.series(name, unit, None))
                    .collect()
            }
            other => {
                return Err(Refusal::Failed(format!("the history cannot {other}")));
            }
        };
        Ok(Reply::Past(Past {
            at: self.at,
            every_seconds: u32::try_from(EVERY.as_secs()).unwrap_or(u32::MAX),
            series,
        }))
    }
}

fn unknown(kind: &str, name: &str) -> Refusal {
    Refusal::Unknown {
        what: format!("{kind} {} with a history yet", name.escape_debug()),
    }
}

/// Bytes between two looks at a counter, which begins anew with its interface.
#[allow(clippy::cast_precision_loss, reason = "for a plot")]
fn step(before: Option<u64>, now: Option<u64>) -> Option<f64> {
    let (before, now) = (before?, now?);
    Some(now.checked_sub(before).unwrap_or(now) as f64)
}

/// One more value of each sensor of a machine; those that say nothing any more are forgotten when their last value is.
fn follow(kept: &mut BTreeMap<String, (String, Ring)>, now: &[Sensor], room: &mut usize) {
    for sensor in now.iter().filter(|sensor| sensor.value.is_some()) {
        if kept.len() < *room && !kept.contains_key(&sensor.name) {
            kept.insert(sensor.name.clone(), (sensor.unit.clone(), Ring::default()));
        }
    }
    for (name, (unit, ring)) in kept.iter_mut() {
        let sensor = now.iter().find(|sensor| sensor.name == *name);
        ring.push(sensor.and_then(|sensor| sensor.value), SENSOR_KEPT);
        if let Some(sensor) = sensor {
            unit.clone_from(&sensor.unit);
        }
    }
    kept.retain(|_, (_, ring)| !ring.is_blank());
    *room = room.saturating_sub(kept.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Fact, Machine};

    fn sensor(name: &str, value: Option<f64>) -> Sensor {
        Sensor {
            name: name.into(),
            kind: "temperature".into(),
            value,
            unit: "°C".into(),
            health: crate::machine::Health::default(),
            text: String::new(),
        }
    }

    fn state(machine: &str, sensors: Vec<Sensor>) -> State {
        let mut state = State::default();
        state.apply(Fact::Machine(Machine {
            name: machine.into(),
            sensors,
            ..Machine::default()
        }));
        state
    }

    fn past(book: &Book, machine: &str) -> Past {
        let machine = machine.into();
        match book.tell(&Command::ReadSensorHistory { machine }, [None; 2]) {
            Ok(Reply::Past(past)) => past,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sensor_keeps_six_hours_and_its_gaps() {
        let mut book = Book::default();
        let none = Traffic::new();
        for minute in 0..SENSOR_KEPT + 5 {
            let value = (minute != SENSOR_KEPT + 3).then_some(41.5);
            let picture = state("db1", vec![sensor("CPU", value)]);
            book.write(&picture, &none, Timestamp(minute as u64 * 60_000));
        }
        let past = past(&book, "db1");
        assert_eq!(past.at, Some(Timestamp((SENSOR_KEPT as u64 + 4) * 60_000)));
        let values = &past.series[0].values;
        assert_eq!(values.len(), SENSOR_KEPT);
        assert_eq!(values[SENSOR_KEPT - 2..], [None, Some(41.5)]);
        assert_eq!(past.series[0].unit, "°C");
    }

    #[test]
    fn what_is_gone_is_forgotten_and_what_is_too_much_is_not_kept() {
        let mut book = Book::default();
        let none = Traffic::new();
        let many = |machine: &str, count: usize| {
            let sensors = (0..count).map(|n| sensor(&format!("T{n:04}"), Some(1.0)));
            state(machine, sensors.collect())
        };
        book.write(&many("a", MOST_SENSORS + 9), &none, Timestamp(0));
        assert_eq!(past(&book, "a").series.len(), MOST_SENSORS);
        for minute in 0..SENSOR_KEPT {
            let silent = state("a", vec![sensor("T0000", None)]);
            book.write(&silent, &none, Timestamp(minute as u64));
        }
        assert_eq!(past(&book, "a").series, []);
        book.write(&many("b", 1), &none, Timestamp(0));
        let machine = "a".into();
        let gone = book.tell(&Command::ReadSensorHistory { machine }, [None; 2]);
        assert!(matches!(gone, Err(Refusal::Unknown { .. })));
    }

    #[test]
    fn a_counter_that_begins_anew_counts_from_nothing() {
        for (before, now, counted) in [
            (None, Some(5), None),
            (Some(5), Some(12), Some(7.0)),
            (Some(12), Some(3), Some(3.0)),
            (Some(12), None, None),
        ] {
            assert_eq!(step(before, now), counted);
        }
    }
}
