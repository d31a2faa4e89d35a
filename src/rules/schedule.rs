//! Hours, weekdays, dates and holidays, on the clock on the wall beside the detector.
//!
//! In: the local time a face was seen. Out: one check per matcher in use, all of the same day: a window past midnight
//! belongs to the day it starts on. The local time is always computed from UTC, so a clock change needs no rule of its
//! own: an hour that is skipped is never inside a window, one that comes twice is inside twice.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike};
use chrono_tz::Tz;

use super::check::{Check, list};
use crate::config::{Days, TimeWindow, Weekday, WhenConfig};

/// The part of `when` that is about time.
pub struct Schedule {
    between: Vec<TimeWindow>,
    weekdays: Vec<Weekday>,
    dates: Vec<Days>,
    holiday: Option<bool>,
}

impl Schedule {
    pub fn new(when: &WhenConfig) -> Self {
        Self {
            between: when.between.clone(),
            weekdays: when.weekdays.clone(),
            dates: when.dates.clone(),
            holiday: when.holiday,
        }
    }

    /// One check per matcher in use.
    pub fn checks(&self, local: DateTime<Tz>, holidays: &[Days]) -> Vec<Check> {
        let today = local.date_naive();
        // The days this moment counts to: with windows, the days those it lies in started on.
        let days: Vec<NaiveDate> = match self.between.is_empty() {
            true => vec![today],
            false => self.between.iter().filter_map(|window| start_day(window, today, local.time())).collect(),
        };
        let fits = |day: &&NaiveDate| self.days(**day, holidays).iter().all(|check| check.held);
        let day = days.iter().find(fits).or(days.first()).copied().unwrap_or(today);
        let mut checks = Vec::new();
        if !self.between.is_empty() {
            checks.push(Check {
                matcher: "between",
                wanted: list(&self.between, TimeWindow::to_string),
                found: format!("{} {}", weekday(today).as_str(), local.format("%H:%M:%S %:z")),
                held: !days.is_empty(),
            });
        }
        checks.extend(self.days(day, holidays));
        checks
    }

    fn days(&self, day: NaiveDate, holidays: &[Days]) -> Vec<Check> {
        let mut checks = Vec::new();
        if !self.weekdays.is_empty() {
            checks.push(Check {
                matcher: "weekdays",
                wanted: list(&self.weekdays, |day| day.as_str()),
                found: weekday(day).as_str().into(),
                held: self.weekdays.contains(&weekday(day)),
            });
        }
        let among = |days: &[Days]| days.iter().any(|days| days.contains(day));
        if !self.dates.is_empty() {
            let wanted = list(&self.dates, Days::to_string);
            checks.push(Check { matcher: "dates", wanted, found: day.to_string(), held: among(&self.dates) });
        }
        if let Some(wanted) = self.holiday {
            let held = among(holidays) == wanted;
            let found = format!("{} ({day})", wanted == held);
            checks.push(Check { matcher: "holiday", wanted: wanted.to_string(), found, held });
        }
        checks
    }
}

/// The day the window that holds this moment started on. Start inclusive, end exclusive; past midnight when the end is
/// before the start, a whole day when they are the same (which the configuration turns down).
fn start_day(window: &TimeWindow, today: NaiveDate, time: NaiveTime) -> Option<NaiveDate> {
    // A leap second reads 23:59:60; it belongs to the minute it ends.
    let time = time.with_nanosecond(time.nanosecond() % 1_000_000_000).unwrap_or(time);
    let TimeWindow { start, end } = *window;
    if start == end {
        Some(today)
    } else if start < end {
        (time >= start && time < end).then_some(today)
    } else if time >= start {
        Some(today)
    } else if time < end {
        today.pred_opt()
    } else {
        None
    }
}

fn weekday(day: NaiveDate) -> Weekday {
    match day.weekday() {
        chrono::Weekday::Mon => Weekday::Mon,
        chrono::Weekday::Tue => Weekday::Tue,
        chrono::Weekday::Wed => Weekday::Wed,
        chrono::Weekday::Thu => Weekday::Thu,
        chrono::Weekday::Fri => Weekday::Fri,
        chrono::Weekday::Sat => Weekday::Sat,
        chrono::Weekday::Sun => Weekday::Sun,
    }
}
