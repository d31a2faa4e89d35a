//! Photos: what a face was enrolled from, and what a detection saw.
//!
//! Ids are opaque here: one that cannot be read is one that does not exist, as these operations have no 400.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Access, RECORD, Route};
use crate::Engine;
use crate::refusal::Refusal;
use crate::store::{detections, faces};

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(
            "getEnrollmentPhoto",
            "/api/v1/people/enrollmentPhoto/{faceId}",
            Access::Authenticated,
            RECORD,
            get(enrollment),
        ),
        Route::new(
            "getDetectionPhoto",
            "/api/v1/people/detectionPhoto/{faceId}/{detectionId}",
            Access::Authenticated,
            RECORD,
            get(detection),
        ),
    ]
}

async fn enrollment(
    State(engine): State<Engine>,
    face: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(face) = face.map_err(|_| Refusal::NotFound("photo"))?;
    let read = engine.blocking(move |inner| {
        inner.store.read("read an enrolled photo", |connection| Ok(faces::photo(connection, &face)?))
    });
    jpeg(read.await?)
}

async fn detection(
    State(engine): State<Engine>,
    ids: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path((face, detect_id)) = ids.map_err(|_| Refusal::NotFound("photo"))?;
    let read = engine.blocking(move |inner| {
        inner
            .store
            .read("read the photo of a detection", |connection| Ok(detections::photo(connection, &face, &detect_id)?))
    });
    jpeg(read.await?)
}

fn jpeg(photo: Option<Vec<u8>>) -> Result<Response, Refusal> {
    let photo = photo.ok_or(Refusal::NotFound("photo"))?;
    Ok(([(CONTENT_TYPE, "image/jpeg")], photo).into_response())
}
