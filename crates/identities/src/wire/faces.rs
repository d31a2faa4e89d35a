//! faceEdge (publishWithResponse, publish, recognize, lookup) and faces (faceEnroll, faceDetect, faceCompare,
//! checkImageReference).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::nearest::{self, NearestPerson};
use super::people::{EntityField, PersonAddress, PersonAlias, PersonTag};
use super::scalar::{self, Base64, BoundingBox, null_is_empty};

/// `POST /api/v1/faceEdge/publishWithResponse`
#[derive(Clone, Default, Serialize, Deserialize, derive_more::Debug)]
#[serde(rename_all = "camelCase")]
pub struct FaceEdgeRecognizeWithOptions {
    /// The face with margin, JPEG; empty is refused.
    pub expanded: Base64,
    pub detector_name: String,
    pub iana_time_zone: String,
    #[serde(with = "scalar::time")]
    pub detect_time_utc: DateTime<Utc>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub largest_face_only: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub allow_double_detection: bool,
    /// The master switch of the four below.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub include_person: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub include_names: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub include_addresses: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub include_tags: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub include_fields: bool,
    /// Proprietary, like the two below: left out unless the engine is known to accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cropped_aligned: Option<Base64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[debug(skip)]
    pub embeddings: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognition_model: Option<String>,
}

/// `POST /api/v1/faceEdge/publish`; the answer has no body.
#[derive(Clone, Serialize, Deserialize, derive_more::Debug)]
#[serde(rename_all = "camelCase")]
pub struct FaceEdgePublishRequest {
    pub expanded: Base64,
    pub detector_name: String,
    pub iana_time_zone: String,
    #[serde(with = "scalar::time")]
    pub detect_time_utc: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cropped_aligned: Option<Base64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[debug(skip)]
    pub embeddings: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognition_model: Option<String>,
}

/// `POST /api/v1/faceEdge/recognize`; answered with an [`EdgePerson`] or 404.
#[derive(Clone, Serialize, Deserialize, derive_more::Debug)]
#[serde(rename_all = "camelCase")]
pub struct FaceEdgeRecognizeRequest {
    pub cropped_aligned: Base64,
    pub detector_name: String,
    pub iana_time_zone: String,
    #[serde(with = "scalar::time")]
    pub detect_time_utc: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[debug(skip)]
    pub embeddings: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognition_model: Option<String>,
}

/// The part names of the form `POST /api/v1/faceEdge/lookup` takes; answered with an [`EdgePerson`] or 404.
pub mod lookup_part {
    /// File part: the aligned face, `image/jpeg` or `application/octet-stream`.
    pub const CROPPED_ALIGNED: &str = "CroppedAligned";
    /// File part, `application/octet-stream`: float32, little-endian, nothing else.
    pub const EMBEDDINGS: &str = "Embeddings";
    /// Text part: the model that made the embedding.
    pub const RECOGNITION_MODEL: &str = "RecognitionModel";
}

/// A header of publishWithResponse's answers by which an engine says what it does where the contract leaves it open:
/// the promises it keeps, with commas between. Other engines send none.
pub const PROMISES: &str = "doorward-promises";
/// A matched face comes with `matchConfidence`.
pub const MATCH_SCORES: &str = "match-scores";
/// The same face again within moments is answered with its detection, not with an empty list.
pub const ANSWERS_REPEATS: &str = "answers-repeats";

/// The answer of publishWithResponse: an empty list when there is no face.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaceEdgePublishResponse {
    #[serde(default, deserialize_with = "scalar::list")]
    pub detected_faces: Vec<DetectedFace>,
}

/// One face the engine found. All but `person` and what our engine adds are always written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectedFace {
    /// Opaque.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub face_id: String,
    /// Opaque; the detection photo call names it `detectionId`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub detect_id: String,
    /// How sure the engine is that this is a face, 0 to 1.
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub confidence: Option<f32>,
    /// How sure it is that the face is this person's, 0 to 1. The vendor documents none; our engine adds it to a
    /// matched face.
    #[serde(default, serialize_with = "scalar::unit_score", skip_serializing_if = "Option::is_none")]
    pub match_confidence: Option<f32>,
    /// 0 to 1.
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub face_quality: Option<f32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub bounding_box: BoundingBox,
    /// Left out for an unmatched face, or when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<MatchedPerson>,
    /// Of an unmatched face who comes nearest, where the caller may know; of our engine.
    #[serde(default, deserialize_with = "nearest::optional", skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestPerson>,
}

