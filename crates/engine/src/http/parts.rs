//! The parts of a person's record: aliases, applied tags, notes, addresses, entity fields.
//!
//! Each is listed, put and taken off in the same way, which is written once here; what differs is how a part is
//! checked, and the statement that stores it.

use axum::Json as Answer;
use chrono::Utc;
use identities::operation::{
    DELETE_ALIAS, DELETE_FIELD, DELETE_NOTE, DELETE_PERSON_TAG, LIST_ALIASES, LIST_FIELDS, LIST_NOTES,
    LIST_PERSON_TAGS, Operation, PUT_ADDRESS, PUT_ALIAS, PUT_FIELD, PUT_NOTE, PUT_PERSON_TAG,
};
use identities::wire::{EntityField, PersonAddress, PersonAlias, PersonNote, PersonTag, PersonTagUpsert};
use rusqlite::{Connection, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::extract::{Guid, Id, Json, Query, Segments, datable, filled, filled_if_given};
use super::{Answered, Route};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::guid::guid;
use crate::refusal::Refusal;
use crate::store::part::{self, Part};
use crate::store::{Stop, people, tags};

pub fn routes() -> Vec<Route> {
    vec![
        listing(&LIST_ALIASES, people::aliases),
        putting(&PUT_ALIAS, check_alias, |transaction, person, alias, _| people::put_alias(transaction, person, alias)),
        taking_off(&DELETE_ALIAS, Part::Alias),
        Route::new(&LIST_PERSON_TAGS, list_tags),
        putting(&PUT_PERSON_TAG, check_tag, |transaction, person, tag, _| {
            tags::put_on_person(transaction, person, tag, Utc::now())
        }),
        taking_off(&DELETE_PERSON_TAG, Part::Tag),
        listing(&LIST_NOTES, people::notes),
        putting(&PUT_NOTE, check_note, people::put_note),
        taking_off(&DELETE_NOTE, Part::Note),
        putting(&PUT_ADDRESS, check_address, |transaction, person, address, _| {
            people::put_address(transaction, person, address)
        }),
        Route::new(&LIST_FIELDS, list_fields),
        putting(&PUT_FIELD, check_field, |transaction, person, field, _| {
            people::put_entity_field(transaction, person, field)
        }),
        taking_off(&DELETE_FIELD, Part::EntityField),
    ]
}

/// A route that lists the parts of one kind.
fn listing<T: Serialize + Send + 'static>(
    operation: &'static Operation,
    read: fn(&Connection, Uuid) -> Result<Vec<T>, Stop>,
) -> Route {
    let handler = move |engine: Engine, Id(person): Id| async move {
        list(&engine, person, move |connection| read(connection, person)).await
    };
    Route::new(operation, handler)
}

/// A route that adds or changes a part: `check` refuses what is no such part, `put` stores it and is told the caller's
/// name.
fn putting<P: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    operation: &'static Operation,
    check: fn(&P) -> Result<(), Refusal>,
    put: fn(&Transaction, Uuid, P, &str) -> Result<T, Stop>,
) -> Route {
    let handler = move |engine: Engine, caller: Caller, Id(person): Id, Json(sent): Json<P>| async move {
        check(&sent)?;
        let what = "store a part of a person's record";
        let stored = engine.change(caller, operation, person.to_string(), what, move |transaction, username| {
            people::require(transaction, person)?;
            put(transaction, person, sent, username)
        });
        stored.await.map(Answer)
    };
    Route::new(operation, handler)
}

/// A route that takes off a part which its path names.
fn taking_off(operation: &'static Operation, part: Part) -> Route {
    let handler = move |engine: Engine, caller: Caller, ids: Segments<(Guid, Guid)>| async move {
        let Segments((Guid(person), Guid(id))) = ids;
        take_off(&engine, caller, operation, part, person, move |_| Ok(id)).await
    };
    Route::new(operation, handler)
}

