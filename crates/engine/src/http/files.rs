//! Files: what a face was enrolled from, what a detection saw, and documents attached to people, which are uploaded as
//! a form, downloaded as they came, and listed.
//!
//! The ids of photos are opaque: one that cannot be read is one that does not exist, as their operations have no 400.

use std::collections::HashMap;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use identities::Permission::{self, *};
use identities::operation::{
    Content, DETECTION_PHOTO, DOWNLOAD_DOCUMENT, ENROLLMENT_PHOTO, Operation, UPLOAD_DOCUMENT,
};
use identities::wire::upload_part::{DESCRIPTION, NAME, PERSON_ID, PUBLIC_ID};
use url::form_urlencoded;
use uuid::Uuid;

use super::extract::{Form, Guid, Segments, bytes, filled, text, which};
use super::{FILE, Route};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::Refusal;
use crate::store::people::{self, Document};
use crate::store::{browse, faces, guid};

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(&ENROLLMENT_PHOTO, enrollment),
        Route::new(&DETECTION_PHOTO, detection),
        Route::new(&UPLOAD_DOCUMENT, upload).growing().with_body(FILE),
        Route::new(&DOWNLOAD_DOCUMENT, download),
        Route::of_person(&LIST_DOCUMENTS, people::documents),
    ]
}

/// Who gets to see what people were enrolled from: not a door, which may only publish. The contract asks for no more
/// than a token, and knows no 403 here.
const SEE_ENROLLED: [Permission; 4] = [ReadAllIdentity, MutateAllIdentity, ReadIdentityFiles, FaceEnrollment];

async fn enrollment(
    engine: Engine,
    caller: Caller,
    face: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    if !caller.may(&SEE_ENROLLED) {
        return Err(Refusal::NotFound("photo"));
    }
    let Path(face) = face.map_err(|_| Refusal::NotFound("photo"))?;
    jpeg(engine.read(ENROLLMENT_PHOTO.id, move |connection| faces::photo(connection, &face)).await?)
}

async fn detection(engine: Engine, ids: Result<Path<(String, String)>, PathRejection>) -> Result<Response, Refusal> {
    let Path((face, detect_id)) = ids.map_err(|_| Refusal::NotFound("photo"))?;
    jpeg(engine.read(DETECTION_PHOTO.id, move |connection| browse::photo(connection, &face, &detect_id)).await?)
}

fn jpeg(photo: Option<Vec<u8>>) -> Result<Response, Refusal> {
    let photo = photo.ok_or(Refusal::NotFound("photo"))?;
    Ok(([(CONTENT_TYPE, "image/jpeg"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], photo).into_response())
}

/// An operation that the contract has not got: without it nobody finds again what was uploaded without an id.
const LIST_DOCUMENTS: Operation = Operation {
    id: "listFileDocuments",
    summary: "The files attached to a person",
    path: "/api/v1/people/{personId}/fileDocuments",
    answer: Content::List("FileDocument"),
    missing: Some("person"),
    ..DOWNLOAD_DOCUMENT
};

/// Answers where the file is from now on: whoever sends no id learns the one it was given.
async fn upload(engine: Engine, caller: Caller, mut form: Form) -> Result<Response, Refusal> {
    let (mut file, mut texts) = (None, HashMap::new());
    while let Some(part) = form.next().await? {
        // The file is the part that carries a file name, whatever the part is called.
        if let Some(file_name) = part.file_name().map(str::to_owned) {
            let media_type = part.content_type().map(str::to_owned);
            file = Some((file_name, media_type, bytes(part).await?));
            continue;
        }
        if let Some(name) = which(&part, &[PERSON_ID, NAME, DESCRIPTION, PUBLIC_ID]) {
            texts.insert(name, text(part).await?);
        }
    }
    let person = texts.get(PERSON_ID).map(|id| id.trim()).filter(|id| !id.is_empty());
    let missing = |part| move || Refusal::bad_input(format!("the part {part} is missing"));
    let (file_name, media_type, bytes) = file.ok_or_else(missing("file"))?;
    let document = Document {
        person: guid(person.ok_or_else(missing(PERSON_ID))?)?,
        name: texts.remove(NAME).ok_or_else(missing(NAME))?,
        public_id: texts.remove(PUBLIC_ID).filter(|id| !id.is_empty()).unwrap_or_else(|| Uuid::new_v4().to_string()),
        description: texts.remove(DESCRIPTION),
        file_name: Some(file_name),
        media_type,
        bytes,
    };
    filled("name", &document.name)?;
    let place = format!(
        "/api/v1/people/{}/fileDocuments/{}/data",
        document.person,
        // In a path a space is `%20`.
        form_urlencoded::byte_serialize(document.public_id.as_bytes()).collect::<String>().replace('+', "%20")
    );
    let limits = engine.keep_limits();
    let stored = engine.change(caller, &UPLOAD_DOCUMENT, move |transaction, account| {
        people::require(transaction, document.person)?;
        limits.check_document(transaction, account, document.bytes.len() as u64)?;
        people::put_document(transaction, &document, account, Utc::now())?;
        Ok((document.person.to_string(), ()))
    });
    stored.await?;
    // What is percent-encoded can always be a header.
    Ok([(LOCATION, HeaderValue::try_from(place).unwrap_or(HeaderValue::from_static("")))].into_response())
}

async fn download(
    engine: Engine,
    Segments((Guid(person), document)): Segments<(Guid, String)>,
) -> Result<Response, Refusal> {
    let read = engine.read(DOWNLOAD_DOCUMENT.id, move |connection| people::document(connection, person, &document));
    let document = read.await?.ok_or(Refusal::NotFound("document"))?;
    // Uploaded by anybody with the right to: a browser must save it, never show it as a page of ours.
    let unknown = || HeaderValue::from_static("application/octet-stream");
    let media_type = document.media_type.and_then(|media_type| HeaderValue::try_from(media_type).ok());
    let headers = [
        (CONTENT_TYPE, media_type.unwrap_or_else(unknown)),
        (CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, document.bytes).into_response())
}
