//! Somebody's stay in front of a detector, and how it is kept across a restart.
//!
//! In: a recognition. Out: a [`Stay`], and its record: the only place where a name outlives its answer, until the
//! person has left. It does not know when somebody leaves (`presence`).

use chrono::{DateTime, Utc};
use identities::text::folded;
use serde_json::{Value, json};
use uuid::Uuid;

use super::RuleError;
use crate::config::DetectorName;
use crate::recognition::{Answer, Field, FieldValue, Known, Person, Recognition, Tag};
use crate::track::VisitId;

/// Who is there: a person, however many visits they make of it; or somebody unknown, who is told by the first visit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guest {
    /// The person's id, folded.
    Known(String),
    Unknown(VisitId),
}

/// Somebody's stay, from being recognised to not having been seen for a while. Logs show ids and times only.
#[derive(Clone, PartialEq, derive_more::Debug)]
#[debug("Stay({} in visit {}, {since} to {last_seen})", self.person().unwrap_or("somebody"), recognition.visit)]
pub struct Stay {
    /// The newest recognition of this guest: who it is, and in which visit.
    pub recognition: Recognition,
    /// That shot's quality, 0 to 1.
    pub quality: f32,
    /// When this guest was first seen, and last, on the pipeline's clock.
    pub since: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
}

impl Guest {
    /// Whom a recognition is of; nobody where there was no face, or no answer.
    pub fn of(recognition: &Recognition) -> Option<Self> {
        match &recognition.answer {
            Answer::Known(known) => Some(Self::Known(folded(&known.person.id))),
            Answer::Unknown { .. } => Some(Self::Unknown(recognition.stay())),
            Answer::NoFace | Answer::Accepted | Answer::Refused { .. } => None,
        }
    }

    /// A text that tells guests apart.
    pub fn key(&self) -> String {
        match self {
            Self::Known(id) => format!("person:{id}"),
            Self::Unknown(visit) => format!("visit:{visit}"),
        }
    }
}

impl Stay {
    /// The person's id; `None` for somebody unknown.
    pub fn person(&self) -> Option<&str> {
        self.recognition.answer.person_id()
    }

    /// The record of this stay, which the outbox keeps.
    pub fn to_record(&self) -> Value {
        let it = &self.recognition;
        json!({
            "sighting": it.sighting,
            "visit": it.visit.0,
            "stay": it.stay.map(|stay| stay.0),
            "detector": it.detector,
            "seen_at": it.seen_at,
            "shot": it.shot,
            "live": it.live,
            "confidence": it.answer.confidence(),
            "match_confidence": it.answer.match_confidence(),
            "known": it.answer.known().map(known_record),
            "quality": self.quality,
            "since": self.since,
            "last_seen": self.last_seen,
        })
    }

    /// A stay from before a restart: its recognition is a late one.
    pub fn from_record(record: &Value) -> Result<Self, RuleError> {
        let wrong = |key| RuleError::BadRecord {
            what: "who was present",
            problem: format!("`{key}` is missing or not what it should be"),
        };
        let text = |key| record[key].as_str().ok_or(wrong(key));
        let uuid = |key| text(key)?.parse::<Uuid>().map_err(|_| wrong(key));
        let time = |key| text(key)?.parse::<DateTime<Utc>>().map_err(|_| wrong(key));
        let confidence = record["confidence"].as_f64().map(|confidence| confidence as f32);
        let answer = match &record["known"] {
            // Who was nearest to a stranger is not kept.
            Value::Null => Answer::Unknown { confidence, nearest: None },
            known => {
                let known = known_from(known).ok_or(wrong("known"))?;
                // A record of an older build has no match score: what it calls confidence may be either.
                let match_confidence = record["match_confidence"].as_f64().map(|score| score as f32);
                Answer::Known(Known { confidence, match_confidence, ..known })
            }
        };
        let shot = record["shot"].as_u64().and_then(|shot| u8::try_from(shot).ok());
        Ok(Self {
            recognition: Recognition {
                sighting: uuid("sighting")?,
                visit: VisitId(uuid("visit")?),
                stay: record["stay"].as_str().and_then(|stay| stay.parse().ok()).map(VisitId),
                detector: DetectorName::new(text("detector")?).map_err(|_| wrong("detector"))?,
                seen_at: time("seen_at")?,
                arrived: None,
                shot: shot.ok_or(wrong("shot"))?,
                live: record["live"].as_f64().map(|live| live as f32),
                answer,
            },
            quality: record["quality"].as_f64().ok_or(wrong("quality"))? as f32,
            since: time("since")?,
            last_seen: time("last_seen")?,
        })
    }
}

