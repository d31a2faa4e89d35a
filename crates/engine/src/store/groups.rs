//! Groups: the faces nobody knows that are one person's, as far as can be told; each is one card on the page.
//!
//! In: which page of the list. Out: groups, the last one seen first, with how often they were seen and by which
//! sighting they are shown. A face has its group from the moment it is stored (the gallery says whose it perhaps is),
//! so that nothing is compared here, and a list reads the index of the groups and the sightings of those it shows.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row};
use serde::Serialize;
use uuid::Uuid;

use super::statement::{first, from_row, id, rows, value};
use super::stays::FACE_STAYS;
use super::{Stop, moment};
use crate::error::Refusal;

/// One page of a list of groups.
#[derive(Debug, PartialEq, Serialize)]
pub struct GroupList {
    /// How many there are on all pages together.
    pub total: u32,
    pub groups: Vec<Group>,
}

/// A group as it is shown.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub group_id: String,
    /// How many faces were told apart in it.
    pub faces: u32,
    pub sightings: u32,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// The best picture of it, and the detector and the zone it is from.
    pub face_id: String,
    pub detect_id: String,
    pub detector: String,
    pub time_zone: String,
}

/// Faces that are shown: seen, and not being erased.
fn shown() -> String {
    format!(
        "group_id IS NOT NULL AND {FACE_STAYS} \
         AND EXISTS (SELECT 1 FROM detections WHERE detections.face_id = faces.face_id)"
    )
}

/// The groups of a page, and how many there are in all.
fn of_page() -> String {
    format!(
        "SELECT group_id, count(*) OVER () FROM faces WHERE {} GROUP BY group_id \
         ORDER BY max(last_seen) DESC, group_id LIMIT ? OFFSET ?",
        shown()
    )
}

fn how_many() -> String {
    format!("SELECT count(DISTINCT group_id) FROM faces WHERE {}", shown())
}

/// How often a group was seen, and when.
fn summed() -> String {
    format!(
        "SELECT group_id, count(DISTINCT face_id) AS faces, count(*) AS sightings, min(time) AS first_seen, \
         max(time) AS last_seen, '' AS face_id, '' AS detect_id, '' AS detector, '' AS time_zone \
         FROM faces JOIN detections USING (face_id) WHERE group_id = ? AND {FACE_STAYS} GROUP BY group_id"
    )
}

const BEST: &str = "SELECT face_id, detect_id, detector, time_zone FROM detections \
                    WHERE face_id IN (SELECT face_id FROM faces WHERE group_id = ?) \
                    ORDER BY detections.quality DESC, time DESC LIMIT 1";

/// Every statement a page of the list is read by.
#[cfg(test)]
pub fn statements() -> [String; 4] {
    [of_page(), how_many(), summed(), BEST.into()]
}

/// Lists the groups, the last one seen first.
pub fn list(connection: &Connection, skip: u32, most: u32) -> Result<GroupList, Stop> {
    let found = rows(connection, &of_page(), (most, skip), |row| Ok((id(row, 0)?, row.get::<_, u32>(1)?)))?;
    let total = match found.first() {
        Some((_, total)) => *total,
        None => value(connection, &how_many(), [])?,
    };
    let groups = found.into_iter().map(|(group, _)| read(connection, group));
    Ok(GroupList { total, groups: groups.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect() })
}

/// One group; `None` where there is none, or nothing is left of what was seen of it.
pub fn read(connection: &Connection, group: Uuid) -> Result<Option<Group>, Stop> {
    let read = from_row!(Group {
        group_id, faces, sightings, face_id, detect_id, detector, time_zone;
        first_seen: moment,
        last_seen: moment
    });
    let Some(group) = first(connection, &summed(), [group.to_string()], read)? else { return Ok(None) };
    let shown = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let best = first(connection, BEST, [&group.group_id], shown)?;
    Ok(best.map(|(face_id, detect_id, detector, time_zone)| Group { face_id, detect_id, detector, time_zone, ..group }))
}

/// The faces of a group, the first one first.
pub fn faces(connection: &Connection, group: Uuid) -> Result<Vec<Uuid>, Stop> {
    let query = "SELECT face_id FROM faces WHERE group_id = ? AND person_id IS NULL ORDER BY rowid";
    let faces = rows(connection, query, [group.to_string()], |row| id(row, 0))?;
    if faces.is_empty() { Err(Refusal::NotFound("group").into()) } else { Ok(faces) }
}
