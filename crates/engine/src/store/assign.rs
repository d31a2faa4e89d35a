//! Saying who somebody is who was seen: which sightings are meant and by which photos they are known from now on.
//!
//! In: a sighting, or a group of strangers; the faces that were enrolled of it. Out: the pictures to enrol from, with
//! where in them the face is; then sightings that are a person's, as if they had been known when they were seen.

use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::statement::{id, rows, run, value};
use super::{Stop, denials, groups};
use crate::error::Refusal;

/// What is said to be somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One sighting, of a stranger or wrongly of somebody else.
    Sighting(Uuid),
    /// Everything seen of a group of strangers.
    Group(Uuid),
}

/// A sighting to enrol from.
pub struct Shot {
    /// The face it was stored under, and whom it was taken for.
    pub face: Uuid,
    pub person: Option<Uuid>,
    pub bbox: [i32; 4],
    pub jpeg: Vec<u8>,
}

/// The sightings to enrol from: the one that is meant, or of a group the best one of each face, `most` at the most.
pub fn shots(connection: &Connection, which: Which, most: u32) -> Result<Vec<Shot>, Stop> {
    const COLUMNS: &str = "face_id, person_id, x, y, width, height, jpeg";
    let (query, of) = match which {
        Which::Sighting(detection) => {
            let query = format!(
                "SELECT {COLUMNS} FROM detections JOIN photos USING (photo_id) WHERE detect_id = ?1 AND ?2 = ?2"
            );
            (query, detection)
        }
        Which::Group(group) => {
            let query = format!(
                "SELECT {COLUMNS} FROM (SELECT *, max(detections.quality) AS best FROM detections \
                    WHERE face_id IN (SELECT face_id FROM faces WHERE group_id = ?1 AND person_id IS NULL) \
                    GROUP BY face_id ORDER BY best DESC LIMIT ?2) JOIN photos USING (photo_id) ORDER BY best DESC"
            );
            (query, group)
        }
    };
    let shots = rows(connection, &query, (of.to_string(), most), |row| {
        Ok(Shot {
            face: id(row, 0)?,
            person: row.get::<_, Option<String>>(1)?.and_then(|id| Uuid::parse_str(&id).ok()),
            bbox: [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
            jpeg: row.get(6)?,
        })
    })?;
    if shots.is_empty() { Err(Refusal::NotFound("sighting").into()) } else { Ok(shots) }
}

/// How many sightings are meant.
pub fn sightings(connection: &Connection, which: Which) -> Result<u32, Stop> {
    match which {
        Which::Sighting(_) => Ok(1),
        Which::Group(group) => {
            let query = "SELECT count(*) FROM detections WHERE face_id IN \
                         (SELECT face_id FROM faces WHERE group_id = ? AND person_id IS NULL)";
            value(connection, query, [group.to_string()])
        }
    }
}

/// Makes the sightings the person's. `enrolled` are the new faces of the person, each with the shot it was made from,
/// of which there is one at least. A stranger of whom nothing else was seen is none any more; what they were said not
/// to be is from now on said of the person's photo.
pub fn move_sightings(
    transaction: &Transaction,
    which: Which,
    person: Uuid,
    enrolled: &[(Uuid, &Shot)],
) -> Result<(), Stop> {
    let Some((best, _)) = enrolled.first() else { return Ok(()) };
    let theirs = "UPDATE detections SET person_id = ?1, face_id = ?2, match_confidence = NULL";
    let mut strangers = match which {
        Which::Group(group) => groups::faces(transaction, group)?,
        Which::Sighting(detection) => {
            let statement = format!("{theirs} WHERE detect_id = ?3");
            run(transaction, &statement, (person.to_string(), best.to_string(), detection.to_string()))?;
            enrolled.iter().filter(|(_, shot)| shot.person.is_none()).map(|(_, shot)| shot.face).collect()
        }
    };
    for stranger in &strangers {
        let face = enrolled.iter().find(|(_, shot)| shot.face == *stranger).map_or(best, |(face, _)| face);
        if matches!(which, Which::Group(_)) {
            let statement = format!("{theirs} WHERE face_id = ?3");
            run(transaction, &statement, (person.to_string(), face.to_string(), stranger.to_string()))?;
        }
        let statement = "UPDATE OR IGNORE denials SET face_id = ?2 WHERE face_id = ?1 AND person_id <> ?3 \
                         AND NOT EXISTS (SELECT 1 FROM detections WHERE face_id = ?1)";
        run(transaction, statement, (stranger.to_string(), face.to_string(), person.to_string()))?;
    }
    strangers.dedup();
    for stranger in strangers {
        let statement = "DELETE FROM faces WHERE face_id = ?1 AND person_id IS NULL \
                         AND NOT EXISTS (SELECT 1 FROM detections WHERE face_id = ?1)";
        run(transaction, statement, [stranger.to_string()])?;
    }
    // Whom the sighting was taken for, they were not.
    for (face, shot) in enrolled {
        if let Some(wrong) = shot.person.filter(|wrong| *wrong != person) {
            denials::insert(transaction, wrong, *face)?;
        }
    }
    Ok(())
}
