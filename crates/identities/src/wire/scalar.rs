//! The small values every group shares: base64 bytes, times, time spans, boxes, and how tolerantly they are read.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that travel as base64 text (standard alphabet, padded when written; when read, padding is optional, and white
/// space and the beginning of a `data:` address are passed over). `Debug` shows the length only: these are pictures.
#[derive(Clone, Default, PartialEq, Eq, derive_more::Debug, derive_more::From)]
#[debug("Base64({} bytes)", _0.len())]
#[from(Bytes, Vec<u8>)]
pub struct Base64(pub Bytes);

/// A face's box in whole pixels of the submitted picture, origin at its top left; read as floating point, because the
/// documents only show samples. `x` and `y` may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BoundingBox {
    #[serde(serialize_with = "whole")]
    pub x: f64,
    #[serde(serialize_with = "whole")]
    pub y: f64,
    #[serde(serialize_with = "whole_size")]
    pub width: f64,
    #[serde(serialize_with = "whole_size")]
    pub height: f64,
}

/// A span of time written `days.hh:mm:ss`, or `hh:mm:ss` when under a day; zero means none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Text without escapes is decoded where it stands.
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        let Text(text) = Text::deserialize(deserializer)?;
        let decoded = BASE64.decode(&*text).or_else(|error| BASE64.decode(bare(&text).ok_or(error)?));
        // The decoder's own message would quote the text's bytes; a picture's do not belong in an error.
        decoded.map(|bytes| Self(bytes.into())).map_err(|_| de::Error::custom("not base64"))
    }
}

/// The base64 text within a `data:…;base64,` address or among white space; `None` when it is neither.
fn bare(text: &str) -> Option<String> {
    let text = text.trim_ascii();
    let scheme = text.get(.."data:".len()).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
    let inner = match scheme {
        true => text.split_once(',').filter(|(kind, _)| kind.to_ascii_lowercase().ends_with(";base64"))?.1,
        false => text,
    };
    Some(inner.split_ascii_whitespace().collect())
}

impl From<[f32; 4]> for BoundingBox {
    /// Left, top, width and height.
    fn from([x, y, width, height]: [f32; 4]) -> Self {
        Self { x: x.into(), y: y.into(), width: width.into(), height: height.into() }
    }
}

/// A length or place in whole pixels; `as` saturates and turns NaN into 0.
fn whole<S: Serializer>(pixels: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(pixels.round() as i32)
}

/// A size, which is never negative.
fn whole_size<S: Serializer>(pixels: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    whole(&pixels.max(0.0), serializer)
}

impl TimeSpan {
    /// Reads `[days.]hh:mm:ss[.fraction]`; the contract's bounds on days, hours, minutes and seconds hold.
    pub fn parse(text: &str) -> Option<Self> {
        // A dot before the first colon stands behind the days.
        let (days, time) = text.split_once('.').filter(|(days, _)| !days.contains(':')).unwrap_or(("0", text));
        let in_bounds = days.len() <= 7 && days.bytes().chain(time.bytes().take(1)).all(|byte| byte.is_ascii_digit());
        let days = days.parse::<u64>().ok().filter(|_| in_bounds)?;
        let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f").ok()?;
        // A leap second is none of a span.
        let nanos = Some(time.nanosecond()).filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Self(Duration::new(days * 86_400 + u64::from(time.num_seconds_from_midnight()), nanos)))
    }

    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for TimeSpan {
    /// Fractions of a second are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        if days > 0 {
            write!(f, "{days}.")?;
        }
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}")
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a time span is written days.hh:mm:ss"))
    }
}

/// Reads an ISO-8601 time: any offset, none (UTC), fractions up to nanoseconds, or a date alone (its midnight, UTC).
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let with_offset = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let without = || text.parse::<NaiveDateTime>().map(|time| time.and_utc());
    let date = || text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    with_offset.or_else(|_| without()).or_else(|_| date()).ok()
}

/// What goes over the wire for a time: UTC with a `Z`, milliseconds when there are any.
fn write_time(time: &DateTime<Utc>) -> String {
    use chrono::{SecondsFormat, SubsecRound};
    time.trunc_subsecs(3).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn read_time<E: de::Error>(text: String) -> Result<DateTime<Utc>, E> {
    parse_time(&text).ok_or_else(|| E::custom("not an ISO-8601 time"))
}

/// `#[serde(with = "scalar::time")]`
pub(super) mod time {
    use super::*;

    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_time(time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        read_time(String::deserialize(deserializer)?)
    }
}

/// `#[serde(default, with = "scalar::optional_time")]`
pub(super) mod optional_time {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        time.as_ref().map(write_time).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        Option::deserialize(deserializer)?.map(read_time).transpose()
    }
}

/// `#[serde(default, deserialize_with = "scalar::null_is_empty")]`: `null` reads like an absent property.
pub(super) fn null_is_empty<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A list within an answer may have this many entries. A list is bounded apart from the answer's bytes because the
/// smallest entry, `{}`, takes a hundred times as much memory as it has characters.
pub const MAX_ENTRIES: usize = 1024;

