//! What the parts of a person's record have in common: each is put with an id or without, and taken off by its id.
//!
//! In: a part's id as it was sent, or the values of a part. Out: the id it has from now on, or a refusal where the id
//! is somebody else's.

use rusqlite::{Params, Transaction};
use uuid::Uuid;

use super::Stop;
use super::statement::run;
use crate::error::Refusal;
use crate::guid::guid;

/// The kinds of parts that can be taken off a person by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Alias,
    Note,
    EntityField,
    Tag,
}

/// Takes a part off the person; refuses when the person has no such part.
pub fn delete(transaction: &Transaction, person: Uuid, part: Part, id: Uuid) -> Result<(), Stop> {
    let (statement, what) = match part {
        Part::Alias => ("DELETE FROM aliases WHERE person_id = ? AND alias_id = ?", "alias"),
        Part::Note => ("DELETE FROM notes WHERE person_id = ? AND note_id = ?", "note"),
        Part::EntityField => ("DELETE FROM entity_fields WHERE person_id = ? AND field_id = ?", "entity field"),
        Part::Tag => ("DELETE FROM person_tags WHERE person_id = ? AND person_tag_id = ?", "tag of the person"),
    };
    match run(transaction, statement, (person.to_string(), id.to_string()))? {
        0 => Err(Refusal::NotFound(what).into()),
        _ => Ok(()),
    }
}

/// The id a part was sent with, as this engine writes ids, or a new one; it is put back into the part.
pub(super) fn part_id(sent: &mut Option<String>) -> Result<String, Stop> {
    let id = match sent {
        Some(text) => guid(text)?,
        None => Uuid::new_v4(),
    };
    Ok(sent.insert(id.to_string()).clone())
}

/// Runs an upsert that touches no row when the entry is somebody else's.
pub(super) fn put(transaction: &Transaction, statement: &str, values: impl Params) -> Result<(), Stop> {
    match run(transaction, statement, values)? {
        0 => Err(Refusal::bad_input("there is an entry of this id that belongs to another person").into()),
        _ => Ok(()),
    }
}
