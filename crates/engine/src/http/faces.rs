//! faces: faceEnroll, faceDetect, faceCompare, checkImageReference.

use axum::Json as Answer;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use identities::operation::{CHECK_IMAGE_REFERENCE, FACE_COMPARE, FACE_DETECT, FACE_ENROLL};
use identities::wire::{
    CheckImageReferenceResponse, FaceCompareRequest, FaceCompareResponse, FaceDetectRequest, FaceDetectResponse,
    FaceEnrollQuery, FaceEnrollRequest, FaceEnrollResponse,
};
use rusqlite::Connection;

use super::extract::{Json, Query, filled};
use super::{Answered, PICTURES, Route, TWO_PICTURES};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::guid::guid;
use crate::recognition::Enrolment;
use crate::refusal::Refusal;
use crate::store::{Stop, faces};

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(&FACE_ENROLL, enroll).with_body(PICTURES),
        Route::new(&FACE_DETECT, detect).with_body(PICTURES),
        Route::new(&FACE_COMPARE, compare).with_body(TWO_PICTURES),
        Route::reading(&CHECK_IMAGE_REFERENCE, check_reference),
    ]
}

async fn enroll(
    engine: Engine,
    caller: Caller,
    Query(query): Query<FaceEnrollQuery>,
    Json(request): Json<FaceEnrollRequest>,
) -> Answered<FaceEnrollResponse> {
    let enrolment = Enrolment {
        picture: request.face_image.0,
        person: query.person_id.as_deref().map(guid).transpose()?,
        // An empty key is no key.
        photo_reference: request.photo_reference_id.filter(|reference| !reference.is_empty()),
        force: query.force_enrollment,
    };
    filled_picture("faceImage", &enrolment.picture)?;
    let person = engine.enroll(&caller, enrolment).await?;
    Ok(Answer(FaceEnrollResponse { person_id: person.to_string() }))
}

async fn detect(engine: Engine, Json(request): Json<FaceDetectRequest>) -> Answered<FaceDetectResponse> {
    filled_picture("image", &request.image.0)?;
    Ok(Answer(FaceDetectResponse { detections: engine.list_faces(request.image.0).await? }))
}

async fn compare(engine: Engine, Json(request): Json<FaceCompareRequest>) -> Answered<FaceCompareResponse> {
    filled_picture("image1", &request.image1.0)?;
    filled_picture("image2", &request.image2.0)?;
    let (matched, confidence) = engine.compare(request.image1.0, request.image2.0).await?;
    Ok(Answer(FaceCompareResponse { matched, confidence: Some(confidence) }))
}

/// A reference that cannot be read (its percent encoding is no UTF-8) was never enrolled: this operation has no 400.
fn check_reference(
    connection: &Connection,
    reference: Result<Path<String>, PathRejection>,
) -> Result<CheckImageReferenceResponse, Stop> {
    let found = match reference {
        Ok(Path(reference)) => faces::by_reference(connection, &reference)?,
        Err(_) => None,
    };
    Ok(found.map_or_else(CheckImageReferenceResponse::default, |found| CheckImageReferenceResponse {
        exists: true,
        face_id: Some(found.face),
        detect_id: found.detect_id,
    }))
}

fn filled_picture(name: &str, picture: &[u8]) -> Result<(), Refusal> {
    if picture.is_empty() { filled(name, "") } else { Ok(()) }
}
