//! Where an SNMP device keeps its outlets and what its numbers mean: the families we know, as data. Speaks no SNMP.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::Error as _;

/// What every family is read from.
const FAMILIES: &str = include_str!("profiles.toml");
/// Longest OID (RFC 2578 §3.5).
const MOST_ARCS: usize = 128;
/// The family of RFC 3621, which no object id tells.
pub const POE: &str = "poe";

/// An object identifier in dots and numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId(pub Vec<u32>);

impl ObjectId {
    /// This one with more numbers behind it.
    #[must_use]
    pub fn with(&self, index: &[u32]) -> Self {
        Self(self.0.iter().chain(index).copied().collect())
    }

    /// What stands in `other` behind this one.
    #[must_use]
    pub fn index<'a>(&self, other: &'a [u32]) -> Option<&'a [u32]> {
        other.strip_prefix(self.0.as_slice())
    }
}

impl FromStr for ObjectId {
    type Err = String;

    /// `1.3.6.1.4.1.318`, with or without a leading dot.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no object identifier; write numbers and dots as in \"1.3.6.1.4.1.318\"",
                text.escape_debug()
            )
        };
        let plain = text.strip_prefix('.').unwrap_or(text);
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let arcs: Option<Vec<u32>> = plain.split('.').map(number).collect();
        let arcs = arcs.ok_or_else(wrong)?;
        // X.660: the first number is 0, 1 or 2, and under 0 and 1 the second ends at 39.
        let (Some(first), Some(second)) = (arcs.first(), arcs.get(1)) else {
            return Err(wrong());
        };
        if *first > 2 || (*first < 2 && *second > 39) || arcs.len() > MOST_ARCS {
            return Err(wrong());
        }
        Ok(Self(arcs))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, arc) in self.0.iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            write!(f, "{dot}{arc}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// One family. The fields are explained at the head of `profiles.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub object_id: Vec<ObjectId>,
    /// Numbers of an index; 1 to 4.
    #[serde(default = "one")]
    pub index: usize,
    #[serde(default)]
    pub letters: bool,
    pub state: ObjectId,
    #[serde(default)]
    pub states_on: Vec<i32>,
    #[serde(default)]
    pub states_off: Vec<i32>,
    #[serde(default)]
    pub states_moving: Vec<i32>,
    #[serde(default)]
    pub states_odd: Vec<i32>,
    pub control: Option<ObjectId>,
    pub control_on: Option<ObjectId>,
    pub control_off: Option<ObjectId>,
    pub control_cycle: Option<ObjectId>,
    pub on: Option<i32>,
    pub off: Option<i32>,
    pub cycle: Option<i32>,
    pub label: Option<ObjectId>,
    pub amps: Option<ObjectId>,
    #[serde(default = "whole")]
    pub amps_scale: f64,
    pub watts: Option<ObjectId>,
    #[serde(default = "whole")]
    pub watts_scale: f64,
}

/// All numbers are finite: [`Profile::fault`] and the reader see to it.
impl Eq for Profile {}

fn one() -> usize {
    1
}

fn whole() -> f64 {
    1.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Families {
    profile: Vec<Profile>,
}

/// Every family we know. A unit test holds the file to be good; a bad one would mean none.
#[must_use]
pub fn families() -> &'static [Profile] {
    static READ: LazyLock<Vec<Profile>> = LazyLock::new(|| {
        let read = toml::from_str::<Families>(FAMILIES);
        let mut profiles = read.map(|families| families.profile).unwrap_or_default();
        profiles.iter_mut().for_each(Profile::complete);
        profiles
    });
    &READ
}

/// The family that an object id means: the one with the longest beginning of it.
#[must_use]
pub fn family_of(object_id: &[u32]) -> Option<&'static Profile> {
    let fits = |profile: &'static Profile| {
        let ids = profile.object_id.iter();
        let fitting = ids.filter(|id| object_id.starts_with(&id.0));
        let longest = fitting.map(|id| id.0.len()).max()?;
        Some((longest, profile))
    };
    let best = families().iter().filter_map(fits).max_by_key(|(n, _)| *n);
    best.map(|(_, profile)| profile)
}

impl Profile {
    /// States that are not said are what is written.
    pub(super) fn complete(&mut self) {
        if self.states_on.is_empty() {
            self.states_on.extend(self.on);
        }
        if self.states_off.is_empty() {
            self.states_off.extend(self.off);
        }
    }

