//! Made-up events, for `doorward rules test` and `doorward actions test`.
//!
//! In: events as the journal writes them, or the few keys that matter. Out: a [`TestEvent`], and the recognition it
//! stands for. A key that is not known is a mistake.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use identities::text;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::config::{DetectorName, EventKind, OutcomeKind};
use crate::recognition::{Answer, Field, FieldValue, Known, Nearest, Person, Recognition, Tag};
use crate::rules::CameraNews;
use crate::track::VisitId;

/// Keys of a journal's line that say nothing a made-up event needs.
const IGNORED: [&str; 7] = ["id", "rule", "action", "time_zone", "local_time", "stayed_secs", "sighting"];

/// An event as it may be written: a line of the journal, or the few keys that matter.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestEvent {
    /// What happened; `recognition` where nothing is said.
    pub event: Option<EventKind>,
    /// When somebody who has left had come; `seen_at` is when they were last seen.
    pub since: Option<DateTime<Utc>>,
    /// The detector; the only one where nothing is said.
    pub detector: Option<String>,
    /// The answer's kind; where nothing is said `known` with a person, else `unknown`.
    outcome: Option<OutcomeKind>,
    /// When it was seen; now where nothing is said.
    seen_at: Option<DateTime<Utc>>,
    /// Any text; events of the same text are of one visit. Another visit for every event.
    visit: Option<String>,
    /// Any text; visits of the same text are of one stay. Nothing tells where nothing is said.
    stay: Option<String>,
    shot: Option<u8>,
    /// The shot's quality; 1 where nothing is said.
    pub quality: Option<f32>,
    /// How sure the engine is of the face.
    confidence: Option<f32>,
    /// How sure the engine is of the person: what guards and `min_confidence` go by.
    match_confidence: Option<f32>,
    /// What the liveness models say of its shot.
    live: Option<f32>,
    late: bool,
    reason: Option<String>,
    person: Option<TestPerson>,
    /// Who comes nearest to somebody unknown.
    nearest: Option<TestNearest>,
    /// Of a camera.
    camera: Option<TestCamera>,
    /// Names of the rules that must fire, in their order, and no others.
    pub expect: Option<Vec<String>>,
}

/// Whether a camera is well again, and else what of it is in trouble.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestCamera {
    ok: bool,
    part: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestPerson {
    id: Option<String>,
    name: Option<String>,
    tags: Vec<TestTag>,
    fields: BTreeMap<String, Value>,
}

/// Who comes nearest to somebody unknown, and how near.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestNearest {
    id: String,
    name: Option<String>,
    score: f32,
    threshold: f32,
}

/// `"Staff"`, or `{ "name": "Staff", "expires": "2026-12-31T00:00:00Z" }`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TestTag {
    Name(String),
    Whole { name: String, expires: Option<DateTime<Utc>> },
}

/// One event, a list of them, or one per line; `-` is standard input.
pub fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        text = identities::text_file::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let mut events = Vec::new();
    for value in serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}')).into_iter() {
        match value.with_context(|| format!("{} is not JSON", file.display()))? {
            Value::Array(list) => events.extend(list),
            value => events.push(value),
        }
    }
    ensure!(!events.is_empty(), "{} holds no event; the least is {{}}, an unknown person now", file.display());
    Ok(events)
}

impl TestEvent {
    /// Takes an event as JSON; a line of the journal holds more than is needed.
    pub fn parse(mut event: Value) -> serde_json::Result<Self> {
        if let Some(event) = event.as_object_mut() {
            IGNORED.iter().for_each(|key| drop(event.remove(*key)));
            event.get_mut("person").and_then(Value::as_object_mut).map(|person| person.remove("face_id"));
        }
        Self::deserialize(event)
    }

