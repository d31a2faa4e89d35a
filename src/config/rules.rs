//! Rules: when to do what.
//!
//! In: `[[rule]]`. Out: [`RuleConfig`], whose times, days and comparisons are read here, and whose `if` stands as it was
//! written; the rules room reads it.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use identities::text;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{ActionConfig, DetectorName};

/// `[[rule]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    #[serde(deserialize_with = "name")]
    pub name: String,
    #[serde(default)]
    pub when: WhenConfig,
    /// Not when all of this holds; an empty `outcome` is any here.
    #[serde(default)]
    pub unless: Option<WhenConfig>,
    /// A minijinja expression over the event that must be true as well: what the matchers cannot say.
    #[serde(default, rename = "if")]
    pub condition: Option<String>,
    /// After firing for a person the rule rests for that person this long (unknown people count per visit). What is not
    /// said is filled in when the configuration is read, by [`RuleConfig::fill_cooldown`].
    pub cooldown_secs: Option<u64>,
    /// Names of `[action.NAME]` blocks, performed in order.
    #[serde(deserialize_with = "names")]
    pub actions: Vec<String>,
}

/// `when` and `unless`: all that is said must hold; lists hold when any item does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhenConfig {
    /// Any of recognition, left. Empty: recognition.
    pub event: Vec<EventKind>,
    /// Any of known, unknown, no_face, refused, accepted. Empty: known.
    pub outcome: Vec<OutcomeKind>,
    /// The person carries any of these tags (unexpired).
    pub tags_any: Vec<String>,
    pub tags_all: Vec<String>,
    pub tags_none: Vec<String>,
    pub person_ids: Vec<String>,
    /// What the person is called.
    pub names: Vec<String>,
    /// Each named field must pass its test.
    pub fields: BTreeMap<String, FieldTest>,
    /// 0 to 1; an answer without a confidence does not reach it.
    pub min_confidence: Option<f32>,
    /// 0 to 1, of the shot.
    pub min_quality: Option<f32>,
    pub detectors: Vec<DetectorName>,
    /// `"08:00-18:00"`, in the detector's time zone; past midnight when the end is before the start.
    pub between: Vec<TimeWindow>,
    pub weekdays: Vec<Weekday>,
    /// Single days or ranges, `"2026-12-24"`, `"2026-12-24..2027-01-06"`, or every year, `"12-24..01-06"`.
    pub dates: Vec<Days>,
    /// The day is, or is not, one of the detector's `holidays`.
    pub holiday: Option<bool>,
    /// The person has not been seen at this detector before on this day, or has. Unknown people are taken together here
    /// and in the next two.
    pub first_today: Option<bool>,
    /// The person was last seen at this detector at least this long ago, or never.
    pub absent_secs: Option<u64>,
    /// How many visits of the person, with this one, began in a time before it.
    pub visits: Option<VisitCount>,
    /// Somebody else was seen at this detector within 30 seconds before or after.
    pub others: Option<bool>,
    /// The answer came too late for an actuator, or did not.
    pub late: Option<bool>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The engine answered.
    Recognition,
    /// Somebody who was present has not been seen for `presence.absent_secs`.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    Known,
    Unknown,
    NoFace,
    Refused,
    Accepted,
}

/// A test of a custom field: a value to equal, or comparisons that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldTest {
    Equals(FieldEquals),
    Compare(FieldCompare),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "it must be text in quotes, a number, or true or false")]
pub enum FieldEquals {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// Comparisons of a custom field. A field that is missing or empty passes `not`, `none` and `set = false` alone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldCompare {
    pub is: Option<FieldEquals>,
    pub not: Option<FieldEquals>,
    pub any: Vec<FieldEquals>,
    pub none: Vec<FieldEquals>,
    pub above: Option<Bound>,
    pub at_least: Option<Bound>,
    pub at_most: Option<Bound>,
    pub below: Option<Bound>,
    /// A part of a text.
    pub contains: Option<String>,
    /// Whether it has a value at all.
    pub set: Option<bool>,
}

/// What a field is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    Number(f64),
    /// `"2026-12-31"`
    Day(NaiveDate),
    /// `"2026-12-31T12:00:00+01:00"`
    Moment(DateTime<Utc>),
    /// `"today"`: the day the face was seen, in the detector's time zone.
    Today,
}

/// `visits = { within_mins = 60, at_least = 3 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisitCount {
    pub within_mins: u32,
    #[serde(default)]
    pub at_least: Option<u32>,
    #[serde(default)]
    pub at_most: Option<u32>,
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl RuleConfig {
    /// Performs `actions` for every known person, in every visit.
    pub fn new(name: impl Into<String>, actions: Vec<String>) -> Self {
        Self {
            name: name.into(),
            when: WhenConfig::default(),
            unless: None,
            condition: None,
            cooldown_secs: None,
            actions,
        }
    }

    /// Where the rule does not say how long it rests: a minute, because who is lost from view and found again makes a new
    /// visit, and nobody wants two messages; not at all where it only keeps a record, which must not leave anybody out.
    pub fn fill_cooldown(&mut self, actions: &BTreeMap<String, ActionConfig>) {
        let records = |name: &String| actions.get(name).is_some_and(ActionConfig::only_records);
        let rests = if self.actions.iter().all(records) { 0 } else { 60 };
        self.cooldown_secs.get_or_insert(rests);
    }
}

