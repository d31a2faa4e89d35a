//! Detections: the history of a face or of a person, page by page.

use axum::Json as Answer;
use identities::operation::{DETECTIONS_OF_FACE, DETECTIONS_OF_PERSON};
use identities::wire::{DetectionItem, DetectionsQuery};

use super::extract::{Id, Query, Segments};
use super::{Answered, Route};
use crate::engine::Engine;
use crate::refusal::Refusal;
use crate::store::detections::{self, Of};

/// Records of one page at most, each with its photo: a page is some megabytes. Clients go on by the number received.
const PAGE: u32 = 100;

/// The last moment the contract lets a bound name, in milliseconds: the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

pub fn routes() -> Vec<Route> {
    vec![Route::new(&DETECTIONS_OF_FACE, of_face), Route::new(&DETECTIONS_OF_PERSON, of_person)]
}

async fn of_face(
    engine: Engine,
    Segments(face): Segments<String>,
    Query(query): Query<DetectionsQuery>,
) -> Answered<Vec<DetectionItem>> {
    list(&engine, Of::Face(face), query).await
}

async fn of_person(
    engine: Engine,
    Id(person): Id,
    Query(query): Query<DetectionsQuery>,
) -> Answered<Vec<DetectionItem>> {
    list(&engine, Of::Person(person), query).await
}

async fn list(engine: &Engine, of: Of, query: DetectionsQuery) -> Answered<Vec<DetectionItem>> {
    let bounds = [query.epoch_start_ms, query.epoch_end_ms];
    if bounds.into_iter().flatten().any(|bound| !(0..=LAST_MS).contains(&bound)) {
        return Err(Refusal::bad_input(format!("epochStartMs and epochEndMs must lie between 0 and {LAST_MS}")));
    }
    if query.skip > i32::MAX as u32 || query.take > i32::MAX as u32 {
        return Err(Refusal::bad_input(format!("skip and take must not be above {}", i32::MAX)));
    }
    let listed = engine.read("list detections", move |connection| detections::list(connection, &of, &query, PAGE));
    listed.await.map(Answer)
}
