//! Who comes nearest to a face that matches nobody: an extension of our engine's answers, which the vendor's do not
//! have.
//!
//! In: JSON, as anybody may have written it. Out: a [`NearestPerson`], or `None` for whatever is none: what is only
//! told to help must never spoil the answer it came with. It is bounded, however much was sent.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Characters of a name that are read.
const MOST_NAME: usize = 200;
/// Longer ids are none.
const MOST_ID: usize = 100;

/// The person enrolled whose photo is most like a face that nevertheless matches nobody. It says nothing of who it is:
/// of every stranger somebody is the nearest. Its `Debug` leaves out the name.
#[derive(Clone, PartialEq, Serialize, derive_more::Debug)]
#[debug("NearestPerson({person_id:?}, {score} of {threshold})")]
#[serde(rename_all = "camelCase")]
pub struct NearestPerson {
    pub person_id: String,
    /// First and last name; left out for callers who may not read names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What comparing the two gave, in the model's own numbers. A likeness stays below the threshold; a distance (a
    /// model with the metric L2) is above it, and the smaller the nearer.
    pub score: f32,
    /// What a match takes, in the same numbers.
    pub threshold: f32,
}

/// `#[serde(default, deserialize_with = "nearest::optional")]`: what is no [`NearestPerson`] is absent.
pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NearestPerson>, D::Error> {
    let Loose::Object(found) = deserializer.deserialize_any(Look { within: false })? else { return Ok(None) };
    Ok(found.whole())
}

impl<'de> Deserialize<'de> for NearestPerson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        optional(deserializer)?.ok_or_else(|| Error::custom("personId, score and threshold are expected"))
    }
}

/// A value of any shape, as far as it may be of use.
enum Loose {
    Text(String),
    Number(f64),
    Object(Box<Found>),
    Other,
}

/// The properties that were found.
#[derive(Default)]
struct Found {
    person_id: Option<String>,
    name: Option<String>,
    score: Option<f32>,
    threshold: Option<f32>,
}

impl Found {
    fn whole(self) -> Option<NearestPerson> {
        let person_id = self.person_id.filter(|id| !id.is_empty() && id.len() <= MOST_ID)?;
        let name = self.name.map(|name| name.chars().take(MOST_NAME).collect());
        let (score, threshold) = (self.score.filter(|n| n.is_finite())?, self.threshold.filter(|n| n.is_finite())?);
        Some(NearestPerson { person_id, name, score, threshold })
    }
}

/// Reads a value, and of an object what it is made of; everything deeper, however deep, is passed over.
struct Look {
    /// Whether this is a property of the object.
    within: bool,
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Loose;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loose, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Loose, E> {
        Ok(Loose::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Loose, E> {
        Ok(Loose::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Loose, A::Error> {
        if self.within {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Loose::Other);
        }
        let mut found = Box::<Found>::default();
        while let Some(key) = object.next_key::<String>()? {
            match (key.as_str(), object.next_value_seed(Look { within: true })?) {
                ("personId", Loose::Text(id)) => found.person_id = Some(id),
                ("name", Loose::Text(name)) => found.name = Some(name),
                ("score", Loose::Number(score)) => found.score = Some(score as f32),
                ("threshold", Loose::Number(threshold)) => found.threshold = Some(threshold as f32),
                _ => {}
            }
        }
        Ok(Loose::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "optional")]
        nearest: Option<NearestPerson>,
        after: u8,
    }

    fn read(nearest: &str) -> Option<NearestPerson> {
        let holder: Holder = serde_json::from_str(&format!(r#"{{"nearest":{nearest},"after":7}}"#)).unwrap();
        assert_eq!(holder.after, 7, "the rest is read");
        holder.nearest
    }

    #[test]
    fn what_was_written_is_read() {
        for name in [None, Some("Ann Lee".to_owned())] {
            let nearest = NearestPerson { person_id: "p".into(), name, score: 0.41, threshold: 0.43 };
            let text = serde_json::to_string(&nearest).unwrap();
            assert!(text.contains("\"score\":0.41,\"threshold\":0.43"), "{text}");
            assert_eq!(read(&text), Some(nearest));
        }
        let more = r#"{"personId":"p","score":1,"threshold":-1,"name":{"first":[1]},"list":[[{}]],"more":null}"#;
        assert_eq!(read(more), Some(NearestPerson { person_id: "p".into(), name: None, score: 1.0, threshold: -1.0 }));
        assert!(serde_json::from_str::<Holder>(r#"{"after":1}"#).unwrap().nearest.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_absent() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for odd in [
            "null",
            "true",
            "7",
            "-7",
            "0.5",
            "\"x\"",
            "[1,{}]",
            "{}",
            deep.as_str(),
            &format!(r#"{{"score":{deep}}}"#),
            r#"{"personId":"p","score":null,"threshold":0.4}"#,
            r#"{"personId":"p","score":"NaN","threshold":0.4}"#,
            r#"{"personId":"p","score":1e300,"threshold":0.4}"#,
            r#"{"personId":"p","score":0.3}"#,
            r#"{"personId":"","score":0.3,"threshold":0.4}"#,
            r#"{"personId":7,"score":0.3,"threshold":0.4}"#,
            &format!(r#"{{"personId":"{}","score":0.3,"threshold":0.4}}"#, "p".repeat(MOST_ID + 1)),
        ] {
            assert_eq!(read(odd), None, "{}", odd.chars().take(60).collect::<String>());
        }
    }

    #[test]
    fn a_name_is_bounded_and_shows_in_no_debug_text() {
        let text = format!(r#"{{"personId":"p","name":"{}","score":0.3,"threshold":0.4}}"#, "Ä".repeat(1 << 20));
        let nearest = read(&text).unwrap();
        assert_eq!(nearest.name.as_deref(), Some("Ä".repeat(MOST_NAME).as_str()));
        assert_eq!(format!("{nearest:?}"), "NearestPerson(\"p\", 0.3 of 0.4)");
    }
}
