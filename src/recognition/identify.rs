//! From a [`Sighting`] to a [`Recognition`]: the one question the agent asks the engine.
//!
//! In: a sighting and how its detector is to be identified. Out: the answer in the house's own words, whichever of the
//! four calls it came from, or whether and when to ask again. One try; the retry is the caller's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use faces::detect::Rect;
use identities::text;
use identities::wire::{
    self, Base64, DetectedFace, EdgePerson, FaceEdgePublishRequest, FaceEdgePublishResponse, FaceEdgeRecognizeRequest,
    FaceEdgeRecognizeWithOptions, MatchedPerson,
};
use identities::{Client, ClientError, Dated, LeftOut, Looked, LookupForm, Verdict};

use super::{Answer, Field, FieldValue, Known, Nearest, Person, Recognition, Tag, is_id};
use crate::config::{Call, IdentifyConfig};
use crate::crop::Sighting;

/// Why a sighting was not identified.
#[derive(Debug, thiserror::Error)]
#[error("the engine could not identify the sighting")]
pub struct IdentifyError {
    /// It stays in the outbox and is sent again. Otherwise asking again would bring the same, whatever anybody mends.
    pub again: bool,
    /// How long to wait at least, where the engine said so or the account would get locked.
    pub after: Option<Duration>,
    /// It tells the operator why.
    pub source: ClientError,
}

/// Boxes that overlap less than this (IoU) are not taken for the same face.
const SAME_FACE_IOU: f32 = 0.2;

/// Asks the engine once (a refused token is replaced and the question repeated once).
pub async fn identify(
    client: &Client,
    sighting: &Sighting,
    config: &IdentifyConfig,
) -> Result<Recognition, IdentifyError> {
    let answer = ask(client, sighting, config).await.map_err(IdentifyError::from)?;
    Ok(Recognition::of(sighting, answer))
}

async fn ask(client: &Client, sighting: &Sighting, config: &IdentifyConfig) -> Result<Answer, ClientError> {
    let looked = match config.call {
        Call::PublishWithResponse => {
            let published = client.publish_with_response(&publish_with_response(sighting, config)).await?;
            let now = published.date.unwrap_or_else(Utc::now);
            let answer = published_answer(published.answer, sighting.face, config.include_person, now);
            return Ok(without(answer, published.left_out));
        }
        Call::Publish => return client.publish(&publish(sighting, config)).await.map(|_| Answer::Accepted),
        Call::Recognize => client.recognize(&recognize(sighting, config)?).await?,
        Call::Lookup => client.lookup(&lookup(sighting, config)?).await?,
    };
    Ok(match looked {
        Looked::Somebody(Dated { answer, date, left_out }) => {
            without(edge_answer(Some((answer, date.unwrap_or_else(Utc::now)))), left_out)
        }
        Looked::Nobody(nearest) => Answer::Unknown { confidence: None, nearest: nearest.and_then(Nearest::of) },
    })
}

/// An answer of which this was left out.
fn without(answer: Answer, left_out: Option<LeftOut>) -> Answer {
    match answer {
        Answer::Known(known) => Answer::Known(Known { left_out, ..known }),
        other => other,
    }
}

impl Recognition {
    /// What was said of this sighting.
    pub fn of(sighting: &Sighting, answer: Answer) -> Self {
        Self {
            sighting: sighting.id,
            visit: sighting.visit,
            stay: sighting.stay,
            detector: sighting.detector.clone(),
            seen_at: sighting.seen_at,
            arrived: sighting.arrived,
            shot: sighting.shot,
            live: sighting.liveness.as_ref().map(|liveness| liveness.live),
            answer,
        }
    }
}

impl IdentifyError {
    /// What is wrong and what to do about it, for the record of the visit.
    pub fn reason(&self) -> String {
        self.source.to_string()
    }

    /// Whether the engine took the account for good and answered, if only to turn this one call down.
    pub fn is_answer(&self) -> bool {
        !self.again || matches!(self.source, ClientError::Forbidden { .. })
    }
}

