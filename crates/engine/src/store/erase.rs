//! Erasing for good: people, single photos, strangers, times, and what is older than it may be.
//!
//! In: whom or what. Out: first the [`Plan`], all that goes with it, to be shown; then a database without it. Whoever
//! is erased takes along what was seen of them before anybody knew them: strangers' faces that match theirs. A photo
//! that shows somebody else, too, stays, with the erased face painted over. What is deleted is overwritten with zeros
//! (`secure_delete`) and leaves the log with the transaction ([`scrub`](super::scrub)).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, Transaction};
use serde::Serialize;
use uuid::Uuid;

use super::statement::{first, id, rows, run, value};
use super::{Stop, millis, people};
use crate::blank;
use crate::error::Refusal;

/// Whom or what to erase.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    Person(Uuid),
    /// A face nobody knows, and those that match it.
    Stranger(Uuid),
    /// A group of strangers, and those that match one of it.
    Group(Uuid),
    /// What was seen from then on and before then, at one detector or at all, and strangers nobody saw at another time.
    Seen {
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        detector: Option<String>,
    },
}

/// What goes, or went, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, derive_more::AddAssign)]
#[serde(rename_all = "camelCase")]
pub struct Erased {
    pub people: usize,
    /// Enrolled photos.
    pub photos: usize,
    pub notes: usize,
    pub documents: usize,
    /// Faces nobody knew.
    pub strangers: usize,
    /// Entries of the history, of people and of strangers, with their photos.
    pub sightings: usize,
}

/// Everything that goes.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    person: Option<Uuid>,
    strangers: BTreeSet<Uuid>,
    sightings: Vec<Sighting>,
    /// The enrolled photos among the pictures.
    enrolled: Vec<i64>,
    pub told: Erased,
}

/// An entry of the history: its row, its photo, and where in it the face is.
#[derive(Debug, Clone, PartialEq)]
struct Sighting {
    row: i64,
    photo: i64,
    bbox: [i32; 4],
}

/// Whether two vectors of the model of this name are one person.
pub type Alike<'a> = &'a dyn Fn(&str, &[f32], &[f32]) -> bool;

/// Everything that goes with it.
pub fn plan(connection: &Connection, whom: &Whom, alike: Alike) -> Result<Plan, Stop> {
    let mut plan = Plan::default();
    match whom {
        Whom::Person(person) => {
            people::require(connection, *person)?;
            let owner = person.to_string();
            plan.person = Some(*person);
            let query = "SELECT photo_id FROM faces WHERE person_id = ? AND photo_id IS NOT NULL";
            plan.enrolled = rows(connection, query, [&owner], |row| row.get(0))?;
            plan.sightings = sightings(connection, "person_id = ?", [&owner])?;
            let query = "SELECT face_id FROM faces WHERE person_id = ?";
            let faces = rows(connection, query, [&owner], |row| id(row, 0))?;
            plan.take_strangers(connection, strangers_like(connection, &faces, alike)?)?;
            let count = |table: &str| -> Result<usize, Stop> {
                let query = format!("SELECT count(*) FROM {table} WHERE person_id = ?");
                value::<u32>(connection, &query, [&owner]).map(|count| count as usize)
            };
            (plan.told.notes, plan.told.documents) = (count("notes")?, count("documents")?);
        }
        Whom::Stranger(face) => {
            let query = "SELECT EXISTS (SELECT 1 FROM faces WHERE face_id = ? AND person_id IS NULL)";
            if !value::<bool>(connection, query, [face.to_string()])? {
                return Err(Refusal::NotFound("stranger").into());
            }
            let mut faces = strangers_like(connection, &[*face], alike)?;
            faces.insert(*face);
            plan.take_strangers(connection, faces)?;
        }
        Whom::Group(group) => {
            let faces = super::groups::faces(connection, *group)?;
            let mut all = strangers_like(connection, &faces, alike)?;
            all.extend(faces);
            plan.take_strangers(connection, all)?;
        }
        Whom::Seen { from, to, detector } => {
            let during = "time >= ?1 AND time < ?2 AND (?3 IS NULL OR detector = ?3)";
            let values = (millis(*from), millis(*to), detector);
            plan.sightings = sightings(connection, during, values)?;
            // Those of whom nothing else is left.
            let query = format!(
                "SELECT DISTINCT face_id FROM detections JOIN faces USING (face_id) \
                 WHERE {during} AND faces.person_id IS NULL AND NOT EXISTS (SELECT 1 FROM detections AS other \
                    WHERE other.face_id = detections.face_id \
                    AND NOT (other.time >= ?1 AND other.time < ?2 AND (?3 IS NULL OR other.detector = ?3)))"
            );
            plan.strangers = rows(connection, &query, values, |row| id(row, 0))?.into_iter().collect();
        }
    }
    Ok(plan.counted())
}

