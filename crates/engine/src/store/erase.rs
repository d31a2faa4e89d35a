//! Erasing people and photos for good.
//!
//! In: whom, or which photo. Out: a database without it. What is deleted is overwritten with zeros (`secure_delete`); a
//! photo that also shows somebody else stays until they are erased, too.

use rusqlite::Transaction;
use uuid::Uuid;

use super::statement::{first, id, rows, run};
use super::{Stop, people};
use crate::error::Refusal;

/// Erases a person: record, photos, vectors, documents and everything seen of them.
pub fn person(transaction: &Transaction, person: Uuid) -> Result<(), Stop> {
    people::require(transaction, person)?;
    let owner = person.to_string();
    let query = "SELECT photo_id FROM faces WHERE person_id = ?1 AND photo_id IS NOT NULL \
                 UNION SELECT photo_id FROM detections WHERE person_id = ?1";
    let photos = rows(transaction, query, [&owner], |row| row.get(0))?;
    run(transaction, "DELETE FROM people WHERE person_id = ?", [&owner])?;
    erase_unused(transaction, &photos)
}

/// Erases an enrolled photo and its vector, and gives whose it was. A person's last photo stays: without any, nobody
/// would be recognised and nobody would know why.
pub fn photo(transaction: &Transaction, face: Uuid) -> Result<Uuid, Stop> {
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
    use crate::store::{Store, detections, faces};

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
        let detection = detections::Detection {
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
        detections::insert(transaction, &detection)
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
        write(&|tx| person(tx, ada)).unwrap();
        assert!(matches!(write(&|tx| person(tx, ada)), Err(Refusal::NotFound(_))));
        // The photo nobody's sight shows any more since the update above was nobody's to erase.
        assert_eq!(rows(&store), [1, 1, 1, 1, 3]);
        write(&|tx| person(tx, grace)).unwrap();
        assert_eq!(rows(&store)[..4], [0; 4]);
        assert!(matches!(store.write("test", |tx| photo(tx, faces[0])), Err(Refusal::NotFound(_))));
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
        assert_eq!(store.write("test", |tx| photo(tx, faces[0])).unwrap(), ada);
        assert_eq!((rows(&store), found()), ([1, 1, 1, 1, 2], 2));
        let last = store.write("test", |tx| photo(tx, faces[1]));
        assert!(matches!(last, Err(Refusal::BadInput(_))));
        store.write("test", |tx| person(tx, ada)).unwrap();
        assert_eq!(found(), 0);
    }
}
