//! Deleting a part of a person's record from the bare collection, as the vendor's overview prints it.
//!
//! In: the person in the path, and what names the part in the query or in a JSON body. Out: the part is gone; without a
//! name nothing is, and the answer says which is missing.

use axum::extract::{FromRequest, FromRequestParts, Request};
use identities::operation::{
    DELETE_ALIAS, DELETE_FIELD, DELETE_NOTE, DELETE_PERSON_TAG, LIST_ALIASES, LIST_FIELDS, LIST_NOTES,
    LIST_PERSON_TAGS, Operation, Parameter,
};
use rusqlite::Connection;
use serde::Deserialize;
use uuid::Uuid;

use super::Route;
use super::extract::{Id, OptionalJson, Query};
use super::parts::take_off;
use crate::auth::Caller;
use crate::engine::Engine;
use crate::guid::guid;
use crate::refusal::Refusal;
use crate::store::part::Part;
use crate::store::{Stop, people, tags};

pub fn routes() -> Vec<Route> {
    vec![
        deleting(&DELETE_ALIAS_NAMED, &DELETE_ALIAS, Part::Alias, alias),
        deleting(&DELETE_PERSON_TAG_NAMED, &DELETE_PERSON_TAG, Part::Tag, tag),
        deleting(&DELETE_NOTE_NAMED, &DELETE_NOTE, Part::Note, note),
        deleting(&DELETE_FIELD_NAMED, &DELETE_FIELD, Part::EntityField, field),
    ]
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

/// A route that deletes the part a request names; the audit log has it as the contract's operation `plain`.
fn deleting(
    operation: &'static Operation,
    plain: &'static Operation,
    part: Part,
    name: fn(&Naming) -> Result<Name, Refusal>,
) -> Route {
    let handler = move |engine: Engine, caller: Caller, Id(person): Id, naming: Naming| async move {
        let name = name(&naming)?;
        take_off(&engine, caller, plain, part, person, move |connection| name.find(connection, person)).await
    };
    Route::new(operation, handler)
}

/// What names a part of a person.
enum Name {
    /// The part's own id.
    Id(Uuid),
    /// The id of a tag, of which a person carries one application at most.
    Tag(Uuid),
    /// The name of a field, of which a person has one.
    Field(String),
}

impl Name {
    /// The id of the part.
    fn find(self, connection: &Connection, person: Uuid) -> Result<Uuid, Stop> {
        match self {
            Self::Id(id) => Ok(id),
            Self::Tag(tag) => {
                let carried = tags::carried(connection, person, &tag.to_string())?;
                carried.ok_or_else(|| Refusal::NotFound("tag of the person").into())
            }
            Self::Field(name) => {
                let found = people::field_named(connection, person, &name)?;
                found.ok_or_else(|| Refusal::NotFound("entity field").into())
            }
        }
    }
}

fn alias(naming: &Naming) -> Result<Name, Refusal> {
    let id = naming.id(|named| named.alias_id.as_ref().or(named.person_alias_id.as_ref()))?;
    id.map(Name::Id).ok_or_else(|| missing("aliasId"))
}

fn tag(naming: &Naming) -> Result<Name, Refusal> {
    if let Some(id) = naming.id(|named| named.person_tag_id.as_ref())? {
        return Ok(Name::Id(id));
    }
    naming.id(|named| named.tag_id.as_ref())?.map(Name::Tag).ok_or_else(|| missing("personTagId or tagId"))
}

fn note(naming: &Naming) -> Result<Name, Refusal> {
    naming.id(|named| named.note_id.as_ref())?.map(Name::Id).ok_or_else(|| missing("noteId"))
}

fn field(naming: &Naming) -> Result<Name, Refusal> {
    if let Some(id) = naming.id(|named| named.entity_field_id.as_ref().or(named.entity_id.as_ref()))? {
        return Ok(Name::Id(id));
    }
    naming.text(|named| named.name.as_ref()).map(Name::Field).ok_or_else(|| missing("name"))
}

/// What a DELETE of a collection names the part by, in the query or in the body: the id as the path has it, or as the
/// part itself has it.
#[derive(Default, Deserialize)]
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
    /// The text that names the part, if there is one.
    fn text(&self, pick: impl Fn(&Named) -> Option<&String>) -> Option<String> {
        let said = [&self.query, &self.body].into_iter().filter_map(pick);
        said.map(|text| text.trim().to_owned()).find(|text| !text.is_empty())
    }

    /// The id that names the part, if there is one.
    fn id(&self, pick: impl Fn(&Named) -> Option<&String>) -> Result<Option<Uuid>, Refusal> {
        self.text(pick).map(|id| guid(&id)).transpose()
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::bad_input(format!("{what} is missing: it names what to delete, in the query or in a JSON body"))
}
