//! PDUs (and PoE switches) over SNMP. Which objects are outlets is data: see `config/pdu/profiles.toml`. Writes to an outlet only
//! after its state was read and is one that its family has, so that a wrong profile switches nothing.

mod lan;
mod wire;

use std::collections::BTreeSet;
use std::time::Duration;

use super::driver::{Doing, Driver, Fault, OutletReading, Reading, Standing};
use crate::config::{ObjectId, POE, Profile, Snmp, families, family_of};
use crate::reset::{PowerState, Verb};
use wire::{Found, Wire};

/// `sysObjectID.0` (RFC 3418).
const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];
/// Outlets of one device; a chain of PDUs has some hundred.
const MOST_OUTLETS: usize = 512;

/// One device. Opens a socket for each question.
pub(super) struct Driven {
    settings: Snmp,
    interface: String,
    open: Option<Open>,
}

struct Open {
    wire: Wire,
    profile: Profile,
    outlets: Vec<Outlet>,
}

struct Outlet {
    key: String,
    index: Vec<u32>,
    label: String,
    /// Its state was one of the family's when it was read last.
    plausible: bool,
}

impl Driven {
    /// A driver for this device, reached by the interface of the LAN.
    #[must_use]
    pub(super) fn new(settings: Snmp, interface: &str) -> Self {
        Self {
            settings,
            interface: interface.to_owned(),
            open: None,
        }
    }

    async fn opened(&mut self) -> Result<&mut Open, Fault> {
        if self.open.is_none() {
            let mut wire = Wire::open(&self.settings, &self.interface)?;
            let profile = match &self.settings.profile {
                Some(profile) => profile.clone(),
                None => detect(&mut wire).await?,
            };
            self.open = Some(Open {
                wire,
                profile,
                outlets: Vec::new(),
            });
        }
        self.open
            .as_mut()
            .ok_or_else(|| Fault::Odd("not open".to_owned()))
    }

    async fn read_now(&mut self) -> Result<Reading, Fault> {
        let open = self.opened().await?;
        if open.outlets.is_empty() {
            open.find_outlets().await?;
        }
        match open.read().await? {
            Some(reading) => Ok(reading),
            // An outlet is gone: the chain was changed, or the card restarted with another table.
            None => {
                open.find_outlets().await?;
                let again = open.read().await?;
                again.ok_or_else(|| Fault::Odd("its outlets come and go".to_owned()))
            }
        }
    }

    /// The state of this outlet alone; all of them when it is not where it was.
    async fn look_now(&mut self, key: &str) -> Result<Option<Standing>, Fault> {
        let open = self.opened().await?;
        let Open {
            wire,
            profile,
            outlets,
        } = open;
        if let Some(outlet) = outlets.iter_mut().find(|outlet| outlet.key == key) {
            let found = wire.get(&[profile.state.with(&outlet.index)]).await?;
            let found = found.first();
            if found.is_some_and(|found| *found != Found::Nothing) {
                let state = profile.state_of(found);
                outlet.plausible = state.is_some();
                return Ok(Some(state.unwrap_or_default()));
            }
            outlets.clear();
        }
        let reading = self.read_now().await?;
        let found = reading.outlets.into_iter().find(|read| read.key == key);
        Ok(found.map(|read| (read.state, read.in_transition)))
    }

    async fn switch_now(&mut self, key: &str, verb: Verb) -> Result<(), Fault> {
        if self
            .open
            .as_ref()
            .is_none_or(|open| open.outlets.is_empty())
        {
            self.read_now().await?;
        }
        let open = self.opened().await?;
        let outlet = open.outlets.iter().find(|outlet| outlet.key == key);
        let outlet =
            outlet.ok_or_else(|| Fault::NotPossible(format!("there is no outlet {key}")))?;
        if !outlet.plausible {
            return Err(Fault::NotPossible(format!(
                "the state of outlet {key} is none that {} has: is the profile the right one?",
                open.profile.name
            )));
        }
        let (column, value) = open.profile.order(verb).ok_or_else(|| {
            Fault::NotPossible(format!("{} cannot {verb} an outlet", open.profile.name))
        })?;
        let at = column.with(&outlet.index);
        // Asking twice for a cycle could be two cycles.
        open.wire.set(&at, value, verb != Verb::PowerCycle).await
    }
}

impl Driver for Driven {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(self.read_now())
    }

    fn look<'a>(&'a mut self, outlet: &'a str) -> Option<Doing<'a, Option<Standing>>> {
        Some(Box::pin(self.look_now(outlet)))
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, _off: Duration) -> Doing<'a, ()> {
        Box::pin(self.switch_now(outlet, verb))
    }

    /// Some cards need a second for each value, and one that lost datagrams is asked again.
    fn limit(&self) -> Duration {
        Duration::from_secs(60)
    }
}