impl From<ClientError> for IdentifyError {
    fn from(source: ClientError) -> Self {
        let (again, after) = match source.verdict() {
            Verdict::Again { after } => (true, after),
            // A changed password must not use up what was seen meanwhile.
            Verdict::Final => (source.concerns_every_request(), None),
        };
        Self { again, after, source }
    }
}

/// Whether a sighting needs the aligned face to be identified so.
pub fn wants_aligned(config: &IdentifyConfig) -> bool {
    config.send_aligned || matches!(config.call, Call::Recognize | Call::Lookup)
}

/// Whether a sighting needs its embedding to be identified so.
pub fn wants_embedding(config: &IdentifyConfig) -> bool {
    config.send_embedding
}

fn publish_with_response(sighting: &Sighting, config: &IdentifyConfig) -> FaceEdgeRecognizeWithOptions {
    let (embeddings, recognition_model) = embedding(sighting, config).unzip();
    FaceEdgeRecognizeWithOptions {
        expanded: Base64(sighting.expanded.clone()),
        detector_name: sighting.detector.to_string(),
        iana_time_zone: sighting.time_zone.name().to_owned(),
        detect_time_utc: sighting.seen_at,
        largest_face_only: config.largest_face_only,
        allow_double_detection: config.allow_double_detection,
        include_person: config.include_person,
        include_names: config.include_names,
        include_addresses: config.include_addresses,
        include_tags: config.include_tags,
        include_fields: config.include_fields,
        cropped_aligned: sighting.aligned.clone().filter(|_| config.send_aligned).map(Base64),
        embeddings,
        recognition_model,
    }
}

fn publish(sighting: &Sighting, config: &IdentifyConfig) -> FaceEdgePublishRequest {
    let (embeddings, recognition_model) = embedding(sighting, config).unzip();
    FaceEdgePublishRequest {
        expanded: Base64(sighting.expanded.clone()),
        detector_name: sighting.detector.to_string(),
        iana_time_zone: sighting.time_zone.name().to_owned(),
        detect_time_utc: sighting.seen_at,
        cropped_aligned: sighting.aligned.clone().filter(|_| config.send_aligned).map(Base64),
        embeddings,
        recognition_model,
    }
}

fn recognize(sighting: &Sighting, config: &IdentifyConfig) -> Result<FaceEdgeRecognizeRequest, ClientError> {
    let (embeddings, recognition_model) = embedding(sighting, config).unzip();
    Ok(FaceEdgeRecognizeRequest {
        cropped_aligned: Base64(aligned(sighting, "recognize")?),
        detector_name: sighting.detector.to_string(),
        iana_time_zone: sighting.time_zone.name().to_owned(),
        detect_time_utc: sighting.seen_at,
        embeddings,
        recognition_model,
    })
}

fn lookup(sighting: &Sighting, config: &IdentifyConfig) -> Result<LookupForm, ClientError> {
    Ok(LookupForm { cropped_aligned: aligned(sighting, "lookup")?, embedding: embedding(sighting, config) })
}

fn aligned(sighting: &Sighting, call: &'static str) -> Result<bytes::Bytes, ClientError> {
    sighting.aligned.clone().ok_or(ClientError::Incomplete { call, lacks: "the aligned face" })
}

fn embedding(sighting: &Sighting, config: &IdentifyConfig) -> Option<(Vec<f32>, String)> {
    let embedding = sighting.embedding.as_ref().filter(|_| config.send_embedding)?;
    Some((embedding.values.clone(), embedding.model.clone()))
}

/// What publishWithResponse says of the face we meant.
pub(super) fn published_answer(
    answer: FaceEdgePublishResponse,
    subject: Rect,
    person_asked_for: bool,
    now: DateTime<Utc>,
) -> Answer {
    let Some(face) = subject_of(answer.detected_faces, subject) else { return Answer::NoFace };
    let id = |id: String| (!id.is_empty()).then_some(id);
    match face.person.filter(|person| is_id(&person.person_id)) {
        Some(person) => Answer::Known(Known {
            confidence: face.confidence,
            match_confidence: face.match_confidence.filter(|score| (0.0..=1.0).contains(score)),
            face_id: id(face.face_id),
            detect_id: id(face.detect_id),
            ..known(person, now)
        }),
        // Nobody asked who it is, so that nothing makes it a stranger.
        None if !person_asked_for => Answer::Accepted,
        None => Answer::Unknown { confidence: face.confidence, nearest: face.nearest.and_then(Nearest::of) },
    }
}

