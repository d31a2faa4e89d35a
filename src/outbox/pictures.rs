//! Pictures that are kept for a while once their sighting has been answered, sealed like those that wait.
//!
//! In: an answer, and how long its picture may be kept (by default not at all). Out: a list of what is there, and
//! single pictures. The embedding and the aligned chip of a sighting are never kept.

use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{OutboxError, storage};
use super::record::{self, Stored};
use super::seal::{Kind, Sealer};
use super::{key, open, sql};
use crate::config::{OutboxConfig, OutcomeKind};
use crate::crop::Sighting;

/// A kept picture, without the picture.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct KeptPicture {
    pub sighting: String,
    pub visit: String,
    pub detector: String,
    pub seen_at: String,
    pub shot: u8,
    pub outcome: String,
    /// The recognised person's id.
    pub person: Option<String>,
    /// When it goes.
    pub until: String,
    pub bytes: u64,
}

/// The kept pictures of one state directory.
pub struct Pictures {
    db: Connection,
    /// `None` where no key is.
    sealer: Option<Sealer>,
}

/// Until when the picture of a sighting with this outcome is kept; `None` when it is not.
pub(super) fn kept_until(config: &OutboxConfig, outcome: OutcomeKind, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let hours = match outcome {
        OutcomeKind::Known => config.keep_known_hours,
        OutcomeKind::Unknown => config.keep_unknown_hours,
        _ => config.keep_other_hours,
    };
    (hours > 0).then(|| now + TimeDelta::hours(hours.into()))
}

impl Pictures {
    /// Those below `state_dir`, whether a doorward is running on it or not.
    pub fn open(state_dir: &Path, config: &OutboxConfig) -> Result<Self, OutboxError> {
        let db = open::open_to_read(state_dir)?;
        let sealer = key::existing(state_dir, config)?.map(|key| Sealer::new(&key));
        Ok(Self { db, sealer })
    }

    /// Oldest first; those of visits whose id starts with `visit` and of this person, where given.
    pub fn list(&self, visit: Option<&str>, person: Option<&str>) -> Result<Vec<KeptPicture>, OutboxError> {
        let sql = "SELECT json_object(
                       'sighting', picture.sighting, 'visit', picture.visit, 'bytes', picture.bytes,
                       'detector', COALESCE(visit.detector, ''), 'shot', COALESCE(shot.shot, 0),
                       'outcome', COALESCE(shot.outcome, ''), 'person', shot.person,
                       'seen_at', strftime('%Y-%m-%dT%H:%M:%fZ', COALESCE(shot.seen_ms, 0) / 1000.0, 'unixepoch'),
                       'until', strftime('%Y-%m-%dT%H:%M:%fZ', picture.until_ms / 1000.0, 'unixepoch'))
                   FROM picture LEFT JOIN shot ON shot.sighting = picture.sighting
                   LEFT JOIN visit ON visit.id = picture.visit
                   WHERE (?1 IS NULL OR substr(picture.visit, 1, length(?1)) = ?1)
                   AND (?2 IS NULL OR shot.person = ?2 COLLATE NOCASE) ORDER BY picture.seq";
        sql::records(&self.db, sql, [visit, person]).map_err(storage("list the kept pictures"))
    }

    /// The JPEG; `None` when it is no longer there, or was stored with another key.
    pub fn read(&self, picture: &KeptPicture) -> Result<Option<Bytes>, OutboxError> {
        Ok(self.sighting(&picture.sighting)?.map(|sighting| sighting.expanded))
    }

    /// What is kept of the sighting with this id: its picture, where the face is in it, what the liveness models said.
    pub fn sighting(&self, id: &str) -> Result<Option<Sighting>, OutboxError> {
        let sealed = sql::value(&self.db, "SELECT sealed FROM picture WHERE sighting = ?", [id]);
        let sealed = sealed.map_err(storage("read a kept picture"))?;
        let open = |sealed| self.sealer.as_ref()?.open(Kind::Picture, id, sealed);
        let named = id.parse().unwrap_or_default();
        Ok(sealed.and_then(open).and_then(|record| record::decode(&record, named, None)))
    }
}

/// Keeps the picture of a sighting that is about to leave.
pub(super) fn keep(tx: &Connection, sealer: &Sealer, sighting: Uuid, until: DateTime<Utc>) -> rusqlite::Result<()> {
    let Stored::Sighting(whole) = record::read(tx, sealer, sighting, None)? else { return Ok(()) };
    let only_picture = Sighting { aligned: None, embedding: None, ..*whole };
    let sealed = record::seal(&only_picture, sealer, Kind::Picture);
    let sql = "INSERT INTO picture (sighting, visit, until_ms, key_id, bytes, sealed) VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT (sighting) DO NOTHING";
    let (visit, until, bytes) = (only_picture.visit.to_string(), until.timestamp_millis(), sealed.len() as i64);
    sql::execute(tx, sql, params![sighting.to_string(), visit, until, sealer.key_id(), bytes, sealed]).map(drop)
}

/// Erases those whose time is over, and the oldest of what is too much.
pub(super) fn expire(db: &mut Connection, now: DateTime<Utc>, max_bytes: u64) -> rusqlite::Result<()> {
    let (pictures, bytes): (i64, i64) = sql::transaction(db, |tx| {
        sql::execute(tx, "DELETE FROM picture WHERE until_ms <= ?", [now.timestamp_millis()])?;
        // A running sum from the newest backwards: what lies beyond the limit goes.
        let too_much = "DELETE FROM picture WHERE seq IN (SELECT seq FROM
                            (SELECT seq, SUM(bytes) OVER (ORDER BY seq DESC) AS sum FROM picture) WHERE sum > ?)";
        sql::execute(tx, too_much, [i64::try_from(max_bytes).unwrap_or(i64::MAX)])?;
        let left = "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM picture";
        tx.query_row(left, [], |row| Ok((row.get(0)?, row.get(1)?)))
    })?;
    metrics::gauge!("doorward_outbox_kept_pictures").set(pictures as f64);
    metrics::gauge!("doorward_outbox_kept_bytes").set(bytes as f64);
    Ok(())
}
