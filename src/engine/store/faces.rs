//! Faces: enrolled photos of people, and faces seen that nobody knows, with their vectors.
//!
//! In: what was found in a picture. Out: rows to fill the matching index from, photos, and who holds a photo reference.
//! Vectors are kept per model, so that a new model can be prepared beside the old one.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction};
use uuid::Uuid;

use super::{millis, people};

/// A photo enrolled for a person.
pub struct Enrolled<'a> {
    pub face: Uuid,
    pub person: Uuid,
    pub detect_id: Uuid,
    pub photo_reference: Option<&'a str>,
    pub quality: f32,
    pub jpeg: &'a [u8],
}

/// Where a photo reference leads.
pub struct Reference {
    pub face: String,
    pub person: Uuid,
    pub detect_id: Option<String>,
}

pub fn insert_photo(transaction: &Transaction, jpeg: &[u8]) -> Result<i64, rusqlite::Error> {
    transaction.prepare_cached("INSERT INTO photos (jpeg) VALUES (?)")?.insert([jpeg])
}

pub fn insert_enrolled(
    transaction: &Transaction,
    enrolled: &Enrolled,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    let photo = insert_photo(transaction, enrolled.jpeg)?;
    let Enrolled { face, person, detect_id, photo_reference, quality, .. } = enrolled;
    transaction
        .prepare_cached(
            "INSERT INTO faces (face_id, person_id, detect_id, photo_id, photo_reference, quality, created, last_seen) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        )?
        .execute((
            face.to_string(),
            person.to_string(),
            detect_id.to_string(),
            photo,
            photo_reference,
            quality,
            millis(now),
        ))
        .map(drop)
}

/// A face nobody knows; it has no photo of its own, its detections have.
pub fn insert_unknown(
    transaction: &Transaction,
    face: Uuid,
    quality: f32,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("INSERT INTO faces (face_id, quality, created, last_seen) VALUES (?1, ?2, ?3, ?3)")?
        .execute((face.to_string(), quality, millis(now)))
        .map(drop)
}

pub fn seen(transaction: &Transaction, face: Uuid, now: DateTime<Utc>) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("UPDATE faces SET last_seen = ? WHERE face_id = ?")?
        .execute((millis(now), face.to_string()))
        .map(drop)
}

pub fn insert_embedding(
    transaction: &Transaction,
    face: Uuid,
    model: &str,
    vector: &[f32],
) -> Result<(), rusqlite::Error> {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO embeddings (face_id, model, vector) VALUES (?, ?, ?)")?
        .execute((face.to_string(), model, bytes))
        .map(drop)
}

/// Every vector of a model with its face and person, in the order the faces came: of the people enrolled (`known`), or
/// of faces nobody knows.
pub fn each_embedding(
    connection: &Connection,
    model: &str,
    known: bool,
    mut each: impl FnMut(Uuid, Option<Uuid>, &[f32]),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT face_id, person_id, vector FROM faces JOIN embeddings USING (face_id) \
         WHERE model = ? AND (person_id IS NOT NULL) = ? ORDER BY faces.rowid",
    )?;
    let mut rows = statement.query((model, known))?;
    let mut vector = Vec::new();
    while let Some(row) = rows.next()? {
        let person = match row.get_ref(1)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(people::id(row, 1)?),
        };
        vector.clear();
        let (values, _) = row.get_ref(2)?.as_blob()?.as_chunks::<4>();
        vector.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        each(people::id(row, 0)?, person, &vector);
    }
    Ok(())
}

/// Enrolled faces that have no vector of this model yet.
pub fn without_embedding(connection: &Connection, model: &str) -> Result<Vec<Uuid>, rusqlite::Error> {
    connection
        .prepare(
            "SELECT face_id FROM faces WHERE photo_id IS NOT NULL \
             AND face_id NOT IN (SELECT face_id FROM embeddings WHERE model = ?) ORDER BY rowid",
        )?
        .query_map([model], |row| people::id(row, 0))?
        .collect()
}

/// The photo a face was enrolled from.
pub fn photo(connection: &Connection, face: &str) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT jpeg FROM faces JOIN photos USING (photo_id) WHERE face_id = ?")?
        .query_row([face], |row| row.get(0))
        .optional()
}

/// Who was enrolled under the caller's own key for a photo.
pub fn by_reference(connection: &Connection, reference: &str) -> Result<Option<Reference>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT face_id, person_id, detect_id FROM faces WHERE photo_reference = ?")?
        .query_row([reference], |row| {
            Ok(Reference { face: row.get(0)?, person: people::id(row, 1)?, detect_id: row.get(2)? })
        })
        .optional()
}

/// Forgets the vectors of unknown faces not seen since `before`, and of all but the `keep` last seen; what was seen of
/// them stays in the history. Returns how many were forgotten.
pub fn forget_unknown(transaction: &Transaction, before: DateTime<Utc>, keep: usize) -> Result<usize, rusqlite::Error> {
    transaction.execute(
        "DELETE FROM embeddings WHERE face_id IN (SELECT face_id FROM ( \
            SELECT face_id, last_seen, row_number() OVER (ORDER BY last_seen DESC) AS place \
            FROM faces WHERE person_id IS NULL AND face_id IN (SELECT face_id FROM embeddings)) \
         WHERE last_seen < ? OR place > ?)",
        (millis(before), keep as i64),
    )
}