/// Takes a part off a person; `which` finds its id.
pub async fn take_off(
    engine: &Engine,
    caller: Caller,
    operation: &'static Operation,
    part: Part,
    person: Uuid,
    which: impl FnOnce(&Connection) -> Result<Uuid, Stop> + Send + 'static,
) -> Result<(), Refusal> {
    let what = "take a part off a person's record";
    let taken_off = engine.change(caller, operation, person.to_string(), what, move |transaction, _| {
        people::require(transaction, person)?;
        part::delete(transaction, person, part, which(transaction)?)
    });
    taken_off.await
}

async fn list<T: Send + 'static>(
    engine: &Engine,
    person: Uuid,
    read: impl FnOnce(&Connection) -> Result<Vec<T>, Stop> + Send + 'static,
) -> Answered<Vec<T>> {
    let listed = engine.read("read a part of a person's record", move |connection| {
        people::require(connection, person)?;
        read(connection)
    });
    listed.await.map(Answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagFilter {
    tag_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldFilter {
    field_name: Option<String>,
}

async fn list_tags(
    engine: Engine,
    Id(person): Id,
    Query(TagFilter { tag_name }): Query<TagFilter>,
) -> Answered<Vec<PersonTag>> {
    filled_if_given("tagName", &tag_name)?;
    list(&engine, person, move |connection| tags::of_person(connection, person, tag_name.as_deref(), Utc::now())).await
}

async fn list_fields(
    engine: Engine,
    Id(person): Id,
    Query(FieldFilter { field_name }): Query<FieldFilter>,
) -> Answered<Vec<EntityField>> {
    filled_if_given("fieldName", &field_name)?;
    list(&engine, person, move |connection| people::entity_fields(connection, person, field_name.as_deref())).await
}

fn check_alias(alias: &PersonAlias) -> Result<(), Refusal> {
    check_id(&alias.person_alias_id)?;
    let PersonAlias { first_name, last_name, middle_name, title, .. } = alias;
    says_something("firstName, lastName, middleName or title", [first_name, last_name, middle_name, title])
}

fn check_tag(tag: &PersonTagUpsert) -> Result<(), Refusal> {
    check_id(&tag.person_tag_id)?;
    guid(&tag.tag_id)?;
    tag.expires.map_or(Ok(()), |expires| datable("expires", expires))
}

fn check_note(note: &PersonNote) -> Result<(), Refusal> {
    check_id(&note.note_id)?;
    says_something("summary or body", [&note.summary, &note.body])
}

fn check_address(address: &PersonAddress) -> Result<(), Refusal> {
    check_id(&address.person_address_id)?;
    let PersonAddress { street, street2, city, state, postal_code, country, .. } = address;
    let lines = [street, street2, city, state, postal_code, country];
    says_something("street, street2, city, state, postalCode or country", lines)
}

fn check_field(field: &EntityField) -> Result<(), Refusal> {
    check_id(&field.entity_field_id)?;
    filled("name", &field.name)?;
    field.date_value.map_or(Ok(()), |date| datable("dateValue", date))?;
    let values = [
        field.string_value.is_some(),
        field.date_value.is_some(),
        field.number_value.is_some(),
        field.bool_value.is_some(),
    ];
    if values.into_iter().filter(|there| *there).count() > 1 {
        return Err(Refusal::bad_input("only one of the four values may be given"));
    }
    Ok(())
}

/// Refuses a part without any text, which would be an empty line in every list.
fn says_something<const N: usize>(what: &str, texts: [&Option<String>; N]) -> Result<(), Refusal> {
    let something = texts.into_iter().flatten().any(|text| !text.trim().is_empty());
    if something { Ok(()) } else { Err(Refusal::bad_input(format!("{what} is missing"))) }
}

/// Refuses an id that is no GUID, before anything is looked up.
fn check_id(id: &Option<String>) -> Result<(), Refusal> {
    id.as_deref().map_or(Ok(()), |id| guid(id).map(drop))
}