    /// The news of a camera the event stands for; the trouble that is over is the one before it.
    pub fn camera_news(self, n: usize, detector: DetectorName) -> CameraNews {
        let TestCamera { ok, part } = self.camera.unwrap_or_default();
        let at = self.seen_at.unwrap_or_else(Utc::now);
        let trouble = self.visit.map(|text| text.parse().unwrap_or_else(|_| named(&text)));
        CameraNews {
            detector,
            trouble: VisitId(trouble.unwrap_or_else(|| named(&format!("event {n}")))),
            part: match part.as_deref() {
                Some("picture") => "picture",
                Some("detection") => "detection",
                _ => "camera",
            },
            reason: self.reason.unwrap_or_default(),
            since: self.since.unwrap_or(at),
            at,
            over: ok,
        }
    }

    /// The recognition the `n`th event stands for.
    pub fn recognition(self, n: usize, detector: DetectorName) -> anyhow::Result<Recognition> {
        let visit = match self.visit.as_deref() {
            Some(text) => text.parse().unwrap_or_else(|_| named(text)),
            None => named(&format!("event {n}")),
        };
        let outcome = self.outcome.unwrap_or(match self.person {
            Some(_) => OutcomeKind::Known,
            None => OutcomeKind::Unknown,
        });
        ensure!(
            self.nearest.is_none() || outcome == OutcomeKind::Unknown,
            "event {}: only `unknown` has a nearest",
            n + 1
        );
        let nearest = self.nearest.map(TestNearest::nearest);
        let answer = match (outcome, self.person) {
            (OutcomeKind::Known, person) => {
                let known = person.unwrap_or_default().known()?;
                let (confidence, match_confidence) = (self.confidence, self.match_confidence);
                Answer::Known(Known { confidence, match_confidence, ..known })
            }
            (_, Some(_)) => bail!("event {}: only `known` has a person", n + 1),
            (OutcomeKind::Unknown, _) => Answer::Unknown { confidence: self.confidence, nearest },
            (OutcomeKind::NoFace, _) => Answer::NoFace,
            (OutcomeKind::Accepted, _) => Answer::Accepted,
            (OutcomeKind::Refused, _) => Answer::Refused { reason: self.reason.unwrap_or_default() },
        };
        Ok(Recognition {
            sighting: named(&format!("sighting {n}")),
            visit: VisitId(visit),
            stay: self.stay.map(|text| VisitId(text.parse().unwrap_or_else(|_| named(&text)))),
            detector,
            seen_at: self.seen_at.unwrap_or_else(Utc::now),
            arrived: (!self.late).then(Instant::now),
            shot: self.shot.unwrap_or(1),
            live: self.live,
            answer,
        })
    }
}

impl TestNearest {
    fn nearest(self) -> Nearest {
        let Self { id, name, score, threshold } = self;
        Nearest { person: Person { id, name: name.map(|name| text::tidy(&name)) }, score, threshold }
    }
}

impl TestPerson {
    fn known(self) -> anyhow::Result<Known> {
        let tag = |tag| match tag {
            TestTag::Name(name) => Tag { name: text::tidy(&name), expires: None },
            TestTag::Whole { name, expires } => Tag { name: text::tidy(&name), expires },
        };
        let field = |(name, value): (String, Value)| {
            let value = match value {
                Value::Null => FieldValue::Empty,
                Value::Bool(value) => FieldValue::Bool(value),
                Value::Number(value) => FieldValue::Number(value.as_f64().context("a field's number is too large")?),
                // The event writes dates so.
                Value::String(text) => {
                    let composed = text::composed(&text).into_owned();
                    text.parse().map_or(FieldValue::Text(composed), FieldValue::Date)
                }
                _ => bail!("field `{name}` must be text, a number, true, false or null"),
            };
            Ok(Field { name: text::tidy(&name), value })
        };
        let name = self.name.map(|name| text::tidy(&name));
        Ok(Known {
            person: Person { id: self.id.or(name.clone()).unwrap_or_else(|| "somebody".into()), name },
            tags: self.tags.into_iter().map(tag).collect(),
            fields: self.fields.into_iter().map(field).collect::<anyhow::Result<_>>()?,
            confidence: None,
            match_confidence: None,
            face_id: None,
            detect_id: None,
            left_out: None,
        })
    }
}

/// The same id for the same text.
fn named(text: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(text)[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
