//! An act against a pretended device, in paused time.

use super::*;

const RULES: Rules = Rules {
    confirm: Duration::from_secs(10),
    off_time: Duration::from_secs(5),
};

/// A pretended device and an act on its outlet.
struct Bench {
    act: Act,
    outlet: OutletReading,
    /// Every ask.
    asked: Vec<Verb>,
}

impl Bench {
    fn new(verb: Verb, state: PowerState, cycles: bool) -> Self {
        let outlet = OutletReading {
            key: "3".into(),
            state,
            cycles,
            ..OutletReading::default()
        };
        Self {
            act: Act::new(verb, Instant::now(), RULES),
            outlet,
            asked: Vec::new(),
        }
    }

    /// Runs to the end. `device` is told each ask and changes the outlet, or fails; `read` may fail, too.
    async fn run(
        &mut self,
        mut device: impl FnMut(Verb, &mut OutletReading) -> Result<(), Fault>,
        mut read: impl FnMut(&mut OutletReading) -> Result<(), Fault>,
    ) -> (Outcome, String, Duration) {
        let began = Instant::now();
        loop {
            let now = Instant::now();
            assert!(began.elapsed() < Duration::from_secs(130), "{:?}", self.act);
            match self.act.todo(now) {
                Todo::Read => {
                    let heard = read(&mut self.outlet);
                    self.act
                        .read(now, heard.as_ref().map(|()| Some(&self.outlet)));
                }
                Todo::Switch(verb) => {
                    self.asked.push(verb);
                    let answer = device(verb, &mut self.outlet);
                    self.act.asked(now, verb, answer);
                }
                Todo::Wait(until) => tokio::time::sleep_until(until).await,
                Todo::Done => break,
            }
        }
        let (outcome, why) = self.act.outcome();
        (outcome, why.to_owned(), began.elapsed())
    }
}

fn obeys(verb: Verb, outlet: &mut OutletReading) -> Result<(), Fault> {
    outlet.state = match verb {
        Verb::ForceOff => PowerState::Off,
        _ => PowerState::On,
    };
    Ok(())
}

fn well(_: &mut OutletReading) -> Result<(), Fault> {
    Ok(())
}

fn silent() -> Result<(), Fault> {
    Err(Fault::Silent("no answer".into()))
}

#[tokio::test(start_paused = true)]
async fn what_shows_is_confirmed_at_once() {
    let mut bench = Bench::new(Verb::ForceOff, PowerState::On, false);
    let (outcome, why, took) = bench.run(obeys, well).await;
    assert_eq!((outcome, why.as_str()), (Outcome::Confirmed, ""));
    assert_eq!(took, Duration::ZERO);
    assert!(!bench.act.owes());
}

#[tokio::test(start_paused = true)]
async fn a_slow_device_is_waited_for_and_a_stuck_one_is_told() {
    let mut bench = Bench::new(Verb::On, PowerState::Off, false);
    let began = Instant::now();
    let late = |outlet: &mut OutletReading| {
        if began.elapsed() > Duration::from_secs(4) {
            outlet.state = PowerState::On;
        }
        Ok(())
    };
    let (outcome, _, took) = bench.run(|_, _| Ok(()), late).await;
    assert_eq!(outcome, Outcome::Confirmed);
    assert!((4..7).contains(&took.as_secs()), "{took:?}");
    let mut bench = Bench::new(Verb::On, PowerState::Off, false);
    let (outcome, why, took) = bench.run(|_, _| Ok(()), well).await;
    assert_eq!(
        (outcome, why.as_str()),
        (Outcome::Unconfirmed, "it still says off")
    );
    assert!((10..13).contains(&took.as_secs()), "{took:?}");
    assert_eq!(bench.asked, [Verb::On]);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_device_is_not_asked() {
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, false);
    let (outcome, why, took) = bench.run(obeys, |_| silent()).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(why, "nothing was asked of it: no answer");
    assert_eq!(took, Duration::ZERO);
    assert!(bench.asked.is_empty() && !bench.act.owes());
}

