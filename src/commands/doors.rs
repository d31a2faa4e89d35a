//! When a day ends at the doors, for whoever may come "until" a day.
//!
//! In: the configuration, where there is one, and a date. Out: the moment its last second is over in the time zone of
//! the doors: in the latest of them, where they lie in several; in this machine's where none is configured.

use std::path::Path;

use chrono::{DateTime, Days, Local, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The time zones of the doors; none stands for this machine's.
#[derive(Debug, Clone, Default)]
pub struct Doors(Vec<Tz>);

impl Doors {
    /// Those of this zone if one is said, else those that are configured. Without a configuration that can be read, the
    /// machine's own: a command that needs none must not fail for it.
    pub fn new(said: Option<Tz>, config: Option<&Path>) -> Self {
        if let Some(zone) = said {
            return Self(vec![zone]);
        }
        let detectors = crate::config::load(config).map(|loaded| loaded.settings.detectors).unwrap_or_default();
        Self(detectors.into_iter().map(|detector| detector.time_zone).collect())
    }

    /// The first moment after this day; `None` beyond the calendar.
    pub fn end_of(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let at_doors = self.0.iter().filter_map(|zone| end_in(zone, day)).max();
        if self.0.is_empty() { end_in(&Local, day) } else { at_doors }
    }
}

/// Midnight; where the clocks skip it, the first time of the next day that there is.
fn end_in(zone: &impl TimeZone, day: NaiveDate) -> Option<DateTime<Utc>> {
    let midnight = day.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?;
    let half_hours = (0..8).map(|n| midnight + TimeDelta::minutes(30 * n));
    half_hours.into_iter().find_map(|time| zone.from_local_datetime(&time).latest()).map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_of_the_door_and_of_the_latest_of_several() {
        let end = |zones: &[Tz], day: &str| Doors(zones.to_vec()).end_of(day.parse().unwrap()).unwrap().to_rfc3339();
        let (sydney, new_york) = (Tz::Australia__Sydney, Tz::America__New_York);
        assert_eq!(end(&[sydney], "2026-12-31"), "2026-12-31T13:00:00+00:00");
        assert_eq!(end(&[new_york], "2026-12-31"), "2027-01-01T05:00:00+00:00");
        assert_eq!(end(&[sydney, new_york], "2026-07-01"), "2026-07-02T04:00:00+00:00");
        // In Beirut the clocks go from midnight to one.
        assert_eq!(end(&[Tz::Asia__Beirut], "2026-03-28"), "2026-03-28T22:00:00+00:00");
        let here = Doors::default().end_of("2026-06-30".parse().unwrap()).unwrap();
        assert_eq!(here.with_timezone(&Local).to_rfc3339()[..16], *"2026-07-01T00:00");
        assert_eq!(Doors::default().end_of(NaiveDate::MAX), None);
    }
}
