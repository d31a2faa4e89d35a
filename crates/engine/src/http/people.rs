//! people: searches, and whole records.

use axum::Json as Answer;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::routing::get;
use chrono::Utc;
use identities::wire::{IdentityPersonItem, PeopleQuery};

use super::extract::{Guid, Query, Segments, filled};
use super::{Access, RECORD, Route};
use crate::permission::Permission::*;
use crate::refusal::Refusal;
use crate::store::people;
use crate::{Engine, guid};

pub fn routes() -> Vec<Route> {
    let reading = Access::AnyOf(&[ReadAllIdentity]);
    vec![
        Route::new("searchPeople", "/api/v1/people", reading, RECORD, get(search)),
        Route::new(
            "findPeopleByEntityField",
            "/api/v1/people/entityField/{fieldName}/entityValue/{fieldValue}",
            reading,
            RECORD,
            get(find_by_field),
        ),
        Route::new("getPerson", "/api/v1/people/{personId}", reading, RECORD, get(read)),
    ]
}

async fn search(
    State(engine): State<Engine>,
    Query(query): Query<PeopleQuery>,
) -> Result<Answer<Vec<IdentityPersonItem>>, Refusal> {
    let PeopleQuery { tag_id, entity_field_name: name, entity_field_string_value: value } = &query;
    if tag_id.is_none() && name.is_none() {
        return Err(Refusal::bad_input("a selector is needed: tagId or entityFieldName"));
    }
    if value.is_some() && name.is_none() {
        return Err(Refusal::bad_input("entityFieldStringValue needs entityFieldName"));
    }
    filled("entityFieldName", name.as_deref().unwrap_or("absent"))?;
    let tag = tag_id.as_deref().map(guid).transpose()?;
    find(&engine, tag, query).await
}

/// A segment that cannot be read (its percent encoding is no UTF-8) fits nobody: this operation has no 400.
async fn find_by_field(
    State(engine): State<Engine>,
    segments: Result<Path<(String, String)>, PathRejection>,
) -> Result<Answer<Vec<IdentityPersonItem>>, Refusal> {
    let Ok(Path((name, value))) = segments else {
        return Ok(Answer(Vec::new()));
    };
    let query = PeopleQuery { tag_id: None, entity_field_name: Some(name), entity_field_string_value: Some(value) };
    find(&engine, None, query).await
}

async fn read(
    State(engine): State<Engine>,
    Segments(Guid(person)): Segments<Guid>,
) -> Result<Answer<IdentityPersonItem>, Refusal> {
    let read = engine.blocking(move |inner| {
        inner.store.read("read a person", |connection| {
            people::require(connection, person)?;
            Ok(people::read(connection, person, Utc::now())?)
        })
    });
    read.await.map(Answer)
}

async fn find(
    engine: &Engine,
    tag: Option<uuid::Uuid>,
    query: PeopleQuery,
) -> Result<Answer<Vec<IdentityPersonItem>>, Refusal> {
    let found = engine.blocking(move |inner| {
        inner.store.read("search people", |connection| {
            let now = Utc::now();
            let found = people::search(connection, tag, &query, now)?;
            Ok(found.into_iter().map(|person| people::read(connection, person, now)).collect::<Result<_, _>>()?)
        })
    });
    found.await.map(Answer)
}
