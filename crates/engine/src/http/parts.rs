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
use identities::wire::{EntityField, PersonAddress, PersonAlias, PersonNote, PersonTagUpsert};
use rusqlite::{Connection, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Route;
use super::extract::{Guid, Id, Json, Query, Segments, datable, filled, filled_if_given};
use super::people::TagFilter;
use crate::error::Refusal;
use crate::store::part::{self, Part};
use crate::store::{Stop, people, tags};

pub fn routes() -> Vec<Route> {
    vec![
        listing(&LIST_ALIASES, people::aliases),
        putting(&PUT_ALIAS, check_alias, |transaction, person, alias, _| people::put_alias(transaction, person, alias)),
        taking_off(&DELETE_ALIAS, Part::Alias),
        Route::reading(&LIST_PERSON_TAGS, |connection, (Id(person), Query(TagFilter { tag_name }))| {
            filled_if_given("tagName", &tag_name)?;
            people::require(connection, person)?;
            tags::of_person(connection, person, tag_name.as_deref(), Utc::now())
        }),
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
        Route::reading(&LIST_FIELDS, |connection, (Id(person), Query(FieldFilter { field_name }))| {
            filled_if_given("fieldName", &field_name)?;
            people::require(connection, person)?;
            people::entity_fields(connection, person, field_name.as_deref())
        }),
        putting(&PUT_FIELD, check_field, |transaction, person, field, _| {
            people::put_entity_field(transaction, person, field)
        }),
        taking_off(&DELETE_FIELD, Part::EntityField),
    ]
}

/// The query of lists of custom fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldFilter {
    field_name: Option<String>,
}

/// A route that lists the parts of one kind.
fn listing<T: Serialize + Send + 'static>(
    operation: &'static Operation,
    read: fn(&Connection, Uuid) -> Result<Vec<T>, Stop>,
) -> Route {
    Route::reading(operation, move |connection, Id(person)| {
        people::require(connection, person)?;
        read(connection, person)
    })
}

/// A route that adds or changes a part: `check` refuses what is no such part, `put` stores it and is told the caller's
/// name.
fn putting<P: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    operation: &'static Operation,
    check: fn(&P) -> Result<(), Refusal>,
    put: fn(&Transaction, Uuid, P, &str) -> Result<T, Stop>,
) -> Route {
    Route::changing(operation, move |transaction, username, (Id(person), Json(sent)): (Id, Json<P>)| {
        check(&sent)?;
        people::require(transaction, person)?;
        Ok((person.to_string(), Answer(put(transaction, person, sent, username)?)))
    })
}

/// A route that takes off a part which its path names.
fn taking_off(operation: &'static Operation, part: Part) -> Route {
    Route::changing(operation, move |transaction, _, Segments((Guid(person), Guid(id)))| {
        people::require(transaction, person)?;
        part::delete(transaction, person, part, id)?;
        Ok((person.to_string(), ()))
    })
}

fn check_alias(alias: &PersonAlias) -> Result<(), Refusal> {
    let PersonAlias { first_name, last_name, middle_name, title, .. } = alias;
    says_something("firstName, lastName, middleName or title", [first_name, last_name, middle_name, title])
}

fn check_tag(tag: &PersonTagUpsert) -> Result<(), Refusal> {
    tag.expires.map_or(Ok(()), |expires| datable("expires", expires))
}

fn check_note(note: &PersonNote) -> Result<(), Refusal> {
    says_something("summary or body", [&note.summary, &note.body])
}

fn check_address(address: &PersonAddress) -> Result<(), Refusal> {
    let PersonAddress { street, street2, city, state, postal_code, country, .. } = address;
    let lines = [street, street2, city, state, postal_code, country];
    says_something("street, street2, city, state, postalCode or country", lines)
}

fn check_field(field: &EntityField) -> Result<(), Refusal> {
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
