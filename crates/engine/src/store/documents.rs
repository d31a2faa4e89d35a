//! Files attached to people, addressed by the person and the uploader's own id.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction};
use uuid::Uuid;

use super::{millis, moment};

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

/// Stores the file; one of the same person and id is replaced.
pub fn put(transaction: &Transaction, document: &Document, now: DateTime<Utc>) -> Result<(), rusqlite::Error> {
    let Document { person, public_id, name, description, file_name, media_type, bytes } = document;
    transaction
        .execute(
            "INSERT OR REPLACE INTO documents \
             (person_id, public_id, name, description, file_name, media_type, created, bytes) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (person.to_string(), public_id, name, description, file_name, media_type, millis(now), bytes.as_ref()),
        )
        .map(drop)
}

/// A file without its content.
pub struct Listed {
    pub public_id: String,
    pub name: String,
    pub description: Option<String>,
    pub file_name: Option<String>,
    pub media_type: Option<String>,
    pub created: DateTime<Utc>,
    pub size: u64,
}

/// The files of a person, in the order they were uploaded in.
pub fn of_person(connection: &Connection, person: Uuid) -> Result<Vec<Listed>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT public_id, name, description, file_name, media_type, created, length(bytes) FROM documents \
             WHERE person_id = ? ORDER BY rowid",
        )?
        .query_map([person.to_string()], |row| {
            Ok(Listed {
                public_id: row.get(0)?,
                name: row.get(1)?,
                description: row.get(2)?,
                file_name: row.get(3)?,
                media_type: row.get(4)?,
                created: moment(row.get(5)?),
                size: row.get::<_, i64>(6)?.unsigned_abs(),
            })
        })?
        .collect()
}

pub fn read(connection: &Connection, person: Uuid, public_id: &str) -> Result<Option<Download>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT media_type, bytes FROM documents WHERE person_id = ? AND public_id = ?")?
        .query_row((person.to_string(), public_id), |row| Ok(Download { media_type: row.get(0)?, bytes: row.get(1)? }))
        .optional()
}
