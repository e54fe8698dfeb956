//! What a console finds out without being asked: the key `discover` of `[console.NAME]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::reader::Field;

/// Oftener would be a nuisance to the device, which may log each try.
const EVERY: RangeInclusive<Duration> = Duration::from_mins(10)..=Duration::from_hours(24 * 365);

/// What is found out without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discover {
    pub every: Duration,
    /// Look for the line settings when the device speaks no plain text.
    pub line: bool,
    /// Ask what the device calls itself.
    pub name: bool,
}

impl Discover {
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let every = table.take("every");
        let [line, name] = ["line", "name"].map(|key| table.take(key));
        table.finish();
        let flag = |field: Option<Field<'_>>, unsaid| field.map_or(Some(unsaid), |it| it.flag());
        let day = Duration::from_hours(24);
        Some(Self {
            every: every.map_or(Some(day), |field| field.duration(EVERY))?,
            line: flag(line, false)?,
            name: flag(name, true)?,
        })
    }
}
