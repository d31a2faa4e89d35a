//! The shots of one detector's visits, with what the liveness models said of them.
//!
//! In: a detector and how far back. Out: every shot on record, whether anybody was recognised in it, its liveness where
//! one was taken, and whether its picture is still kept. It tells nobody's name and no id of a person.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::error::{OutboxError, storage};
use super::{open, sql};
use crate::config::DetectorName;

/// A shot of a visit on record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TakenShot {
    pub visit: String,
    pub sighting: String,
    /// Whether the engine recognised somebody in it.
    pub known: bool,
    /// What the liveness models said together when it was taken; `None` where none was asked, and while the visit is
    /// not over.
    pub live: Option<f32>,
    /// Whether its picture is kept.
    pub kept: bool,
}

/// In the order of visits and shots; of the outbox below `state_dir`, whether a doorward is running on it or not.
pub fn taken_shots(
    state_dir: &Path,
    detector: &DetectorName,
    since: DateTime<Utc>,
) -> Result<Vec<TakenShot>, OutboxError> {
    let sql = "SELECT json_object(
                   'visit', shot.visit, 'sighting', shot.sighting,
                   'known', json(iif(shot.person IS NULL, 'false', 'true')),
                   'live', (SELECT json_extract(sent.value, '$.liveness.live')
                            FROM json_each(iif(json_valid(visit.detail), visit.detail, '{}'), '$.sent') AS sent
                            WHERE json_extract(sent.value, '$.sighting') = shot.sighting),
                   'kept', json(iif(EXISTS (SELECT 1 FROM picture WHERE sighting = shot.sighting), 'true', 'false')))
               FROM shot JOIN visit ON visit.id = shot.visit
               WHERE visit.detector = ? AND shot.seen_ms >= ? ORDER BY shot.visit, shot.shot";
    let db = open::open_to_read(state_dir)?;
    let asked = (detector.as_str(), since.timestamp_millis());
    sql::records(&db, sql, asked).map_err(storage("read the shots on record"))
}