/// Of several faces, the one that overlaps the sighting's own most; without any overlap the nearest. A face alone is
/// taken wherever its box is: whose pixels a box counts in is an assumption of the contract.
fn subject_of(mut faces: Vec<DetectedFace>, subject: Rect) -> Option<DetectedFace> {
    let boxed = |face: &DetectedFace| {
        let b = face.bounding_box;
        Rect { x: b.x as f32, y: b.y as f32, width: b.width as f32, height: b.height as f32 }
    };
    let overlap = |face: &DetectedFace| boxed(face).iou(&subject);
    let distance = |face: &DetectedFace| {
        let (a, b) = (boxed(face).centre(), subject.centre());
        let distance = (a.x - b.x).hypot(a.y - b.y);
        if distance.is_nan() { f32::INFINITY } else { distance }
    };
    let by_overlap = (0..faces.len()).max_by(|a, b| overlap(&faces[*a]).total_cmp(&overlap(&faces[*b])))?;
    let chosen = if overlap(&faces[by_overlap]) >= SAME_FACE_IOU {
        by_overlap
    } else {
        (0..faces.len()).min_by(|a, b| distance(&faces[*a]).total_cmp(&distance(&faces[*b])))?
    };
    Some(faces.swap_remove(chosen))
}

/// What lookup and recognize say, with the time they said it.
pub(super) fn edge_answer(found: Option<(EdgePerson, DateTime<Utc>)>) -> Answer {
    let Some((person, now)) = found.filter(|(person, _)| is_id(&person.person_id)) else {
        return Answer::Unknown { confidence: None, nearest: None };
    };
    let tags = person.tags.into_iter().filter_map(|tag| unexpired(Some(tag.name), tag.expires, now));
    Answer::Known(Known {
        tags: tags.collect(),
        face_id: Some(person.face_id).filter(|id| !id.is_empty()),
        person: Person { id: person.person_id, name: full_name(person.first_name, person.last_name) },
        ..Known::default()
    })
}

fn known(person: MatchedPerson, now: DateTime<Utc>) -> Known {
    let alias = person.aliases.into_iter().flatten().next();
    let friendly = person.friendly_name.map(|name| text::tidy(&name)).filter(|name| !name.is_empty());
    let name = friendly.or_else(|| alias.and_then(|alias| full_name(alias.first_name, alias.last_name)));
    let tags = person.person_tags.into_iter().flatten();
    Known {
        person: Person { id: person.person_id, name },
        tags: tags.filter_map(|tag| unexpired(tag.tag.map(|tag| tag.name), tag.expires, now)).collect(),
        fields: person.entity_fields.into_iter().flatten().map(field).collect(),
        ..Known::default()
    }
}