    /// What makes it useless or dangerous.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.states_on.is_empty() || self.states_off.is_empty() {
            return Some("it does not say which values of `state` are on and which off".to_owned());
        }
        let groups = [
            &self.states_on,
            &self.states_off,
            &self.states_moving,
            &self.states_odd,
        ];
        let mut all: Vec<i32> = groups.into_iter().flatten().copied().collect();
        all.sort_unstable();
        if let Some(twice) = all.windows(2).find(|pair| pair.first() == pair.last()) {
            return Some(format!("value {} of `state` has two meanings", twice[0]));
        }
        let written = |column: &Option<ObjectId>, value: Option<i32>| {
            (column.is_some() || self.control.is_some()) == value.is_some()
        };
        let on_off = written(&self.control_on, self.on) && written(&self.control_off, self.off);
        let reads_only = self.control.is_none()
            && [&self.control_on, &self.control_off, &self.control_cycle]
                .into_iter()
                .all(Option::is_none);
        if !on_off && !reads_only {
            return Some("`control` needs both `on` and `off`".to_owned());
        }
        let same = self.on == self.off
            && self.control_on.as_ref().or(self.control.as_ref())
                == self.control_off.as_ref().or(self.control.as_ref());
        if same && !reads_only {
            return Some("`on` and `off` would be written the same way".to_owned());
        }
        if !(1..=4).contains(&self.index) {
            return Some("an index has 1 to 4 numbers".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_sound_and_named_once() {
        let read: Families = toml::from_str(FAMILIES).unwrap();
        assert_eq!(read.profile.len(), families().len());
        let mut names: Vec<&str> = families().iter().map(|p| p.name.as_str()).collect();
        for profile in families() {
            assert_eq!(profile.fault(), None, "{}", profile.name);
            assert!(!profile.title.is_empty(), "{}", profile.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), families().len());
        assert!(names.contains(&POE));
    }

    #[test]
    fn the_longest_beginning_wins() {
        let of = |text: &str| {
            let id: ObjectId = text.parse().unwrap();
            family_of(&id.0).map(|profile| profile.name.as_str())
        };
        assert_eq!(of("1.3.6.1.4.1.318.1.3.4.5"), Some("apc-rpdu"));
        assert_eq!(of(".1.3.6.1.4.1.318.1.3.4.4.7"), Some("apc-masterswitch"));
        assert_eq!(of("1.3.6.1.4.1.13742.6"), Some("raritan-px2"));
        assert_eq!(of("1.3.6.1.4.1.13742.4"), Some("raritan-px1"));
        assert_eq!(of("1.3.6.1.4.1.534.6.6.7.1"), Some("eaton-g3"));
        assert_eq!(of("1.3.6.1.4.1.318.1.3.4.50"), None);
        assert_eq!(of("1.3.6.1.4.1.8072.3.2.10"), None);
    }

    #[test]
    fn inverted_families_keep_their_numbers() {
        let find = |name: &str| families().iter().find(|p| p.name == name).unwrap();
        assert_eq!(find("apc-rpdu").states_on, [1]);
        assert_eq!(find("apc-easy").states_on, [2]);
        assert_eq!(find("apc-easy").states_off, [1]);
        assert_eq!(find("apc-masterswitch-plus").off, Some(3));
        assert_eq!(find("raritan-px2").states_off, [8]);
        assert_eq!(find("raritan-px2").off, Some(0));
        assert_eq!(find("sentry3").states_off, [0]);
        assert_eq!(find("sentry3").off, Some(2));
    }

    #[test]
    fn what_is_no_object_identifier_is_refused() {
        for text in ["", "1", "1.", ".", "1..3", "1.3.x", "3.1", "1.40", "1.3.4294967296", "1.+3"] {
            assert!(text.parse::<ObjectId>().is_err(), "{text}");
        }
        let long = vec!["1"; 129].join(".");
        assert!(long.parse::<ObjectId>().is_err());
        assert_eq!("1.3.6".parse::<ObjectId>().unwrap().to_string(), "1.3.6");
    }

    #[test]
    fn dangerous_profiles_say_why() {
        let base = families().first().unwrap().clone();
        let fault = |change: fn(&mut Profile)| {
            let mut profile = base.clone();
            change(&mut profile);
            profile.fault().unwrap_or_default()
        };
        assert!(fault(|p| p.states_off = vec![1]).contains("two meanings"));
        assert!(fault(|p| p.off = None).contains("needs both"));
        assert!(fault(|p| p.off = Some(1)).contains("the same way"));
        assert!(fault(|p| p.states_on.clear()).contains("does not say"));
        assert!(fault(|p| p.index = 0).contains("1 to 4"));
    }
}
