//! People and the parts of their records: names, addresses, notes and custom fields (tags have their own file).
//!
//! In and out: the wire types, whose shape these records have. Each part is put the same way: an entry of that id is
//! made or changed, one without an id gets a new one, and one that belongs to somebody else stays theirs.

use chrono::{DateTime, Utc};
use identities::text;
use identities::wire::{EntityField, IdentityPersonItem, PeopleQuery, PersonAddress, PersonAlias, PersonNote};
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction};
use uuid::Uuid;

use super::{Stop, millis, moment, tags};
use crate::refusal::Refusal;

/// The kinds of parts that can be taken off a person by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Alias,
    Note,
    EntityField,
    Tag,
}

pub fn create(transaction: &Transaction, person: Uuid, now: DateTime<Utc>) -> Result<(), rusqlite::Error> {
    transaction
        .execute("INSERT INTO people (person_id, created) VALUES (?, ?)", (person.to_string(), millis(now)))
        .map(drop)
}

/// Refuses when there is no such person.
pub fn require(connection: &Connection, person: Uuid) -> Result<(), Stop> {
    if exists(connection, person)? { Ok(()) } else { Err(Refusal::NotFound("person").into()) }
}

pub fn exists(connection: &Connection, person: Uuid) -> Result<bool, rusqlite::Error> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM people WHERE person_id = ?)")?
        .query_row([person.to_string()], |row| row.get(0))
}

/// Everybody, in the order they were made in.
pub fn all(connection: &Connection) -> Result<Vec<Uuid>, rusqlite::Error> {
    connection.prepare("SELECT person_id FROM people ORDER BY rowid")?.query_map([], |row| id(row, 0))?.collect()
}

/// The whole record; the caller has made sure of the person.
pub fn read(connection: &Connection, person: Uuid, now: DateTime<Utc>) -> Result<IdentityPersonItem, rusqlite::Error> {
    Ok(IdentityPersonItem {
        person_id: person.to_string(),
        aliases: aliases(connection, person)?,
        addresses: addresses(connection, person)?,
        entity_fields: entity_fields(connection, person, None)?,
        tags: tags::of_person(connection, person, None, now)?,
        notes: notes(connection, person)?,
    })
}

/// The ids of all people who fit every selector of the query, in any spelling, in the order they were made in.
pub fn search(
    connection: &Connection,
    tag: Option<Uuid>,
    query: &PeopleQuery,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT person_id FROM people WHERE \
         (?1 IS NULL OR person_id IN (SELECT person_id FROM person_tags \
            WHERE tag_id = ?1 AND (expires IS NULL OR expires > ?2))) \
         AND (?3 IS NULL OR person_id IN (SELECT person_id FROM entity_fields \
            WHERE folded(name) = ?3 AND (?4 IS NULL OR folded(string_value) = ?4))) \
         ORDER BY rowid",
    )?;
    let tag = tag.map(|tag| tag.to_string());
    let folded = |text: &Option<String>| text.as_deref().map(text::folded);
    let (name, value) = (folded(&query.entity_field_name), folded(&query.entity_field_string_value));
    let selectors = (tag, millis(now), name, value);
    statement.query_map(selectors, |row| id(row, 0))?.collect()
}

pub fn aliases(connection: &Connection, person: Uuid) -> Result<Vec<PersonAlias>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT alias_id, first_name, last_name, middle_name, title FROM aliases WHERE person_id = ? ORDER BY rowid",
        )?
        .query_map([person.to_string()], |row| {
            Ok(PersonAlias {
                person_alias_id: row.get(0)?,
                first_name: row.get(1)?,
                last_name: row.get(2)?,
                middle_name: row.get(3)?,
                title: row.get(4)?,
            })
        })?
        .collect()
}