/// Up to `most` of what was seen before then, the oldest first.
pub fn seen_before(connection: &Connection, time: DateTime<Utc>, most: usize) -> Result<Plan, Stop> {
    let sightings = sightings(connection, "time < ? ORDER BY time LIMIT ?", (millis(time), most as i64))?;
    Ok(Plan { sightings, ..Plan::default() }.counted())
}

/// Up to `most` strangers who were not seen since then, where there is such a time, or are not among the `keep` last
/// seen; with what was seen of them.
pub fn outdated_strangers(
    connection: &Connection,
    since: Option<DateTime<Utc>>,
    keep: usize,
    most: usize,
) -> Result<Plan, Stop> {
    let mut plan = Plan::default();
    let query = "SELECT face_id FROM (SELECT face_id, last_seen, row_number() OVER (ORDER BY last_seen DESC) AS place \
                    FROM faces WHERE person_id IS NULL) WHERE last_seen < ? OR place > ? LIMIT ?";
    let values = (since.map_or(i64::MIN, millis), keep as i64, most as i64);
    let faces = rows(connection, query, values, |row| id(row, 0))?.into_iter().collect();
    plan.take_strangers(connection, faces)?;
    Ok(plan.counted())
}

/// Up to `most` of what an account's doors saw, the oldest first, until their photos have so many bytes.
pub fn oldest(connection: &Connection, account: &str, bytes: u64, most: usize) -> Result<Plan, Stop> {
    let query = format!(
        "SELECT {SIGHTING}, length(jpeg) FROM detections JOIN photos USING (photo_id) \
         WHERE account = ? ORDER BY time LIMIT ?"
    );
    let found = rows(connection, &query, (account, most as i64), |row| Ok((sighting(row)?, row.get::<_, u32>(6)?)))?;
    let mut before = 0;
    let needed = found.into_iter().take_while(|(_, size)| {
        let wanted = before < bytes;
        before += u64::from(*size);
        wanted
    });
    let sightings = needed.map(|(sighting, _)| sighting).collect();
    Ok(Plan { sightings, ..Plan::default() }.counted())
}

/// Erases all of it.
pub fn carry_out(transaction: &Transaction, plan: &Plan) -> Result<Erased, Stop> {
    // Where faces of the plan are in photos that may show others, too.
    let mut pictures: BTreeMap<i64, Vec<[i32; 4]>> = plan.enrolled.iter().map(|photo| (*photo, Vec::new())).collect();
    for Sighting { row, photo, bbox } in &plan.sightings {
        pictures.entry(*photo).or_default().push(*bbox);
        run(transaction, "DELETE FROM detections WHERE rowid = ?", [row])?;
    }
    for face in &plan.strangers {
        run(transaction, "DELETE FROM faces WHERE face_id = ? AND person_id IS NULL", [face.to_string()])?;
    }
    if let Some(person) = plan.person {
        run(transaction, "DELETE FROM people WHERE person_id = ?", [person.to_string()])?;
    }
    for (photo, faces) in pictures {
        if !unused(transaction, photo)? && !faces.is_empty() {
            let jpeg: Vec<u8> = value(transaction, "SELECT jpeg FROM photos WHERE photo_id = ?", [photo])?;
            let painted = blank::faces(&jpeg, &faces);
            run(transaction, "UPDATE photos SET jpeg = ? WHERE photo_id = ?", (painted, photo))?;
        }
    }
    Ok(plan.told)
}

/// Erases an enrolled photo and its vector, and gives whose it was. A person's last photo stays: without any, nobody
/// would be recognised and nobody would know why.
pub fn photo(transaction: &Transaction, face: Uuid) -> Result<Uuid, Stop> {
    let ((person, photo), another) = a_photo_among_others(transaction, face)?;
    let face = face.to_string();
    // What was seen stays the person's, as seen by another of their photos.
    run(transaction, "UPDATE detections SET face_id = ? WHERE face_id = ?", (another, &face))?;
    run(transaction, "DELETE FROM faces WHERE face_id = ?", [&face])?;
    unused(transaction, photo)?;
    Ok(person)
}

