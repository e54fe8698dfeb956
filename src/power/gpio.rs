//! Relays on GPIO lines of this board, through the character device (uAPI v2). A line is taken as it stands and driven only once
//! somebody switches it, so that taking it moves no relay.
//!
//! The kernel gives a line back to its pin controller when the last descriptor closes, and what the level does then is the
//! controller's affair: see docs/power-drivers.md for the boards we know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gpiocdev::line::Value;
use gpiocdev::request::{Config, Request};
use tokio::task::spawn_blocking;

use super::driver::{Doing, Driver, Fault, OutletReading, Reading};
use crate::config::{Gpio, GpioAt, GpioLine};
use crate::reset::{PowerState, Verb};

/// One line as the kernel has it; another one in tests.
trait Line: Send + Sized + 'static {
    fn take(line: &GpioLine) -> Result<Self, String>;
    /// Is it active?
    fn read(&self) -> Result<bool, String>;
    fn drive(&self, active: bool) -> Result<(), String>;
}

/// A line that is ours for as long as this lives.
struct Taken {
    request: Request,
    active_low: bool,
}

impl Line for Taken {
    fn take(line: &GpioLine) -> Result<Self, String> {
        let (chip, offset) = match &line.at {
            GpioAt::Offset { chip, offset } => (chip.clone(), *offset),
            GpioAt::Name(name) => {
                let found = gpiocdev::find_named_line(name);
                let found = found.ok_or_else(|| format!("no line is called {name}"))?;
                (found.chip, found.info.offset)
            }
        };
        let config = settings(chip, offset, line.active_low, None);
        let mut builder = Request::from_config(config);
        let request = builder.with_consumer("oobd").request();
        Ok(Self {
            request: request.map_err(|error| error.to_string())?,
            active_low: line.active_low,
        })
    }

    fn read(&self) -> Result<bool, String> {
        let value = self.request.lone_value();
        Ok(value.map_err(|error| error.to_string())? == Value::Active)
    }

    fn drive(&self, active: bool) -> Result<(), String> {
        let value = if active { Value::Active } else { Value::Inactive };
        let mut config = self.request.config();
        config.as_output(value);
        if self.active_low {
            config.as_active_low();
        }
        // Direction and level are set in one call: there is no moment of another level.
        let set = self.request.reconfigure(&config);
        set.map_err(|error| error.to_string())
    }
}

fn settings(chip: PathBuf, offset: u32, active_low: bool, drive: Option<Value>) -> Config {
    let mut config = Config::default();
    config.on_chip(chip).with_line(offset);
    match drive {
        Some(value) => config.as_output(value),
        None => config.as_is(),
    };
    if active_low {
        config.as_active_low();
    }
    config
}

/// The lines of one section.
pub struct Driven {
    bench: Option<Bench<Taken>>,
}

struct Bench<L> {
    lines: Vec<GpioLine>,
    taken: BTreeMap<String, L>,
}

impl<L: Line> Bench<L> {
    fn new(lines: Vec<GpioLine>) -> Self {
        let taken = BTreeMap::new();
        Self { lines, taken }
    }

    /// One that cannot be taken or read is unknown and does not spoil the others.
    fn read(&mut self) -> Result<Reading, Fault> {
        let mut reading = Reading::default();
        let mut last = None;
        for line in &self.lines {
            let held = hold(&mut self.taken, line).and_then(|taken| taken.read());
            let state = match held {
                Ok(true) => PowerState::On,
                Ok(false) => PowerState::Off,
                Err(why) => {
                    last = Some(format!("line {}: {why}", line.key));
                    self.taken.remove(&line.key);
                    PowerState::Unknown
                }
            };
            reading.outlets.push(OutletReading {
                key: line.key.clone(),
                state,
                ..OutletReading::default()
            });
        }
        let none = reading.outlets.iter().all(|o| o.state == PowerState::Unknown);
        match last {
            Some(why) if none => Err(Fault::Silent(why)),
            _ => Ok(reading),
        }
    }

    fn switch(&mut self, key: &str, verb: Verb) -> Result<(), Fault> {
        let line = self.lines.iter().find(|line| line.key == key);
        let line = line.ok_or_else(|| Fault::NotPossible(format!("there is no outlet {key}")))?;
        let active = match verb {
            Verb::On => true,
            Verb::ForceOff => false,
            _ => return Err(Fault::NotPossible(format!("a relay cannot {verb}"))),
        };
        let done = hold(&mut self.taken, line).and_then(|taken| taken.drive(active));
        done.map_err(|why| Fault::Odd(format!("line {key}: {why}")))
    }
}

