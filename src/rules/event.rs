//! The event document: what templates, programs and receivers see of a recognition.
//!
//! In: a recognition and the rule that fired. Out: one JSON object with always the same keys ([`KEYS`]); what does not
//! apply is `null`. Expired tags are left out of it.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use super::visitor_event::VisitorEvent;
use crate::config::{DetectorName, EventKind};
use crate::recognition::{Field, Known, Recognition};

/// The document's keys.
pub const KEYS: [&str; 24] = [
    "event",
    "id",
    "rule",
    "action",
    "detector",
    "time_zone",
    "seen_at",
    "local_time",
    "since",
    "stayed_secs",
    "visit",
    "stay",
    "sighting",
    "shot",
    "outcome",
    "late",
    "quality",
    "live",
    "confidence",
    "match_confidence",
    "reason",
    "person",
    "nearest",
    "camera",
];
/// The keys of its `person`, which is `null` when nobody was recognised.
pub const PERSON_KEYS: [&str; 5] = ["id", "face_id", "name", "tags", "fields"];
/// The keys of its `nearest`, which is `null` unless somebody is unknown and the engine says who comes nearest.
pub const NEAREST_KEYS: [&str; 4] = ["id", "name", "score", "threshold"];
/// The keys of its `camera`, which is `null` unless a camera is in trouble or well again.
pub const CAMERA_KEYS: [&str; 2] = ["ok", "part"];

/// What happened where and when.
pub struct Moment<'a> {
    pub event: EventKind,
    pub detector: &'a DetectorName,
    pub at: DateTime<Utc>,
    pub zone: Tz,
}

/// An event with nothing in it but this.
pub fn of_moment(moment: &Moment, rule: &str, action: &str, key: &str) -> Value {
    let mut document: Map<String, Value> = KEYS.iter().map(|key| ((*key).to_owned(), Value::Null)).collect();
    document.extend([
        ("event".to_owned(), json!(moment.event)),
        ("id".to_owned(), json!(key)),
        ("rule".to_owned(), json!(rule)),
        ("action".to_owned(), json!(action)),
        ("detector".to_owned(), json!(moment.detector)),
        ("time_zone".to_owned(), json!(moment.zone.name())),
        ("seen_at".to_owned(), json!(moment.at.to_rfc3339_opts(SecondsFormat::Millis, true))),
        (
            "local_time".to_owned(),
            json!(moment.at.with_timezone(&moment.zone).to_rfc3339_opts(SecondsFormat::Millis, false)),
        ),
    ]);
    Value::Object(document)
}

/// ```json
/// { "event": "recognition", "id": "VISIT-HASH", "rule": "greet", "action": "hall",
///   "detector": "Front door", "time_zone": "Europe/Helsinki",
///   "seen_at": "2026-03-04T05:06:07.250Z", "local_time": "2026-03-04T07:06:07.250+02:00",
///   "since": null, "stayed_secs": null,
///   "visit": "UUID", "stay": "UUID", "sighting": "UUID", "shot": 1, "outcome": "known", "late": false,
///   "quality": 0.81, "live": 0.94, "confidence": 0.99, "match_confidence": 0.93, "reason": null,
///   "person": { "id": "GUID", "face_id": "FACE", "name": "Ann Example",
///               "tags": [{ "name": "Staff", "expires": null }], "fields": { "BadgeNumber": "C-1187" } },
///   "nearest": null, "camera": null }
/// ```
///
/// `stay` is the visit that the same face was in first, before it was away for a moment. `confidence` is the engine's
/// for the face, `match_confidence` its for the person, `live` what the liveness models say of the visit together. Of
/// somebody who has left `event` is `"left"`, `seen_at` when they were last seen, `since` when they came. Of somebody
/// unknown `nearest` may be `{ "id": "GUID", "name": "Ann Example", "score": 0.41, "threshold": 0.43 }`: not who it is,
/// but how near it was. Of a camera (`event` is `"camera"`) `seen_at` is now, `since` since when it is in trouble,
/// `reason` what is wrong or was, and `camera` `{ "ok": false, "part": "picture" }`; what concerns a visitor is null.
pub fn document(happened: &VisitorEvent, rule: &str, action: &str, key: &str, zone: Tz) -> Value {
    let VisitorEvent { recognition, since, .. } = happened;
    let stayed = since.map(|since| (recognition.seen_at - since).num_milliseconds() as f64 / 1e3);
    let answer = &recognition.answer;
    let Recognition { detector, seen_at, .. } = recognition.as_ref();
    let moment = Moment { event: happened.event, detector, at: *seen_at, zone };
    let mut document = of_moment(&moment, rule, action, key);
    let about_the_visitor = json!({
        "since": since.map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true)),
        "stayed_secs": stayed,
        "visit": recognition.visit.0,
        "stay": recognition.stay().0,
        "sighting": recognition.sighting,
        "shot": recognition.shot,
        "outcome": happened.outcome(),
        "late": happened.late,
        "quality": share(happened.quality),
        "live": happened.live.map(share),
        "confidence": answer.confidence().map(share),
        "match_confidence": answer.match_confidence().map(share),
        "reason": answer.reason(),
        "person": answer.known().map(|known| person(known, happened)),
        "nearest": answer.nearest().map(|nearest| nearest.to_json(true)),
    });
    if let (Value::Object(document), Value::Object(more)) = (&mut document, about_the_visitor) {
        document.extend(more);
    }
    document
}

