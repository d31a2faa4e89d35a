//! Lists for somebody who looks around: everybody enrolled, their photos, and who was seen, newest first.
//!
//! In: what is looked for, and which page of it. Out: rows with what a list shows; photos stay where they are.

use chrono::{DateTime, Utc};
use identities::text;
use rusqlite::Connection;
use uuid::Uuid;

use super::{millis, moment, people};

/// A person in a list.
#[derive(Debug, PartialEq)]
pub struct Listed {
    pub person: Uuid,
    /// First and last name of the first alias; empty when there is none.
    pub name: String,
    /// The first enrolled photo.
    pub face: Option<String>,
    pub photos: u32,
    pub last_seen: Option<DateTime<Utc>>,
}

/// A photo somebody was enrolled with.
#[derive(Debug, PartialEq)]
pub struct Photo {
    pub face: String,
    /// 0 to 1.
    pub quality: f32,
    pub created: DateTime<Utc>,
}

/// Somebody seen.
#[derive(Debug, PartialEq)]
pub struct Sight {
    /// Where the next page starts.
    pub row: i64,
    pub detect_id: String,
    pub face: String,
    pub person: Option<String>,
    /// As in [`Listed`].
    pub name: String,
    pub detector: String,
    pub time: DateTime<Utc>,
    pub time_zone: String,
    /// Of the detection, 0 to 1; of somebody recognised by an older build, of the match.
    pub confidence: f32,
    /// Of the match, 0 to 1; none for a stranger, nor from an older build.
    pub match_confidence: Option<f32>,
    pub quality: f32,
}

/// Which sights are asked for.
#[derive(Debug, Default)]
pub struct Sights {
    /// Older than this one: its time and row.
    pub before: Option<(DateTime<Utc>, i64)>,
    pub person: Option<Uuid>,
    /// People the engine knows (true), or strangers (false).
    pub known: Option<bool>,
    pub most: u32,
}

const NAME: &str = "coalesce((SELECT trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) FROM aliases \
                    WHERE aliases.person_id = subject.person_id ORDER BY aliases.rowid LIMIT 1), '')";

/// Those whose name, tag or field text contains `text` in any spelling, in the order of their names, and how many there are in all.
pub fn people(
    connection: &Connection,
    text: &str,
    (skip, most): (u32, u32),
    now: DateTime<Utc>,
) -> Result<(Vec<Listed>, u32), rusqlite::Error> {
    let wanted = text::folded(text);
    let fits = "(?1 = ''
        OR EXISTS (SELECT 1 FROM aliases WHERE aliases.person_id = subject.person_id AND
            instr(folded(coalesce(title, '') || ' ' || coalesce(first_name, '') || ' ' || coalesce(middle_name, '')
             || ' ' || coalesce(last_name, '')), ?1))
        OR EXISTS (SELECT 1 FROM person_tags JOIN tags USING (tag_id) WHERE person_tags.person_id = subject.person_id
            AND (expires IS NULL OR expires > ?2) AND instr(folded(name), ?1))
        OR EXISTS (SELECT 1 FROM entity_fields WHERE entity_fields.person_id = subject.person_id
            AND instr(folded(string_value), ?1)))";
    let total = connection
        .prepare_cached(&format!("SELECT count(*) FROM people AS subject WHERE {fits} AND ?2 = ?2"))?
        .query_row((&wanted, millis(now)), |row| row.get(0))?;
    let found = connection
        .prepare_cached(&format!(
            "SELECT person_id, {NAME} AS name, \
             (SELECT face_id FROM faces WHERE faces.person_id = subject.person_id AND photo_id IS NOT NULL \
              ORDER BY faces.rowid LIMIT 1), \
             (SELECT count(*) FROM faces WHERE faces.person_id = subject.person_id AND photo_id IS NOT NULL), \
             (SELECT max(time) FROM detections WHERE detections.person_id = subject.person_id) \
             FROM people AS subject WHERE {fits} ORDER BY name = '', folded(name), rowid LIMIT ?3 OFFSET ?4"
        ))?
        .query_map((&wanted, millis(now), most, skip), |row| {
            Ok(Listed {
                person: people::id(row, 0)?,
                name: row.get(1)?,
                face: row.get(2)?,
                photos: row.get(3)?,
                last_seen: row.get::<_, Option<i64>>(4)?.map(moment),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok((found, total))
}

/// What a person was enrolled with, oldest first.
pub fn photos(connection: &Connection, person: Uuid) -> Result<Vec<Photo>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT face_id, quality, created FROM faces WHERE person_id = ? AND photo_id IS NOT NULL ORDER BY rowid",
        )?
        .query_map([person.to_string()], |row| {
            Ok(Photo { face: row.get(0)?, quality: row.get(1)?, created: moment(row.get(2)?) })
        })?
        .collect()
}

/// One page of who was seen, newest first.
pub fn sights(connection: &Connection, wanted: &Sights) -> Result<Vec<Sight>, rusqlite::Error> {
    let (time, row) = wanted.before.map_or((i64::MAX, i64::MAX), |(time, row)| (millis(time), row));
    connection
        .prepare_cached(&format!(
            "SELECT rowid, detect_id, face_id, person_id, {NAME}, detector, time, time_zone, confidence, quality, match_confidence \
             FROM detections AS subject WHERE (time, rowid) < (?1, ?2) AND (?3 IS NULL OR person_id = ?3) \
             AND (?4 IS NULL OR (person_id IS NOT NULL) = ?4) ORDER BY time DESC, rowid DESC LIMIT ?5"
        ))?
        .query_map((time, row, wanted.person.map(|person| person.to_string()), wanted.known, wanted.most), |row| {
            Ok(Sight {
                row: row.get(0)?,
                detect_id: row.get(1)?,
                face: row.get(2)?,
                person: row.get(3)?,
                name: row.get(4)?,
                detector: row.get(5)?,
                time: moment(row.get(6)?),
                time_zone: row.get(7)?,
                confidence: row.get(8)?,
                quality: row.get(9)?,
                match_confidence: row.get(10)?,
            })
        })?
        .collect()
}
