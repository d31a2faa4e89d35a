//! The parts of a person's record: aliases, applied tags, notes, addresses, entity fields.

use axum::Json as Answer;
use axum::extract::State;
use axum::routing::{delete, get, put};
use chrono::Utc;
use identities::wire::{EntityField, PersonAddress, PersonAlias, PersonNote, PersonTag, PersonTagUpsert};
use rusqlite::{Connection, Transaction};
use serde::Deserialize;
use uuid::Uuid;

use super::extract::{Guid, Json, Query, Segments, datable, filled};
use super::{Access, RECORD, Route};
use crate::auth::Caller;
use crate::permission::Permission::*;
use crate::refusal::Refusal;
use crate::store::people::Part;
use crate::store::{Stop, audit, people, tags};
use crate::{Engine, guid};

pub const ALIASES: &str = "/api/v1/people/{personId}/aliases";
pub const TAGS: &str = "/api/v1/people/{personId}/tags";
pub const NOTES: &str = "/api/v1/people/{personId}/notes";
pub const FIELDS: &str = "/api/v1/people/{personId}/entityFields";

pub fn routes() -> Vec<Route> {
    let aliases = Access::AnyOf(&[MutateAllIdentity, MutateAliases]);
    let tags = Access::AnyOf(&[MutateAllIdentity, MutateTags]);
    let notes = Access::AnyOf(&[MutateAllIdentity, MutateNotes]);
    let addresses = Access::AnyOf(&[MutateAllIdentity, MutateAddresses]);
    let fields = Access::AnyOf(&[MutateAllIdentity, MutateEntityFields]);
    let record = |operation, path, access, handler| Route::new(operation, path, access, RECORD, handler);
    vec![
        record("listPersonAliases", ALIASES, Access::AnyOf(&[ReadAllIdentity, ReadAliases]), get(list_aliases)),
        record("upsertPersonAlias", ALIASES, aliases, put(put_alias)),
        record("deletePersonAlias", "/api/v1/people/{personId}/aliases/{aliasId}", aliases, delete(delete_alias)),
        record("listPersonTags", TAGS, Access::AnyOf(&[ReadAllIdentity, ReadTags]), get(list_tags)),
        record("upsertPersonTag", TAGS, tags, put(put_tag)),
        record("deletePersonTag", "/api/v1/people/{personId}/tags/{personTagId}", tags, delete(delete_tag)),
        record("listPersonNotes", NOTES, Access::AnyOf(&[ReadAllIdentity, ReadNotes]), get(list_notes)),
        record("upsertPersonNote", NOTES, notes, put(put_note)),
        record("deletePersonNote", "/api/v1/people/{personId}/notes/{noteId}", notes, delete(delete_note)),
        record("upsertPersonAddress", "/api/v1/people/{personId}/addresses", addresses, put(put_address)),
        record("listPersonEntityFields", FIELDS, Access::AnyOf(&[ReadAllIdentity, ReadEntityFields]), get(list_fields)),
        record("upsertPersonEntityField", FIELDS, fields, put(put_field)),
        record(
            "deletePersonEntityField",
            "/api/v1/people/{personId}/entityFields/{entityId}",
            fields,
            delete(delete_field),
        ),
    ]
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

pub type Person = Segments<Guid>;
type PersonAndPart = Segments<(Guid, Guid)>;

async fn list_aliases(
    State(engine): State<Engine>,
    Segments(Guid(person)): Person,
) -> Result<Answer<Vec<PersonAlias>>, Refusal> {
    list(&engine, person, move |connection| people::aliases(connection, person)).await
}

async fn put_alias(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    Json(alias): Json<PersonAlias>,
) -> Result<Answer<PersonAlias>, Refusal> {
    given(&alias.person_alias_id)?;
    let PersonAlias { first_name, last_name, middle_name, title, .. } = &alias;
    said("firstName, lastName, middleName or title", [first_name, last_name, middle_name, title])?;
    put_part(&engine, caller, "upsertPersonAlias", person, move |tx, _| people::put_alias(tx, person, alias)).await
}

async fn delete_alias(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(ids): PersonAndPart,
) -> Result<(), Refusal> {
    take_off(&engine, caller, "deletePersonAlias", Part::Alias, ids).await
}

async fn list_tags(
    State(engine): State<Engine>,
    Segments(Guid(person)): Person,
    Query(filter): Query<TagFilter>,
) -> Result<Answer<Vec<PersonTag>>, Refusal> {
    let name = filter.tag_name;
    filled("tagName", name.as_deref().unwrap_or("absent"))?;
    list(&engine, person, move |connection| tags::of_person(connection, person, name.as_deref(), Utc::now())).await
}

async fn put_tag(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    Json(upsert): Json<PersonTagUpsert>,
) -> Result<Answer<PersonTag>, Refusal> {
    given(&upsert.person_tag_id)?;
    guid(&upsert.tag_id)?;
    upsert.expires.map_or(Ok(()), |expires| datable("expires", expires))?;
    put_part(&engine, caller, "upsertPersonTag", person, move |tx, _| {
        tags::put_on_person(tx, person, upsert, Utc::now())
    })
    .await
}

async fn delete_tag(State(engine): State<Engine>, caller: Caller, Segments(ids): PersonAndPart) -> Result<(), Refusal> {
    take_off(&engine, caller, "deletePersonTag", Part::Tag, ids).await
}

async fn list_notes(
    State(engine): State<Engine>,
    Segments(Guid(person)): Person,
) -> Result<Answer<Vec<PersonNote>>, Refusal> {
    list(&engine, person, move |connection| people::notes(connection, person)).await
}

async fn put_note(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    Json(note): Json<PersonNote>,
) -> Result<Answer<PersonNote>, Refusal> {
    given(&note.note_id)?;
    said("summary or body", [&note.summary, &note.body])?;
    put_part(&engine, caller, "upsertPersonNote", person, move |tx, author| people::put_note(tx, person, note, author))
        .await
}

async fn delete_note(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(ids): PersonAndPart,
) -> Result<(), Refusal> {
    take_off(&engine, caller, "deletePersonNote", Part::Note, ids).await
}

async fn put_address(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    Json(address): Json<PersonAddress>,
) -> Result<Answer<PersonAddress>, Refusal> {
    given(&address.person_address_id)?;
    let PersonAddress { street, street2, city, state, postal_code, country, .. } = &address;
    said("street, street2, city, state, postalCode or country", [street, street2, city, state, postal_code, country])?;
    put_part(&engine, caller, "upsertPersonAddress", person, move |tx, _| people::put_address(tx, person, address))
        .await
}

async fn list_fields(
    State(engine): State<Engine>,
    Segments(Guid(person)): Person,
    Query(filter): Query<FieldFilter>,
) -> Result<Answer<Vec<EntityField>>, Refusal> {
    let name = filter.field_name;
    filled("fieldName", name.as_deref().unwrap_or("absent"))?;
    list(&engine, person, move |connection| people::entity_fields(connection, person, name.as_deref())).await
}

async fn put_field(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    Json(field): Json<EntityField>,
) -> Result<Answer<EntityField>, Refusal> {
    given(&field.entity_field_id)?;
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
    put_part(&engine, caller, "upsertPersonEntityField", person, move |tx, _| {
        people::put_entity_field(tx, person, field)
    })
    .await
}

async fn delete_field(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(ids): PersonAndPart,
) -> Result<(), Refusal> {
    take_off(&engine, caller, "deletePersonEntityField", Part::EntityField, ids).await
}

/// A part must say something: an empty one would be a line without text in every list.
fn said<const N: usize>(what: &str, texts: [&Option<String>; N]) -> Result<(), Refusal> {
    let something = texts.into_iter().flatten().any(|text| !text.trim().is_empty());
    if something { Ok(()) } else { Err(Refusal::bad_input(format!("{what} is missing"))) }
}

/// An id that was sent must be a GUID before anything is looked up.
fn given(id: &Option<String>) -> Result<(), Refusal> {
    id.as_deref().map_or(Ok(()), |id| guid(id).map(drop))
}

async fn list<T: Send + 'static>(
    engine: &Engine,
    person: Uuid,
    read: impl FnOnce(&Connection) -> Result<Vec<T>, rusqlite::Error> + Send + 'static,
) -> Result<Answer<Vec<T>>, Refusal> {
    let listed = engine.blocking(move |inner| {
        inner.store.read("read a part of a person's record", |connection| {
            people::require(connection, person)?;
            Ok(read(connection)?)
        })
    });
    listed.await.map(Answer)
}

async fn put_part<T: Send + 'static>(
    engine: &Engine,
    caller: Caller,
    operation: &'static str,
    person: Uuid,
    write: impl FnOnce(&Transaction, &str) -> Result<T, Stop> + Send + 'static,
) -> Result<Answer<T>, Refusal> {
    let stored = engine.blocking(move |inner| {
        inner.store.write("store a part of a person's record", |transaction| {
            people::require(transaction, person)?;
            let stored = write(transaction, &caller.username)?;
            audit::record(transaction, &caller.username, operation, Some(&person.to_string()))?;
            Ok(stored)
        })
    });
    stored.await.map(Answer)
}

pub async fn take_off(
    engine: &Engine,
    caller: Caller,
    operation: &'static str,
    part: Part,
    (Guid(person), Guid(id)): (Guid, Guid),
) -> Result<(), Refusal> {
    let taken_off = engine.blocking(move |inner| {
        inner.store.write("take a part off a person's record", |transaction| {
            people::require(transaction, person)?;
            people::delete(transaction, person, part, id)?;
            Ok(audit::record(transaction, &caller.username, operation, Some(&person.to_string()))?)
        })
    });
    taken_off.await
}
