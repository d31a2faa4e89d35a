//! People and the parts of their records: names, addresses, notes and custom fields (tags have their own file), and the
//! files attached to them.
//!
//! In and out: the wire types, whose shape these records have. Each part is put the same way: an entry of that id is
//! made or changed, one without an id gets a new one, and one that belongs to somebody else stays theirs. Files are
//! addressed by the person and the uploader's own id.

use chrono::{DateTime, Utc};
use identities::text;
use identities::wire::{EntityField, IdentityPersonItem, PersonAddress, PersonAlias, PersonNote};
use rusqlite::{Connection, Transaction};
use serde::Serialize;
use uuid::Uuid;

use super::statement::{first, from_row, id, part_id, put, rows, run, value};
use super::{Stop, millis, moment, tags};
use crate::error::Refusal;

pub fn create(transaction: &Transaction, person: Uuid, now: DateTime<Utc>) -> Result<(), Stop> {
    let statement = "INSERT INTO people (person_id, created) VALUES (?, ?)";
    run(transaction, statement, (person.to_string(), millis(now))).map(drop)
}

/// Refuses when there is no such person.
pub fn require(connection: &Connection, person: Uuid) -> Result<(), Stop> {
    if exists(connection, person)? { Ok(()) } else { Err(Refusal::NotFound("person").into()) }
}

pub fn exists(connection: &Connection, person: Uuid) -> Result<bool, Stop> {
    value(connection, "SELECT EXISTS (SELECT 1 FROM people WHERE person_id = ?)", [person.to_string()])
}

/// Everybody, in the order they were made in.
pub fn all(connection: &Connection) -> Result<Vec<Uuid>, Stop> {
    rows(connection, "SELECT person_id FROM people ORDER BY rowid", [], |row| id(row, 0))
}

/// The whole record; the caller has made sure of the person.
pub fn read(connection: &Connection, person: Uuid, now: DateTime<Utc>) -> Result<IdentityPersonItem, Stop> {
    Ok(IdentityPersonItem {
        person_id: person.to_string(),
        aliases: aliases(connection, person)?,
        addresses: addresses(connection, person)?,
        entity_fields: entity_fields(connection, person, None)?,
        tags: tags::of_person(connection, person, None, now)?,
        notes: notes(connection, person)?,
    })
}

