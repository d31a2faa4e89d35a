//! Tests of a person's custom fields, as the matcher `fields` of a rule writes them.
//!
//! In: `fields = { Role = "Manager", Age = { at_least = 18 } }`. Out: [`FieldTest`]s. What a person's fields are is for
//! the rules room to know.

use ::config::ValueKind;
use chrono::{DateTime, NaiveDate, Utc};

use super::reading::At;
use super::section::section;
use super::value::Value;

/// A test of a custom field: a value to equal, or comparisons that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldTest {
    Equals(FieldEquals),
    Compare(FieldCompare),
}

/// A value that a custom field is compared with.
#[derive(Debug, Clone, PartialEq, derive_more::Display)]
pub enum FieldEquals {
    Bool(bool),
    Number(f64),
    Text(String),
}

section! {
    /// Comparisons of a custom field. A field that is missing or empty passes `not`, `none` and `set = false` alone.
    #[derive(PartialEq)]
    pub struct FieldCompare: Default {
        pub is: Option<FieldEquals> = None;
        pub not: Option<FieldEquals> = None;
        pub any: Vec<FieldEquals> = Vec::new();
        pub none: Vec<FieldEquals> = Vec::new();
        pub above: Option<Bound> = None;
        pub at_least: Option<Bound> = None;
        pub at_most: Option<Bound> = None;
        pub below: Option<Bound> = None;
        /// A part of a text.
        pub contains: Option<String> = None;
        /// Whether it has a value at all.
        pub set: Option<bool> = None;
    }
}

/// A limit that a custom field is held against.
#[derive(Debug, Clone, Copy, PartialEq, derive_more::Display)]
pub enum Bound {
    Number(f64),
    /// `"2026-12-31"`
    Day(NaiveDate),
    /// `"2026-12-31T12:00:00+01:00"`
    #[display("{}", _0.to_rfc3339())]
    Moment(DateTime<Utc>),
    /// `"today"`: the day the face was seen, in the detector's time zone.
    #[display("today")]
    Today,
}

impl FieldEquals {
    /// The value here, if it is a single one.
    fn of(at: &At<'_>) -> Option<Self> {
        match at.value()? {
            ValueKind::Boolean(flag) => Some(Self::Bool(*flag)),
            ValueKind::I64(number) => Some(Self::Number(*number as f64)),
            ValueKind::Float(number) => Some(Self::Number(*number)),
            ValueKind::String(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

impl Value for FieldEquals {
    fn read(at: &At<'_>) -> Option<Self> {
        Self::of(at).or_else(|| at.refuse("text in quotes, a number, or true or false"))
    }
}

impl Value for FieldTest {
    fn read(at: &At<'_>) -> Option<Self> {
        if let ValueKind::Table(_) = at.value()? {
            return FieldCompare::read(at).map(Self::Compare);
        }
        let wanted = "text in quotes, a number, or true or false; or a comparison like { at_least = 18 }";
        FieldEquals::of(at).map(Self::Equals).or_else(|| at.refuse(wanted))
    }
}

impl Value for Bound {
    fn read(at: &At<'_>) -> Option<Self> {
        match FieldEquals::of(at) {
            Some(FieldEquals::Number(number)) => Some(Self::Number(number)),
            Some(FieldEquals::Text(_)) => at.parsed(|text| match text.trim() {
                "today" => Ok(Self::Today),
                day => match (day.parse(), day.parse()) {
                    (Ok(day), _) => Ok(Self::Day(day)),
                    (_, Ok(moment)) => Ok(Self::Moment(moment)),
                    _ => Err(format!("`{text}` is neither a number nor a date nor \"today\"")),
                },
            }),
            _ => at.refuse("a number, a date or \"today\""),
        }
    }
}
