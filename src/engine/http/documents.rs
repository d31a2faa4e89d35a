//! Files attached to people: upload as a form, download as they came.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::Utc;
use uuid::Uuid;

use super::extract::{Form, Guid, Segments, bytes, filled, text};
use super::{Access, FILE, RECORD, Route};
use crate::engine::auth::Caller;
use crate::engine::permission::Permission::*;
use crate::engine::refusal::Refusal;
use crate::engine::store::documents::Document;
use crate::engine::store::{audit, documents, people};
use crate::engine::{Engine, guid};

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(
            "uploadFileDocument",
            "/api/v1/people/fileDocuments/upload",
            Access::AnyOf(&[AddIdentityFiles]),
            FILE,
            post(upload),
        ),
        Route::new(
            "downloadFileDocument",
            "/api/v1/people/{personId}/fileDocuments/{documentId}/data",
            Access::AnyOf(&[ReadIdentityFiles]),
            RECORD,
            get(download),
        ),
    ]
}

async fn upload(State(engine): State<Engine>, caller: Caller, mut form: Form) -> Result<(), Refusal> {
    let (mut file, mut person, mut name, mut description, mut public_id) = (None, None, None, None, None);
    while let Some(part) = form.next().await? {
        // The file is the part that carries a file name, whatever the part is called.
        if let Some(file_name) = part.file_name().map(str::to_owned) {
            let media_type = part.content_type().map(str::to_owned);
            file = Some((file_name, media_type, bytes(part).await?));
            continue;
        }
        match part.name().unwrap_or_default() {
            "personId" => person = Some(guid(&text(part).await?)?),
            "name" => name = Some(text(part).await?),
            "description" => description = Some(text(part).await?),
            "publicId" => public_id = Some(text(part).await?),
            _ => {}
        }
    }
    let missing = |part| move || Refusal::bad_input(format!("the part {part} is missing"));
    let (file_name, media_type, bytes) = file.ok_or_else(missing("file"))?;
    let document = Document {
        person: person.ok_or_else(missing("personId"))?,
        name: name.ok_or_else(missing("name"))?,
        public_id: public_id.filter(|id| !id.is_empty()).unwrap_or_else(|| Uuid::new_v4().to_string()),
        description,
        file_name: Some(file_name),
        media_type,
        bytes,
    };
    filled("name", &document.name)?;
    let stored = engine.blocking(move |inner| {
        inner.store.write("store a document", |transaction| {
            people::require(transaction, document.person)?;
            documents::put(transaction, &document, Utc::now())?;
            let person = document.person.to_string();
            Ok(audit::record(transaction, &caller.username, "uploadFileDocument", Some(&person))?)
        })
    });
    stored.await
}

async fn download(
    State(engine): State<Engine>,
    Segments((Guid(person), document)): Segments<(Guid, String)>,
) -> Result<Response, Refusal> {
    let read = engine.blocking(move |inner| {
        inner.store.read("read a document", |connection| Ok(documents::read(connection, person, &document)?))
    });
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
