//! Faces: enrolled photos of people, and faces seen that nobody knows, with their vectors.
//!
//! In: what was found in a picture. Out: rows to fill the matching index from, photos, and who holds a photo reference.
//! Vectors are kept per model, so that a new model can be prepared beside the old one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction};
use serde::Serialize;
use uuid::Uuid;

use super::statement::{first, from_row, id, rows, run};
use super::stays::FACE_STAYS;
use super::{Stop, millis};

/// A photo enrolled for a person.
pub struct Enrolled<'a> {
    pub face: Uuid,
    pub person: Uuid,
    pub detect_id: Uuid,
    pub photo_reference: Option<&'a str>,
    pub quality: f32,
    pub jpeg: &'a [u8],
}

/// A photo of a person, without its pixels.
pub struct EnrolledPhoto {
    pub face: String,
    pub reference: Option<String>,
}

/// The enrolled face that a photo reference belongs to.
pub struct Reference {
    pub face: String,
    pub person: Uuid,
    pub detect_id: Option<String>,
}

/// How far a model is prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub model: String,
    /// Enrolled photos.
    pub photos: usize,
    /// The photos the model has seen.
    pub done: usize,
    /// The photos among those in which the model found no face.
    #[serde(rename = "without_face")]
    pub faceless: usize,
}

/// Adds a photo: one that a door of this account saw, or one that somebody is enrolled from.
pub fn insert_photo(transaction: &Transaction, jpeg: &[u8], account: Option<&str>) -> Result<i64, Stop> {
    Ok(transaction.prepare_cached("INSERT INTO photos (jpeg, account) VALUES (?, ?)")?.insert((jpeg, account))?)
}

pub fn insert_enrolled(transaction: &Transaction, enrolled: &Enrolled, now: DateTime<Utc>) -> Result<(), Stop> {
    let photo = insert_photo(transaction, enrolled.jpeg, None)?;
    let Enrolled { face, person, detect_id, photo_reference, quality, .. } = enrolled;
    let statement = "INSERT INTO faces (face_id, person_id, detect_id, photo_id, photo_reference, quality, created, \
                     last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
    let (face, person, detect_id) = (face.to_string(), person.to_string(), detect_id.to_string());
    run(transaction, statement, (face, person, detect_id, photo, photo_reference, quality, millis(now))).map(drop)
}

/// Adds a face nobody knows; it has no photo of its own, its detections have. It joins the group of the stranger whose
/// it is perhaps, or begins a group of its own.
pub fn insert_unknown(
    transaction: &Transaction,
    face: Uuid,
    perhaps: Option<Uuid>,
    quality: f32,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let statement = "INSERT INTO faces (face_id, quality, created, last_seen, group_id) VALUES (?1, ?2, ?3, ?3, \
                     coalesce((SELECT group_id FROM faces WHERE face_id = ?4 AND person_id IS NULL), ?1))";
    let perhaps = perhaps.map(|face| face.to_string());
    run(transaction, statement, (face.to_string(), quality, millis(now), perhaps)).map(drop)
}

/// Notes that a face was seen again; whether there is such a face.
pub fn seen(transaction: &Transaction, face: Uuid, now: DateTime<Utc>) -> Result<bool, Stop> {
    let statement = "UPDATE faces SET last_seen = ? WHERE face_id = ?";
    Ok(run(transaction, statement, (millis(now), face.to_string()))? > 0)
}

pub fn insert_embedding(transaction: &Transaction, face: Uuid, model: &str, vector: &[f32]) -> Result<(), Stop> {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let statement = "INSERT OR REPLACE INTO embeddings (face_id, model, vector) VALUES (?, ?, ?)";
    run(transaction, statement, (face.to_string(), model, bytes)).map(drop)
}

/// Every vector of a model with its face and person, in the order the faces came: of the people enrolled (`known`), or
/// of faces nobody knows. Nothing of what is [being erased](super::erasures).
pub fn each_embedding(
    connection: &Connection,
    model: &str,
    known: bool,
    mut each: impl FnMut(Uuid, Option<Uuid>, &[f32]),
) -> Result<(), Stop> {
    let mut statement = connection.prepare(&format!(
        "SELECT face_id, person_id, vector FROM faces JOIN embeddings USING (face_id) \
         WHERE model = ? AND (person_id IS NOT NULL) = ? AND {FACE_STAYS} ORDER BY faces.rowid"
    ))?;
    let mut rows = statement.query((model, known))?;
    let mut vector = Vec::new();
    while let Some(row) = rows.next()? {
        let person = known.then(|| id(row, 1)).transpose()?;
        read_vector(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?, &mut vector);
        each(id(row, 0)?, person, &vector);
    }
    Ok(())
}