/// Everybody who fits every selector given, in any spelling, in the order they were made in: with this tag, and with a
/// field of this name, and of this value where there is one.
pub fn search(
    connection: &Connection,
    tag: Option<Uuid>,
    field: Option<&str>,
    value: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<IdentityPersonItem>, Stop> {
    let statement = "SELECT person_id FROM people WHERE \
         (?1 IS NULL OR person_id IN (SELECT person_id FROM person_tags \
            WHERE tag_id = ?1 AND (expires IS NULL OR expires > ?2))) \
         AND (?3 IS NULL OR person_id IN (SELECT person_id FROM entity_fields \
            WHERE folded(name) = ?3 AND (?4 IS NULL OR folded(string_value) = ?4))) \
         ORDER BY rowid";
    let tag = tag.map(|tag| tag.to_string());
    let values = (tag, millis(now), field.map(text::folded), value.map(text::folded));
    let found = rows(connection, statement, values, |row| id(row, 0))?;
    found.into_iter().map(|person| read(connection, person, now)).collect()
}

pub fn aliases(connection: &Connection, person: Uuid) -> Result<Vec<PersonAlias>, Stop> {
    let query = "SELECT alias_id AS person_alias_id, first_name, last_name, middle_name, title FROM aliases \
                 WHERE person_id = ? ORDER BY rowid";
    let alias = from_row!(PersonAlias { person_alias_id, first_name, last_name, middle_name, title });
    rows(connection, query, [person.to_string()], alias)
}

/// First and last name of the first alias, as far as there are any.
pub fn friendly_name(connection: &Connection, person: Uuid) -> Result<Option<String>, Stop> {
    Ok(aliases(connection, person)?.first().and_then(joined))
}

/// First and last name, as far as there are any.
pub fn joined(alias: &PersonAlias) -> Option<String> {
    let names: Vec<_> = [&alias.first_name, &alias.last_name].into_iter().flatten().map(|name| name.trim()).collect();
    let joined = names.join(" ").trim().to_owned();
    (!joined.is_empty()).then_some(joined)
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

pub fn addresses(connection: &Connection, person: Uuid) -> Result<Vec<PersonAddress>, Stop> {
    let query = "SELECT address_id AS person_address_id, street, street2, city, state, postal_code, country \
                 FROM addresses WHERE person_id = ? ORDER BY rowid";
    let address = from_row!(PersonAddress { person_address_id, street, street2, city, state, postal_code, country });
    rows(connection, query, [person.to_string()], address)
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

pub fn notes(connection: &Connection, person: Uuid) -> Result<Vec<PersonNote>, Stop> {
    let query = "SELECT note_id, summary, body, author, shared_id FROM notes WHERE person_id = ? ORDER BY rowid";
    rows(connection, query, [person.to_string()], from_row!(PersonNote { note_id, summary, body, author, shared_id }))
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
        let stored = first(transaction, "SELECT author FROM notes WHERE note_id = ?", [&id], |row| row.get(0))?;
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
pub fn entity_fields(connection: &Connection, person: Uuid, name: Option<&str>) -> Result<Vec<EntityField>, Stop> {
    let name = name.map(text::tidy);
    let query = "SELECT field_id AS entity_field_id, name, string_value, date_value, number_value, bool_value \
                 FROM entity_fields WHERE person_id = ?1 AND (?2 IS NULL OR name = ?2) ORDER BY rowid";
    let field = from_row!(EntityField {
        entity_field_id, name, string_value, number_value, bool_value;
        date_value: |ms: Option<i64>| ms.map(moment)
    });
    rows(connection, query, (person.to_string(), name), field)
}

/// The id of the person's field of this name, in whatever spelling.
pub fn field_named(connection: &Connection, person: Uuid, name: &str) -> Result<Option<Uuid>, Stop> {
    let query = "SELECT field_id FROM entity_fields WHERE person_id = ? AND folded(name) = ?";
    first(connection, query, (person.to_string(), text::folded(name)), |row| id(row, 0))
}

/// Sets a field. A person has one of a name, in whatever spelling: putting one without an id changes the one there is;
/// putting one with another id takes its place.
pub fn put_entity_field(transaction: &Transaction, person: Uuid, mut field: EntityField) -> Result<EntityField, Stop> {
    let owner = person.to_string();
    field.name = text::tidy(&field.name);
    if field.name.is_empty() {
        return Err(Refusal::bad_input("name holds nothing but spaces").into());
    }
    if field.entity_field_id.is_none() {
        field.entity_field_id = field_named(transaction, person, &field.name)?.map(|id| id.to_string());
    }
    let id = part_id(&mut field.entity_field_id)?;
    let others = "DELETE FROM entity_fields WHERE person_id = ? AND folded(name) = ? AND field_id <> ?";
    run(transaction, others, (&owner, text::folded(&field.name), &id))?;
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

/// Stores the definition of a custom field, in place of an earlier one of the same id; `kind` is `string` or
/// `datetime`, `body` JSON, which is kept as it came: the documents show no body of theirs.
pub fn put_field_setting(
    transaction: &Transaction,
    entity_type: &str,
    field: &str,
    kind: &str,
    body: &str,
) -> Result<(), Stop> {
    let statement =
        "INSERT OR REPLACE INTO entity_field_settings (entity_type, field_id, kind, body) VALUES (?, ?, ?, ?)";
    run(transaction, statement, (entity_type, field, kind, body)).map(drop)
}

/// A file as uploaded.
pub struct Document {
    pub person: Uuid,
    pub public_id: String,
    pub name: String,
    pub description: Option<String>,
    pub file_name: Option<String>,
    pub media_type: Option<String>,
    pub bytes: bytes::Bytes,
}

/// A file as downloaded.
pub struct Download {
    pub media_type: Option<String>,
    pub bytes: Vec<u8>,
}

/// A file without its content, as lists show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDocument {
    /// The id by which the file is downloaded.
    pub public_id: String,
    pub name: String,
    pub description: Option<String>,
    pub file_name: Option<String>,
    pub media_type: Option<String>,
    pub created: DateTime<Utc>,
    pub size: u64,
}

/// Stores the file, in place of the one of the same person and id, which is deleted: the sums of the schema count that.
pub fn put_document(
    transaction: &Transaction,
    document: &Document,
    account: &str,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let Document { person, public_id, name, description, file_name, media_type, bytes } = document;
    let (person, now) = (person.to_string(), millis(now));
    run(transaction, "DELETE FROM documents WHERE person_id = ? AND public_id = ?", (&person, public_id))?;
    let statement = "INSERT INTO documents \
                     (person_id, public_id, name, description, file_name, media_type, created, bytes, account) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = (person, public_id, name, description, file_name, media_type, now, bytes.as_ref(), account);
    run(transaction, statement, values).map(drop)
}

/// The files of a person, in the order they were uploaded in.
pub fn documents(connection: &Connection, person: Uuid) -> Result<Vec<FileDocument>, Stop> {
    let query = "SELECT public_id, name, description, file_name, media_type, created, length(bytes) AS size \
                 FROM documents WHERE person_id = ? ORDER BY rowid";
    let document = from_row!(FileDocument {
        public_id, name, description, file_name, media_type;
        created: moment,
        size: i64::unsigned_abs
    });
    rows(connection, query, [person.to_string()], document)
}

pub fn document(connection: &Connection, person: Uuid, public_id: &str) -> Result<Option<Download>, Stop> {
    let query = "SELECT media_type, bytes FROM documents WHERE person_id = ? AND public_id = ?";
    first(connection, query, (person.to_string(), public_id), from_row!(Download { media_type, bytes }))
}
