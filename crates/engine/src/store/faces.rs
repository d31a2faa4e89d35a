//! Faces: enrolled photos of people, and faces seen that nobody knows, with their vectors; and erasing people and
//! photos for good.
//!
//! In: what was found in a picture; whom to erase, or which photo. Out: rows to fill the matching index from, photos,
//! and who holds a photo reference; a database without what was erased. Vectors are kept per model, so that a new model
//! can be prepared beside the old one. What is deleted is overwritten with zeros (`secure_delete`); a photo that also
//! shows somebody else stays until they are erased, too.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction};
use serde::Serialize;
use uuid::Uuid;

use super::statement::{first, from_row, id, rows, run};
use super::{Stop, millis, people};
use crate::error::Refusal;

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

pub fn insert_photo(transaction: &Transaction, jpeg: &[u8]) -> Result<i64, Stop> {
    Ok(transaction.prepare_cached("INSERT INTO photos (jpeg) VALUES (?)")?.insert([jpeg])?)
}

pub fn insert_enrolled(transaction: &Transaction, enrolled: &Enrolled, now: DateTime<Utc>) -> Result<(), Stop> {
    let photo = insert_photo(transaction, enrolled.jpeg)?;
    let Enrolled { face, person, detect_id, photo_reference, quality, .. } = enrolled;
    let statement = "INSERT INTO faces (face_id, person_id, detect_id, photo_id, photo_reference, quality, created, \
                     last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
    let (face, person, detect_id) = (face.to_string(), person.to_string(), detect_id.to_string());
    run(transaction, statement, (face, person, detect_id, photo, photo_reference, quality, millis(now))).map(drop)
}

/// Adds a face nobody knows; it has no photo of its own, its detections have.
pub fn insert_unknown(transaction: &Transaction, face: Uuid, quality: f32, now: DateTime<Utc>) -> Result<(), Stop> {
    let statement = "INSERT INTO faces (face_id, quality, created, last_seen) VALUES (?1, ?2, ?3, ?3)";
    run(transaction, statement, (face.to_string(), quality, millis(now))).map(drop)
}

pub fn seen(transaction: &Transaction, face: Uuid, now: DateTime<Utc>) -> Result<(), Stop> {
    run(transaction, "UPDATE faces SET last_seen = ? WHERE face_id = ?", (millis(now), face.to_string())).map(drop)
}

pub fn insert_embedding(transaction: &Transaction, face: Uuid, model: &str, vector: &[f32]) -> Result<(), Stop> {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let statement = "INSERT OR REPLACE INTO embeddings (face_id, model, vector) VALUES (?, ?, ?)";
    run(transaction, statement, (face.to_string(), model, bytes)).map(drop)
}

