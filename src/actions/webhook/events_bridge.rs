//! The event in the shape of the face webhook of eConnect's Events Bridge (`WebHookFaceRecPayload`), for receivers that
//! are built for it.
//!
//! In: an event about a known person. Out: the payload. What the shape has no place for (detector, time, confidences,
//! visit) stands among its `fields`, where Events Bridge puts what belongs to one enrolment. See
//! <https://docs.econnectcloud.com/docs/dev-guides/events-bridge/Webhooks/Webhook-Face>.

use serde_json::{Value, json};

/// Event key and the name of the field that holds it.
const FIELDS: [(&str, &str); 10] = [
    ("id", "Id"),
    ("detector", "Detector"),
    ("seen_at", "SeenAt"),
    ("time_zone", "TimeZone"),
    ("visit", "Visit"),
    ("confidence", "Confidence"),
    ("match_confidence", "MatchConfidence"),
    ("live", "Live"),
    ("rule", "Rule"),
    ("late", "Late"),
];

/// The payload of an event.
pub fn payload(event: &Value) -> Result<Value, String> {
    let person = event["person"].as_object().ok_or(
        "the Events Bridge shape is for known people; let the rule's `outcome` be \"known\", or leave `body_format` \
         out",
    )?;
    let (first, middle, last) = names(person.get("name").and_then(Value::as_str).unwrap_or_default());
    let tags = person.get("tags").and_then(Value::as_array).into_iter().flatten();
    let tags: Vec<_> = tags.map(|tag| json!({ "tagName": tag["name"], "expires": tag["expires"] })).collect();
    let of_person = person.get("fields").and_then(Value::as_object).into_iter().flatten();
    let of_person: Vec<_> = of_person.map(|(name, value)| field(name, value)).collect();
    let of_event: Vec<_> = FIELDS.iter().map(|(key, name)| field(name, &event[*key])).collect();
    Ok(json!({
        "publishType": "WebHookFaceRecPayload",
        "sourceName": event["detector"],
        "externalId": person.get("id"),
        "fields": of_event,
        "payload": {
            "personInfo": {
                "faceId": person.get("face_id"),
                "firstName": first,
                "middleName": middle,
                "lastName": last,
                "tags": tags,
                "fields": of_person,
            },
        },
    }))
}

/// Values are text there.
fn field(name: &str, value: &Value) -> Value {
    let value = match value {
        Value::String(text) => json!(text),
        Value::Null => Value::Null,
        other => json!(other.to_string()),
    };
    json!({ "fieldName": name, "fieldValue": value })
}

/// First, middle and last name: an event has one name, so its first and its last word, and what stands between them.
fn names(name: &str) -> (Option<&str>, Option<&str>, Option<&str>) {
    let words: Vec<&str> = name.split_whitespace().collect();
    match words.as_slice() {
        [] => (None, None, None),
        [only] => (Some(only), None, None),
        [first, .., last] => {
            let middle = name.trim()[first.len()..name.trim().len() - last.len()].trim();
            (Some(first), (!middle.is_empty()).then_some(middle), Some(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's example, as far as it is about the person; what is ours stands in the outer `fields`.
    #[test]
    fn the_documented_example() {
        let event = json!({
            "id": "KEY", "detector": "eConnect Site 1 FR", "seen_at": "2024-06-01T07:00:00.000Z",
            "time_zone": "UTC", "visit": "V", "confidence": 0.93, "rule": "r", "late": false,
            "person": {
                "id": "12345", "face_id": "abc12345", "name": "John Michael Doe",
                "tags": [{ "name": "VIP", "expires": "2024-12-31T23:59:59Z" }],
                "fields": { "TenantID": "XYZ987", "Level": 3, "Empty": null },
            },
        });
        let payload = payload(&event).unwrap();
        assert_eq!(
            payload["payload"]["personInfo"],
            json!({
                "faceId": "abc12345", "firstName": "John", "middleName": "Michael", "lastName": "Doe",
                "tags": [{ "tagName": "VIP", "expires": "2024-12-31T23:59:59Z" }],
                "fields": [
                    { "fieldName": "Empty", "fieldValue": null },
                    { "fieldName": "Level", "fieldValue": "3" },
                    { "fieldName": "TenantID", "fieldValue": "XYZ987" },
                ],
            })
        );
        assert_eq!(payload["publishType"], "WebHookFaceRecPayload");
        assert_eq!(payload["sourceName"], "eConnect Site 1 FR");
        assert_eq!(payload["externalId"], "12345");
        assert_eq!(payload["fields"][5], json!({ "fieldName": "Confidence", "fieldValue": "0.93" }));
        assert!(super::payload(&json!({ "person": null })).unwrap_err().contains("outcome"));
    }

    #[test]
    fn names_in_parts() {
        for (name, wanted) in [
            ("", (None, None, None)),
            ("Cher", (Some("Cher"), None, None)),
            (" Ann  Lee ", (Some("Ann"), None, Some("Lee"))),
            ("Ana Maria de la Cruz", (Some("Ana"), Some("Maria de la"), Some("Cruz"))),
        ] {
            assert_eq!(names(name), wanted, "{name}");
        }
    }
}