/// The vectors of one face, with the models that made them.
pub fn embeddings_of(connection: &Connection, face: Uuid) -> Result<Vec<(String, Vec<f32>)>, Stop> {
    let query = "SELECT model, vector FROM embeddings WHERE face_id = ?";
    rows(connection, query, [face.to_string()], |row| {
        let mut vector = Vec::new();
        read_vector(row.get_ref(1)?.as_blob()?, &mut vector);
        Ok((row.get(0)?, vector))
    })
}

pub fn read_vector(bytes: &[u8], vector: &mut Vec<f32>) {
    vector.clear();
    vector.extend(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
}

/// The person, the face and the quality of every enrolled photo, in the order they came.
pub fn qualities(connection: &Connection) -> Result<Vec<(Uuid, Uuid, f32)>, Stop> {
    let query = "SELECT person_id, face_id, quality FROM faces \
                 WHERE person_id IS NOT NULL AND photo_id IS NOT NULL ORDER BY rowid";
    rows(connection, query, [], |row| Ok((id(row, 0)?, id(row, 1)?, row.get(2)?)))
}

/// How often each person was seen and matched, and how often with less confidence than `bare`.
pub fn matches(connection: &Connection, bare: f32) -> Result<HashMap<Uuid, (u32, u32)>, Stop> {
    let query = "SELECT person_id, count(*), count(*) FILTER (WHERE match_confidence < ?) FROM detections \
                 WHERE person_id IS NOT NULL AND match_confidence IS NOT NULL GROUP BY person_id";
    let counted = rows(connection, query, [bare], |row| Ok((id(row, 0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(counted.into_iter().collect())
}

/// Enrolled faces that this model has not seen yet: neither a vector nor the note that it finds none.
pub fn without_embedding(connection: &Connection, model: &str) -> Result<Vec<Uuid>, Stop> {
    let query = "SELECT face_id FROM faces WHERE photo_id IS NOT NULL \
                 AND face_id NOT IN (SELECT face_id FROM embeddings WHERE model = ?1) \
                 AND face_id NOT IN (SELECT face_id FROM faceless WHERE model = ?1) ORDER BY rowid";
    rows(connection, query, [model], |row| id(row, 0))
}

/// Notes that the model finds no face in an enrolled photo.
pub fn insert_faceless(transaction: &Transaction, face: Uuid, model: &str) -> Result<(), Stop> {
    let statement = "INSERT OR IGNORE INTO faceless (face_id, model) VALUES (?, ?)";
    run(transaction, statement, (face.to_string(), model)).map(drop)
}

/// How far a model is with the enrolled photos.
pub fn progress(connection: &Connection, model: &str) -> Result<Progress, Stop> {
    let query = "SELECT ?1 AS model, count(*) AS photos, count(embeddings.model) + count(faceless.model) AS done, \
                 count(faceless.model) AS faceless FROM faces \
                 LEFT JOIN embeddings ON embeddings.face_id = faces.face_id AND embeddings.model = ?1 \
                 LEFT JOIN faceless ON faceless.face_id = faces.face_id AND faceless.model = ?1 \
                 WHERE photo_id IS NOT NULL";
    let count = |count: u32| count as usize;
    let progress = from_row!(Progress { model; photos: count, done: count, faceless: count });
    Ok(connection.prepare_cached(query)?.query_row([model], progress)?)
}

/// The photos of a person, the best one first.
pub fn photos_of(connection: &Connection, person: Uuid) -> Result<Vec<EnrolledPhoto>, Stop> {
    let query = "SELECT face_id, photo_reference FROM faces WHERE person_id = ? AND photo_id IS NOT NULL \
                 ORDER BY quality DESC, rowid";
    rows(connection, query, [person.to_string()], |row| Ok(EnrolledPhoto { face: row.get(0)?, reference: row.get(1)? }))
}

/// Whom a face was enrolled for; `None` when there is no such face, or nobody knows it.
pub fn person_of(connection: &Connection, face: Uuid) -> Result<Option<Uuid>, Stop> {
    let query = "SELECT person_id FROM faces WHERE face_id = ? AND person_id IS NOT NULL";
    first(connection, query, [face.to_string()], |row| id(row, 0))
}

/// The photo a face was enrolled from.
pub fn photo(connection: &Connection, face: &str) -> Result<Option<Vec<u8>>, Stop> {
    let query = "SELECT jpeg FROM faces JOIN photos USING (photo_id) WHERE face_id = ?";
    first(connection, query, [face], |row| row.get(0))
}

/// Who was enrolled under the caller's own key for a photo.
pub fn by_reference(connection: &Connection, reference: &str) -> Result<Option<Reference>, Stop> {
    let query = "SELECT face_id, person_id, detect_id FROM faces WHERE photo_reference = ?";
    first(connection, query, [reference], |row| {
        Ok(Reference { face: row.get(0)?, person: id(row, 1)?, detect_id: row.get(2)? })
    })
}
