//! Hours, weekdays, dates and holidays, on the clock on the wall beside the detector.
//!
//! In: the local time a face was seen. Out: one check per matcher in use, all of the same day: a window past midnight
//! belongs to the day it starts on. The local time is always computed from UTC, so a clock change needs no rule of its
//! own: an hour that is skipped is never inside a window, one that comes twice is inside twice.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Weekday};
use chrono_tz::Tz;

use super::check::{Check, list};
use crate::config::{Days, TimeWindow, WhenConfig};

/// One check per matcher about time in use.
pub fn checks(when: &WhenConfig, local: DateTime<Tz>, holidays: &[Days]) -> Vec<Check> {
    let today = local.date_naive();
    // The days this moment counts to: with windows, the days those it lies in started on.
    let days: Vec<NaiveDate> = match when.between.is_empty() {
        true => vec![today],
        false => when.between.iter().filter_map(|window| start_day(window, today, local.time())).collect(),
    };
    let fits = |day: &&NaiveDate| of_day(when, **day, holidays).iter().all(|check| check.held);
    let day = days.iter().find(fits).or(days.first()).copied().unwrap_or(today);
    let mut checks = Vec::new();
    if !when.between.is_empty() {
        let found = format!("{} {}", word(today.weekday()), local.format("%H:%M:%S %:z"));
        checks.push(Check::of("between", list(&when.between, TimeWindow::to_string), found, !days.is_empty()));
    }
    checks.extend(of_day(when, day, holidays));
    checks
}

fn of_day(when: &WhenConfig, day: NaiveDate, holidays: &[Days]) -> Vec<Check> {
    let mut checks = Vec::new();
    if !when.weekdays.is_empty() {
        // Both count from Monday.
        let weekdays: Vec<_> = when.weekdays.iter().flat_map(|day| Weekday::try_from(*day as u8)).collect();
        let held = weekdays.contains(&day.weekday());
        checks.push(Check::of("weekdays", list(&weekdays, |day| word(*day)), word(day.weekday()), held));
    }
    let among = |days: &[Days]| days.iter().any(|days| days.contains(day));
    if !when.dates.is_empty() {
        checks.push(Check::of("dates", list(&when.dates, Days::to_string), day, among(&when.dates)));
    }
    if let Some(wanted) = when.holiday {
        let held = among(holidays) == wanted;
        checks.push(Check::of("holiday", wanted, format!("{} ({day})", wanted == held), held));
    }
    checks
}

/// A weekday as the configuration writes it.
fn word(day: Weekday) -> String {
    day.to_string().to_lowercase()
}

/// The day the window that holds this moment started on. Start inclusive, end exclusive; past midnight when the end is
/// before the start, a whole day when they are the same (which the configuration turns down).
fn start_day(window: &TimeWindow, today: NaiveDate, time: NaiveTime) -> Option<NaiveDate> {
    // A leap second reads 23:59:60; it belongs to the minute it ends.
    let time = time.with_nanosecond(time.nanosecond() % 1_000_000_000).unwrap_or(time);
    let TimeWindow { start, end } = *window;
    let past_midnight = end <= start;
    match time >= start {
        true => (past_midnight || time < end).then_some(today),
        false => (past_midnight && time < end).then(|| today.pred_opt()).flatten(),
    }
}
