//! The web page, and the lists it needs beyond the contract.
//!
//! In: GET for the files; for the lists and for erasing, a token with the permissions of the contract's operations of
//! the same kind. Out: HTML, style and scripts as they stand in `page/`, and JSON. What the page changes otherwise it
//! changes through the contract.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use chrono::{DateTime, Utc};
use identities::operation::{CONFIGURE_STRING_FIELD, DETECTIONS_OF_PERSON, Operation, SEARCH_PEOPLE, Verb};
use rusqlite::Connection;
use serde::Deserialize;
use uuid::Uuid;

use super::Route;
use super::extract::{Id, Query};
use super::openapi::INDEX;
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::Refusal;
use crate::store::browse::{self, ListedSighting, WantedSightings};
use crate::store::{Stop, people};

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SightingFilter {
    /// The time of the last sighting on the page before this one; `before_row` is its row.
    before_ms: Option<i64>,
    before_row: Option<i64>,
    person_id: Option<Uuid>,
    known: Option<bool>,
    #[serde(default = "fifty")]
    take: u32,
}

/// The page's own operations; each needs what the contract's operation of the same kind needs.
const LIST_PEOPLE: Operation = Operation { id: "pageListPeople", path: "/page/people", ..SEARCH_PEOPLE };
const LIST_PHOTOS: Operation =
    Operation { id: "pageListPhotos", path: "/page/people/{personId}/photos", ..SEARCH_PEOPLE };
const LIST_SIGHTINGS: Operation = Operation { id: "pageListSights", path: "/page/sights", ..DETECTIONS_OF_PERSON };
const ERASE_PERSON: Operation =
    Operation { id: "pageErasePerson", verb: Verb::Delete, path: "/page/people/{personId}", ..CONFIGURE_STRING_FIELD };
const ERASE_PHOTO: Operation =
    Operation { id: "pageErasePhoto", verb: Verb::Delete, path: "/page/photos/{faceId}", ..CONFIGURE_STRING_FIELD };

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&LIST_PEOPLE, |connection, Query(PeopleFilter { text, skip, take })| {
            browse::people(connection, text.trim(), skip, take.min(MOST), Utc::now())
        }),
        Route::new(&ERASE_PERSON, erase_person),
        Route::reading(&LIST_PHOTOS, |connection, Id(person)| {
            people::require(connection, person)?;
            browse::photos(connection, person)
        }),
        Route::new(&ERASE_PHOTO, erase_photo),
        Route::reading(&LIST_SIGHTINGS, |connection, Query(filter)| list_sightings(connection, filter)),
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

fn list_sightings(connection: &Connection, filter: SightingFilter) -> Result<Vec<ListedSighting>, Stop> {
    let before = filter.before_ms.map(|ms| {
        let time = DateTime::from_timestamp_millis(ms).ok_or_else(|| Refusal::bad_input("beforeMs is no time"))?;
        Ok::<_, Refusal>((time, filter.before_row.unwrap_or(i64::MAX)))
    });
    let wanted = WantedSightings {
        before: before.transpose()?,
        person: filter.person_id,
        known: filter.known,
        most: filter.take.min(MOST),
    };
    browse::sightings(connection, &wanted)
}

async fn erase_person(engine: Engine, caller: Caller, Id(person): Id) -> Result<(), Refusal> {
    engine.erase_person(&caller, person).await
}

async fn erase_photo(engine: Engine, caller: Caller, Id(face): Id) -> Result<(), Refusal> {
    engine.erase_photo(&caller, face).await
}

fn fifty() -> u32 {
    50
}