/// The person and the row of an enrolled photo, and another face of theirs; refused where it is their only photo.
pub fn a_photo_among_others(connection: &Connection, face: Uuid) -> Result<((Uuid, i64), String), Stop> {
    let face = face.to_string();
    let query = "SELECT person_id, photo_id FROM faces \
                 WHERE face_id = ? AND person_id IS NOT NULL AND photo_id IS NOT NULL";
    let found = first(connection, query, [&face], |row| Ok((id(row, 0)?, row.get(1)?)))?;
    let (person, photo): (Uuid, i64) = found.ok_or(Refusal::NotFound("photo"))?;
    let query = "SELECT face_id FROM faces WHERE person_id = ? AND photo_id IS NOT NULL AND face_id <> ? \
                 ORDER BY rowid";
    let another: Option<String> = first(connection, query, (person.to_string(), &face), |row| row.get(0))?;
    let another = another.ok_or_else(|| {
        Refusal::bad_input("it is the person's only photo: add another one first, or erase the person")
    })?;
    Ok(((person, photo), another))
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.told == Erased::default()
    }

    /// These faces nobody knows go, with what was seen of them.
    fn take_strangers(&mut self, connection: &Connection, faces: BTreeSet<Uuid>) -> Result<(), Stop> {
        let taken: BTreeSet<i64> = self.sightings.iter().map(|sighting| sighting.row).collect();
        for face in &faces {
            let seen = sightings(connection, "face_id = ?", [face.to_string()])?;
            self.sightings.extend(seen.into_iter().filter(|sighting| !taken.contains(&sighting.row)));
        }
        self.strangers.extend(faces);
        Ok(())
    }

    fn counted(mut self) -> Self {
        let (strangers, sightings) = (self.strangers.len(), self.sightings.len());
        let (people, photos) = (usize::from(self.person.is_some()), self.enrolled.len());
        self.told = Erased { people, photos, strangers, sightings, ..self.told };
        self
    }
}