fn known_record(known: &Known) -> Value {
    let tags: Vec<_> = known.tags.iter().map(|tag| json!({ "name": tag.name, "expires": tag.expires })).collect();
    let fields: Vec<_> = known
        .fields
        .iter()
        .map(|Field { name, value }| match value {
            // A text may look like a date; only a date is marked as one.
            FieldValue::Date(at) => json!({ "name": name, "date": at }),
            FieldValue::Empty => json!({ "name": name }),
            value => json!({ "name": name, "value": value }),
        })
        .collect();
    json!({ "id": known.person.id, "name": known.person.name, "tags": tags, "fields": fields })
}

fn known_from(record: &Value) -> Option<Known> {
    let optional_time = |value: &Value| match value {
        Value::Null => Some(None),
        value => value.as_str()?.parse().ok().map(Some),
    };
    let tag =
        |tag: &Value| Some(Tag { name: tag["name"].as_str()?.to_owned(), expires: optional_time(&tag["expires"])? });
    let field = |field: &Value| {
        let value = match (optional_time(&field["date"])?, &field["value"]) {
            (Some(at), _) => FieldValue::Date(at),
            (None, Value::String(text)) => FieldValue::Text(text.clone()),
            (None, Value::Number(number)) => FieldValue::Number(number.as_f64()?),
            (None, Value::Bool(bool)) => FieldValue::Bool(*bool),
            (None, _) => FieldValue::Empty,
        };
        Some(Field { name: field["name"].as_str()?.to_owned(), value })
    };
    Some(Known {
        person: Person { id: record["id"].as_str()?.to_owned(), name: record["name"].as_str().map(str::to_owned) },
        tags: record["tags"].as_array()?.iter().map(tag).collect::<Option<_>>()?,
        fields: record["fields"].as_array()?.iter().map(field).collect::<Option<_>>()?,
        ..Known::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::cases::Case;
    use super::*;

    fn stay(case: &str) -> Stay {
        let recognition = Case::parse(case).recognition;
        let (since, last_seen) = (recognition.seen_at, recognition.seen_at + chrono::TimeDelta::seconds(7));
        Stay { recognition, quality: 0.75, since, last_seen }
    }

    #[test]
    fn a_stay_survives_the_outbox() {
        let fields = "text:Badge=2026-01-01T00:00:00Z num:N=2.5 bool:B=true date:D=2026-01-01T00:00:00Z empty:E";
        let tags = "tag=Staff tag=Guest@2027-01-01T00:00:00Z";
        for case in [format!("known id=ANN live=0.25 {tags} {fields}"), "known name=none".into(), "unknown".into()] {
            let stay = stay(&case);
            let stored = stay.to_record().to_string();
            let restored = Stay::from_record(&serde_json::from_str(&stored).unwrap()).unwrap();
            let mut expected = stay;
            expected.recognition.arrived = None;
            assert_eq!(restored, expected, "{case}");
        }
    }

    #[test]
    fn who_is_nearest_to_a_stranger_is_not_there() {
        let recognition = Case::parse("unknown nearest=ann").recognition;
        assert_eq!(Guest::of(&recognition), Some(Guest::Unknown(recognition.visit)));
        let stay = stay("unknown nearest=ann");
        assert_eq!(stay.person(), None);
        // Nor is she kept with the stranger's stay.
        assert!(!stay.to_record().to_string().contains("ann"));
    }

    #[test]
    fn a_record_that_makes_no_sense_is_turned_down() {
        let whole = stay("known tag=Staff").to_record();
        for key in ["sighting", "visit", "detector", "seen_at", "shot", "quality", "since", "last_seen"] {
            let mut broken = whole.clone();
            broken[key] = json!([]);
            let error = Stay::from_record(&broken).unwrap_err().to_string();
            assert_eq!(error, format!("cannot read who was present: `{key}` is missing or not what it should be"));
        }
        let mut broken = whole;
        broken["known"]["tags"] = json!([{}]);
        assert!(Stay::from_record(&broken).is_err());
    }

    #[test]
    fn debug_text_holds_no_name() {
        let text = format!("{:?}", stay("known tag=Staff text:Badge=C-1187"));
        assert!(text.contains("ann") && !text.contains("Ann") && !text.contains("C-1187"), "{text}");
    }
}