#[tokio::test(start_paused = true)]
async fn a_cycle_of_ours_ends_in_on() {
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, false);
    let (outcome, _, took) = bench.run(obeys, well).await;
    assert_eq!(outcome, Outcome::Confirmed);
    assert_eq!(bench.asked, [Verb::ForceOff, Verb::On]);
    // Off shows, darkness, on shows.
    assert_eq!(took, RULES.off_time);
    // A stuck one is switched on all the same.
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, false);
    let (outcome, why, _) = bench.run(|_, _| Ok(()), well).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(why, "it is on, and was never seen off");
    assert_eq!(bench.asked, [Verb::ForceOff, Verb::On]);
    assert!(!bench.act.owes());
}

#[tokio::test(start_paused = true)]
async fn the_on_of_a_cycle_stays_owed_when_the_device_dies_in_between() {
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, false);
    let dead = std::cell::Cell::new(false);
    let device = |verb: Verb, outlet: &mut OutletReading| {
        if verb == Verb::On {
            dead.set(true);
            return silent();
        }
        obeys(verb, outlet)
    };
    let read = |_: &mut OutletReading| if dead.get() { silent() } else { Ok(()) };
    let (outcome, why, _) = bench.run(device, read).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(why, "no answer");
    assert!(bench.act.owes());
    // One that refuses the on is dark for sure.
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, false);
    let device = |verb: Verb, outlet: &mut OutletReading| match verb {
        Verb::On => Err(Fault::Refused("no right".into())),
        verb => obeys(verb, outlet),
    };
    let (outcome, why, _) = bench.run(device, well).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(why, "it is not switched on again: no right");
    assert!(bench.act.owes());
}

#[tokio::test(start_paused = true)]
async fn an_off_that_was_refused_owes_nothing() {
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, false);
    assert!(!bench.act.will_owe());
    let (outcome, _, _) = bench
        .run(|_, _| Err(Fault::NotPossible("locked".into())), well)
        .await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(bench.asked, [Verb::ForceOff]);
    assert!(!bench.act.owes());
}

#[tokio::test(start_paused = true)]
async fn a_cycle_of_the_device_is_confirmed_by_its_darkness_and_never_repeated() {
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, true);
    let began = Instant::now();
    let cycles = |outlet: &mut OutletReading| {
        let dark = (1..6).contains(&began.elapsed().as_secs());
        outlet.state = if dark {
            PowerState::Off
        } else {
            PowerState::On
        };
        Ok(())
    };
    let (outcome, _, _) = bench.run(|_, _| Ok(()), cycles).await;
    assert_eq!(outcome, Outcome::Confirmed);
    assert_eq!(bench.asked, [Verb::PowerCycle]);
    // Its answer was lost: it is read, and not asked again.
    let mut bench = Bench::new(Verb::PowerCycle, PowerState::On, true);
    let (outcome, why, took) = bench.run(|_, _| silent(), well).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(why, "no answer; it was never seen off");
    assert_eq!(bench.asked, [Verb::PowerCycle]);
    assert!(took >= RULES.confirm + RULES.off_time);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_followed_by_a_reading() {
    // It was done.
    let mut bench = Bench::new(Verb::ForceOff, PowerState::On, false);
    let device = |verb: Verb, outlet: &mut OutletReading| {
        obeys(verb, outlet)?;
        silent()
    };
    let (outcome, _, _) = bench.run(device, well).await;
    assert_eq!(outcome, Outcome::Confirmed);
    assert_eq!(bench.asked, [Verb::ForceOff]);
    // It was not: off may be said once more, and no third time.
    let mut bench = Bench::new(Verb::ForceOff, PowerState::On, false);
    let (outcome, why, _) = bench.run(|_, _| silent(), well).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(why, "no answer; it still says on");
    assert_eq!(bench.asked, [Verb::ForceOff, Verb::ForceOff]);
}

