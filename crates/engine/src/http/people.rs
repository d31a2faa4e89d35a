//! Records: people as a whole, the history of a face or of a person page by page, the definitions of tags, and those of
//! custom fields, of which only the paths are documented.

use axum::Json as Answer;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use chrono::Utc;
use identities::operation::{
    CONFIGURE_DATETIME_FIELD, CONFIGURE_STRING_FIELD, CREATE_TAG, DELETE_TAG, DETECTIONS_OF_FACE, DETECTIONS_OF_PERSON,
    FIND_PEOPLE, GET_PERSON, GET_TAG, LIST_TAGS, Operation, SEARCH_PEOPLE, UPDATE_TAG,
};
use identities::wire::{DetectionItem, DetectionsQuery, IdentityPersonItem, PeopleQuery, TagWrite};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::extract::{Id, Json, Query, Segments, filled, filled_if_given};
use super::{Route, names};
use crate::error::Refusal;
use crate::store::browse::{self, Of};
use crate::store::{Stop, guid, people, tags};

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&SEARCH_PEOPLE, |connection, Query(query)| search(connection, &query)),
        Route::reading(&FIND_PEOPLE, find_by_field),
        Route::of_person(&GET_PERSON, |connection, person| people::read(connection, person, Utc::now())),
        Route::reading(&DETECTIONS_OF_FACE, |connection, (Segments(face), Query(query))| {
            sightings(connection, Of::Face, face, &query)
        }),
        Route::reading(&DETECTIONS_OF_PERSON, |connection, (Id(person), Query(query))| {
            sightings(connection, Of::Person, person.to_string(), &query)
        }),
        Route::reading(&LIST_TAGS, |connection, Query(TagFilter { tag_name })| {
            filled_if_given("tagName", &tag_name)?;
            tags::list(connection, tag_name.as_deref())
        }),
        Route::changing(&CREATE_TAG, |transaction, _, Json(tag): Json<TagWrite>| {
            filled("tagName", &tag.tag_name)?;
            let id = Uuid::new_v4();
            Ok((id.to_string(), Answer(tags::put_definition(transaction, id, &tag)?)))
        }),
        Route::reading(&GET_TAG, |connection, Id(id)| tags::read(connection, id)),
        Route::changing(&UPDATE_TAG, |transaction, _, (Id(id), Json(tag)): (Id, Json<TagWrite>)| {
            filled("tagName", &tag.tag_name)?;
            tags::read(transaction, id)?;
            Ok((id.to_string(), Answer(tags::put_definition(transaction, id, &tag)?)))
        }),
        Route::changing(&DELETE_TAG, |transaction, _, Id(id)| {
            tags::delete(transaction, id)?;
            Ok((id.to_string(), ()))
        }),
        configuring(&CONFIGURE_STRING_FIELD, "string"),
        configuring(&CONFIGURE_DATETIME_FIELD, "datetime"),
    ]
}

fn search(connection: &Connection, query: &PeopleQuery) -> Result<Vec<IdentityPersonItem>, Stop> {
    let PeopleQuery { tag_id, entity_field_name: name, entity_field_string_value: value } = query;
    if tag_id.is_none() && name.is_none() {
        return Err(Refusal::bad_input("a selector is needed: tagId or entityFieldName").into());
    }
    if value.is_some() && name.is_none() {
        return Err(Refusal::bad_input("entityFieldStringValue needs entityFieldName").into());
    }
    filled_if_given("entityFieldName", name)?;
    let tag = tag_id.as_deref().map(guid).transpose()?;
    people::search(connection, tag, name.as_deref(), value.as_deref(), Utc::now())
}

/// A segment that cannot be read (its percent encoding is no UTF-8) fits nobody: this operation has no 400.
fn find_by_field(
    connection: &Connection,
    segments: Result<Path<(String, String)>, PathRejection>,
) -> Result<Vec<IdentityPersonItem>, Stop> {
    match segments {
        Ok(Path((name, value))) => people::search(connection, None, Some(&name), Some(&value), Utc::now()),
        Err(_) => Ok(Vec::new()),
    }
}

/// Records of one page at most, each with its photo: a page is some megabytes. Clients go on by the number received.
const PAGE: u32 = 100;

/// The last moment the contract lets a bound name, in milliseconds: the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

fn sightings(connection: &Connection, of: Of, id: String, query: &DetectionsQuery) -> Result<Vec<DetectionItem>, Stop> {
    let bounds = [query.epoch_start_ms, query.epoch_end_ms];
    if bounds.into_iter().flatten().any(|bound| !(0..=LAST_MS).contains(&bound)) {
        return Err(Refusal::bad_input(format!("epochStartMs and epochEndMs must lie between 0 and {LAST_MS}")).into());
    }
    if query.skip > i32::MAX as u32 || query.take > i32::MAX as u32 {
        return Err(Refusal::bad_input(format!("skip and take must not be above {}", i32::MAX)).into());
    }
    browse::list(connection, of, id, query, PAGE)
}

/// The query of lists of tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagFilter {
    pub tag_name: Option<String>,
}

/// The route that defines fields of this kind.
fn configuring(operation: &'static Operation, kind: &'static str) -> Route {
    Route::changing(operation, move |transaction, _, (Segments((entity_type, field)), Json(body)): FieldDefinition| {
        let body = Value::Object(body);
        check_definition(&body)?;
        people::put_field_setting(transaction, &entity_type, &field, kind, &body.to_string())?;
        Ok((field, ()))
    })
}

/// The kind of entity, the field, and its definition.
type FieldDefinition = (Segments<(String, String)>, Json<Map<String, Value>>);

/// What is known of a definition's properties.
#[derive(Deserialize)]
struct KnownProperties {
    name: Option<String>,
    #[serde(rename = "disabled")]
    _disabled: Option<bool>,
}

/// Refuses a definition whose known properties are of another type.
fn check_definition(body: &Value) -> Result<(), Refusal> {
    let known: KnownProperties = names::read(body).map_err(Refusal::bad_input)?;
    filled_if_given("name", &known.name)
}