impl EventKind {
    /// As the configuration and the event say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recognition => "recognition",
            Self::Left => "left",
        }
    }
}

impl TimeWindow {
    /// The end of a day, `24:00`: after every time there is, also after a leap second.
    const MIDNIGHT: NaiveTime = match NaiveTime::from_hms_nano_opt(23, 59, 59, 1_999_999_999) {
        Some(end) => end,
        None => NaiveTime::MIN,
    };
}

impl std::fmt::Display for TimeWindow {
    /// As the configuration writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, end } = self;
        match *end == Self::MIDNIGHT {
            true => write!(f, "{}-24:00", start.format("%H:%M")),
            false => write!(f, "{}-{}", start.format("%H:%M"), end.format("%H:%M")),
        }
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

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
            return (first <= last).then_some(Self::Once { first, last });
        }
        Some(Self::Yearly { first: month_and_day(first)?, last: month_and_day(last)? })
    }
}

/// `12-24`; the 29th of February is a day.
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

impl<'de> Deserialize<'de> for FieldTest {
    /// By hand, because serde would take a list for a struct without its names.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Test;

        impl<'de> Visitor<'de> for Test {
            type Value = FieldTest;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text in quotes, a number, or true or false; or a comparison like { at_least = 18 }")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<FieldTest, E> {
                Ok(FieldTest::Equals(FieldEquals::Bool(value)))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<FieldTest, E> {
                Ok(FieldTest::Equals(FieldEquals::Number(value as f64)))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<FieldTest, E> {
                Ok(FieldTest::Equals(FieldEquals::Number(value as f64)))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<FieldTest, E> {
                Ok(FieldTest::Equals(FieldEquals::Number(value)))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<FieldTest, E> {
                Ok(FieldTest::Equals(FieldEquals::Text(value.into())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldTest, A::Error> {
                FieldCompare::deserialize(MapAccessDeserializer::new(map)).map(FieldTest::Compare)
            }
        }

        deserializer.deserialize_any(Test)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a day or a range of days like \"2026-12-24\", \"2026-12-24..2027-01-06\" or \
                 \"12-24..01-06\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match FieldEquals::deserialize(deserializer)? {
            FieldEquals::Number(number) => Ok(Self::Number(number)),
            FieldEquals::Text(text) if text.trim() == "today" => Ok(Self::Today),
            FieldEquals::Text(text) => {
                let (day, moment) = (text.trim().parse(), text.trim().parse());
                let wrong = || D::Error::custom(format!("`{text}` is neither a number nor a date nor \"today\""));
                day.map(Self::Day).or(moment.map(Self::Moment)).map_err(|_| wrong())
            }
            FieldEquals::Bool(_) => Err(D::Error::custom("it must be a number, a date or \"today\"")),
        }
    }
}

impl<'de> Deserialize<'de> for TimeWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = |part: &str| NaiveTime::parse_from_str(part.trim(), "%H:%M").ok();
        let end = |part: &str| if part.trim() == "24:00" { Some(Self::MIDNIGHT) } else { time(part) };
        let window = text.split_once('-').and_then(|(from, to)| Some(Self { start: time(from)?, end: end(to)? }));
        window.ok_or_else(|| D::Error::custom(format!("`{text}` is not a time window like \"08:00-18:00\"")))
    }
}

/// A name that others refer to: composed, as the keys of sections are.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|name| text::composed(&name).into_owned())
}

/// The same for several.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    Ok(names.iter().map(|name| text::composed(name).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_last_until_the_end_of_the_day() {
        let window = |text: &str| {
            TimeWindow::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text))
        };
        for text in ["18:00-24:00", "00:00-24:00", "22:00-06:00", "08:00-18:00"] {
            assert_eq!(window(text).unwrap().to_string(), text);
        }
        let evening = window("18:00 - 24:00").unwrap();
        let leap = NaiveTime::from_hms_nano_opt(23, 59, 59, 1_500_000_000).unwrap();
        assert!(evening.start < evening.end && leap < evening.end);
        for wrong in ["24:00-06:00", "18:00-24:01", "18:00-25:00", "18-24"] {
            assert!(window(wrong).is_err(), "{wrong}");
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
            assert_eq!(Days::parse(wrong), None, "{wrong}");
        }
        for text in ["2026-12-24", "2026-12-24..2027-01-06", "12-25", "12-24..01-06"] {
            assert_eq!(Days::parse(text).unwrap().to_string(), text);
        }
    }
}