pub fn put_alias(transaction: &Transaction, person: Uuid, mut alias: PersonAlias) -> Result<PersonAlias, Stop> {
    let id = part_id(&mut alias.person_alias_id)?;
    for part in [&mut alias.first_name, &mut alias.last_name, &mut alias.middle_name, &mut alias.title] {
        *part = part.as_deref().map(text::tidy);
    }
    put(
        transaction,
        "INSERT INTO aliases (alias_id, person_id, first_name, last_name, middle_name, title) \
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (alias_id) DO UPDATE SET first_name = excluded.first_name, \
         last_name = excluded.last_name, middle_name = excluded.middle_name, title = excluded.title \
         WHERE person_id = excluded.person_id",
        (id, person.to_string(), &alias.first_name, &alias.last_name, &alias.middle_name, &alias.title),
    )?;
    Ok(alias)
}

pub fn addresses(connection: &Connection, person: Uuid) -> Result<Vec<PersonAddress>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT address_id, street, street2, city, state, postal_code, country FROM addresses \
             WHERE person_id = ? ORDER BY rowid",
        )?
        .query_map([person.to_string()], |row| {
            Ok(PersonAddress {
                person_address_id: row.get(0)?,
                street: row.get(1)?,
                street2: row.get(2)?,
                city: row.get(3)?,
                state: row.get(4)?,
                postal_code: row.get(5)?,
                country: row.get(6)?,
            })
        })?
        .collect()
}

pub fn put_address(transaction: &Transaction, person: Uuid, mut address: PersonAddress) -> Result<PersonAddress, Stop> {
    let id = part_id(&mut address.person_address_id)?;
    let PersonAddress { street, street2, city, state, postal_code, country, .. } = &address;
    put(
        transaction,
        "INSERT INTO addresses (address_id, person_id, street, street2, city, state, postal_code, country) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address_id) DO UPDATE SET street = excluded.street, \
         street2 = excluded.street2, city = excluded.city, state = excluded.state, \
         postal_code = excluded.postal_code, country = excluded.country WHERE person_id = excluded.person_id",
        (id, person.to_string(), street, street2, city, state, postal_code, country),
    )?;
    Ok(address)
}

pub fn notes(connection: &Connection, person: Uuid) -> Result<Vec<PersonNote>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT note_id, summary, body, author, shared_id FROM notes WHERE person_id = ? ORDER BY rowid",
        )?
        .query_map([person.to_string()], |row| {
            Ok(PersonNote {
                note_id: row.get(0)?,
                summary: row.get(1)?,
                body: row.get(2)?,
                author: row.get(3)?,
                shared_id: row.get(4)?,
            })
        })?
        .collect()
}

/// A note without an author is `author`'s, or stays whose it was.
pub fn put_note(
    transaction: &Transaction,
    person: Uuid,
    mut note: PersonNote,
    author: &str,
) -> Result<PersonNote, Stop> {
    let id = part_id(&mut note.note_id)?;
    if note.author.is_none() {
        let stored = transaction
            .query_row("SELECT author FROM notes WHERE note_id = ?", [id.to_string()], |row| row.get(0))
            .optional()?;
        note.author = stored.flatten().or_else(|| Some(author.to_owned()));
    }
    put(
        transaction,
        "INSERT INTO notes (note_id, person_id, summary, body, author, shared_id) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (note_id) DO UPDATE SET summary = excluded.summary, body = excluded.body, \
         author = excluded.author, shared_id = excluded.shared_id WHERE person_id = excluded.person_id",
        (id, person.to_string(), &note.summary, &note.body, &note.author, &note.shared_id),
    )?;
    Ok(note)
}

