//! What the topics hold: who is there, who was last, what happened. Pure.
//!
//! In: stays, recognitions, and what the status board knows of cameras. Out: JSON. People go by their names, or where
//! the operator does not want those at the broker by their ids; custom fields never go there.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::OutcomeKind;
use crate::recognition::{Known, Recognition};
use crate::rules::Stay;

/// Who is there when nobody is.
pub const NOBODY: &str = "nobody";
/// Who is there when the engine knows nobody like it; `unknown` alone has a meaning of its own in Home Assistant.
pub const STRANGER: &str = "unknown person";
/// What an event can be.
pub const EVENT_TYPES: [&str; 6] = ["recognised", "unknown", "left", "no_face", "refused", "accepted"];
/// Home Assistant takes no state longer than 255 characters.
const LONGEST: usize = 250;

/// How a detector does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectorDiagnostics {
    /// `starting`, `live`, `lost` or `ended`.
    pub camera: String,
    /// Why the camera is lost; empty when it is not.
    pub camera_reason: String,
    pub received_fps: f64,
    pub searched_fps: f64,
    /// Something is wrong, since when, and what.
    pub problem: bool,
    pub problem_since: Option<String>,
    pub problems: Vec<String>,
}

/// How the box does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxDiagnostics {
    pub version: String,
    /// `none`, `unknown`, `answering` or `silent`.
    pub engine: String,
    pub engine_reason: String,
    /// Sightings in the outbox.
    pub waiting: u64,
    pub problem: bool,
    pub problems: Vec<String>,
}

/// Who is there now; `person` is who came last of those the engine knows, or else of all: a stranger beside somebody
/// known does not hide them, and `people` names everybody. `box` tells boxes that share a broker whose topic this is.
pub fn present(stays: &[Stay], names: bool, client_id: &str) -> Value {
    let newest = stays.iter().max_by_key(|stay| (stay.person().is_some(), stay.since));
    let known = newest.and_then(|stay| stay.recognition.answer.known());
    json!({
        "present": newest.is_some(),
        "person": newest.map_or_else(|| NOBODY.to_owned(), |stay| person(&stay.recognition, names)),
        "person_id": known.map(|known| &known.person.id),
        "tags": tags(known),
        "people": stays.iter().map(|stay| person(&stay.recognition, names)).collect::<Vec<_>>(),
        "since": newest.map(|stay| time(stay.since)),
        "seen_at": newest.map(|stay| time(stay.last_seen)),
        "visit": newest.map(|stay| stay.recognition.visit.0),
        "box": client_id,
    })
}

/// Who was seen last, of a live answer.
pub fn last(recognition: &Recognition, names: bool) -> Value {
    let known = recognition.answer.known();
    json!({
        "person": person(recognition, names),
        "person_id": known.map(|known| &known.person.id),
        "tags": tags(known),
        "seen_at": time(recognition.seen_at),
        "visit": recognition.visit.0,
    })
}

/// Nobody has been seen.
pub fn nobody_last() -> Value {
    json!({ "person": NOBODY, "person_id": null, "tags": [], "seen_at": null, "visit": null })
}

/// The engine answered.
pub fn recognised(recognition: &Recognition, quality: f32, live: Option<f32>, late: bool, names: bool) -> Value {
    let answer = &recognition.answer;
    let kind = match answer.kind() {
        OutcomeKind::Known => "recognised",
        other => other.as_str(),
    };
    json!({
        "event_type": kind,
        "id": format!("{}-{kind}", recognition.sighting),
        "detector": recognition.detector,
        "visit": recognition.visit.0,
        "sighting": recognition.sighting,
        "shot": recognition.shot,
        "seen_at": time(recognition.seen_at),
        "late": late,
        "person": answer.known().map(|_| person(recognition, names)),
        "person_id": answer.person_id(),
        "tags": tags(answer.known()),
        "quality": share(quality),
        // How sure the engine is of the face, and of the person.
        "confidence": answer.confidence().and_then(share),
        "match_confidence": answer.match_confidence().and_then(share),
        // Not who it is, but how near it was to whom.
        "nearest": answer.nearest().map(|nearest| nearest.to_json(names)),
        // What the liveness models say of the visit.
        "live": live.and_then(share),
        "reason": answer.reason(),
    })
}

/// Somebody has left.
pub fn left(stay: &Stay, late: bool, names: bool) -> Value {
    let recognition = &stay.recognition;
    json!({
        "event_type": "left",
        "id": format!("{}-left", recognition.sighting),
        "detector": recognition.detector,
        "visit": recognition.visit.0,
        "since": time(stay.since),
        "seen_at": time(stay.last_seen),
        "late": late,
        "person": person(recognition, names),
        "person_id": recognition.answer.person_id(),
        "tags": tags(recognition.answer.known()),
    })
}

/// What somebody is called; a person the engine has no name for goes by the id, too.
fn person(recognition: &Recognition, names: bool) -> String {
    let Some(known) = recognition.answer.known() else { return STRANGER.to_owned() };
    let name = known.person.name.as_ref().filter(|name| names && !name.trim().is_empty());
    name.unwrap_or(&known.person.id).chars().take(LONGEST).collect()
}

fn tags(known: Option<&Known>) -> Vec<&str> {
    known.map(|known| known.tags.iter().map(|tag| tag.name.as_str()).collect()).unwrap_or_default()
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Two decimals: nobody automates on more.
fn share(value: f32) -> Option<f64> {
    value.is_finite().then(|| (f64::from(value) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::DetectorName;
    use crate::recognition::{Answer, Person};
    use crate::track::VisitId;

    fn stay(second: i64, person: Option<&str>) -> Stay {
        let since = DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
        let known = |id: &str| Known {
            person: Person { id: id.into(), name: None },
            tags: Vec::new(),
            fields: Vec::new(),
            confidence: None,
            match_confidence: None,
            face_id: None,
            detect_id: None,
            left_out: None,
        };
        let recognition = Recognition {
            sighting: Uuid::from_u128(1),
            visit: VisitId(Uuid::from_u128(second as u128)),
            stay: None,
            detector: DetectorName::new("door").unwrap(),
            seen_at: since,
            arrived: None,
            shot: 1,
            live: None,
            answer: person.map_or(Answer::Unknown { confidence: None, nearest: None }, |id| Answer::Known(known(id))),
        };
        Stay { recognition, quality: 0.5, since, last_seen: since }
    }

    #[test]
    fn a_stranger_does_not_hide_who_is_known() {
        for (stays, person, present) in [
            (vec![], NOBODY, false),
            (vec![stay(1, None)], STRANGER, true),
            (vec![stay(1, Some("ann")), stay(2, None)], "ann", true),
            (vec![stay(1, Some("ann")), stay(2, Some("bob")), stay(3, None)], "bob", true),
        ] {
            let state = super::present(&stays, true, "box-1");
            assert_eq!((&state["person"], &state["present"]), (&json!(person), &json!(present)), "{state}");
            assert_eq!(state["people"].as_array().unwrap().len(), stays.len(), "{state}");
        }
    }
}