impl Open {
    /// Which outlets there are, and what they are called.
    async fn find_outlets(&mut self) -> Result<(), Fault> {
        let length = self.profile.index;
        let rows = self.wire.walk(&self.profile.state, MOST_OUTLETS).await?;
        let indexes: Vec<Vec<u32>> = rows
            .into_iter()
            .map(|(index, _)| index)
            .filter(|index| index.len() == length)
            .collect();
        if indexes.is_empty() {
            return Err(Fault::NotPossible(format!(
                "it has no outlets where {} has them ({})",
                self.profile.name, self.profile.state
            )));
        }
        let mut labels = Vec::new();
        if let Some(column) = &self.profile.label {
            let asked: Vec<ObjectId> = indexes.iter().map(|index| column.with(index)).collect();
            labels = self.wire.get(&asked).await?;
        }
        let mut labels = labels.into_iter();
        let keys = keys(&indexes, self.profile.letters);
        let named = indexes.into_iter().zip(keys).map(|(index, key)| Outlet {
            key,
            index,
            label: match labels.next() {
                Some(Found::Text(text)) => text,
                _ => String::new(),
            },
            plausible: false,
        });
        self.outlets = named.collect();
        Ok(())
    }

    /// `None` when an outlet is not there any more.
    async fn read(&mut self) -> Result<Option<Reading>, Fault> {
        let profile = &self.profile;
        let columns = [
            Some(&profile.state),
            profile.amps.as_ref(),
            profile.watts.as_ref(),
        ];
        let ids = columns.iter().flatten().flat_map(|column| {
            let outlets = self.outlets.iter();
            outlets.map(|outlet| column.with(&outlet.index))
        });
        let ids: Vec<ObjectId> = ids.collect();
        let values = self.wire.get(&ids).await?;
        let mut values = values.into_iter();
        let mut column = |there: bool| -> Vec<Found> {
            let count = if there { self.outlets.len() } else { 0 };
            values.by_ref().take(count).collect()
        };
        let states = column(true);
        let (amps, watts) = (
            column(profile.amps.is_some()),
            column(profile.watts.is_some()),
        );
        if states.contains(&Found::Nothing) {
            self.outlets.clear();
            return Ok(None);
        }
        let mut reading = Reading::default();
        let cycles = profile.order(Verb::PowerCycle).is_some();
        for (place, outlet) in self.outlets.iter_mut().enumerate() {
            let state = profile.state_of(states.get(place));
            outlet.plausible = state.is_some();
            let (state, in_transition) = state.unwrap_or_default();
            reading.outlets.push(OutletReading {
                key: outlet.key.clone(),
                label: outlet.label.clone(),
                state,
                in_transition,
                cycles,
                watts: scaled(watts.get(place), profile.watts_scale),
                amps: scaled(amps.get(place), profile.amps_scale),
            });
        }
        Ok(Some(reading))
    }
}

/// Asks the device what it is.
async fn detect(wire: &mut Wire) -> Result<Profile, Fault> {
    let asked = wire.get(&[ObjectId(SYS_OBJECT_ID.to_vec())]).await?;
    let id = match asked.into_iter().next() {
        Some(Found::Id(id)) => id,
        _ => Vec::new(),
    };
    if let Some(family) = family_of(&id) {
        return Ok(family.clone());
    }
    if let Some(poe) = families().iter().find(|family| family.name == POE)
        && !wire.walk(&poe.state, MOST_OUTLETS).await?.is_empty()
    {
        return Ok(poe.clone());
    }
    Err(Fault::NotPossible(format!(
        "no family of PDUs known here has its object id {}: choose or write a `profile`",
        ObjectId(id)
    )))
}

impl Profile {
    /// How it stands, and whether it is on its way; `None` for a value that this family does not have.
    fn state_of(&self, found: Option<&Found>) -> Option<(PowerState, bool)> {
        let Some(Found::Number(value)) = found else {
            return None;
        };
        let has = |group: &[i32]| group.iter().any(|word| i64::from(*word) == *value);
        if has(&self.states_on) {
            Some((PowerState::On, false))
        } else if has(&self.states_off) {
            Some((PowerState::Off, false))
        } else if has(&self.states_moving) {
            Some((PowerState::Unknown, true))
        } else if has(&self.states_odd) {
            Some((PowerState::Unknown, false))
        } else {
            None
        }
    }