/// The line, taken if it is not ours yet.
fn hold<'a, L: Line>(taken: &'a mut BTreeMap<String, L>, line: &GpioLine) -> Result<&'a L, String> {
    if !taken.contains_key(&line.key) {
        taken.insert(line.key.clone(), L::take(line)?);
    }
    taken.get(&line.key).ok_or_else(|| "gone".to_owned())
}

impl Driven {
    /// Takes no line yet.
    #[must_use]
    pub fn new(settings: &Gpio) -> Self {
        let bench = Bench::new(settings.lines.clone());
        Self { bench: Some(bench) }
    }

    /// The character device may sit behind a slow bus: not on a worker of the runtime.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Bench<Taken>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let lost = || Fault::Odd("the lines are lost".to_owned());
        let mut bench = self.bench.take().ok_or_else(lost)?;
        let worked = spawn_blocking(move || {
            let done = work(&mut bench);
            (bench, done)
        });
        let (bench, done) = worked.await.map_err(|_| lost())?;
        self.bench = Some(bench);
        done
    }
}

impl Driver for Driven {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(self.work(Bench::read))
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, _off: Duration) -> Doing<'a, ()> {
        let outlet = outlet.to_owned();
        Box::pin(self.work(move |bench| bench.switch(&outlet, verb)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A line that writes down what is done to it; `broken` cannot be taken.
    struct Drawn {
        active: Arc<Mutex<bool>>,
        seen: Arc<Mutex<Vec<String>>>,
    }

    thread_local! {
        static SEEN: Arc<Mutex<Vec<String>>> = Arc::default();
    }

    impl Line for Drawn {
        fn take(line: &GpioLine) -> Result<Self, String> {
            let seen = SEEN.with(Arc::clone);
            seen.lock().unwrap().push(format!("take {}", line.key));
            if line.key == "broken" {
                return Err("in use".to_owned());
            }
            let active = Arc::new(Mutex::new(line.active_low));
            Ok(Self { active, seen })
        }

        fn read(&self) -> Result<bool, String> {
            Ok(*self.active.lock().unwrap())
        }

        fn drive(&self, active: bool) -> Result<(), String> {
            self.seen.lock().unwrap().push(format!("drive {active}"));
            *self.active.lock().unwrap() = active;
            Ok(())
        }
    }

    fn line(key: &str, active_low: bool) -> GpioLine {
        GpioLine {
            key: key.to_owned(),
            at: GpioAt::Name(key.to_owned()),
            active_low,
        }
    }

    #[test]
    fn taking_and_reading_drive_nothing_and_switching_does() {
        let mut bench: Bench<Drawn> = Bench::new(vec![line("a", false), line("b", true)]);
        let states = |bench: &mut Bench<Drawn>| -> Vec<PowerState> {
            let reading = bench.read().unwrap();
            reading.outlets.iter().map(|outlet| outlet.state).collect()
        };
        assert_eq!(states(&mut bench), [PowerState::Off, PowerState::On]);
        assert_eq!(states(&mut bench), [PowerState::Off, PowerState::On]);
        let seen = SEEN.with(Arc::clone);
        assert_eq!(*seen.lock().unwrap(), ["take a", "take b"]);
        bench.switch("a", Verb::On).unwrap();
        bench.switch("b", Verb::ForceOff).unwrap();
        assert_eq!(states(&mut bench), [PowerState::On, PowerState::Off]);
        assert_eq!(seen.lock().unwrap()[2..], ["drive true", "drive false"]);
        assert!(matches!(bench.switch("c", Verb::On), Err(Fault::NotPossible(_))));
        assert!(matches!(bench.switch("a", Verb::PowerCycle), Err(Fault::NotPossible(_))));
    }

    #[test]
    fn a_line_in_use_is_unknown_and_the_others_are_read() {
        let mut bench: Bench<Drawn> = Bench::new(vec![line("broken", false), line("b", true)]);
        let reading = bench.read().unwrap();
        assert_eq!(reading.outlets[0].state, PowerState::Unknown);
        assert_eq!(reading.outlets[1].state, PowerState::On);
        let mut alone: Bench<Drawn> = Bench::new(vec![line("broken", false)]);
        let fault = alone.read().unwrap_err();
        assert_eq!(fault.to_string(), "line broken: in use");
    }

    #[tokio::test]
    async fn a_chip_that_is_not_there_is_silent() {
        let gpio = Gpio {
            lines: vec![GpioLine {
                key: "x".to_owned(),
                at: GpioAt::Offset {
                    chip: "/dev/gpiochip-none".into(),
                    offset: 3,
                },
                active_low: false,
            }],
        };
        let mut driven = Driven::new(&gpio);
        assert!(matches!(driven.read().await, Err(Fault::Silent(_))));
        let fault = driven.switch("x", Verb::On, Duration::ZERO).await;
        assert!(matches!(fault, Err(Fault::Odd(_))));
    }
}