/// Every vector of a model with its face and person, in the order the faces came: of the people enrolled (`known`), or
/// of faces nobody knows.
pub fn each_embedding(
    connection: &Connection,
    model: &str,
    known: bool,
    mut each: impl FnMut(Uuid, Option<Uuid>, &[f32]),
) -> Result<(), Stop> {
    let mut statement = connection.prepare(
        "SELECT face_id, person_id, vector FROM faces JOIN embeddings USING (face_id) \
         WHERE model = ? AND (person_id IS NOT NULL) = ? ORDER BY faces.rowid",
    )?;
    let mut rows = statement.query((model, known))?;
    let mut vector = Vec::new();
    while let Some(row) = rows.next()? {
        let person = known.then(|| id(row, 1)).transpose()?;
        vector.clear();
        let (values, _) = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?.as_chunks::<4>();
        vector.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        each(id(row, 0)?, person, &vector);
    }
    Ok(())
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

/// Forgets the vectors of unknown faces not seen since `before`, and of all but the `keep` last seen; what was seen of
/// them stays in the history. Returns how many were forgotten.
pub fn forget_unknown(transaction: &Transaction, before: DateTime<Utc>, keep: usize) -> Result<usize, Stop> {
    let statement = "DELETE FROM embeddings WHERE face_id IN (SELECT face_id FROM ( \
                        SELECT face_id, last_seen, row_number() OVER (ORDER BY last_seen DESC) AS place \
                        FROM faces WHERE person_id IS NULL AND face_id IN (SELECT face_id FROM embeddings)) \
                     WHERE last_seen < ? OR place > ?)";
    run(transaction, statement, (millis(before), keep as i64))
}

/// Erases a person: record, photos, vectors, documents and everything seen of them; gives whom.
pub fn erase_person(transaction: &Transaction, person: Uuid) -> Result<Uuid, Stop> {
    people::require(transaction, person)?;
    let owner = person.to_string();
    let query = "SELECT photo_id FROM faces WHERE person_id = ?1 AND photo_id IS NOT NULL \
                 UNION SELECT photo_id FROM detections WHERE person_id = ?1";
    let photos = rows(transaction, query, [&owner], |row| row.get(0))?;
    run(transaction, "DELETE FROM people WHERE person_id = ?", [&owner])?;
    erase_unused(transaction, &photos)?;
    Ok(person)
}

/// Erases an enrolled photo and its vector, and gives whose it was. A person's last photo stays: without any, nobody
/// would be recognised and nobody would know why.
pub fn erase_photo(transaction: &Transaction, face: Uuid) -> Result<Uuid, Stop> {
    let face = face.to_string();
    let query = "SELECT person_id, photo_id FROM faces \
                 WHERE face_id = ? AND person_id IS NOT NULL AND photo_id IS NOT NULL";
    let found = first(transaction, query, [&face], |row| Ok((id(row, 0)?, row.get(1)?)))?;
    let (person, photo) = found.ok_or(Refusal::NotFound("photo"))?;
    let query = "SELECT face_id FROM faces WHERE person_id = ? AND photo_id IS NOT NULL AND face_id <> ? \
                 ORDER BY rowid";
    let another: Option<String> = first(transaction, query, (person.to_string(), &face), |row| row.get(0))?;
    let another = another.ok_or_else(|| {
        Refusal::bad_input("it is the person's only photo: add another one first, or erase the person")
    })?;
    // What was seen stays the person's, as seen by another of their photos.
    run(transaction, "UPDATE detections SET face_id = ? WHERE face_id = ?", (another, &face))?;
    run(transaction, "DELETE FROM faces WHERE face_id = ?", [&face])?;
    erase_unused(transaction, &[photo])?;
    Ok(person)
}

/// Erases those of the photos that nothing shows any more.
fn erase_unused(transaction: &Transaction, photos: &[i64]) -> Result<(), Stop> {
    let statement = "DELETE FROM photos WHERE photo_id = ?1 \
                     AND NOT EXISTS (SELECT 1 FROM faces WHERE photo_id = ?1) \
                     AND NOT EXISTS (SELECT 1 FROM detections WHERE photo_id = ?1)";
    photos.iter().try_for_each(|photo| run(transaction, statement, [photo]).map(drop))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::store::{Store, browse, faces};

    const SECRET: &[u8] = b"what a photo shows, many bytes of it";

    /// A person with photos of their own, seen once.
    fn somebody(transaction: &Transaction, photos: usize) -> Result<(Uuid, Vec<Uuid>), Stop> {
        let (owner, now) = (Uuid::new_v4(), Utc::now());
        people::create(transaction, owner, now)?;
        let mut enrolled = Vec::new();
        for _ in 0..photos {
            let face = Uuid::new_v4();
            let (detect_id, jpeg) = (Uuid::new_v4(), SECRET);
            let photo = faces::Enrolled { face, person: owner, detect_id, photo_reference: None, quality: 0.5, jpeg };
            faces::insert_enrolled(transaction, &photo, now)?;
            faces::insert_embedding(transaction, face, "model", &[0.25; 4])?;
            enrolled.push(face);
        }
        seen(transaction, owner, enrolled[0], faces::insert_photo(transaction, SECRET)?)?;
        Ok((owner, enrolled))
    }

    fn seen(transaction: &Transaction, owner: Uuid, face: Uuid, photo: i64) -> Result<(), Stop> {
        let detection = browse::Detection {
            detect_id: Uuid::new_v4(),
            face,
            person: Some(owner),
            detector: "front",
            time: Utc::now(),
            time_zone: "UTC",
            confidence: 0.9,
            match_confidence: Some(0.8),
            quality: 0.5,
            bbox: [0, 0, 1, 1],
            photo,
        };
        browse::insert(transaction, &detection)
    }

    /// Rows of people, faces, vectors, sights and photos.
    fn rows(store: &Store) -> [u32; 5] {
        let tables = ["people", "faces", "embeddings", "detections", "photos"];
        let count = |connection: &rusqlite::Connection, table: &str| {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        };
        store
            .read("count", |connection| Ok(tables.map(|table| count(connection, table).unwrap())))
            .unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    #[test]
    fn nothing_of_a_person_stays_but_what_shows_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let write = |work: &dyn Fn(&Transaction) -> Result<(), Stop>| store.write("test", |tx| work(tx));
        let (ada, _) = store.write("test", |tx| somebody(tx, 2)).unwrap();
        let (grace, faces) = store.write("test", |tx| somebody(tx, 1)).unwrap();
        // One picture that shows both.
        write(&|tx| {
            Ok(tx.execute("UPDATE detections SET photo_id = (SELECT max(photo_id) FROM photos)", []).map(drop)?)
        })
        .unwrap();
        assert_eq!(rows(&store), [2, 3, 3, 2, 5]);
        write(&|tx| erase_person(tx, ada).map(drop)).unwrap();
        assert!(matches!(write(&|tx| erase_person(tx, ada).map(drop)), Err(Refusal::NotFound(_))));
        // The photo nobody's sight shows any more since the update above was nobody's to erase.
        assert_eq!(rows(&store), [1, 1, 1, 1, 3]);
        write(&|tx| erase_person(tx, grace).map(drop)).unwrap();
        assert_eq!(rows(&store)[..4], [0; 4]);
        assert!(matches!(store.write("test", |tx| erase_photo(tx, faces[0])), Err(Refusal::NotFound(_))));
    }

    #[test]
    fn an_erased_photos_bytes_are_not_in_the_file_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (ada, faces) = store.write("test", |tx| somebody(tx, 2)).unwrap();
        let found = || {
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            let database = folder.path().join("engine.db");
            rusqlite::Connection::open(&database).unwrap().query_row(checkpoint, [], |_| Ok(())).unwrap();
            let bytes = std::fs::read(database).unwrap();
            bytes.windows(SECRET.len()).filter(|window| *window == SECRET).count()
        };
        assert_eq!(found(), 3);
        assert_eq!(store.write("test", |tx| erase_photo(tx, faces[0])).unwrap(), ada);
        assert_eq!((rows(&store), found()), ([1, 1, 1, 1, 2], 2));
        let last = store.write("test", |tx| erase_photo(tx, faces[1]));
        assert!(matches!(last, Err(Refusal::BadInput(_))));
        store.write("test", |tx| erase_person(tx, ada)).unwrap();
        assert_eq!(found(), 0);
    }
}