fn full_name(first: Option<String>, last: Option<String>) -> Option<String> {
    let parts = [first, last].into_iter().flatten().map(|part| text::tidy(&part));
    let name = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

/// A tag that counts as set: it has a name and has not expired by the engine's clock.
fn unexpired(name: Option<String>, expires: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Tag> {
    let name = name.map(|name| text::tidy(&name)).filter(|name| !name.is_empty())?;
    expires.is_none_or(|expires| expires > now).then_some(Tag { name, expires })
}

fn field(field: wire::EntityField) -> Field {
    let value = if let Some(text) = field.string_value {
        FieldValue::Text(text::composed(&text).into_owned())
    } else if let Some(date) = field.date_value {
        FieldValue::Date(date)
    } else if let Some(number) = field.number_value {
        FieldValue::Number(number)
    } else if let Some(yes) = field.bool_value {
        FieldValue::Bool(yes)
    } else {
        FieldValue::Empty
    };
    Field { name: text::tidy(&field.name), value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identities::wire::BoundingBox;

    const SUBJECT: Rect = Rect { x: 100.0, y: 100.0, width: 50.0, height: 60.0 };

    fn now() -> DateTime<Utc> {
        "2026-03-04T05:06:07Z".parse().unwrap()
    }

    fn answer(json: &str) -> Answer {
        published_answer(serde_json::from_str(json).unwrap(), SUBJECT, true, now())
    }

    fn known(json: &str) -> Known {
        match answer(json) {
            Answer::Known(known) => known,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_without_a_person() {
        assert_eq!(answer(r#"{"detectedFaces":[]}"#), Answer::NoFace);
        for face in [
            r#"{"confidence":0.5}"#,
            r#"{"confidence":0.5,"person":null}"#,
            r#"{"confidence":0.5,"person":{}}"#,
            r#"{"confidence":0.5,"person":{"personId":null}}"#,
            r#"{"confidence":0.5,"person":{"personId":"00000000-0000-0000-0000-000000000000"}}"#,
        ] {
            let json = format!(r#"{{"detectedFaces":[{face}]}}"#);
            assert_eq!(answer(&json), Answer::Unknown { confidence: Some(0.5), nearest: None }, "{face}");
        }
    }

    #[test]
    fn who_is_nearest_to_somebody_unknown_is_nobodys_identity() {
        let near = r#""nearest":{"personId":"p","name":" Ann  Lee ","score":0.41,"threshold":0.43}"#;
        let unknown = answer(&format!(r#"{{"detectedFaces":[{{"confidence":0.5,{near}}}]}}"#));
        assert_eq!(unknown.nearest().unwrap().told(), "Ann Lee 0.41 of 0.43");
        assert!(unknown.known().is_none() && unknown.person_id().is_none() && unknown.match_confidence().is_none());
        // An engine that gives it with a known face is not believed.
        let known = answer(&format!(r#"{{"detectedFaces":[{{"person":{{"personId":"q"}},{near}}}]}}"#));
        assert_eq!((known.person_id(), known.nearest()), (Some("q"), None));
        for odd in [r#""nearest":null"#, r#""nearest":[[]]"#, r#""nearest":{"personId":"p","score":"NaN"}"#] {
            let unknown = answer(&format!(r#"{{"detectedFaces":[{{"confidence":0.5,{odd}}}]}}"#));
            assert_eq!(unknown, Answer::Unknown { confidence: Some(0.5), nearest: None }, "{odd}");
        }
    }

    #[test]
    fn nobody_asked_who_it_is_so_it_is_no_stranger() {
        let faces = |json: &str| serde_json::from_str(json).unwrap();
        let answer = |json| published_answer(faces(json), SUBJECT, false, now());
        assert_eq!(answer(r#"{"detectedFaces":[{}]}"#), Answer::Accepted);
        assert_eq!(answer("{}"), Answer::NoFace);
    }

    #[test]
    fn a_person_without_sections_is_known_by_id_alone() {
        let known = known(r#"{"detectedFaces":[{"faceId":"f","confidence":0.9,"person":{"personId":"p"}}]}"#);
        assert!(known.person == Person { id: "p".into(), name: None });
        assert_eq!((known.tags.len(), known.fields.len()), (0, 0));
        assert_eq!((known.confidence, known.face_id.as_deref(), known.detect_id), (Some(0.9), Some("f"), None));
        assert_eq!(known.match_confidence, None, "how sure it is of a face is not how sure it is of a person");
    }

    #[test]
    fn a_match_score_is_read_where_there_is_one_and_makes_sense() {
        for (written, read) in [("0.75", Some(0.75)), ("0", Some(0.0)), ("null", None), ("1.5", None), ("-0.1", None)] {
            let face = format!(r#"{{"confidence":0.9,"matchConfidence":{written},"person":{{"personId":"p"}}}}"#);
            let known = known(&format!(r#"{{"detectedFaces":[{face}]}}"#));
            assert_eq!((known.confidence, known.match_confidence), (Some(0.9), read), "{written}");
        }
    }

    #[test]
    fn a_persons_name_is_the_friendly_one_or_that_of_the_first_alias() {
        for (person, name) in [
            (r#""friendlyName":"Mara L.","aliases":[{"firstName":"Mara"}]"#, Some("Mara L.")),
            (
                r#""friendlyName":" ","aliases":[{"firstName":" Mara ","lastName":"Lindqvist"},{"firstName":"No"}]"#,
                Some("Mara Lindqvist"),
            ),
            (r#""aliases":[{"lastName":"Lindqvist"}]"#, Some("Lindqvist")),
            (r#""aliases":[{"firstName":null,"lastName":""}]"#, None),
            (r#""aliases":[]"#, None),
        ] {
            let json = format!(r#"{{"detectedFaces":[{{"person":{{"personId":"p",{person}}}}}]}}"#);
            assert_eq!(known(&json).person.name.as_deref(), name, "{person}");
        }
    }

    #[test]
    fn an_expired_tag_counts_as_not_set() {
        let known = known(
            r#"{"detectedFaces":[{"person":{"personId":"p","personTags":[
                {"tagId":"1","tag":{"name":"past"},"expires":"2026-03-04T05:06:07"},
                {"tagId":"2","tag":{"name":"future"},"expires":"2026-03-04T05:06:08.1234567"},
                {"tagId":"3","name":"forever","expires":null},
                {"tagId":"4","tagName":"elsewhere"},
                {"tagId":"5"}]}}]}"#,
        );
        let names: Vec<_> = known.tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["future", "forever", "elsewhere"]);
    }

    #[test]
    fn fields_keep_their_type() {
        let known = known(
            r#"{"detectedFaces":[{"person":{"personId":"p","entityFields":[
                {"name":"a","stringValue":"C-1187"},{"name":"b","numberValue":1.5},{"name":"c","boolValue":false},
                {"name":"d","dateValue":"2026-01-01T00:00:00"},{"name":"e","stringValue":null}]}}]}"#,
        );
        let values: Vec<_> = known.fields.into_iter().map(|field| field.value).collect();
        let date = FieldValue::Date("2026-01-01T00:00:00Z".parse().unwrap());
        let expected = [
            FieldValue::Text("C-1187".into()),
            FieldValue::Number(1.5),
            FieldValue::Bool(false),
            date,
            FieldValue::Empty,
        ];
        assert!(values == expected);
    }

    #[test]
    fn of_several_faces_the_sightings_own_is_meant() {
        let face = |id: &str, x: f64, y: f64, width: f64, height: f64| DetectedFace {
            face_id: id.into(),
            bounding_box: BoundingBox { x, y, width, height },
            ..DetectedFace::default()
        };
        let big_stranger = || face("stranger", 0.0, 0.0, 90.0, 95.0);
        for (faces, chosen) in [
            (vec![], None),
            (vec![big_stranger()], Some("stranger")),
            (vec![big_stranger(), face("own", 102.0, 98.0, 50.0, 60.0)], Some("own")),
            (vec![face("own", 105.0, 110.0, 40.0, 50.0), big_stranger()], Some("own")),
            (vec![face("far", 400.0, 400.0, 9.0, 9.0), face("near", 160.0, 150.0, 20.0, 20.0)], Some("near")),
            (vec![face("first", 0.0, 0.0, 0.0, 0.0), face("second", 0.0, 0.0, 0.0, 0.0)], Some("first")),
            (vec![face("odd", f64::MAX, f64::MIN, f64::MAX, 1.0), face("near", 1.0, 1.0, 1.0, 1.0)], Some("near")),
        ] {
            assert_eq!(subject_of(faces, SUBJECT).map(|face| face.face_id).as_deref(), chosen);
        }
    }

    #[test]
    fn lookup_and_recognize_tell_known_from_nobody() {
        let found = |json: &str| edge_answer(Some((serde_json::from_str(json).unwrap(), now())));
        assert_eq!(edge_answer(None), Answer::Unknown { confidence: None, nearest: None });
        assert_eq!(found(r#"{"faceId":"f"}"#), Answer::Unknown { confidence: None, nearest: None });
        let json = r#"{"faceId":"f","personId":"p","firstName":"Mara","lastName":"Lindqvist",
            "tags":[{"name":"Contractor"},{"name":"VIP","expires":"2020-01-01T00:00:00Z"}]}"#;
        let Answer::Known(known) = found(json) else { panic!("somebody matched") };
        assert!(known.person == Person { id: "p".into(), name: Some("Mara Lindqvist".into()) });
        assert_eq!(known.tags, [Tag { name: "Contractor".into(), expires: None }]);
    }
}