/// Who a face belongs to. `None` is left out: not asked for, or not permitted.
#[derive(Clone, Default, Serialize, Deserialize, derive_more::Debug)]
#[debug("MatchedPerson({person_id:?}, {person_tags:?}, {entity_fields:?})")]
#[serde(rename_all = "camelCase")]
pub struct MatchedPerson {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub person_id: String,
    /// Written under the same condition as `aliases`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    #[serde(default, deserialize_with = "scalar::optional_list", skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Vec<PersonAlias>>,
    #[serde(default, deserialize_with = "scalar::optional_list", skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<PersonAddress>>,
    #[serde(default, deserialize_with = "scalar::optional_list", skip_serializing_if = "Option::is_none")]
    pub person_tags: Option<Vec<PersonTag>>,
    #[serde(default, deserialize_with = "scalar::optional_list", skip_serializing_if = "Option::is_none")]
    pub entity_fields: Option<Vec<EntityField>>,
}

/// Who lookup and recognize found.
#[derive(Clone, Default, Serialize, Deserialize, derive_more::Debug)]
#[debug("EdgePerson({face_id:?}, {person_id:?}, {tags:?})")]
#[serde(rename_all = "camelCase")]
pub struct EdgePerson {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub face_id: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub person_id: String,
    /// The first name of the primary alias.
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    #[serde(default, deserialize_with = "scalar::list")]
    pub tags: Vec<EdgeTag>,
}

/// A tag as lookup and recognize write it; also read with its name under `tag.name` or `tagName`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "super::people::AnyTag")]
pub struct EdgeTag {
    pub name: String,
    #[serde(with = "scalar::optional_time", skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
}

impl From<super::people::AnyTag> for EdgeTag {
    fn from(tag: super::people::AnyTag) -> Self {
        Self { name: tag.name().unwrap_or_default(), expires: tag.expires }
    }
}

/// The query of `POST /api/v1/faces/faceEnroll`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaceEnrollQuery {
    /// The person to add the photo to; without it a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_id: Option<String>,
    /// Skip the quality gate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force_enrollment: bool,
}

/// The body of `POST /api/v1/faces/faceEnroll`. Its `Debug` leaves out the photo reference, which may be somebody's
/// number or name.
#[derive(Clone, Serialize, Deserialize, derive_more::Debug)]
#[debug("FaceEnrollRequest({face_image:?})")]
#[serde(rename_all = "camelCase")]
pub struct FaceEnrollRequest {
    pub face_image: Base64,
    /// The caller's own key for the photo, for checkImageReference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo_reference_id: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaceEnrollResponse {
    pub person_id: String,
}

/// `POST /api/v1/faces/faceDetect`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaceDetectRequest {
    pub image: Base64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FaceDetectResponse {
    #[serde(default, deserialize_with = "scalar::list")]
    pub detections: Vec<FaceDetectItem>,
}

/// One face of a picture. Note `quality` here against `faceQuality` in publishWithResponse.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaceDetectItem {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub face_id: String,
    /// Written as `null` when the face matches nobody.
    pub person_id: Option<String>,
    /// How sure the engine is that this is a face, 0 to 1.
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub confidence: Option<f32>,
    /// How sure it is that the face is this person's; of our engine, on a matched face.
    #[serde(default, serialize_with = "scalar::unit_score", skip_serializing_if = "Option::is_none")]
    pub match_confidence: Option<f32>,
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub quality: Option<f32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub bounding_box: BoundingBox,
    /// Of an unmatched face who comes nearest, where the caller may know; of our engine.
    #[serde(default, deserialize_with = "nearest::optional", skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestPerson>,
}

/// `POST /api/v1/faces/faceCompare`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaceCompareRequest {
    pub image1: Base64,
    pub image2: Base64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaceCompareResponse {
    #[serde(rename = "match")]
    pub matched: bool,
    /// How sure the engine is that they are one person's, 0 to 1.
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub confidence: Option<f32>,
}