fn person(known: &Known, happened: &VisitorEvent) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let tags = known.tags.iter().filter(|tag| happened.counts(tag));
    let tags: Vec<_> = tags.map(|tag| json!({ "name": tag.name, "expires": tag.expires.map(time) })).collect();
    let mut fields = Map::new();
    for Field { name, value } in &known.fields {
        fields.entry(name.as_str()).or_insert_with(|| json!(value));
    }
    json!({
        "id": known.person.id,
        "face_id": known.face_id,
        "name": known.person.name,
        "tags": tags,
        "fields": fields,
    })
}

/// 0 to 1 with four decimals: single precision would otherwise read 0.8999999761581421.
fn share(value: f32) -> Value {
    if value.is_finite() { json!((f64::from(value) * 1e4).round() / 1e4) } else { Value::Null }
}

/// Every name a template or an `if` uses must be one an event has; the error is for people. Names are as `person.name`,
/// or `person.fields.Badge`.
pub fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    for name in names {
        let mut parts = name.split('.');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let (has, wrong): (&'static [&'static str], _) = match second {
            _ if !KEYS.contains(&first) => (&KEYS, first),
            Some(second) if first == "person" && !PERSON_KEYS.contains(&second) => (&PERSON_KEYS, second),
            Some(second) if first == "nearest" && !NEAREST_KEYS.contains(&second) => (&NEAREST_KEYS, second),
            Some(second) if first == "camera" && !CAMERA_KEYS.contains(&second) => (&CAMERA_KEYS, second),
            _ => continue,
        };
        let nearest = wording::nearest(wrong, has.iter().copied(), 0.6);
        let meant = nearest.map(|nearest| format!(" (did you mean `{nearest}`?)")).unwrap_or_default();
        return Err(format!("an event has no `{name}`{meant}; it has {}", has.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::super::cases::{Case, rules};
    use super::*;

    #[test]
    fn the_event_document() {
        let inputs = |case: &str| {
            let case = Case::parse(case);
            let toml =
                "[[rule]]\nname = 'greet'\nactions = ['hall']\nwhen = { outcome = ['known', 'unknown', 'refused'] }";
            let request = rules(toml, case.zone).evaluate(&case.recognition, case.quality, case.clock()).remove(0);
            assert_eq!(request.inputs["id"], json!(request.key));
            let mut inputs = request.inputs;
            inputs["id"] = json!("KEY");
            inputs
        };
        let id = |n| Uuid::from_u128(n).to_string();
        assert_eq!(
            inputs(
                "known live=0.75 tag=Staff@2027-01-01T00:00:00Z tag=Old@2020-01-01T00:00:00Z text:Badge=C num:N=2.5 \
             bool:B=true date:D=2020-01-01T00:00:00Z empty:E"
            ),
            json!({
                "event": "recognition", "id": "KEY", "rule": "greet", "action": "hall", "detector": "Door",
                "time_zone": "Europe/Berlin", "seen_at": "2026-06-10T10:00:00.000Z",
                "local_time": "2026-06-10T12:00:00.000+02:00", "since": null, "stayed_secs": null,
                    "visit": id(2), "stay": id(2), "sighting": id(1), "shot": 1,
                "outcome": "known", "late": false, "quality": 0.8, "live": 0.75,
                    "confidence": 0.99, "match_confidence": 0.9, "reason": null,
                "person": {
                    "id": "ann", "face_id": null, "name": "Ann Example",
                        "tags": [{"name": "Staff", "expires": "2027-01-01T00:00:00Z"}],
                    "fields": {"Badge": "C", "N": 2.5, "B": true, "D": "2020-01-01T00:00:00Z", "E": null},
                },
                "nearest": null,
                "camera": null,
            })
        );
        let refused = inputs("refused late");
        assert_eq!(
            (&refused["reason"], &refused["late"], &refused["person"]),
            (&json!("too small"), &json!(true), &Value::Null)
        );
        // Who is nearest to somebody unknown fills nothing of the person.
        let unknown = inputs("unknown nearest=ann");
        let near = json!({"id": "ann", "name": "Ann Example", "score": 0.41, "threshold": 0.43});
        assert_eq!((&unknown["nearest"], &unknown["person"]), (&near, &Value::Null));
        assert_eq!((&unknown["match_confidence"], &unknown["confidence"]), (&Value::Null, &Value::Null));
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let listed = |keys: &[&str]| keys.iter().map(|key| key.to_string()).collect::<BTreeSet<_>>();
        assert_eq!(keys(&refused), listed(&KEYS));
        assert_eq!(keys(&inputs("known")["person"]), listed(&PERSON_KEYS));
        assert_eq!(keys(&near), listed(&NEAREST_KEYS));
    }
}
