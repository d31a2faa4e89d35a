//! Deleting a part of a person's record from the bare collection, as the vendor's overview prints it.
//!
//! In: the person in the path, and what names the part in the query or in a JSON body. Out: the part is gone; without a
//! name nothing is, and the answer says which is missing.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::routing::delete;
use chrono::Utc;
use serde::Deserialize;
use uuid::Uuid;

use super::extract::{Guid, OptionalJson, Query, Segments};
use super::parts::{ALIASES, FIELDS, NOTES, Person, TAGS, take_off};
use super::{Access, RECORD, Route};
use crate::auth::Caller;
use crate::permission::Permission::*;
use crate::refusal::Refusal;
use crate::store::people::Part;
use crate::store::{people, tags};
use crate::{Engine, guid};

pub fn routes() -> Vec<Route> {
    let record = |operation, path, permissions, handler| {
        Route::new(operation, path, Access::AnyOf(permissions), RECORD, handler)
    };
    vec![
        record("deletePersonAliasNamed", ALIASES, &[MutateAllIdentity, MutateAliases], delete(delete_alias)),
        record("deletePersonTagNamed", TAGS, &[MutateAllIdentity, MutateTags], delete(delete_tag)),
        record("deletePersonNoteNamed", NOTES, &[MutateAllIdentity, MutateNotes], delete(delete_note)),
        record("deletePersonEntityFieldNamed", FIELDS, &[MutateAllIdentity, MutateEntityFields], delete(delete_field)),
    ]
}

/// What a DELETE of a collection names the part by, in the query or in the body: the id as the path has it, or as the
/// part itself has it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    alias_id: Option<String>,
    person_alias_id: Option<String>,
    person_tag_id: Option<String>,
    tag_id: Option<String>,
    note_id: Option<String>,
    name: Option<String>,
    entity_id: Option<String>,
    entity_field_id: Option<String>,
}

/// What a DELETE of a collection says: the query goes before the body.
struct Naming {
    query: Named,
    body: Named,
}

impl FromRequest<Engine> for Naming {
    type Rejection = Refusal;

    async fn from_request(request: Request, engine: &Engine) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Query(query) = Query::from_request_parts(&mut parts, engine).await?;
        let OptionalJson(body) = OptionalJson::from_request(Request::from_parts(parts, body), engine).await?;
        Ok(Self { query, body })
    }
}

impl Naming {
    /// The text that names the part; refused when there is none.
    fn text(&self, what: &str, pick: impl Fn(Named) -> Option<String>) -> Result<String, Refusal> {
        let said = [&self.query, &self.body].into_iter().filter_map(|named| pick(named.clone()));
        let said = said.map(|text| text.trim().to_owned()).find(|text| !text.is_empty());
        said.ok_or_else(|| {
            Refusal::bad_input(format!("{what} is missing: it names what to delete, in the query or in a JSON body"))
        })
    }

    fn id(&self, what: &str, pick: impl Fn(Named) -> Option<String>) -> Result<Uuid, Refusal> {
        guid(&self.text(what, pick)?)
    }
}

async fn delete_alias(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    named: Naming,
) -> Result<(), Refusal> {
    let id = named.id("aliasId", |named| named.alias_id.or(named.person_alias_id))?;
    take_off(&engine, caller, "deletePersonAlias", Part::Alias, (Guid(person), Guid(id))).await
}

/// By the application's own id, or by that of the tag, of which a person carries one at most.
async fn delete_tag(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    named: Naming,
) -> Result<(), Refusal> {
    if let Ok(id) = named.text("personTagId", |named| named.person_tag_id) {
        return take_off(&engine, caller, "deletePersonTag", Part::Tag, (Guid(person), Guid(guid(&id)?))).await;
    }
    let tag = named.id("personTagId or tagId", |named| named.tag_id)?.to_string();
    let carried = engine.blocking(move |inner| {
        inner.store.read("look up a tag of a person", |connection| {
            people::require(connection, person)?;
            let carried = tags::of_person(connection, person, None, Utc::now())?;
            Ok(carried.into_iter().find(|carried| carried.tag_id == tag).and_then(|carried| carried.person_tag_id))
        })
    });
    let id = guid(&carried.await?.ok_or(Refusal::NotFound("tag of the person"))?)?;
    take_off(&engine, caller, "deletePersonTag", Part::Tag, (Guid(person), Guid(id))).await
}

async fn delete_note(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    named: Naming,
) -> Result<(), Refusal> {
    let id = named.id("noteId", |named| named.note_id)?;
    take_off(&engine, caller, "deletePersonNote", Part::Note, (Guid(person), Guid(id))).await
}

/// By the field's name, of which a person has one, or by its id.
async fn delete_field(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(person)): Person,
    named: Naming,
) -> Result<(), Refusal> {
    if let Ok(id) = named.text("entityFieldId", |named| named.entity_field_id.or(named.entity_id)) {
        let ids = (Guid(person), Guid(guid(&id)?));
        return take_off(&engine, caller, "deletePersonEntityField", Part::EntityField, ids).await;
    }
    let name = named.text("name", |named| named.name)?;
    let found = engine.blocking(move |inner| {
        inner.store.read("look up a field of a person", |connection| {
            people::require(connection, person)?;
            Ok(people::entity_fields(connection, person, Some(&name))?)
        })
    });
    let id = found.await?.into_iter().next().and_then(|field| field.entity_field_id);
    let id = guid(&id.ok_or(Refusal::NotFound("entity field"))?)?;
    take_off(&engine, caller, "deletePersonEntityField", Part::EntityField, (Guid(person), Guid(id))).await
}
