//! Lists for somebody who looks around (everybody enrolled, their photos, and who was seen, newest first), and what was
//! seen, where and when.
//!
//! In: what is looked for, and which page of it; sightings of faces. Out: rows as the web page and the contract read
//! them, the photos of sightings, and whether one was stored a moment ago already.

use chrono::{DateTime, TimeDelta, Utc};
use identities::text;
use identities::wire::{Base64, DetectionItem, DetectionsQuery, PersonTag};
use rusqlite::{Connection, Row, Transaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::statement::{first, from_row, id, rows, run, value};
use super::stays::{FACE_STAYS, PERSON_STAYS, SIGHTING_STAYS};
use super::{Stop, millis, moment, tags};
use crate::error::Refusal;

/// One page of a list of people.
#[derive(Debug, PartialEq, Serialize)]
pub struct PeopleList {
    /// How many people there are on all pages together.
    pub total: u32,
    pub people: Vec<ListedPerson>,
}

/// A person in a list.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPerson {
    pub person_id: Uuid,
    /// First and last name of the first alias; empty when there is none.
    pub name: String,
    /// The first enrolled photo.
    pub face_id: Option<String>,
    pub photos: u32,
    /// The tags the person carries now.
    pub tags: Vec<PersonTag>,
    pub last_seen: Option<DateTime<Utc>>,
    /// The zone of the door they were seen at then.
    pub time_zone: Option<String>,
}

/// A photo that somebody was enrolled with.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPhoto {
    pub face_id: String,
    /// 0 to 1.
    pub quality: f32,
    pub created: DateTime<Utc>,
}

/// A sighting of somebody.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedSighting {
    /// The sighting's row, by which the next page is asked for.
    pub row: i64,
    pub detect_id: String,
    pub face_id: String,
    pub person_id: Option<String>,
    /// The person's name, as in [`ListedPerson`].
    pub name: String,
    /// Of a stranger, the group.
    pub group_id: Option<String>,
    pub detector: String,
    pub time: DateTime<Utc>,
    pub time_zone: String,
    /// How sure the detector was that this is a face, 0 to 1.
    pub confidence: f32,
    /// How sure the match with the person was, 0 to 1; none for a stranger.
    pub match_confidence: Option<f32>,
    pub quality: f32,
}

/// Which sightings are asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedSightings {
    /// The time and the row of the last sighting on the page before this one: only older ones are listed.
    before_ms: Option<i64>,
    before_row: Option<i64>,
    person_id: Option<Uuid>,
    /// Only of a group of strangers.
    group_id: Option<Uuid>,
    /// Only people the engine knows (true), or only strangers (false).
    known: Option<bool>,
    #[serde(default = "fifty")]
    take: u32,
}

/// Entries of one page of a list where nothing is said.
pub fn fifty() -> u32 {
    50
}

const NAME: &str = "coalesce((SELECT trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) FROM aliases \
                    WHERE aliases.person_id = subject.person_id ORDER BY aliases.rowid LIMIT 1), '')";

/// Whether name, tag or field text of a person contain the text `?1`; tags count that have not lapsed by `?2`.
const FITS: &str = "(?1 = ''
    OR EXISTS (SELECT 1 FROM aliases WHERE aliases.person_id = subject.person_id AND
        instr(folded(coalesce(title, '') || ' ' || coalesce(first_name, '') || ' ' || coalesce(middle_name, '')
         || ' ' || coalesce(last_name, '')), ?1))
    OR EXISTS (SELECT 1 FROM person_tags JOIN tags USING (tag_id) WHERE person_tags.person_id = subject.person_id
        AND (expires IS NULL OR expires > ?2) AND instr(folded(name), ?1))
    OR EXISTS (SELECT 1 FROM entity_fields WHERE entity_fields.person_id = subject.person_id
        AND instr(folded(string_value), ?1)))";

/// Rows of [`listed`]; a sighting is called `subject`.
const SIGHTING: &str = "SELECT rowid AS row, detect_id, face_id, person_id, time, detector, time_zone, confidence, \
    match_confidence, quality, \
    (SELECT group_id FROM faces WHERE faces.face_id = subject.face_id) AS group_id, \
    coalesce((SELECT trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) FROM aliases \
        WHERE aliases.person_id = subject.person_id ORDER BY aliases.rowid LIMIT 1), '') AS name \
    FROM detections AS subject";

