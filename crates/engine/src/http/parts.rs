//! The parts of a person's record: aliases, applied tags, notes, addresses, entity fields.
//!
//! Each is listed, put and taken off in the same way, which is written once here; what differs is how a part is
//! checked, and the statement that stores it. A part is taken off by its id in the path, or from the bare collection,
//! as the vendor's overview prints it, by what names it in the query or in a JSON body; without a name nothing is, and
//! the answer says which is missing.

use axum::Json as Answer;
use chrono::Utc;
use identities::operation::{
    DELETE_ALIAS, DELETE_FIELD, DELETE_NOTE, DELETE_PERSON_TAG, LIST_ALIASES, LIST_FIELDS, LIST_NOTES,
    LIST_PERSON_TAGS, Operation, PUT_ADDRESS, PUT_ALIAS, PUT_FIELD, PUT_NOTE, PUT_PERSON_TAG, Parameter,
};
use identities::wire::{EntityField, PersonAddress, PersonAlias, PersonNote, PersonTagUpsert};
use rusqlite::{Connection, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Route;
use super::extract::{Guid, Id, Json, OptionalJson, Query, Segments, datable, filled, filled_if_given};
use super::people::TagFilter;
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::Refusal;
use crate::store::{Part, Stop, delete_part, guid, people, tags};

pub fn routes() -> Vec<Route> {
    vec![
        Route::of_person(&LIST_ALIASES, people::aliases),
        putting(&PUT_ALIAS, check_alias, |transaction, person, alias, _| people::put_alias(transaction, person, alias)),
        taking_off(&DELETE_ALIAS, Part::Alias),
        Route::reading(&LIST_PERSON_TAGS, |connection, (Id(person), Query(TagFilter { tag_name }))| {
            filled_if_given("tagName", &tag_name)?;
            people::require(connection, person)?;
            tags::of_person(connection, person, tag_name.as_deref(), Utc::now())
        }),
        putting(
            &PUT_PERSON_TAG,
            |tag: &PersonTagUpsert| tag.expires.map_or(Ok(()), |expires| datable("expires", expires)),
            |transaction, person, tag, _| tags::put_on_person(transaction, person, tag, Utc::now()),
        ),
        taking_off(&DELETE_PERSON_TAG, Part::Tag),
        Route::of_person(&LIST_NOTES, people::notes),
        putting(
            &PUT_NOTE,
            |note: &PersonNote| says_something("summary or body", [&note.summary, &note.body]),
            people::put_note,
        ),
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
        deleting(&DELETE_ALIAS_NAMED, &DELETE_ALIAS, Part::Alias, &[("aliasId", by_id), ("personAliasId", by_id)]),
        deleting(&DELETE_PERSON_TAG_NAMED, &DELETE_PERSON_TAG, Part::Tag, &[("personTagId", by_id), ("tagId", by_tag)]),
        deleting(&DELETE_NOTE_NAMED, &DELETE_NOTE, Part::Note, &[("noteId", by_id)]),
        deleting(
            &DELETE_FIELD_NAMED,
            &DELETE_FIELD,
            Part::EntityField,
            &[("entityFieldId", by_id), ("entityId", by_id), ("name", by_name)],
        ),
    ]
}

/// The query of lists of custom fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldFilter {
    field_name: Option<String>,
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
        delete_part(transaction, person, part, id)?;
        Ok((person.to_string(), ()))
    })
}

fn check_alias(alias: &PersonAlias) -> Result<(), Refusal> {
    let PersonAlias { first_name, last_name, middle_name, title, .. } = alias;
    says_something("firstName, lastName, middleName or title", [first_name, last_name, middle_name, title])
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

const DELETE_ALIAS_NAMED: Operation =
    named("deletePersonAliasNamed", &[Parameter::id("aliasId")], DELETE_ALIAS, LIST_ALIASES.path);
const DELETE_PERSON_TAG_NAMED: Operation = named(
    "deletePersonTagNamed",
    &[Parameter::id("personTagId"), Parameter::id("tagId")],
    DELETE_PERSON_TAG,
    LIST_PERSON_TAGS.path,
);
const DELETE_NOTE_NAMED: Operation =
    named("deletePersonNoteNamed", &[Parameter::id("noteId")], DELETE_NOTE, LIST_NOTES.path);
const DELETE_FIELD_NAMED: Operation =
    named("deletePersonEntityFieldNamed", &[Parameter::text("name")], DELETE_FIELD, LIST_FIELDS.path);

/// The contract's operation `plain` under the path of the collection, with what names the part in the query.
const fn named(id: &'static str, query: &'static [Parameter], plain: Operation, path: &'static str) -> Operation {
    Operation { id, summary: "Delete the part that the query or a JSON body names", path, query, ..plain }
}

/// Finds the id of a person's part by the text that names it.
type Find = fn(&Connection, Uuid, &str) -> Result<Uuid, Stop>;

/// A route that deletes the part a request names by one of `names`, each with how the part is found by it: the id as
/// the path has it, or as the part itself has it. A name in the query goes before one in the body. The audit log has
/// the deletion as the contract's operation `plain`.
fn deleting(
    operation: &'static Operation,
    plain: &'static Operation,
    part: Part,
    names: &'static [(&'static str, Find)],
) -> Route {
    let handler = move |engine: Engine,
                        caller: Caller,
                        Id(person): Id,
                        Query(query): Query<Map<String, Value>>,
                        OptionalJson(body): OptionalJson<Map<String, Value>>| async move {
        let text = |wanted: &str| {
            let said = query.iter().chain(&body).filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            said.filter_map(|(_, text)| text.as_str()).map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
        };
        let named = names.iter().find_map(|(name, find)| Some((text(name)?, find)));
        let (text, find) = named.ok_or_else(|| missing(operation))?;
        let deleted = engine.change(caller, plain, move |transaction, _| {
            people::require(transaction, person)?;
            delete_part(transaction, person, part, find(transaction, person, &text)?)?;
            Ok((person.to_string(), ()))
        });
        deleted.await
    };
    Route::new(operation, handler)
}

/// By the part's own id.
fn by_id(_: &Connection, _: Uuid, id: &str) -> Result<Uuid, Stop> {
    Ok(guid(id)?)
}

/// By the id of a tag, of which a person carries one application at most.
fn by_tag(connection: &Connection, person: Uuid, tag: &str) -> Result<Uuid, Stop> {
    let carried = tags::carried(connection, person, &guid(tag)?.to_string())?;
    carried.ok_or_else(|| Refusal::NotFound("tag of the person").into())
}

/// By the name of a field, of which a person has one.
fn by_name(connection: &Connection, person: Uuid, name: &str) -> Result<Uuid, Stop> {
    let found = people::field_named(connection, person, name)?;
    found.ok_or_else(|| Refusal::NotFound("entity field").into())
}

fn missing(operation: &Operation) -> Refusal {
    let names = operation.query.iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(" or ");
    Refusal::bad_input(format!("{names} is missing: it names what to delete, in the query or in a JSON body"))
}