/// The entries of the history for which the condition holds.
fn sightings(connection: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Sighting>, Stop> {
    rows(connection, &format!("SELECT {SIGHTING} FROM detections WHERE {condition}"), values, sighting)
}

/// The columns of a [`Sighting`], which come first in a row.
const SIGHTING: &str = "detections.rowid, photo_id, x, y, width, height";

fn sighting(row: &Row) -> Result<Sighting, rusqlite::Error> {
    let bbox = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    Ok(Sighting { row: row.get(0)?, photo: row.get(1)?, bbox })
}

/// The faces nobody knows that are one of these people, by any model that has seen both.
fn strangers_like(connection: &Connection, faces: &[Uuid], alike: Alike) -> Result<BTreeSet<Uuid>, Stop> {
    let mut of: BTreeMap<String, Vec<Vec<f32>>> = BTreeMap::new();
    for face in faces {
        for (model, vector) in super::faces::embeddings_of(connection, *face)? {
            of.entry(model).or_default().push(vector);
        }
    }
    let mut found = BTreeSet::new();
    for (model, vectors) in &of {
        super::faces::each_embedding(connection, model, false, |face, _, vector| {
            if vectors.iter().any(|own| alike(model, own, vector)) {
                found.insert(face);
            }
        })?;
    }
    Ok(found)
}

/// Erases a photo that nothing shows any more; whether it did.
pub fn unused(transaction: &Transaction, photo: i64) -> Result<bool, Stop> {
    let statement = "DELETE FROM photos WHERE photo_id = ?1 \
                     AND NOT EXISTS (SELECT 1 FROM faces WHERE photo_id = ?1) \
                     AND NOT EXISTS (SELECT 1 FROM detections WHERE photo_id = ?1)";
    Ok(run(transaction, statement, [photo])? > 0)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::store::{Store, browse, faces, usage};

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
        seen(transaction, owner, enrolled[0], faces::insert_photo(transaction, SECRET, Some("door"))?)?;
        Ok((owner, enrolled))
    }

    fn seen(transaction: &Transaction, owner: Uuid, face: Uuid, photo: i64) -> Result<(), Stop> {
        browse::insert(transaction, &browse::Detection { person: Some(owner), ..sighting(face, photo) })
    }

    fn sighting(face: Uuid, photo: i64) -> browse::Detection<'static> {
        browse::Detection {
            detect_id: Uuid::new_v4(),
            face,
            person: None,
            detector: "front",
            time: Utc::now(),
            time_zone: "UTC",
            confidence: 0.9,
            match_confidence: Some(0.8),
            quality: 0.5,
            bbox: [0, 0, 1, 1],
            photo,
        }
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

    /// Erases somebody; two vectors are one person when they are the same.
    fn erase(store: &Store, whom: &Whom) -> Result<Erased, Refusal> {
        let alike = |_: &str, one: &[f32], other: &[f32]| one == other;
        store.write("erase", |tx| carry_out(tx, &plan(tx, whom, &alike)?))
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
        let erased = erase(&store, &Whom::Person(ada)).unwrap();
        assert_eq!(erased, Erased { people: 1, photos: 2, sightings: 1, ..Erased::default() });
        assert!(matches!(erase(&store, &Whom::Person(ada)), Err(Refusal::NotFound(_))));
        // The photo nobody's sight shows any more since the update above was nobody's to erase.
        assert_eq!(rows(&store), [1, 1, 1, 1, 3]);
        erase(&store, &Whom::Person(grace)).unwrap();
        assert_eq!(rows(&store)[..4], [0; 4]);
        assert!(matches!(store.write("test", |tx| photo(tx, faces[0])), Err(Refusal::NotFound(_))));
    }

    #[test]
    fn an_erased_photos_bytes_are_not_in_the_file_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (ada, faces) = store.write("test", |tx| somebody(tx, 2)).unwrap();
        // In the database and its log together: what is not written back yet is in the log alone.
        let found = || {
            let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
            let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file).unwrap()).collect();
            bytes.windows(SECRET.len()).filter(|window| *window == SECRET).count()
        };
        assert_eq!(found(), 3);
        assert_eq!(store.write("test", |tx| photo(tx, faces[0])).unwrap(), ada);
        assert_eq!((rows(&store), found()), ([1, 1, 1, 1, 2], 2));
        let last = store.write("test", |tx| photo(tx, faces[1]));
        assert!(matches!(last, Err(Refusal::BadInput(_))));
        erase(&store, &Whom::Person(ada)).unwrap();
        assert_eq!(found(), 0);
    }

    /// Somebody nobody knows, seen at these hours; gives the face.
    fn stranger(transaction: &Transaction, vector: &[f32], hours: &[u32]) -> Result<Uuid, Stop> {
        let face = Uuid::new_v4();
        let last = hour(*hours.last().unwrap());
        faces::insert_unknown(transaction, face, None, 0.5, last)?;
        faces::insert_embedding(transaction, face, "model", vector)?;
        for at in hours {
            let photo = faces::insert_photo(transaction, SECRET, Some("door"))?;
            browse::insert(transaction, &browse::Detection { person: None, time: hour(*at), ..sighting(face, photo) })?;
        }
        Ok(face)
    }

    fn hour(hour: u32) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(hour.into())
    }

    #[test]
    fn who_is_erased_takes_along_what_was_seen_before_they_were_known() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (ada, _) = store.write("test", |tx| somebody(tx, 1)).unwrap();
        // Her vector is 0.25 four times.
        store.write("test", |tx| stranger(tx, &[0.25; 4], &[1, 2])).unwrap();
        store.write("test", |tx| stranger(tx, &[0.5; 4], &[1])).unwrap();
        let erased = erase(&store, &Whom::Person(ada)).unwrap();
        assert_eq!(erased, Erased { people: 1, photos: 1, strangers: 1, sightings: 3, ..Erased::default() });
        assert_eq!(rows(&store), [0, 1, 1, 1, 1]);
    }

    #[test]
    fn strangers_and_times_are_erased_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write("test", |tx| somebody(tx, 1)).unwrap();
        let faces: Vec<_> = [(0.1, &[1, 2][..]), (0.1, &[3]), (0.2, &[2]), (0.3, &[2, 5])]
            .map(|(value, hours)| store.write("test", |tx| stranger(tx, &[value; 4], hours)).unwrap())
            .into();
        let one = erase(&store, &Whom::Stranger(faces[0])).unwrap();
        assert_eq!(one, Erased { strangers: 2, sightings: 3, ..Erased::default() }, "both of the same face");
        assert!(matches!(erase(&store, &Whom::Stranger(faces[1])), Err(Refusal::NotFound(_))));
        let seen = |detector: &str| Whom::Seen { from: hour(2), to: hour(3), detector: Some(detector.into()) };
        assert_eq!(erase(&store, &seen("elsewhere")).unwrap(), Erased::default());
        let two = erase(&store, &seen("front")).unwrap();
        assert_eq!(two, Erased { strangers: 1, sightings: 2, ..Erased::default() }, "who was seen later stays");
        assert_eq!(rows(&store), [1, 2, 2, 2, 3]);
    }

    #[test]
    fn what_is_outdated_goes_some_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (ada, _) = store.write("test", |tx| somebody(tx, 1)).unwrap();
        for n in 0..4 {
            store.write("test", |tx| stranger(tx, &[n as f32; 4], &[n, 50])).unwrap();
        }
        store.write("test", |tx| stranger(tx, &[9.0; 4], &[10])).unwrap();
        let seen = |time, most| store.write("erase", |tx| carry_out(tx, &seen_before(tx, time, most)?)).unwrap();
        let strangers = |since, keep, most| {
            store.write("erase", |tx| carry_out(tx, &outdated_strangers(tx, since, keep, most)?)).unwrap()
        };
        assert_eq!(strangers(None, 100, 100), Erased::default(), "for ever");
        assert_eq!(seen(hour(3), 2).sightings, 2);
        assert_eq!(seen(hour(3), 2).sightings, 1);
        assert_eq!(seen(hour(3), 2), Erased::default());
        assert_eq!(strangers(Some(hour(20)), 100, 9), Erased { strangers: 1, sightings: 1, ..Erased::default() });
        assert_eq!(strangers(None, 3, 9).strangers, 1, "more than are kept");
        assert_eq!(rows(&store)[..3], [1, 4, 4], "{ada} stays");
    }

    #[test]
    fn the_oldest_of_an_account_goes_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write("test", |tx| stranger(tx, &[1.0; 4], &[5, 3, 4])).unwrap();
        let held = || store.read("test", |connection| usage::of(connection, usage::Kind::Seen, "door")).unwrap();
        let one = held() / 3;
        let erase = |account, bytes| {
            store.write("erase", |tx| carry_out(tx, &oldest(tx, account, bytes, 9)?)).unwrap().sightings
        };
        assert_eq!(erase("another", 1), 0);
        assert_eq!((erase("door", one + 1), held()), (2, one));
        let left = "SELECT time FROM detections WHERE face_id IN (SELECT face_id FROM faces WHERE person_id IS NULL)";
        assert_eq!(store.read("test", |connection| value::<i64>(connection, left, [])).unwrap(), millis(hour(5)));
        assert_eq!((erase("door", u64::MAX), held()), (1, 0));
    }

    #[test]
    fn in_a_photo_that_stays_the_face_is_painted_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let white = ::faces::picture::Picture::filled(300, 100, [255; 3]).jpeg(95).unwrap();
        let (ada, faces) = store.write("test", |tx| somebody(tx, 1)).unwrap();
        let (grace, others) = store.write("test", |tx| somebody(tx, 1)).unwrap();
        let group = store.write("test", |tx| {
            let photo = faces::insert_photo(tx, &white, Some("door"))?;
            for (owner, face, x) in [(ada, faces[0], 20), (grace, others[0], 220)] {
                let bbox = [x, 20, 50, 60];
                browse::insert(tx, &browse::Detection { person: Some(owner), bbox, ..sighting(face, photo) })?;
            }
            Ok(photo)
        });
        let group = group.unwrap();
        erase(&store, &Whom::Person(ada)).unwrap();
        let jpeg = |tx: &Connection| value::<Vec<u8>>(tx, "SELECT jpeg FROM photos WHERE photo_id = ?", [group]);
        let jpeg = store.read("read", jpeg).unwrap();
        let picture = ::faces::picture::Picture::decode(&jpeg, 1 << 20).unwrap();
        let grey = |x: usize| picture.row(50)[3 * x];
        assert!(grey(45).abs_diff(128) < 12 && grey(245) > 243, "{} {}", grey(45), grey(245));
    }

    #[test]
    fn what_somebody_still_reads_is_scrubbed_when_they_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (ada, _) = store.write("test", |tx| somebody(tx, 1)).unwrap();
        let log = || std::fs::metadata(folder.path().join("engine.db-wal")).unwrap().len();
        let mut reader = Connection::open(folder.path().join("engine.db")).unwrap();
        let reading = reader.transaction().unwrap();
        assert_eq!(value::<u32>(&reading, "SELECT count(*) FROM people", []).unwrap_or_default(), 1);
        erase(&store, &Whom::Person(ada)).unwrap();
        assert!(log() > 0, "the reader holds what was there");
        store.scrub_again();
        assert!(log() > 0, "and still does");
        drop(reading);
        store.scrub_again();
        assert_eq!(log(), 0);
    }
}
