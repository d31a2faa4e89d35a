//! faces: faceEnroll, faceDetect, faceCompare, checkImageReference.

use serde::{Deserialize, Serialize};

use super::scalar::{self, Base64, BoundingBox, null_is_empty};

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

/// The body of `POST /api/v1/faces/faceEnroll`.
#[derive(Clone, Serialize, Deserialize)]
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

// A photo reference may be somebody's number or name.
debug_shows! {
    FaceEnrollRequest { face_image }
}

#[cfg(test)]
mod tests {
    use super::*;

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
