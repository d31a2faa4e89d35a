//! Photos: what a face was enrolled from, and what a detection saw.
//!
//! Ids are opaque here: one that cannot be read is one that does not exist, as these operations have no 400.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use identities::operation::{DETECTION_PHOTO, ENROLLMENT_PHOTO};

use super::Route;
use crate::engine::Engine;
use crate::refusal::Refusal;
use crate::store::{detections, faces};

pub fn routes() -> Vec<Route> {
    vec![Route::new(&ENROLLMENT_PHOTO, enrollment), Route::new(&DETECTION_PHOTO, detection)]
}

async fn enrollment(engine: Engine, face: Result<Path<String>, PathRejection>) -> Result<Response, Refusal> {
    let Path(face) = face.map_err(|_| Refusal::NotFound("photo"))?;
    jpeg(engine.read(ENROLLMENT_PHOTO.id, move |connection| faces::photo(connection, &face)).await?)
}

async fn detection(engine: Engine, ids: Result<Path<(String, String)>, PathRejection>) -> Result<Response, Refusal> {
    let Path((face, detect_id)) = ids.map_err(|_| Refusal::NotFound("photo"))?;
    jpeg(engine.read(DETECTION_PHOTO.id, move |connection| detections::photo(connection, &face, &detect_id)).await?)
}

fn jpeg(photo: Option<Vec<u8>>) -> Result<Response, Refusal> {
    let photo = photo.ok_or(Refusal::NotFound("photo"))?;
    Ok(([(CONTENT_TYPE, "image/jpeg")], photo).into_response())
}