/// The person's custom fields, or the one of exactly that name, as it is kept.
pub fn entity_fields(
    connection: &Connection,
    person: Uuid,
    name: Option<&str>,
) -> Result<Vec<EntityField>, rusqlite::Error> {
    let name = name.map(text::tidy);
    connection
        .prepare_cached(
            "SELECT field_id, name, string_value, date_value, number_value, bool_value FROM entity_fields \
             WHERE person_id = ?1 AND (?2 IS NULL OR name = ?2) ORDER BY rowid",
        )?
        .query_map((person.to_string(), name), |row| {
            Ok(EntityField {
                entity_field_id: row.get(0)?,
                name: row.get(1)?,
                string_value: row.get(2)?,
                date_value: row.get::<_, Option<i64>>(3)?.map(moment),
                number_value: row.get(4)?,
                bool_value: row.get(5)?,
            })
        })?
        .collect()
}

/// A person has one field of a name, in whatever spelling: putting one without an id changes the one there is; putting one with another id
/// takes its place.
pub fn put_entity_field(transaction: &Transaction, person: Uuid, mut field: EntityField) -> Result<EntityField, Stop> {
    let owner = person.to_string();
    field.name = text::tidy(&field.name);
    if field.name.is_empty() {
        return Err(Refusal::bad_input("name holds nothing but spaces").into());
    }
    let folded = text::folded(&field.name);
    if field.entity_field_id.is_none() {
        field.entity_field_id = transaction
            .query_row(
                "SELECT field_id FROM entity_fields WHERE person_id = ? AND folded(name) = ?",
                (&owner, &folded),
                |row| row.get(0),
            )
            .optional()?;
    }
    let id = part_id(&mut field.entity_field_id)?;
    transaction.execute(
        "DELETE FROM entity_fields WHERE person_id = ? AND folded(name) = ? AND field_id <> ?",
        (&owner, &folded, &id),
    )?;
    let EntityField { name, string_value, date_value, number_value, bool_value, .. } = &field;
    put(
        transaction,
        "INSERT INTO entity_fields (field_id, person_id, name, string_value, date_value, number_value, bool_value) \
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (field_id) DO UPDATE SET name = excluded.name, \
         string_value = excluded.string_value, date_value = excluded.date_value, \
         number_value = excluded.number_value, bool_value = excluded.bool_value \
         WHERE person_id = excluded.person_id",
        (id, owner, name, string_value, date_value.map(millis), number_value, bool_value),
    )?;
    Ok(field)
}

/// Takes a part off the person; refuses when the person has no such part.
pub fn delete(transaction: &Transaction, person: Uuid, part: Part, id: Uuid) -> Result<(), Stop> {
    let (statement, what) = match part {
        Part::Alias => ("DELETE FROM aliases WHERE person_id = ? AND alias_id = ?", "alias"),
        Part::Note => ("DELETE FROM notes WHERE person_id = ? AND note_id = ?", "note"),
        Part::EntityField => ("DELETE FROM entity_fields WHERE person_id = ? AND field_id = ?", "entity field"),
        Part::Tag => ("DELETE FROM person_tags WHERE person_id = ? AND person_tag_id = ?", "tag of the person"),
    };
    match transaction.execute(statement, (person.to_string(), id.to_string()))? {
        0 => Err(Refusal::NotFound(what).into()),
        _ => Ok(()),
    }
}

/// A column with an id we wrote ourselves.
pub(super) fn id(row: &Row, column: usize) -> Result<Uuid, rusqlite::Error> {
    let text: String = row.get(column)?;
    Uuid::parse_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into()))
}

/// The id a part was sent with, as we write ids, or a new one; it is put back into the part.
pub(super) fn part_id(sent: &mut Option<String>) -> Result<String, Stop> {
    let id = match sent {
        Some(text) => crate::guid(text)?,
        None => Uuid::new_v4(),
    };
    Ok(sent.insert(id.to_string()).clone())
}

/// Runs an upsert that touches no row when the entry is somebody else's.
pub(super) fn put(transaction: &Transaction, statement: &str, values: impl Params) -> Result<(), Stop> {
    match transaction.prepare_cached(statement)?.execute(values)? {
        0 => Err(Refusal::bad_input("there is an entry of this id that belongs to another person").into()),
        _ => Ok(()),
    }
}
