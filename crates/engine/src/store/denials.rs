//! Denials: somebody's word that a face is not a person's.
//!
//! In: a sighting that was taken for a person, or a photo enrolled for one, and whose it is not. Out: the face as a
//! stranger's, and a row that keeps it from being taken for that person again. A denial goes with the person, and with
//! the face: it is no older than anything else that is known of a stranger. What it means for a match is the gallery's.

use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::faces::read_vector;
use super::statement::{first, id, run};
use super::{Stop, erase};
use crate::error::Refusal;

/// What a denied sighting was taken for, to put it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    pub person: Uuid,
    pub face: Uuid,
    pub match_confidence: Option<f32>,
}

/// Every denial with the vector of this model.
pub fn each(connection: &Connection, model: &str, mut each: impl FnMut(Uuid, &[f32])) -> Result<(), Stop> {
    let query = "SELECT person_id, vector FROM denials JOIN embeddings USING (face_id) WHERE model = ?";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([model])?;
    let mut vector = Vec::new();
    while let Some(row) = rows.next()? {
        read_vector(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?, &mut vector);
        each(id(row, 0)?, &vector);
    }
    Ok(())
}

/// Whom a sighting was taken for; refused where it was taken for nobody.
pub fn taken_for(connection: &Connection, detection: Uuid) -> Result<Before, Stop> {
    let query = "SELECT person_id, face_id, match_confidence FROM detections \
                 WHERE detect_id = ? AND person_id IS NOT NULL";
    let before = first(connection, query, [detection.to_string()], |row| {
        Ok(Before { person: id(row, 0)?, face: id(row, 1)?, match_confidence: row.get(2)? })
    })?;
    before.ok_or_else(|| Refusal::NotFound("match").into())
}

/// Makes a sighting that of a stranger's face, which is not that of whom it was taken for.
pub fn sighting(transaction: &Transaction, detection: Uuid, before: &Before, stranger: Uuid) -> Result<(), Stop> {
    let statement = "UPDATE detections SET person_id = NULL, match_confidence = NULL, face_id = ? WHERE detect_id = ?";
    run(transaction, statement, (stranger.to_string(), detection.to_string()))?;
    insert(transaction, before.person, stranger)
}

/// Puts a denied sighting back: it is the person's again, and nothing is remembered. Refused where there is no such
/// denial any more.
pub fn undo(transaction: &Transaction, detection: Uuid, before: &Before) -> Result<(), Stop> {
    let query = "SELECT face_id FROM detections JOIN denials USING (face_id) \
                 WHERE detect_id = ? AND denials.person_id = ? AND detections.person_id IS NULL";
    let (detection, person) = (detection.to_string(), before.person.to_string());
    let denied: Option<Uuid> = first(transaction, query, (&detection, &person), |row| id(row, 0))?;
    let denied = denied.ok_or(Refusal::NotFound("denial"))?;
    let statement = "UPDATE detections SET person_id = ?1, match_confidence = ?2, face_id = \
                     (SELECT face_id FROM faces WHERE person_id = ?1 AND photo_id IS NOT NULL \
                     ORDER BY face_id = ?3 DESC, rowid LIMIT 1) WHERE detect_id = ?4";
    run(transaction, statement, (&person, before.match_confidence, before.face.to_string(), detection))?;
    let statement = "DELETE FROM denials WHERE person_id = ? AND face_id = ?";
    run(transaction, statement, (&person, denied.to_string()))?;
    // A face that nothing else was seen of was made by the denial.
    let statement = "DELETE FROM faces WHERE face_id = ?1 AND person_id IS NULL \
                     AND NOT EXISTS (SELECT 1 FROM detections WHERE face_id = ?1) \
                     AND NOT EXISTS (SELECT 1 FROM denials WHERE face_id = ?1)";
    run(transaction, statement, [denied.to_string()]).map(drop)
}

/// Takes an enrolled photo out of its person, who is given: the photo is erased, its vector stays as a stranger's that
/// is not this person, and whom it was recognised by it was that stranger. The last photo stays, as with
/// [`erase::photo`].
pub fn photo(transaction: &Transaction, face: Uuid) -> Result<Uuid, Stop> {
    let (person, photo) = erase::a_photo_among_others(transaction, face)?.0;
    let id = face.to_string();
    let statement = "UPDATE faces SET person_id = NULL, photo_id = NULL, detect_id = NULL, photo_reference = NULL, \
                     group_id = face_id WHERE face_id = ?";
    run(transaction, statement, [&id])?;
    run(transaction, "UPDATE detections SET person_id = NULL, match_confidence = NULL WHERE face_id = ?", [&id])?;
    erase::unused(transaction, photo)?;
    insert(transaction, person, face)?;
    Ok(person)
}

/// Remembers that a face is not a person's.
pub fn insert(transaction: &Transaction, person: Uuid, face: Uuid) -> Result<(), Stop> {
    let statement = "INSERT OR IGNORE INTO denials (person_id, face_id) VALUES (?, ?)";
    run(transaction, statement, (person.to_string(), face.to_string())).map(drop)
}
