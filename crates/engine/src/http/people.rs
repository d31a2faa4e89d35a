//! people: searches, and whole records.

use axum::Json as Answer;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use chrono::Utc;
use identities::operation::{FIND_PEOPLE, GET_PERSON, SEARCH_PEOPLE};
use identities::wire::{IdentityPersonItem, PeopleQuery};

use super::extract::{Id, Query, filled_if_given};
use super::{Answered, Route};
use crate::engine::Engine;
use crate::guid::guid;
use crate::refusal::Refusal;
use crate::store::people;

pub fn routes() -> Vec<Route> {
    vec![Route::new(&SEARCH_PEOPLE, search), Route::new(&FIND_PEOPLE, find_by_field), Route::new(&GET_PERSON, read)]
}

async fn search(engine: Engine, Query(query): Query<PeopleQuery>) -> Answered<Vec<IdentityPersonItem>> {
    let PeopleQuery { tag_id, entity_field_name: name, entity_field_string_value: value } = &query;
    if tag_id.is_none() && name.is_none() {
        return Err(Refusal::bad_input("a selector is needed: tagId or entityFieldName"));
    }
    if value.is_some() && name.is_none() {
        return Err(Refusal::bad_input("entityFieldStringValue needs entityFieldName"));
    }
    filled_if_given("entityFieldName", name)?;
    let tag = tag_id.as_deref().map(guid).transpose()?;
    find(&engine, tag, query).await
}

/// A segment that cannot be read (its percent encoding is no UTF-8) fits nobody: this operation has no 400.
async fn find_by_field(
    engine: Engine,
    segments: Result<Path<(String, String)>, PathRejection>,
) -> Answered<Vec<IdentityPersonItem>> {
    let Ok(Path((name, value))) = segments else {
        return Ok(Answer(Vec::new()));
    };
    let query = PeopleQuery { tag_id: None, entity_field_name: Some(name), entity_field_string_value: Some(value) };
    find(&engine, None, query).await
}

async fn read(engine: Engine, Id(person): Id) -> Answered<IdentityPersonItem> {
    let read = engine.read("read a person", move |connection| {
        people::require(connection, person)?;
        people::read(connection, person, Utc::now())
    });
    read.await.map(Answer)
}

async fn find(engine: &Engine, tag: Option<uuid::Uuid>, query: PeopleQuery) -> Answered<Vec<IdentityPersonItem>> {
    let found = engine.read("search people", move |connection| {
        let now = Utc::now();
        let found = people::search(connection, tag, &query, now)?;
        found.into_iter().map(|person| people::read(connection, person, now)).collect()
    });
    found.await.map(Answer)
}
