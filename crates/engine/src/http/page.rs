//! What is no operation of the contract: the web page and the lists it needs, `/health` for whoever watches the engine,
//! and `/metrics` for Prometheus.
//!
//! In: GET for the files; for the lists and for erasing, a token with the permissions of the contract's operations of
//! the same kind. Out: HTML, style and scripts as they stand in `page/`, and JSON. What the page changes otherwise it
//! changes through the contract. Health and metrics ask for no token, so health says no more than that it works and how
//! far it is; metrics are for this machine.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::header::{self, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use chrono::{DateTime, Utc};
use identities::operation::{CONFIGURE_STRING_FIELD, DETECTIONS_OF_PERSON, Operation, SEARCH_PEOPLE, USER_PROFILE};
use serde::Deserialize;
use serde_json::json;
use telemetry::Metrics;
use wording::languages::{self, Language};

use super::Route;
use super::extract::{Id, Query};
use super::openapi::INDEX;
use super::problem;
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::Refusal;
use crate::store::erase::Whom;
use crate::store::{browse, meta};

/// Nothing from elsewhere and nothing inline; pictures come as blobs, because they are asked for with a token.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Entries of one page of a list at most.
const MOST: u32 = 200;

/// Path, media type and content of every file.
const FILES: [(&str, &str, &str); 23] = [
    ("/", "text/html; charset=utf-8", include_str!("../page/page.html")),
    ("/page/page.css", "text/css; charset=utf-8", include_str!("../page/page.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ("/page/main.js", SCRIPT, include_str!("../page/main.js")),
    ("/page/api.js", SCRIPT, include_str!("../page/api.js")),
    ("/page/dom.js", SCRIPT, include_str!("../page/dom.js")),
    ("/page/words.js", SCRIPT, languages::SCRIPT),
    ("/page/place.js", SCRIPT, include_str!("../page/place.js")),
    ("/page/time.js", SCRIPT, include_str!("../page/time.js")),
    ("/page/dialog.js", SCRIPT, include_str!("../page/dialog.js")),
    ("/page/erase.js", SCRIPT, include_str!("../page/erase.js")),
    ("/page/photo.js", SCRIPT, include_str!("../page/photo.js")),
    ("/page/people.js", SCRIPT, include_str!("../page/people.js")),
    ("/page/person.js", SCRIPT, include_str!("../page/person.js")),
    ("/page/record.js", SCRIPT, include_str!("../page/record.js")),
    ("/page/sights.js", SCRIPT, include_str!("../page/sights.js")),
    ("/page/strangers.js", SCRIPT, include_str!("../page/strangers.js")),
    ("/page/assign.js", SCRIPT, include_str!("../page/assign.js")),
    ("/page/camera.js", SCRIPT, include_str!("../page/camera.js")),
    ("/page/enrol.js", SCRIPT, include_str!("../page/enrol.js")),
    (INDEX, "text/html; charset=utf-8", include_str!("../page/swagger/index.html")),
    ("/swagger/try.css", "text/css; charset=utf-8", include_str!("../page/swagger/try.css")),
    ("/swagger/try.js", SCRIPT, include_str!("../page/swagger/try.js")),
];
/// The languages of the page, the first one for whoever speaks none of them.
const LANGUAGES: [Language; 2] = [
    Language { tag: "en", name: "English", words: include_str!("../page/words/en.json") },
    Language { tag: "de", name: "Deutsch", words: include_str!("../page/words/de.json") },
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

#[derive(Deserialize)]
struct PeopleFilter {
    #[serde(default)]
    text: String,
    #[serde(default)]
    skip: u32,
    #[serde(default = "browse::fifty")]
    take: u32,
}

/// The page's own operations; each needs what the contract's operation of the same kind needs.
const LIST_PEOPLE: Operation = Operation { id: "pageListPeople", path: "/page/people", ..SEARCH_PEOPLE };
const LIST_PHOTOS: Operation =
    Operation { id: "pageListPhotos", path: "/page/people/{personId}/photos", ..SEARCH_PEOPLE };
const SIGHTING: Operation = Operation { id: "pageSight", path: "/page/sights/{detectId}", ..DETECTIONS_OF_PERSON };
const LIST_SIGHTINGS: Operation = Operation { id: "pageListSights", path: "/page/sights", ..DETECTIONS_OF_PERSON };
const ERASE_PERSON: Operation = Operation {
    id: "pageErasePerson",
    method: &Method::DELETE,
    path: "/page/people/{personId}",
    ..CONFIGURE_STRING_FIELD
};
const ERASING_PERSON: Operation = Operation {
    id: "pageErasingPerson",
    method: &Method::GET,
    path: "/page/people/{personId}/erasing",
    ..ERASE_PERSON
};
const ERASE_STRANGER: Operation =
    Operation { id: "pageEraseStranger", path: "/page/strangers/{faceId}", ..ERASE_PERSON };
const ERASING_STRANGER: Operation =
    Operation { id: "pageErasingStranger", path: "/page/strangers/{faceId}/erasing", ..ERASING_PERSON };
const ERASE_SEEN: Operation = Operation { id: "pageEraseSights", path: "/page/sights", ..ERASE_PERSON };
const ERASING_SEEN: Operation = Operation { id: "pageErasingSights", path: "/page/sights/erasing", ..ERASING_PERSON };
const SIGN_OUT: Operation =
    Operation { id: "pageSignOut", method: &Method::POST, path: "/page/signOut", ..USER_PROFILE };
const ERASE_PHOTO: Operation = Operation {
    id: "pageErasePhoto",
    method: &Method::DELETE,
    path: "/page/photos/{faceId}",
    ..CONFIGURE_STRING_FIELD
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&LIST_PEOPLE, |connection, Query(PeopleFilter { text, skip, take })| {
            browse::people(connection, text.trim(), skip, take.min(MOST), Utc::now())
        }),
        erases(&ERASE_PERSON, |Id(person)| Ok(Whom::Person(person))),
        would_erase(&ERASING_PERSON, |Id(person)| Ok(Whom::Person(person))),
        erases(&ERASE_STRANGER, |Id(face)| Ok(Whom::Stranger(face))),
        would_erase(&ERASING_STRANGER, |Id(face)| Ok(Whom::Stranger(face))),
        erases(&ERASE_SEEN, |Query(time): Query<Time>| time.seen()),
        would_erase(&ERASING_SEEN, |Query(time): Query<Time>| time.seen()),
        Route::of_person(&LIST_PHOTOS, browse::photos),
        Route::new(&ERASE_PHOTO, |engine: Engine, caller: Caller, Id(face): Id| async move {
            engine.erase_photo(caller, face).await
        }),
        Route::new(&SIGN_OUT, |engine: Engine, caller: Caller| async move {
            engine.blocking(move |inner| inner.auth.sign_out(&inner.store, &caller)).await
        }),
        Route::reading(&SIGHTING, |connection, Id(detection)| browse::sighting(connection, detection)),
        Route::reading(&LIST_SIGHTINGS, |connection, Query(wanted)| browse::sightings(connection, &wanted, MOST)),
    ]
}

/// A route that erases what is asked for, and tells in numbers what went.
fn erases<M: 'static, A: FromRequest<Engine, M> + Send + 'static>(
    operation: &'static Operation,
    whom: fn(A) -> Result<Whom, Refusal>,
) -> Route {
    Route::new(operation, move |engine: Engine, caller: Caller, asked: A| async move {
        engine.erase(caller, whom(asked)?).await.map(Json)
    })
}

/// A route that tells what would go.
fn would_erase<M: 'static, A: FromRequest<Engine, M> + Send + 'static>(
    operation: &'static Operation,
    whom: fn(A) -> Result<Whom, Refusal>,
) -> Route {
    Route::new(
        operation,
        move |engine: Engine, asked: A| async move { engine.would_erase(whom(asked)?).await.map(Json) },
    )
}

/// From when on and before when, in milliseconds since 1970, and at which detector; without one at all.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Time {
    from_ms: i64,
    to_ms: i64,
    detector: Option<String>,
}

