//! Deleting a part of a person's record from the bare collection, as the vendor's overview prints it.
//!
//! In: the person in the path, and what names the part in the query or in a JSON body. Out: the part is gone; without a
//! name nothing is, and the answer says which is missing.

use identities::operation::{
    DELETE_ALIAS, DELETE_FIELD, DELETE_NOTE, DELETE_PERSON_TAG, LIST_ALIASES, LIST_FIELDS, LIST_NOTES,
    LIST_PERSON_TAGS, Operation, Parameter,
};
use rusqlite::Connection;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Route;
use super::extract::{Id, OptionalJson, Query};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::Refusal;
use crate::guid::guid;
use crate::store::part::{self, Part};
use crate::store::{Stop, people, tags};

pub fn routes() -> Vec<Route> {
    vec![
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
            part::delete(transaction, person, part, find(transaction, person, &text)?)?;
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