#[tokio::test(start_paused = true)]
async fn unknown_is_neither_off_nor_on() {
    let mut bench = Bench::new(Verb::ForceOff, PowerState::On, false);
    let device = |_: Verb, outlet: &mut OutletReading| {
        outlet.state = PowerState::Unknown;
        Ok(())
    };
    let (outcome, why, _) = bench.run(device, well).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(why, "the device does not say how it stands");
}

#[tokio::test(start_paused = true)]
async fn who_refuses_to_be_read_is_not_read_on() {
    let mut bench = Bench::new(Verb::ForceOff, PowerState::On, false);
    let mut readings = 0;
    let read = |_: &mut OutletReading| {
        readings += 1;
        match readings {
            1 => Ok(()),
            _ => Err(Fault::Refused("wrong password".into())),
        }
    };
    let (outcome, _, _) = bench.run(|_, _| Ok(()), read).await;
    assert_eq!((outcome, readings), (Outcome::Unconfirmed, 2));
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_was_cut_short_is_taken_up() {
    let until = Instant::now() + Duration::from_secs(3);
    let resumed = |state| Bench {
        act: Act::resume(Instant::now(), until, RULES),
        ..Bench::new(Verb::PowerCycle, state, false)
    };
    let mut bench = resumed(PowerState::Off);
    assert!(bench.act.owes());
    let (outcome, _, took) = bench.run(obeys, well).await;
    assert_eq!(
        (outcome, bench.asked.as_slice()),
        (Outcome::Confirmed, &[Verb::On][..])
    );
    assert_eq!(took, Duration::from_secs(3));
    // We died before the off: then it is told that nothing came of it.
    let until = Instant::now() + Duration::from_secs(3);
    let mut bench = Bench {
        act: Act::resume(Instant::now(), until, RULES),
        ..Bench::new(Verb::PowerCycle, PowerState::On, false)
    };
    let (outcome, _, _) = bench.run(obeys, well).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert!(!bench.act.owes());
}

#[tokio::test(start_paused = true)]
async fn a_verb_that_was_cut_short_is_looked_at_and_not_given_again() {
    let recalled = |verb, state, cycles| Bench {
        act: Act::recall(Instant::now(), verb, RULES),
        ..Bench::new(verb, state, cycles)
    };
    for (verb, state, outcome, why) in [
        (Verb::On, PowerState::On, Outcome::Confirmed, ""),
        (Verb::ForceOff, PowerState::Off, Outcome::Confirmed, ""),
        (
            Verb::ForceOff,
            PowerState::On,
            Outcome::Failed,
            "oobd was restarted in the middle; it still says on",
        ),
        (
            Verb::PowerCycle,
            PowerState::On,
            Outcome::Unconfirmed,
            "oobd was restarted in the middle; it was never seen off",
        ),
    ] {
        let mut bench = recalled(verb, state, true);
        let (came, said, _) = bench.run(|_, _| Ok(()), well).await;
        assert_eq!((came, said.as_str()), (outcome, why), "{verb} {state}");
        assert!(bench.asked.is_empty() && !bench.act.owes());
    }
    // The LAN is late.
    let mut bench = recalled(Verb::ForceOff, PowerState::Off, false);
    let began = Instant::now();
    let late = |_: &mut OutletReading| match began.elapsed().as_secs() {
        0..60 => Err(Fault::Offline("eth0 has no address yet".into())),
        _ => Ok(()),
    };
    let (outcome, _, _) = bench.run(obeys, late).await;
    assert_eq!(outcome, Outcome::Confirmed);
    // It never comes.
    let mut bench = recalled(Verb::On, PowerState::Off, false);
    let (outcome, why, took) = bench.run(obeys, |_| silent()).await;
    assert_eq!(outcome, Outcome::Unconfirmed);
    assert_eq!(why, "oobd was restarted in the middle; no answer");
    assert!(took >= RECALL_LIMIT && bench.asked.is_empty());
}
