//! Times as rules and guards write them: hours of a day, days of one year or of every year, days of the week.
//!
//! In: texts of the configuration. Out: values that can be asked whether a moment is within them. They know no time
//! zone: what they are asked of is local time already.

use chrono::{Datelike, NaiveDate, NaiveTime};

use super::reading::At;
use super::value::{texts, words};

/// A stretch of local time; `start` inclusive, `end` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindow {
    pub start: NaiveTime,
    pub end: NaiveTime,
}

/// Days of one year, or of every year; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Days {
    Once {
        first: NaiveDate,
        last: NaiveDate,
    },
    /// Month and day; past the end of the year when the last is before the first.
    Yearly {
        first: (u32, u32),
        last: (u32, u32),
    },
}

words! {
    /// A day of the week.
    pub enum Weekday {
        Mon,
        Tue,
        Wed,
        Thu,
        Fri,
        Sat,
        Sun,
    }
}

impl TimeWindow {
    /// The end of a day, `24:00`: after every time there is, also after a leap second.
    const MIDNIGHT: NaiveTime = match NaiveTime::from_hms_nano_opt(23, 59, 59, 1_999_999_999) {
        Some(end) => end,
        None => NaiveTime::MIN,
    };

    fn parse(text: &str) -> Option<Self> {
        let time = |part: &str| NaiveTime::parse_from_str(part.trim(), "%H:%M").ok();
        let end = |part: &str| if part.trim() == "24:00" { Some(Self::MIDNIGHT) } else { time(part) };
        let (from, to) = text.split_once('-')?;
        Some(Self { start: time(from)?, end: end(to)? })
    }

    /// Notes a window among these that holds no time.
    pub(super) fn check_all(windows: &[Self], at: &At<'_>) {
        if windows.iter().any(|window| window.start == window.end) {
            let problem = "a time window that ends when it starts is empty; for the whole day leave it out";
            at.wrong(&["between"], problem);
        }
    }
}

texts! {
    TimeWindow: |text| {
        TimeWindow::parse(text).ok_or_else(|| format!("`{text}` is not a time window like \"08:00-18:00\""))
    };
    Days: |text| Days::parse(text).ok_or_else(|| format!(
        "`{text}` is not a day or a range of days like \"2026-12-24\", \"2026-12-24..2027-01-06\" or \"12-24..01-06\""
    ));
}

impl std::fmt::Display for TimeWindow {
    /// As the configuration writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, end } = self;
        let end = if *end == Self::MIDNIGHT { "24:00".to_owned() } else { end.format("%H:%M").to_string() };
        write!(f, "{}-{end}", start.format("%H:%M"))
    }
}

impl Days {
    pub fn contains(&self, day: NaiveDate) -> bool {
        match *self {
            Self::Once { first, last } => (first..=last).contains(&day),
            Self::Yearly { first, last } => {
                let day = (day.month(), day.day());
                if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last }
            }
        }
    }

    /// The days that `2026-12-24`, `2026-12-24..2027-01-06` or `12-24..01-06` says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
            return (first <= last).then_some(Self::Once { first, last });
        }
        Some(Self::Yearly { first: month_and_day(first)?, last: month_and_day(last)? })
    }
}

/// The month and day that `12-24` says; the 29th of February is a day.
fn month_and_day(text: &str) -> Option<(u32, u32)> {
    let (month, day) = text.split_once('-')?;
    let leap_year = 2024;
    let day = NaiveDate::from_ymd_opt(leap_year, month.parse().ok()?, day.parse().ok()?)?;
    Some((day.month(), day.day()))
}

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Once { first, last } if first == last => write!(f, "{first}"),
            Self::Once { first, last } => write!(f, "{first}..{last}"),
            Self::Yearly { first: (m, d), last } if (*m, *d) == *last => write!(f, "{m:02}-{d:02}"),
            Self::Yearly { first: (m, d), last: (n, e) } => write!(f, "{m:02}-{d:02}..{n:02}-{e:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_last_until_the_end_of_the_day() {
        let window = TimeWindow::parse;
        for text in ["18:00-24:00", "00:00-24:00", "22:00-06:00", "08:00-18:00"] {
            assert_eq!(window(text).unwrap().to_string(), text);
        }
        let evening = window("18:00 - 24:00").unwrap();
        let leap = NaiveTime::from_hms_nano_opt(23, 59, 59, 1_500_000_000).unwrap();
        assert!(evening.start < evening.end && leap < evening.end);
        for wrong in ["24:00-06:00", "18:00-24:01", "18:00-25:00", "18-24"] {
            assert!(window(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn days_of_one_year_and_of_every_year() {
        for (days, day, inside) in [
            ("2026-12-24", "2026-12-24", true),
            ("2026-12-24", "2027-12-24", false),
            ("2026-12-24..2027-01-06", "2027-01-06", true),
            ("2026-12-24..2027-01-06", "2027-01-07", false),
            ("12-25", "1999-12-25", true),
            ("12-24..01-06", "2030-12-31", true),
            ("12-24..01-06", "2030-01-06", true),
            ("12-24..01-06", "2030-01-07", false),
            ("02-29", "2028-02-29", true),
            ("02-29", "2027-02-28", false),
            ("05-01 .. 05-03", "2027-05-03", true),
        ] {
            assert_eq!(Days::parse(days).unwrap().contains(day.parse().unwrap()), inside, "{days} {day}");
        }
        for wrong in ["", "2026-02-30", "13-01", "2026-12-24..12-25", "2026-12-24..2026-12-23", "24.12.", "..", "02-30"]
        {
            assert!(Days::parse(wrong).is_none(), "{wrong}");
        }
        for text in ["2026-12-24", "2026-12-24..2027-01-06", "12-25", "12-24..01-06"] {
            assert_eq!(Days::parse(text).unwrap().to_string(), text);
        }
    }
}
