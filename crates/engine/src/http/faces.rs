//! faceEdge (publishWithResponse, publish, recognize, lookup) and faces (faceEnroll, faceDetect, faceCompare,
//! checkImageReference).
//!
//! `croppedAligned`, `embeddings` and `recognitionModel` of publish and publishWithResponse must be well-formed and are
//! not used: the picture may show several faces, and they would not say whose they are.

use ::faces::embed::Embedding;
use axum::Json as Answer;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use identities::operation::{
    CHECK_IMAGE_REFERENCE, FACE_COMPARE, FACE_DETECT, FACE_ENROLL, LOOKUP, PUBLISH, PUBLISH_WITH_RESPONSE, RECOGNIZE,
};
use identities::text;
use identities::wire::{
    self, CheckImageReferenceResponse, DetectedFace, EdgePerson, FaceCompareRequest, FaceCompareResponse,
    FaceDetectRequest, FaceDetectResponse, FaceEdgePublishRequest, FaceEdgePublishResponse, FaceEdgeRecognizeRequest,
    FaceEdgeRecognizeWithOptions, FaceEnrollQuery, FaceEnrollRequest, FaceEnrollResponse, lookup_part,
};
use rusqlite::Connection;

use super::extract::{self, Form, Json, Query, bytes, datable, filled, which};
use super::{Answered, PICTURES, Route, TWO_PICTURES};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::Refusal;
use crate::recognition::Enrolment;
use crate::store::{Stop, faces, guid};

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(&PUBLISH_WITH_RESPONSE, publish_with_response).live().growing().with_body(PICTURES),
        Route::new(&PUBLISH, publish).live().growing().with_body(PICTURES),
        Route::new(&RECOGNIZE, recognize).live().with_body(PICTURES),
        Route::new(&LOOKUP, lookup).live().with_body(PICTURES),
        Route::new(&FACE_ENROLL, enroll).growing().with_body(PICTURES),
        Route::new(&FACE_DETECT, detect).with_body(PICTURES),
        Route::new(&FACE_COMPARE, compare).with_body(TWO_PICTURES),
        Route::reading(&CHECK_IMAGE_REFERENCE, check_reference),
    ]
}

async fn publish_with_response(
    engine: Engine,
    caller: Caller,
    Json(request): Json<FaceEdgeRecognizeWithOptions>,
) -> Result<([(&'static str, String); 1], Answer<FaceEdgePublishResponse>), Refusal> {
    let detected_faces = record(&engine, &caller, request).await?;
    let promises = [(wire::PROMISES, format!("{}, {}", wire::MATCH_SCORES, wire::ANSWERS_REPEATS))];
    Ok((promises, Answer(FaceEdgePublishResponse { detected_faces })))
}

/// Answered once the faces are in the history: what has been taken in is not lost, and a client cannot outrun the
/// engine.
async fn publish(engine: Engine, caller: Caller, Json(request): Json<FaceEdgePublishRequest>) -> Result<(), Refusal> {
    let FaceEdgePublishRequest { expanded, detector_name, iana_time_zone, detect_time_utc, .. } = request;
    let default = FaceEdgeRecognizeWithOptions::default();
    let request = FaceEdgeRecognizeWithOptions { expanded, detector_name, iana_time_zone, detect_time_utc, ..default };
    record(&engine, &caller, request).await.map(drop)
}

async fn record(
    engine: &Engine,
    caller: &Caller,
    mut request: FaceEdgeRecognizeWithOptions,
) -> Result<Vec<DetectedFace>, Refusal> {
    well_formed(&request.expanded.0, &request.detector_name, &request.iana_time_zone, request.detect_time_utc)?;
    request.detector_name = text::tidy(&request.detector_name);
    engine.publish(caller, request).await
}

async fn recognize(
    engine: Engine,
    caller: Caller,
    Json(request): Json<FaceEdgeRecognizeRequest>,
) -> Answered<EdgePerson> {
    well_formed(&request.cropped_aligned.0, &request.detector_name, &request.iana_time_zone, request.detect_time_utc)?;
    let embedding = embedding(request.recognition_model, request.embeddings);
    engine.look_up(&caller, request.cropped_aligned.0, embedding).await.map(Answer)
}

async fn lookup(engine: Engine, caller: Caller, mut form: Form) -> Answered<EdgePerson> {
    let (mut crop, mut values, mut model) = (None, None, None);
    while let Some(part) = form.next().await? {
        match which(&part, &[lookup_part::CROPPED_ALIGNED, lookup_part::EMBEDDINGS, lookup_part::RECOGNITION_MODEL]) {
            Some(lookup_part::CROPPED_ALIGNED) => crop = Some(bytes(part).await?),
            Some(lookup_part::EMBEDDINGS) => values = Some(floats(&bytes(part).await?)?),
            Some(lookup_part::RECOGNITION_MODEL) => model = Some(extract::text(part).await?),
            _ => {}
        }
    }
    let crop =
        crop.ok_or_else(|| Refusal::bad_input(format!("the part {} is missing", lookup_part::CROPPED_ALIGNED)))?;
    engine.look_up(&caller, crop, embedding(model, values)).await.map(Answer)
}

fn well_formed(picture: &Bytes, detector: &str, time_zone: &str, time: DateTime<Utc>) -> Result<(), Refusal> {
    if picture.is_empty() {
        return Err(Refusal::bad_input("Face bytes are empty"));
    }
    filled("detectorName", detector)?;
    filled("ianaTimeZone", time_zone)?;
    datable("detectTimeUtc", time)
}

fn embedding(model: Option<String>, values: Option<Vec<f32>>) -> Option<Embedding> {
    // Parts that are there without content are not set.
    let (model, values) = (model.filter(|model| !model.is_empty())?, values.filter(|values| !values.is_empty())?);
    Some(Embedding { model, values })
}

/// float32, little-endian, nothing else.
fn floats(bytes: &[u8]) -> Result<Vec<f32>, Refusal> {
    match bytes.as_chunks::<4>() {
        (values, []) => Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect()),
        _ => Err(Refusal::bad_input(format!("{} must be float32 values", lookup_part::EMBEDDINGS))),
    }
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

async fn detect(
    engine: Engine,
    caller: Caller,
    Json(request): Json<FaceDetectRequest>,
) -> Answered<FaceDetectResponse> {
    filled_picture("image", &request.image.0)?;
    Ok(Answer(FaceDetectResponse { detections: engine.list_faces(&caller, request.image.0).await? }))
}

async fn compare(
    engine: Engine,
    caller: Caller,
    Json(request): Json<FaceCompareRequest>,
) -> Answered<FaceCompareResponse> {
    filled_picture("image1", &request.image1.0)?;
    filled_picture("image2", &request.image2.0)?;
    let (matched, confidence) = engine.compare(&caller, request.image1.0, request.image2.0).await?;
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
