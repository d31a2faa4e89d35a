//! Detections: the history of a face or of a person, page by page.

use identities::operation::{DETECTIONS_OF_FACE, DETECTIONS_OF_PERSON};
use identities::wire::{DetectionItem, DetectionsQuery};
use rusqlite::Connection;

use super::Route;
use super::extract::{Id, Query, Segments};
use crate::refusal::Refusal;
use crate::store::Stop;
use crate::store::detections::{self, Of};

/// Records of one page at most, each with its photo: a page is some megabytes. Clients go on by the number received.
const PAGE: u32 = 100;

/// The last moment the contract lets a bound name, in milliseconds: the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&DETECTIONS_OF_FACE, |connection, (Segments(face), Query(query))| {
            list(connection, Of::Face, face, &query)
        }),
        Route::reading(&DETECTIONS_OF_PERSON, |connection, (Id(person), Query(query))| {
            list(connection, Of::Person, person.to_string(), &query)
        }),
    ]
}

fn list(connection: &Connection, of: Of, id: String, query: &DetectionsQuery) -> Result<Vec<DetectionItem>, Stop> {
    let bounds = [query.epoch_start_ms, query.epoch_end_ms];
    if bounds.into_iter().flatten().any(|bound| !(0..=LAST_MS).contains(&bound)) {
        return Err(Refusal::bad_input(format!("epochStartMs and epochEndMs must lie between 0 and {LAST_MS}")).into());
    }
    if query.skip > i32::MAX as u32 || query.take > i32::MAX as u32 {
        return Err(Refusal::bad_input(format!("skip and take must not be above {}", i32::MAX)).into());
    }
    detections::list(connection, of, id, query, PAGE)
}