/// How many people fit, and a page of them: first the page, by name alone; then what is shown of each person on it.
pub(crate) fn statements() -> [String; 2] {
    let count = format!("SELECT count(*) FROM people AS subject WHERE {FITS} AND {PERSON_STAYS} AND ?2 = ?2");
    let page = format!(
        "SELECT person_id, name, \
         (SELECT face_id FROM faces WHERE faces.person_id = subject.person_id AND photo_id IS NOT NULL \
          ORDER BY faces.rowid LIMIT 1), \
         (SELECT count(*) FROM faces WHERE faces.person_id = subject.person_id AND photo_id IS NOT NULL), \
         (SELECT max(time) FROM detections WHERE detections.person_id = subject.person_id), \
         (SELECT time_zone FROM detections WHERE detections.person_id = subject.person_id ORDER BY time DESC LIMIT 1) \
         FROM (SELECT person_id, {NAME} AS name, folded({NAME}) AS sorted, rowid AS place FROM people AS subject \
            WHERE {FITS} AND {PERSON_STAYS} ORDER BY name = '', sorted, place LIMIT ?3 OFFSET ?4) AS subject \
         ORDER BY name = '', sorted, place"
    );
    [count, page]
}

/// Lists the people whose name, tag or field text contains `text` in any spelling, in the order of their names.
pub fn people(
    connection: &Connection,
    text: &str,
    skip: u32,
    most: u32,
    now: DateTime<Utc>,
) -> Result<PeopleList, Stop> {
    let wanted = text::folded(text);
    let [count, query] = statements();
    let total = value(connection, &count, (&wanted, millis(now)))?;
    let mut people = rows(connection, &query, (&wanted, millis(now), most, skip), |row| {
        Ok(ListedPerson {
            person_id: id(row, 0)?,
            name: row.get(1)?,
            face_id: row.get(2)?,
            photos: row.get(3)?,
            tags: Vec::new(),
            last_seen: row.get::<_, Option<i64>>(4)?.map(moment),
            time_zone: row.get(5)?,
        })
    })?;
    for listed in &mut people {
        listed.tags = tags::of_person(connection, listed.person_id, None, now)?;
    }
    Ok(PeopleList { total, people })
}

/// What a person was enrolled with, oldest first.
pub fn photos(connection: &Connection, person: Uuid) -> Result<Vec<ListedPhoto>, Stop> {
    let query = format!(
        "SELECT face_id, quality, created FROM faces WHERE person_id = ? AND photo_id IS NOT NULL AND {FACE_STAYS} \
         ORDER BY rowid"
    );
    rows(connection, &query, [person.to_string()], from_row!(ListedPhoto { face_id, quality; created: moment }))
}

/// Lists one page of who was seen, newest first; at most `most` whatever was asked for.
pub fn sightings(connection: &Connection, wanted: &WantedSightings, most: u32) -> Result<Vec<ListedSighting>, Stop> {
    let before = (wanted.before_ms.unwrap_or(i64::MAX), wanted.before_row.unwrap_or(i64::MAX));
    // Each way of asking has a query of its own: it reads the index that is made for it, and stops when it has enough.
    let of = match (wanted.person_id, wanted.group_id) {
        (Some(_), _) => "person_id = ?3 AND ?4 = ?4",
        (None, Some(_)) => "face_id IN (SELECT face_id FROM faces WHERE group_id = ?4) AND ?3 IS NULL",
        (None, None) => "?3 IS NULL AND ?4 IS NULL",
    };
    let query = format!(
        "{SIGHTING} WHERE (time, rowid) < (?1, ?2) AND {of} AND (?5 IS NULL OR (person_id IS NOT NULL) = ?5) \
         AND {SIGHTING_STAYS} ORDER BY time DESC, rowid DESC LIMIT ?6"
    );
    let person = wanted.person_id.map(|person| person.to_string());
    // A comparison with NULL holds for nothing.
    let group = wanted.group_id.map(|group| group.to_string()).or(person.as_ref().map(|_| String::new()));
    let values = (before.0, before.1, person, group, wanted.known, wanted.take.min(most));
    rows(connection, &query, values, listed)
}

/// One sighting as the lists have it.
pub fn sighting(connection: &Connection, detection: Uuid) -> Result<ListedSighting, Stop> {
    let query = format!("{SIGHTING} WHERE detect_id = ? AND {SIGHTING_STAYS}");
    let found = first(connection, &query, [detection.to_string()], listed)?;
    found.ok_or_else(|| Refusal::NotFound("sighting").into())
}

