//! Tests of custom fields: `fields = { Department = "Kitchen", Level = { at_least = 3 } }`.
//!
//! In: a test and the value an engine keeps. Out: whether it passes. A value says the same whichever type it is kept
//! in: the number 7 and the text "7", true and "true", a date and its text.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use identities::text::folded;

use super::check::list;
use crate::config::{Bound, FieldCompare, FieldEquals, FieldTest};
use crate::recognition::FieldValue;

/// What a date is compared by.
#[derive(Clone, Copy)]
pub struct Today {
    pub zone: Tz,
    /// The day the face was seen there.
    pub day: NaiveDate,
}

/// Whether the field passes; `None` when the person has no such field.
pub fn passes(test: &FieldTest, value: Option<&FieldValue>, today: Today) -> bool {
    let value = value.filter(|value| !matches!(value, FieldValue::Empty));
    match (test, value) {
        (FieldTest::Equals(wanted), Some(value)) => equals(wanted, value, today),
        (FieldTest::Equals(_), None) => false,
        (FieldTest::Compare(wanted), Some(value)) => compares(wanted, value, today),
        (FieldTest::Compare(wanted), None) => {
            let FieldCompare { is, any, above, at_least, at_most, below, contains, set, .. } = wanted;
            let bounded = [above, at_least, at_most, below].iter().any(|bound| bound.is_some());
            is.is_none() && any.is_empty() && !bounded && contains.is_none() && *set != Some(true)
        }
    }
}

fn compares(wanted: &FieldCompare, value: &FieldValue, today: Today) -> bool {
    let is = |wanted: &FieldEquals| equals(wanted, value, today);
    let order = |bound: &Option<Bound>, fine: fn(std::cmp::Ordering) -> bool| {
        bound.is_none_or(|bound| order(value, bound, today).is_some_and(fine))
    };
    let contains = |part: &String| matches!(value, FieldValue::Text(text) if folded(text).contains(&folded(part)));
    wanted.is.as_ref().is_none_or(is)
        && !wanted.not.as_ref().is_some_and(is)
        && (wanted.any.is_empty() || wanted.any.iter().any(is))
        && !wanted.none.iter().any(is)
        && order(&wanted.above, |order| order.is_gt())
        && order(&wanted.at_least, |order| order.is_ge())
        && order(&wanted.at_most, |order| order.is_le())
        && order(&wanted.below, |order| order.is_lt())
        && wanted.contains.as_ref().is_none_or(contains)
        && wanted.set != Some(false)
}

fn equals(wanted: &FieldEquals, value: &FieldValue, today: Today) -> bool {
    match (wanted, value) {
        (_, FieldValue::Empty) => false,
        (FieldEquals::Bool(wanted), FieldValue::Bool(value)) => wanted == value,
        (FieldEquals::Bool(wanted), FieldValue::Text(value)) => folded(value) == wanted.to_string(),
        (FieldEquals::Number(wanted), FieldValue::Number(value)) => wanted == value,
        (FieldEquals::Number(wanted), FieldValue::Text(value)) => value.trim().parse() == Ok(*wanted),
        (FieldEquals::Text(wanted), FieldValue::Text(value)) => folded(wanted) == folded(value),
        (FieldEquals::Text(wanted), FieldValue::Number(value)) => wanted.trim().parse() == Ok(*value),
        (FieldEquals::Text(wanted), FieldValue::Bool(value)) => folded(wanted) == value.to_string(),
        (FieldEquals::Text(wanted), FieldValue::Date(value)) => match wanted.trim().parse::<NaiveDate>() {
            Ok(day) => day == calendar_day(*value, today.zone),
            Err(_) if wanted.trim() == "today" => today.day == calendar_day(*value, today.zone),
            Err(_) => wanted.trim().parse() == Ok(*value),
        },
        (FieldEquals::Bool(_), FieldValue::Number(_) | FieldValue::Date(_)) => false,
        (FieldEquals::Number(_), FieldValue::Bool(_) | FieldValue::Date(_)) => false,
    }
}

/// How a value stands to a bound; `None` when they cannot be compared. A text that holds a number or a date is one.
fn order(value: &FieldValue, bound: Bound, today: Today) -> Option<std::cmp::Ordering> {
    let day = |wanted: NaiveDate| match value {
        FieldValue::Date(value) => Some(calendar_day(*value, today.zone).cmp(&wanted)),
        FieldValue::Text(text) => match text.trim().parse::<NaiveDate>() {
            Ok(day) => Some(day.cmp(&wanted)),
            Err(_) => text.trim().parse().ok().map(|at| calendar_day(at, today.zone).cmp(&wanted)),
        },
        _ => None,
    };
    match bound {
        Bound::Number(wanted) => match value {
            FieldValue::Number(value) => value.partial_cmp(&wanted),
            FieldValue::Text(text) => text.trim().parse::<f64>().ok()?.partial_cmp(&wanted),
            _ => None,
        },
        Bound::Day(wanted) => day(wanted),
        Bound::Today => day(today.day),
        Bound::Moment(wanted) => match value {
            FieldValue::Date(value) => Some(value.cmp(&wanted)),
            FieldValue::Text(text) => text.trim().parse::<DateTime<Utc>>().ok().map(|at| at.cmp(&wanted)),
            _ => None,
        },
    }
}

/// The day a date field means: engines keep a mere day as midnight UTC, which is another day in half of the world; any
/// other time of day is a moment, and its day is the one beside the detector.
fn calendar_day(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    if at.time() == NaiveTime::MIN { at.date_naive() } else { at.with_timezone(&zone).date_naive() }
}

/// The test as `explain` shows it.
pub fn wanted_text(test: &FieldTest) -> String {
    let compare = match test {
        FieldTest::Equals(wanted) => return format!("= {wanted}"),
        FieldTest::Compare(compare) => compare,
    };
    let one = |key: &str, wanted: &Option<FieldEquals>| Some(format!("{key} {}", wanted.as_ref()?));
    let some = |key: &str, wanted: &[FieldEquals]| {
        (!wanted.is_empty()).then(|| format!("{key} {}", list(wanted, FieldEquals::to_string)))
    };
    let bound = |key: &str, bound: Option<Bound>| Some(format!("{key} {}", bound?));
    let parts = [
        one("is", &compare.is),
        one("not", &compare.not),
        some("any of", &compare.any),
        some("none of", &compare.none),
        bound("above", compare.above),
        bound("at least", compare.at_least),
        bound("at most", compare.at_most),
        bound("below", compare.below),
        compare.contains.as_ref().map(|part| format!("contains {part}")),
        compare.set.map(|set| if set { "set".into() } else { "not set".into() }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}
