//! The web pages, and the lists it needs beyond the contract.
//!
//! In: GET for the files; for the lists and for erasing, a token with the permissions of the contract's operations of the
//! same kind. Out: HTML, style and scripts as they stand in `page/`, and JSON. What the page changes otherwise it changes
//! through the contract.

use axum::Json as Answer;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get};
use chrono::{DateTime, Utc};
use identities::wire::PersonTag;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::extract::{Guid, Query, Segments};
use super::openapi::INDEX;
use super::{Access, RECORD, Route};
use crate::Engine;
use crate::auth::Caller;
use crate::permission::Permission::*;
use crate::refusal::Refusal;
use crate::store::{browse, people, tags};

/// Nothing from elsewhere and nothing inline; pictures come as blobs, because they are asked for with a token.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Entries of one page of a list at most.
const MOST: u32 = 200;

/// Path, media type and content of every file.
const FILES: [(&str, &str, &str); 13] = [
    ("/", "text/html; charset=utf-8", include_str!("../page/page.html")),
    ("/page/page.css", "text/css; charset=utf-8", include_str!("../page/page.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ("/page/main.js", SCRIPT, include_str!("../page/main.js")),
    ("/page/api.js", SCRIPT, include_str!("../page/api.js")),
    ("/page/dom.js", SCRIPT, include_str!("../page/dom.js")),
    ("/page/photo.js", SCRIPT, include_str!("../page/photo.js")),
    ("/page/people.js", SCRIPT, include_str!("../page/people.js")),
    ("/page/sights.js", SCRIPT, include_str!("../page/sights.js")),
    ("/page/enrol.js", SCRIPT, include_str!("../page/enrol.js")),
    (INDEX, "text/html; charset=utf-8", include_str!("../page/swagger/index.html")),
    ("/swagger/try.css", "text/css; charset=utf-8", include_str!("../page/swagger/try.css")),
    ("/swagger/try.js", SCRIPT, include_str!("../page/swagger/try.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

#[derive(Deserialize)]
struct PeopleFilter {
    #[serde(default)]
    text: String,
    #[serde(default)]
    skip: u32,
    #[serde(default = "fifty")]
    take: u32,
}

#[derive(Serialize)]
struct PeopleList {
    total: u32,
    people: Vec<ListedPerson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPerson {
    person_id: Uuid,
    name: String,
    face_id: Option<String>,
    photos: u32,
    tags: Vec<PersonTag>,
    last_seen: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhotoLine {
    face_id: String,
    quality: f32,
    created: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SightFilter {
    /// Where the page before this one ended.
    before_ms: Option<i64>,
    before_row: Option<i64>,
    person_id: Option<Uuid>,
    known: Option<bool>,
    #[serde(default = "fifty")]
    take: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SightLine {
    row: i64,
    detect_id: String,
    face_id: String,
    person_id: Option<String>,
    name: String,
    detector: String,
    time: DateTime<Utc>,
    time_zone: String,
    /// Of the face.
    confidence: f32,
    /// Of the person.
    match_confidence: Option<f32>,
    quality: f32,
}

pub fn routes() -> Vec<Route> {
    let reading = Access::AnyOf(&[ReadAllIdentity]);
    let erasing = Access::AnyOf(&[MutateAllIdentity]);
    vec![
        Route::new("pageListPeople", "/page/people", reading, RECORD, get(list_people)),
        Route::new("pageErasePerson", "/page/people/{personId}", erasing, RECORD, delete(erase_person)),
        Route::new("pageListPhotos", "/page/people/{personId}/photos", reading, RECORD, get(list_photos)),
        Route::new("pageErasePhoto", "/page/photos/{faceId}", erasing, RECORD, delete(erase_photo)),
        Route::new("pageListSights", "/page/sights", Access::AnyOf(&[ReadDetections]), RECORD, get(list_sights)),
    ]
}

/// The files, for everybody: who sees the page has seen nobody's face.
pub fn files() -> Router<Engine> {
    let file = |kind: &'static str, text: &'static str| -> MethodRouter<Engine> {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let add = |router: Router<Engine>, (path, kind, text)| router.route(path, file(kind, text));
    FILES.into_iter().fold(Router::new(), add).layer(middleware::from_fn(distrust))
}

/// Tells browsers to trust nothing and keep nothing; the camera is the page's own.
async fn distrust(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("permissions-policy", "camera=(self), microphone=(), geolocation=()"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // A newer engine has a newer page.
        ("cache-control", "no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn list_people(
    State(engine): State<Engine>,
    Query(filter): Query<PeopleFilter>,
) -> Result<Answer<PeopleList>, Refusal> {
    let listed = engine.blocking(move |inner| {
        inner.store.read("list people", |connection| {
            let now = Utc::now();
            let page = (filter.skip, filter.take.min(MOST));
            let (found, total) = browse::people(connection, filter.text.trim(), page, now)?;
            let line = |listed: browse::Listed| {
                Ok(ListedPerson {
                    person_id: listed.person,
                    name: listed.name,
                    face_id: listed.face,
                    photos: listed.photos,
                    tags: tags::of_person(connection, listed.person, None, now)?,
                    last_seen: listed.last_seen,
                })
            };
            let people = found.into_iter().map(line).collect::<Result<_, rusqlite::Error>>()?;
            Ok(PeopleList { total, people })
        })
    });
    listed.await.map(Answer)
}

async fn list_photos(
    State(engine): State<Engine>,
    Segments(Guid(person)): Segments<Guid>,
) -> Result<Answer<Vec<PhotoLine>>, Refusal> {
    let listed = engine.blocking(move |inner| {
        inner.store.read("list a person's photos", |connection| {
            people::require(connection, person)?;
            Ok(browse::photos(connection, person)?)
        })
    });
    let line = |photo: browse::Photo| PhotoLine { face_id: photo.face, quality: photo.quality, created: photo.created };
    Ok(Answer(listed.await?.into_iter().map(line).collect()))
}

async fn list_sights(
    State(engine): State<Engine>,
    Query(filter): Query<SightFilter>,
) -> Result<Answer<Vec<SightLine>>, Refusal> {
    let before = filter.before_ms.map(|ms| {
        let time = DateTime::from_timestamp_millis(ms).ok_or_else(|| Refusal::bad_input("beforeMs is no time"))?;
        Ok::<_, Refusal>((time, filter.before_row.unwrap_or(i64::MAX)))
    });
    let wanted = browse::Sights {
        before: before.transpose()?,
        person: filter.person_id,
        known: filter.known,
        most: filter.take.min(MOST),
    };
    let listed = engine.blocking(move |inner| {
        inner.store.read("list who was seen", |connection| Ok(browse::sights(connection, &wanted)?))
    });
    let line = |sight: browse::Sight| SightLine {
        row: sight.row,
        detect_id: sight.detect_id,
        face_id: sight.face,
        person_id: sight.person,
        name: sight.name,
        detector: sight.detector,
        time: sight.time,
        time_zone: sight.time_zone,
        confidence: sight.confidence,
        match_confidence: sight.match_confidence,
        quality: sight.quality,
    };
    Ok(Answer(listed.await?.into_iter().map(line).collect()))
}

async fn erase_person(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Segments<Guid>,
) -> Result<(), Refusal> {
    engine.erase_person(&caller, person).await
}

async fn erase_photo(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(face)): Segments<Guid>,
) -> Result<(), Refusal> {
    engine.erase_photo(&caller, face).await
}

fn fifty() -> u32 {
    50
}
