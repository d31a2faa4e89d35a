//! people: searches, and whole records.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use chrono::Utc;
use identities::operation::{FIND_PEOPLE, GET_PERSON, SEARCH_PEOPLE};
use identities::wire::{IdentityPersonItem, PeopleQuery};
use rusqlite::Connection;

use super::Route;
use super::extract::{Id, Query, filled_if_given};
use crate::guid::guid;
use crate::refusal::Refusal;
use crate::store::{Stop, people};

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&SEARCH_PEOPLE, |connection, Query(query)| search(connection, &query)),
        Route::reading(&FIND_PEOPLE, find_by_field),
        Route::reading(&GET_PERSON, |connection, Id(person)| {
            people::require(connection, person)?;
            people::read(connection, person, Utc::now())
        }),
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