    /// What to write for a verb, and below which column.
    fn order(&self, verb: Verb) -> Option<(&ObjectId, i32)> {
        let (column, value) = match verb {
            Verb::On => (&self.control_on, self.on),
            Verb::ForceOff => (&self.control_off, self.off),
            Verb::PowerCycle => (&self.control_cycle, self.cycle),
            _ => return None,
        };
        Some((column.as_ref().or(self.control.as_ref())?, value?))
    }
}

/// A reading, unless the device says that it has none.
fn scaled(found: Option<&Found>, scale: f64) -> Option<f64> {
    let Some(Found::Number(value)) = found else {
        return None;
    };
    let value = f64::from(i32::try_from(*value).ok()?);
    (value >= 0.0).then_some(value * scale)
}

/// As printed on the outlets: the last number, and before it what tells the units of a chain apart.
fn keys(indexes: &[Vec<u32>], letters: bool) -> Vec<String> {
    let units: BTreeSet<&[u32]> = indexes
        .iter()
        .filter_map(|i| i.split_last())
        .map(|(_, u)| u)
        .collect();
    let key = |index: &Vec<u32>| {
        let Some((last, unit)) = index.split_last() else {
            return String::new();
        };
        if letters {
            let mut text: String = unit.iter().map(|number| letter(*number)).collect();
            text.push_str(&last.to_string());
            return text;
        }
        if units.len() == 1 {
            return last.to_string();
        }
        let numbers: Vec<String> = index.iter().map(u32::to_string).collect();
        numbers.join(".")
    };
    indexes.iter().map(key).collect()
}

/// 1 is A; what has no letter stays a number between dots.
fn letter(number: u32) -> String {
    let place = number
        .checked_sub(1)
        .and_then(|place| u8::try_from(place).ok());
    match place {
        Some(place) if place < 26 => char::from(b'A' + place).to_string(),
        _ => format!(".{number}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str) -> &'static Profile {
        families()
            .iter()
            .find(|family| family.name == name)
            .unwrap()
    }

    #[test]
    fn keys_are_as_printed_and_unique() {
        let rows = |rows: &[&[u32]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        assert_eq!(keys(&rows(&[&[1], &[2]]), false), ["1", "2"]);
        assert_eq!(keys(&rows(&[&[1, 1], &[1, 2]]), false), ["1", "2"]);
        assert_eq!(keys(&rows(&[&[0, 1], &[1, 1]]), false), ["0.1", "1.1"]);
        assert_eq!(keys(&rows(&[&[1, 2, 3], &[2, 1, 3]]), true), ["AB3", "BA3"]);
        assert_eq!(keys(&rows(&[&[0, 27, 3]]), true), [".0..27.3"]);
    }

    #[test]
    fn what_a_family_does_not_have_is_unknown_and_not_written_to() {
        let px2 = family("raritan-px2");
        let of = |value| px2.state_of(Some(&Found::Number(value)));
        assert_eq!(of(7), Some((PowerState::On, false)));
        assert_eq!(of(8), Some((PowerState::Off, false)));
        assert_eq!(of(-1), Some((PowerState::Unknown, false)));
        assert_eq!(of(1), None);
        assert_eq!(px2.state_of(Some(&Found::Text("on".into()))), None);
        assert_eq!(px2.state_of(None), None);
        let easy = family("apc-easy");
        assert_eq!(easy.order(Verb::On), None);
        assert_eq!(px2.order(Verb::Nmi), None);
    }

    #[test]
    fn each_verb_has_its_own_column_where_the_family_wants_it() {
        let eaton = family("eaton-g3");
        let (on, value) = eaton.order(Verb::On).unwrap();
        let (off, _) = eaton.order(Verb::ForceOff).unwrap();
        assert_eq!(value, 0);
        assert_eq!(on.to_string(), "1.3.6.1.4.1.534.6.6.7.6.6.1.4");
        assert_eq!(off.to_string(), "1.3.6.1.4.1.534.6.6.7.6.6.1.3");
        let (apc, value) = family("apc-masterswitch-plus")
            .order(Verb::ForceOff)
            .unwrap();
        assert_eq!((apc.0.last(), value), (Some(&5), 3));
    }

    #[test]
    fn readings_are_scaled_and_below_zero_is_none() {
        assert_eq!(scaled(Some(&Found::Number(23)), 0.1), Some(23.0 * 0.1));
        assert_eq!(scaled(Some(&Found::Number(-1)), 0.1), None);
        assert_eq!(scaled(Some(&Found::Nothing), 0.1), None);
    }
}