/// `#[serde(default, deserialize_with = "scalar::list")]`: `null` is empty, and no more than [`MAX_ENTRIES`].
pub(super) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(optional_list(deserializer)?.unwrap_or_default())
}

/// `#[serde(default, deserialize_with = "scalar::optional_list")]`
pub(super) fn optional_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct List<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for List<T> {
        type Value = Option<Vec<T>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_ENTRIES} entries")
        }
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let entries = std::iter::from_fn(|| entries.next_element().transpose()).take(MAX_ENTRIES + 1);
            let list: Vec<T> = entries.collect::<Result<_, _>>()?;
            if list.len() > MAX_ENTRIES { Err(de::Error::invalid_length(list.len(), &self)) } else { Ok(Some(list)) }
        }
    }
    deserializer.deserialize_any(List(std::marker::PhantomData))
}

/// `#[serde(serialize_with = "scalar::unit_score")]`: 0 to 1; what is not a number is 0.
pub(super) fn unit_score<S: Serializer>(score: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    let score = score.unwrap_or(0.0);
    serializer.serialize_f32(if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_tolerantly_and_written_strictly() {
        for (read, written) in [
            ("2026-03-04T05:06:07Z", "2026-03-04T05:06:07Z"),
            ("2026-03-04T07:06:07+02:00", "2026-03-04T05:06:07Z"),
            ("2026-03-04T05:06:07", "2026-03-04T05:06:07Z"),
            ("2026-03-04T05:06:07.1234567", "2026-03-04T05:06:07.123Z"),
            ("2026-03-04T05:06:07.1234567Z", "2026-03-04T05:06:07.123Z"),
            ("2026-03-04T05:06:07.1-05:30", "2026-03-04T10:36:07.100Z"),
            ("2026-03-04", "2026-03-04T00:00:00Z"),
            ("0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
        ] {
            let time = parse_time(read).unwrap_or_else(|| panic!("{read}"));
            assert_eq!(write_time(&time), written, "{read}");
        }
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-03-04T25:00:00Z", "1772600767"] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn time_spans_go_both_ways() {
        for (text, seconds) in [
            ("00:00:00", 0),
            ("00:00:01", 1),
            ("23:59:59", 86_399),
            ("1.00:00:00", 86_400),
            ("90.00:00:00", 7_776_000),
            ("9999999.23:59:59", 863_999_999_999),
        ] {
            let span = TimeSpan::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(span.0.as_secs(), seconds, "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(TimeSpan::parse("00:00:00.5").unwrap().0, Duration::from_millis(500));
        assert_eq!(TimeSpan::parse("00:00:01.1234567").unwrap().0.subsec_nanos(), 123_456_700);
        for wrong in
            ["", "1", "24:00:00", "00:60:00", "00:00:60", "-1.00:00:00", "1:2", "99999999.00:00:00", "+1:00:00"]
        {
            assert_eq!(TimeSpan::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn base64_is_padded_when_written_and_need_not_be_when_read() {
        assert_eq!(serde_json::to_string(&Base64(Bytes::from_static(b"abcd"))).unwrap(), r#""YWJjZA==""#);
        for text in [
            r#""YWJjZA==""#,
            r#""YWJjZA""#,
            r#"" YWJj\r\nZA==\n""#,
            r#""data:image/jpeg;base64,YWJjZA==""#,
            r#""DATA:image/png;charset=x;Base64, YWJj ZA==""#,
        ] {
            assert_eq!(serde_json::from_str::<Base64>(text).unwrap().0.as_ref(), b"abcd");
        }
        for wrong in [r#""data:text/plain,YWJjZA==""#, r#""data:""#, r#""YWJj-_""#] {
            assert!(serde_json::from_str::<Base64>(wrong).is_err(), "{wrong}");
        }
        let error = serde_json::from_str::<Base64>(r#""secret picture!""#).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_list_is_bounded_by_its_entries() {
        #[derive(Deserialize)]
        struct Holder {
            #[serde(default, deserialize_with = "list")]
            list: Vec<BoundingBox>,
        }
        let read = |entries: usize| {
            let text = format!(r#"{{"list":[{}]}}"#, vec!["{}"; entries].join(","));
            serde_json::from_str::<Holder>(&text).map(|holder| holder.list.len()).ok()
        };
        assert_eq!(read(0), Some(0));
        assert_eq!(read(MAX_ENTRIES), Some(MAX_ENTRIES));
        assert_eq!(read(MAX_ENTRIES + 1), None);
        assert!(serde_json::from_str::<Holder>(r#"{"list":"x"}"#).is_err());
    }

    #[test]
    fn boxes_are_read_as_floating_point_and_written_whole() {
        let b: BoundingBox = serde_json::from_str(r#"{"x":-3.4,"y":2.5,"width":10,"height":1e1,"extra":[]}"#).unwrap();
        assert_eq!(serde_json::to_string(&b).unwrap(), r#"{"x":-3,"y":3,"width":10,"height":10}"#);
        let odd = BoundingBox { x: f64::NAN, y: 1e300, width: -4.0, height: 0.4 };
        assert_eq!(serde_json::to_string(&odd).unwrap(), r#"{"x":0,"y":2147483647,"width":0,"height":0}"#);
    }
}