/// `GET /api/v1/faces/checkImageReference/{referenceId}`; a miss has `null` ids.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckImageReferenceResponse {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub exists: bool,
    pub face_id: Option<String>,
    pub detect_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_extras_leaves_the_proprietary_fields_out() {
        let request: FaceEdgeRecognizeWithOptions = serde_json::from_str(
            r#"{"expanded":"YWJjZA==","detectorName":"gate-2-edge","ianaTimeZone":"Europe/Helsinki",
                "detectTimeUtc":"2026-03-04T07:06:07+02:00","largestFaceOnly":true,"unknown":{"a":[1]}}"#,
        )
        .unwrap();
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"expanded":"YWJjZA==","detectorName":"gate-2-edge","ianaTimeZone":"Europe/Helsinki","#.to_owned()
                + r#""detectTimeUtc":"2026-03-04T05:06:07Z","largestFaceOnly":true,"allowDoubleDetection":false,"#
                + r#""includePerson":false,"includeNames":false,"includeAddresses":false,"includeTags":false,"#
                + r#""includeFields":false}"#
        );
    }

    #[test]
    fn an_answer_with_nothing_in_it_is_no_face() {
        for text in ["{}", r#"{"detectedFaces":null}"#, r#"{"detectedFaces":[],"extra":1}"#] {
            assert!(serde_json::from_str::<FaceEdgePublishResponse>(text).unwrap().detected_faces.is_empty());
        }
    }

    #[test]
    fn a_matched_face_is_read_whatever_is_left_out() {
        let answer: FaceEdgePublishResponse = serde_json::from_str(
            r#"{"detectedFaces":[
                {"faceId":"f","detectId":null,"confidence":0.964,"boundingBox":{"x":1.5,"y":-2,"width":3,"height":4},
                 "person":{"personId":"p","aliases":null,"personTags":[{"tagId":"t","tag":{"name":"VIP"}}]}},
                {"person":null}]}"#,
        )
        .unwrap();
        let face = &answer.detected_faces[0];
        assert_eq!((face.confidence, face.face_quality), (Some(0.964), None));
        let person = face.person.as_ref().unwrap();
        assert_eq!(person.aliases.as_ref().map(Vec::len), None);
        assert_eq!(person.person_tags.as_ref().unwrap()[0].name(), Some("VIP"));
        assert!(answer.detected_faces[1].person.is_none());
    }

    #[test]
    fn the_name_of_a_tag_is_found_in_any_of_three_places() {
        for text in [r#"{"name":"VIP"}"#, r#"{"tagName":"VIP"}"#, r#"{"tag":{"name":"VIP"},"expires":null}"#] {
            assert_eq!(serde_json::from_str::<EdgeTag>(text).unwrap().name, "VIP", "{text}");
        }
        let both = r#"{"name":"VIP","tagName":"VIP","tag":null,"expires":"2026-01-01T00:00:00"}"#;
        let tag: EdgeTag = serde_json::from_str(both).unwrap();
        assert_eq!(serde_json::to_string(&tag).unwrap(), r#"{"name":"VIP","expires":"2026-01-01T00:00:00Z"}"#);
    }

    #[test]
    fn names_and_vectors_do_not_show() {
        let person = EdgePerson { first_name: Some("Mara".into()), ..EdgePerson::default() };
        let request = FaceEdgeRecognizeRequest {
            cropped_aligned: Base64(b"Mara".to_vec().into()),
            detector_name: "gate".into(),
            iana_time_zone: "UTC".into(),
            detect_time_utc: DateTime::UNIX_EPOCH,
            embeddings: Some(vec![0.125]),
            recognition_model: None,
        };
        let text = format!("{person:?}{request:?}");
        assert!(!text.contains("Mara") && !text.contains("0.125"), "{text}");
    }

    #[test]
    fn what_is_not_said_is_left_out_of_an_enrolment() {
        let request = FaceEnrollRequest { face_image: Base64(b"abc".to_vec().into()), photo_reference_id: None };
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"faceImage":"YWJj"}"#);
        assert_eq!(serde_json::to_string(&FaceEnrollQuery::default()).unwrap(), "{}");
    }

    #[test]
    fn scores_are_written_within_their_bounds() {
        let item = FaceDetectItem { confidence: Some(1.7), quality: Some(f32::NAN), ..FaceDetectItem::default() };
        let text = serde_json::to_string(&item).unwrap();
        assert!(text.contains(r#""confidence":1.0,"quality":0.0"#) && text.contains(r#""personId":null"#), "{text}");
    }

    #[test]
    fn a_miss_may_leave_everything_out() {
        for text in [r#"{"exists":false}"#, r#"{"exists":false,"faceId":null,"detectId":null}"#, "{}"] {
            assert!(!serde_json::from_str::<CheckImageReferenceResponse>(text).unwrap().exists);
        }
    }
}