impl Time {
    fn seen(self) -> Result<Whom, Refusal> {
        let moment = |millis| DateTime::from_timestamp_millis(millis);
        let (Some(from), Some(to)) = (moment(self.from_ms), moment(self.to_ms)) else {
            return Err(Refusal::bad_input("fromMs and toMs must be milliseconds since 1970"));
        };
        if from >= to {
            return Err(Refusal::bad_input("fromMs must be before toMs"));
        }
        Ok(Whom::Seen { from, to, detector: self.detector })
    }
}

/// The files, for everybody: who sees the page has seen nobody's face.
pub fn files() -> Router<Engine> {
    let file = |kind: &'static str, text: &'static str| -> MethodRouter<Engine> {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let add = |router: Router<Engine>, (path, kind, text)| router.route(path, file(kind, text));
    let router = Router::new().route(WORDS, get(words));
    FILES.into_iter().fold(router, add).layer(middleware::from_fn(distrust))
}

/// The page's texts.
pub const WORDS: &str = "/page/words";

#[derive(Deserialize)]
struct Speaking {
    language: Option<String>,
}

/// The texts in the language that is asked for, or else in that which the browser's owner speaks; and the zone of times
/// that are no door's.
async fn words(Query(Speaking { language }): Query<Speaking>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let zone = iana_time_zone::get_timezone().unwrap_or_else(|_| "UTC".into());
    let told = languages::told(&LANGUAGES, languages::chosen(&LANGUAGES, language.as_deref(), accepted), &zone);
    ([(CONTENT_TYPE, "application/json"), (header::VARY, "accept-language")], told).into_response()
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

pub fn health_and_metrics(metrics: Option<Metrics>) -> Router<Engine> {
    let router = Router::new().route("/health", get(health));
    match metrics {
        Some(metrics) => router.route("/metrics", get(render).layer(Extension(metrics))),
        None => router,
    }
}

/// 200 while the data folder can be read, 503 otherwise.
async fn health(engine: Engine) -> Response {
    let ok = engine.read("read the data folder", meta::model).await.is_ok();
    let state = engine.model_state();
    let health = json!({
        "ok": ok,
        // The embedding model that answers, and the one that will, once it has seen every enrolled photo.
        "model": state.answering,
        "preparing": state.preparing,
        "photos_without_face": state.faceless,
    });
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn render(
    Extension(ConnectInfo(client)): Extension<ConnectInfo<SocketAddr>>,
    Extension(metrics): Extension<Metrics>,
) -> Response {
    if !client.ip().to_canonical().is_loopback() {
        return problem(StatusCode::FORBIDDEN, "Forbidden", "metrics are for this machine alone");
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_everything() {
        assert_eq!(languages::gaps(&LANGUAGES), Vec::<String>::new());
    }
}
