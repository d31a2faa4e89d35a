//! Pictures that are kept for a while once their sighting has been answered, sealed like those that wait.
//!
//! In: an answer, and how long its picture may be kept (by default not at all). Out: a list of what is there, and single
//! pictures. The embedding and the aligned chip of a sighting are never kept.

use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rusqlite::{Connection, Row, Transaction, params};
use serde::Serialize;
use uuid::Uuid;

use super::error::{OutboxError, storage};
use super::record::{self, Stored};
use super::seal::{Kind, Sealer};
use super::{key, open};
use crate::config::OutboxConfig;
use crate::crop::Sighting;

/// How long pictures are kept, by how the engine answered.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    known: TimeDelta,
    unknown: TimeDelta,
    other: TimeDelta,
    pub max_bytes: u64,
}

/// A kept picture, without the picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

impl Keep {
    pub fn new(config: &OutboxConfig) -> Self {
        let hours = |hours: u32| TimeDelta::hours(hours.into());
        Self {
            known: hours(config.keep_known_hours),
            unknown: hours(config.keep_unknown_hours),
            other: hours(config.keep_other_hours),
            max_bytes: config.keep_max_bytes,
        }
    }

    /// `None` when a picture with this answer is not kept.
    pub fn until(&self, outcome: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let time = match outcome {
            "known" => self.known,
            "unknown" => self.unknown,
            _ => self.other,
        };
        (time > TimeDelta::zero()).then(|| now + time)
    }
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
        let failed = storage("list the kept pictures");
        let sql = "SELECT picture.sighting, picture.visit, visit.detector, shot.seen_ms, shot.shot, shot.outcome,
                          shot.person, picture.until_ms, picture.bytes
                   FROM picture LEFT JOIN shot ON shot.sighting = picture.sighting
                   LEFT JOIN visit ON visit.id = picture.visit ORDER BY picture.seq";
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let pictures = statement.query_map([], kept).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let suits = |picture: &KeptPicture| {
            visit.is_none_or(|visit| picture.visit.starts_with(visit))
                && person
                    .is_none_or(|person| picture.person.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(person)))
        };
        Ok(pictures.into_iter().filter(suits).collect())
    }

    /// The JPEG; `None` when it is no longer there, or was stored with another key.
    pub fn read(&self, picture: &KeptPicture) -> Result<Option<Bytes>, OutboxError> {
        let read = || {
            let sql = "SELECT sealed FROM picture WHERE sighting = ?";
            self.db.prepare_cached(sql)?.query_row([&picture.sighting], |row| row.get::<_, Vec<u8>>(0))
        };
        let sealed = match read() {
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(None),
            sealed => sealed.map_err(storage("read a kept picture"))?,
        };
        let opened = self.sealer.as_ref().and_then(|sealer| sealer.open(Kind::Picture, &picture.sighting, sealed));
        let id = picture.sighting.parse().unwrap_or_default();
        Ok(opened.and_then(|record| record::decode(&record, id, None)).map(|sighting| sighting.expanded))
    }
}

/// Keeps the picture of a sighting that is about to leave.
pub(super) fn keep(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    sighting: Uuid,
    until: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let Stored::Sighting(whole) = record::read(tx, sealer, sighting, None)? else { return Ok(()) };
    let only_picture = Sighting { aligned: None, embedding: None, ..*whole };
    let sealed = record::seal(&only_picture, sealer, Kind::Picture);
    tx.prepare_cached(
        "INSERT INTO picture (sighting, visit, until_ms, key_id, bytes, sealed) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (sighting) DO NOTHING",
    )?
    .execute(params![
        sighting.to_string(),
        only_picture.visit.to_string(),
        until.timestamp_millis(),
        sealer.key_id(),
        sealed.len() as i64,
        sealed,
    ])
    .map(drop)
}

/// Erases those whose time is over, and the oldest of what is too much.
pub(super) fn expire(db: &mut Connection, now: DateTime<Utc>, max_bytes: u64) -> Result<(), OutboxError> {
    let failed = storage("erase kept pictures");
    let mut write = || -> rusqlite::Result<(i64, i64)> {
        let tx = db.transaction()?;
        tx.execute("DELETE FROM picture WHERE until_ms <= ?", [now.timestamp_millis()])?;
        // A running sum from the newest backwards: what lies beyond the limit goes.
        tx.execute(
            "DELETE FROM picture WHERE seq IN (SELECT seq FROM
                 (SELECT seq, SUM(bytes) OVER (ORDER BY seq DESC) AS sum FROM picture) WHERE sum > ?)",
            [i64::try_from(max_bytes).unwrap_or(i64::MAX)],
        )?;
        let left = tx.query_row("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM picture", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        tx.commit()?;
        Ok(left)
    };
    let (pictures, bytes) = write().map_err(failed)?;
    metrics::gauge!("doorward_outbox_kept_pictures").set(pictures as f64);
    metrics::gauge!("doorward_outbox_kept_bytes").set(bytes as f64);
    Ok(())
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptPicture> {
    let time = |ms: Option<i64>| {
        let time = ms.and_then(DateTime::from_timestamp_millis).unwrap_or_default();
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    Ok(KeptPicture {
        sighting: row.get(0)?,
        visit: row.get(1)?,
        detector: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        seen_at: time(row.get(3)?),
        shot: row.get::<_, Option<u8>>(4)?.unwrap_or_default(),
        outcome: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        person: row.get(6)?,
        until: time(row.get(7)?),
        bytes: row.get::<_, i64>(8)?.unsigned_abs(),
    })
}
