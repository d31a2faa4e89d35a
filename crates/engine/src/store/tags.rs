//! Tag definitions, and the tags people carry.
//!
//! In and out: the wire types. A name is kept tidy, and two spellings of a word are one tag. A tag whose time has come
//! is not returned any more; it stays in the table until it is given again or taken off.

use chrono::{DateTime, TimeDelta, Utc};
use identities::text;
use identities::wire::{PersonTag, PersonTagUpsert, Tag, TagSummary, TagWrite, TimeSpan};
use rusqlite::{Connection, Row, Transaction};
use uuid::Uuid;

use super::statement::{first, from_row, guid, id, part_id, put, rows, run, value};
use super::{Stop, millis, moment};
use crate::error::Refusal;

/// No tag lapses later: the last second that ISO 8601 writes with four digits of year, in milliseconds since 1970.
const END_OF_TIME: i64 = 253_402_300_799_000;

const TAG: &str = "SELECT tag_id, name AS tag_name, disabled, description, \
                   default_expire_secs AS default_expire_period FROM tags ";

/// All definitions, or the one of exactly this name, as it is kept.
pub fn list(connection: &Connection, name: Option<&str>) -> Result<Vec<Tag>, Stop> {
    rows(connection, &format!("{TAG} WHERE ?1 IS NULL OR name = ?1 ORDER BY rowid"), [name.map(text::tidy)], tag)
}

/// All definitions as somebody else may make them, without their ids.
pub fn definitions(connection: &Connection) -> Result<Vec<TagWrite>, Stop> {
    let definition = from_row!(TagWrite { tag_name, disabled, description; default_expire_period: period });
    rows(connection, &format!("{TAG} ORDER BY rowid"), [], definition)
}

pub fn read(connection: &Connection, id: Uuid) -> Result<Tag, Stop> {
    let found = first(connection, &format!("{TAG} WHERE tag_id = ?"), [id.to_string()], tag)?;
    found.ok_or_else(|| Refusal::NotFound("tag").into())
}

/// Makes a definition, or replaces everything but the id of the one that there is.
pub fn put_definition(transaction: &Transaction, id: Uuid, write: &TagWrite) -> Result<Tag, Stop> {
    let name = free_name(transaction, &write.tag_name, id)?;
    let statement = "INSERT INTO tags (tag_id, name, disabled, description, default_expire_secs) \
                     VALUES (?, ?, ?, ?, ?) ON CONFLICT (tag_id) DO UPDATE SET name = excluded.name, \
                     disabled = excluded.disabled, description = excluded.description, \
                     default_expire_secs = excluded.default_expire_secs";
    let period = seconds(&write.default_expire_period);
    run(transaction, statement, (id.to_string(), name, write.disabled, &write.description, period))?;
    read(transaction, id)
}

/// Takes the definition away, and with it the tag off everybody.
pub fn delete(transaction: &Transaction, id: Uuid) -> Result<(), Stop> {
    match run(transaction, "DELETE FROM tags WHERE tag_id = ?", [id.to_string()])? {
        0 => Err(Refusal::NotFound("tag").into()),
        _ => Ok(()),
    }
}

/// The tags a person carries at this moment, or the one of exactly this name.
pub fn of_person(
    connection: &Connection,
    person: Uuid,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<PersonTag>, Stop> {
    let query = "SELECT person_tag_id, tag_id, created, expires, name AS tag FROM person_tags JOIN tags USING (tag_id) \
                 WHERE person_id = ?1 AND (?2 IS NULL OR name = ?2) AND (expires IS NULL OR expires > ?3) \
                 ORDER BY person_tags.rowid";
    let carried = from_row!(PersonTag {
        person_tag_id, tag_id;
        created: |ms| Some(moment(ms)),
        expires: |ms: Option<i64>| ms.map(moment),
        tag: |name| Some(TagSummary { name })
    });
    rows(connection, query, (person.to_string(), name.map(text::tidy), millis(now)), carried)
}

/// The id under which a person carries a tag, also one whose time has come; `None` when they do not.
pub fn carried(connection: &Connection, person: Uuid, tag: &str) -> Result<Option<Uuid>, Stop> {
    let query = "SELECT person_tag_id FROM person_tags WHERE person_id = ? AND tag_id = ?";
    first(connection, query, (person.to_string(), tag), |row| id(row, 0))
}

/// Gives a person a tag or changes its expiry. A person carries a tag once: putting it without an id changes the one
/// there is, putting it with another id takes its place. Without an expiry the definition's period applies, from now.
pub fn put_on_person(
    transaction: &Transaction,
    person: Uuid,
    mut upsert: PersonTagUpsert,
    now: DateTime<Utc>,
) -> Result<PersonTag, Stop> {
    let definition = read(transaction, guid(&upsert.tag_id)?)?;
    let (owner, tag_id) = (person.to_string(), &definition.tag_id);
    if upsert.person_tag_id.is_none() {
        upsert.person_tag_id = carried(transaction, person, tag_id)?.map(|id| id.to_string());
    }
    let id = part_id(&mut upsert.person_tag_id)?;
    let others = "DELETE FROM person_tags WHERE person_id = ? AND tag_id = ? AND person_tag_id <> ?";
    run(transaction, others, (&owner, tag_id, &id))?;
    let period = seconds(&definition.default_expire_period);
    let by_default = || (period > 0).then(|| millis(now).saturating_add(period.saturating_mul(1000)).min(END_OF_TIME));
    let expires = upsert.expires.map(millis).or_else(by_default);
    put(
        transaction,
        "INSERT INTO person_tags (person_tag_id, person_id, tag_id, created, expires) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (person_tag_id) DO UPDATE SET tag_id = excluded.tag_id, expires = excluded.expires, \
         created = iif(tag_id = excluded.tag_id AND (expires IS NULL OR expires > ?4), created, excluded.created) \
         WHERE person_id = excluded.person_id",
        (&id, &owner, tag_id, millis(now), expires),
    )?;
    let created = value(transaction, "SELECT created FROM person_tags WHERE person_tag_id = ?", [&id])?;
    Ok(PersonTag {
        person_tag_id: Some(id),
        tag_id: definition.tag_id,
        created: Some(moment(created)),
        expires: expires.map(moment),
        tag: Some(TagSummary { name: definition.tag_name }),
    })
}

/// The name as it is kept; refused when another tag than this one has it in any spelling.
fn free_name(connection: &Connection, name: &str, id: Uuid) -> Result<String, Stop> {
    let name = text::tidy(name);
    if name.is_empty() {
        return Err(Refusal::bad_input("tagName holds nothing but spaces").into());
    }
    let holder = first(connection, &format!("{TAG} WHERE folded(name) = ?"), [text::folded(&name)], tag)?;
    match holder {
        Some(holder) if holder.tag_id != id.to_string() => {
            let taken = holder.tag_name;
            Err(Refusal::bad_input(format!("tagName: there is a tag of this name already, written `{taken}`")).into())
        }
        _ => Ok(name),
    }
}

/// Whole seconds; the longest span the contract can write is far below what fits.
fn seconds(span: &TimeSpan) -> i64 {
    span.0.as_secs().try_into().unwrap_or(i64::MAX)
}

fn period(seconds: i64) -> TimeSpan {
    TimeSpan(TimeDelta::seconds(seconds).to_std().unwrap_or_default())
}

fn tag(row: &Row) -> Result<Tag, rusqlite::Error> {
    from_row!(Tag { tag_id, tag_name, disabled, description; default_expire_period: period })(row)
}
