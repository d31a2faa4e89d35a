//! The ways a statement is run: for its rows, for its first row, for what it changes; and what the parts of a person's
//! record have in common: each is put with an id or without, and taken off by its id.
//!
//! In: SQL, its values, and how a row becomes a value; a part's id as it was sent. Out: the values; the id the part has
//! from now on, or a refusal where the id is somebody else's. Statements are prepared once per connection and kept
//! there, so that a file of records need only say what it asks for.

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction};
use uuid::Uuid;

use super::Stop;
use crate::error::Refusal;

/// Reads a row as a struct: each field from the column of its name, and those after the semicolon through a conversion.
macro_rules! from_row {
    ($type:ident { $($field:ident),* $(; $($converted:ident: $convert:expr),*)? }) => {
        |row: &rusqlite::Row| -> Result<$type, rusqlite::Error> {
            Ok($type {
                $($field: row.get(stringify!($field))?,)*
                $($($converted: ($convert)(row.get(stringify!($converted))?),)*)?
            })
        }
    };
}
pub(super) use from_row;

/// Every row of a query.
pub fn rows<T>(
    connection: &Connection,
    query: &str,
    values: impl Params,
    read: impl FnMut(&Row) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, Stop> {
    let mut statement = connection.prepare_cached(query)?;
    Ok(statement.query_map(values, read)?.collect::<Result<_, _>>()?)
}

/// The first row of a query; `None` when it has none.
pub fn first<T>(
    connection: &Connection,
    query: &str,
    values: impl Params,
    read: impl FnOnce(&Row) -> Result<T, rusqlite::Error>,
) -> Result<Option<T>, Stop> {
    Ok(connection.prepare_cached(query)?.query_row(values, read).optional()?)
}

/// The one value of a query that always has one: a count, or whether something exists.
pub fn value<T: FromSql>(connection: &Connection, query: &str, values: impl Params) -> Result<T, Stop> {
    Ok(connection.prepare_cached(query)?.query_row(values, |row| row.get(0))?)
}

/// Changes the database; gives how many rows were touched.
pub fn run(transaction: &Transaction, statement: &str, values: impl Params) -> Result<usize, Stop> {
    Ok(transaction.prepare_cached(statement)?.execute(values)?)
}

/// A column that holds an id this engine has written.
pub fn id(row: &Row, column: usize) -> Result<Uuid, rusqlite::Error> {
    let text: String = row.get(column)?;
    let wrong = |error: uuid::Error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into());
    Uuid::parse_str(&text).map_err(wrong)
}

/// Reads a GUID: 8-4-4-4-12 hexadecimal digits, and no other form.
pub fn guid(text: &str) -> Result<Uuid, Refusal> {
    let id = Uuid::parse_str(text).ok().filter(|_| text.len() == 36);
    id.ok_or_else(|| Refusal::bad_input("an id must be a GUID like 2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10"))
}

/// The kinds of parts that can be taken off a person by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Alias,
    Note,
    EntityField,
    Tag,
}

/// Takes a part off the person; refuses when the person has no such part.
pub fn delete_part(transaction: &Transaction, person: Uuid, part: Part, id: Uuid) -> Result<(), Stop> {
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
