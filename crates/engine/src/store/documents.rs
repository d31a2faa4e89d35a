//! Files attached to people, addressed by the person and the uploader's own id.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction};
use serde::Serialize;
use uuid::Uuid;

use super::statement::{first, from_row, rows, run};
use super::{Stop, millis, moment};

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

/// Stores the file; one of the same person and id is replaced.
pub fn put(transaction: &Transaction, document: &Document, now: DateTime<Utc>) -> Result<(), Stop> {
    let Document { person, public_id, name, description, file_name, media_type, bytes } = document;
    let statement = "INSERT OR REPLACE INTO documents \
                     (person_id, public_id, name, description, file_name, media_type, created, bytes) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let (person, now) = (person.to_string(), millis(now));
    run(transaction, statement, (person, public_id, name, description, file_name, media_type, now, bytes.as_ref()))
        .map(drop)
}

/// The files of a person, in the order they were uploaded in.
pub fn of_person(connection: &Connection, person: Uuid) -> Result<Vec<FileDocument>, Stop> {
    let query = "SELECT public_id, name, description, file_name, media_type, created, length(bytes) AS size \
                 FROM documents WHERE person_id = ? ORDER BY rowid";
    let document = from_row!(FileDocument {
        public_id, name, description, file_name, media_type;
        created: moment,
        size: i64::unsigned_abs
    });
    rows(connection, query, [person.to_string()], document)
}

pub fn read(connection: &Connection, person: Uuid, public_id: &str) -> Result<Option<Download>, Stop> {
    let query = "SELECT media_type, bytes FROM documents WHERE person_id = ? AND public_id = ?";
    first(connection, query, (person.to_string(), public_id), from_row!(Download { media_type, bytes }))
}