fn listed(row: &Row) -> Result<ListedSighting, rusqlite::Error> {
    from_row!(ListedSighting {
        row, detect_id, face_id, person_id, name, group_id, detector, time_zone, confidence, match_confidence, quality;
        time: moment
    })(row)
}

/// One sighting of one face.
pub struct Detection<'a> {
    pub detect_id: Uuid,
    pub face: Uuid,
    pub person: Option<Uuid>,
    pub detector: &'a str,
    pub time: DateTime<Utc>,
    pub time_zone: &'a str,
    /// How sure the detector is that this is a face, 0 to 1.
    pub confidence: f32,
    /// How sure the match is with this person, 0 to 1; none for a stranger.
    pub match_confidence: Option<f32>,
    pub quality: f32,
    /// The face's box in pixels of the photo: x, y, width, height.
    pub bbox: [i32; 4],
    pub photo: i64,
}

/// Whose sightings are asked for; shown as the column of their ids.
#[derive(Debug, Clone, Copy, derive_more::Display)]
pub enum Of {
    #[display("face_id")]
    Face,
    #[display("person_id")]
    Person,
}

pub fn insert(transaction: &Transaction, detection: &Detection) -> Result<(), Stop> {
    let Detection { detector, time_zone, confidence, match_confidence, quality, photo, .. } = detection;
    let [x, y, width, height] = detection.bbox;
    let statement = "INSERT INTO detections (detect_id, face_id, person_id, detector, time, time_zone, confidence, \
                     quality, x, y, width, height, photo_id, match_confidence) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = (
        detection.detect_id.to_string(),
        detection.face.to_string(),
        detection.person.map(|person| person.to_string()),
        detector,
        millis(detection.time),
        time_zone,
        confidence,
        quality,
        x,
        y,
        width,
        height,
        photo,
        match_confidence,
    );
    run(transaction, statement, values).map(drop)
}

/// The detection of the same person (of the same face, for somebody unknown) at the same detector less than `within`
/// before or after `time`, if there is one, and the face it was stored under; the nearest in time.
pub fn near(
    connection: &Connection,
    face: Uuid,
    person: Option<Uuid>,
    detector: &str,
    time: DateTime<Utc>,
    within: TimeDelta,
) -> Result<Option<(Uuid, Uuid)>, Stop> {
    let column = if person.is_some() { "person_id" } else { "face_id" };
    let query = format!(
        "SELECT detect_id, face_id FROM detections WHERE {column} = ? AND detector = ? AND time > ? AND time < ? \
         ORDER BY abs(time - ?) LIMIT 1"
    );
    let (time, within) = (millis(time), within.num_milliseconds());
    let values = (person.unwrap_or(face).to_string(), detector, time - within, time + within, time);
    first(connection, &query, values, |row| Ok((id(row, 0)?, id(row, 1)?)))
}

/// Reads one page of sightings; at most `most` records whatever was asked for.
pub fn list(
    connection: &Connection,
    of: Of,
    id: String,
    query: &DetectionsQuery,
    most: u32,
) -> Result<Vec<DetectionItem>, Stop> {
    let order = if query.date_ascending { "ASC" } else { "DESC" };
    let statement = format!(
        "SELECT confidence, time AS date_time_utc, time_zone, detector, jpeg AS image \
         FROM detections JOIN photos USING (photo_id) \
         WHERE {of} = ? AND time >= ? AND time <= ? \
         ORDER BY time {order}, detections.rowid {order} LIMIT ? OFFSET ?"
    );
    let (start, end) = (query.epoch_start_ms.unwrap_or(i64::MIN), query.epoch_end_ms.unwrap_or(i64::MAX));
    let item = from_row!(DetectionItem {
        confidence, time_zone, detector;
        date_time_utc: moment,
        image: |jpeg: Vec<u8>| Some(Base64::from(jpeg))
    });
    rows(connection, &statement, (id, start, end, query.take.min(most), query.skip), item)
}

/// The photo of a detection of that face; an enrolment counts as one, its photo is the enrolled one.
pub fn photo(connection: &Connection, face: &str, detect_id: &str) -> Result<Option<Vec<u8>>, Stop> {
    let query = "SELECT jpeg FROM photos WHERE photo_id = coalesce( \
                 (SELECT photo_id FROM detections WHERE detect_id = ?1 AND face_id = ?2), \
                 (SELECT photo_id FROM faces WHERE detect_id = ?1 AND face_id = ?2))";
    first(connection, query, (detect_id, face), |row| row.get(0))
}
