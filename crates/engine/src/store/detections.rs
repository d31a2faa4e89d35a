//! What was seen, where and when.
//!
//! In: sightings of faces. Out: pages of them, their photos, and whether one was stored a moment ago already.

use chrono::{DateTime, TimeDelta, Utc};
use identities::wire::{Base64, DetectionItem, DetectionsQuery};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::statement::{first, from_row, id, rows, run};
use super::{Stop, millis, moment};

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

/// Whose sightings are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    Face,
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
    let column = match of {
        Of::Face => "face_id",
        Of::Person => "person_id",
    };
    let order = if query.date_ascending { "ASC" } else { "DESC" };
    let statement = format!(
        "SELECT confidence, time AS date_time_utc, time_zone, detector, jpeg AS image \
         FROM detections JOIN photos USING (photo_id) \
         WHERE {column} = ? AND time >= ? AND time <= ? \
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
