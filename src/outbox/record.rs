//! A sighting as a row, and back.
//!
//! In: a [`Sighting`]. Out: a row of the `sighting` table, and the sighting again. The moment it entered this process is
//! not stored: it means nothing to another one.

use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::config::DetectorName;
use crate::crop::Sighting;
use crate::detect::Rect;
use crate::embed::Embedding;
use crate::track::VisitId;

/// What a row takes beside its pictures and its vector, about.
const ROW_BYTES: usize = 512;

/// What a sighting counts against `outbox.max_bytes`.
pub(super) fn size(sighting: &Sighting) -> u64 {
    let embedding = sighting.embedding.as_ref().map_or(0, |embedding| embedding.values.len() * 4);
    let aligned = sighting.aligned.as_ref().map_or(0, Bytes::len);
    (ROW_BYTES + sighting.expanded.len() + aligned + embedding) as u64
}

/// Adds the row; gives its place in the order.
pub(super) fn insert(db: &Connection, s: &Sighting, bytes: u64, now: DateTime<Utc>) -> rusqlite::Result<i64> {
    let embedding = s.embedding.as_ref();
    let vector = embedding.map(|e| e.values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    db.prepare_cached(
        "INSERT INTO sighting (id, visit, detector, time_zone, seen_us, shot, quality, face_x, face_y, face_width,
                               face_height, model, embedding, aligned, bytes, stored_ms, expanded)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .insert(params![
        s.id.to_string(),
        s.visit.to_string(),
        s.detector.as_str(),
        s.time_zone.name(),
        s.seen_at.timestamp_micros(),
        s.shot,
        finite(s.quality),
        finite(s.face.x),
        finite(s.face.y),
        finite(s.face.width),
        finite(s.face.height),
        embedding.map(|e| e.model.as_str()),
        vector,
        s.aligned.as_deref(),
        bytes as i64,
        now.timestamp_millis(),
        s.expanded.as_ref(),
    ])
}

/// Reads a sighting; `None` when its row is gone or makes no sense.
pub(super) fn read(db: &Connection, id: Uuid, arrived: Option<Instant>) -> rusqlite::Result<Option<Sighting>> {
    db.prepare_cached("SELECT * FROM sighting WHERE id = ?")?
        .query_row([id.to_string()], |row| Ok(decode(row, id, arrived).ok().flatten()))
        .optional()
        .map(Option::flatten)
}

pub(super) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM sighting WHERE id = ?")?.execute([id.to_string()]).map(drop)
}

fn decode(row: &Row<'_>, id: Uuid, arrived: Option<Instant>) -> rusqlite::Result<Option<Sighting>> {
    let text = |column: &str| row.get::<_, String>(column);
    let number = |column: &str| row.get::<_, f32>(column);
    let bytes = |column: &str| row.get::<_, Option<Vec<u8>>>(column);
    let (Ok(visit), Ok(detector), Ok(time_zone), Some(seen_at)) = (
        text("visit")?.parse(),
        DetectorName::new(&text("detector")?),
        text("time_zone")?.parse(),
        DateTime::from_timestamp_micros(row.get("seen_us")?),
    ) else {
        return Ok(None);
    };
    let embedding = match (row.get("model")?, bytes("embedding")?) {
        (Some(model), Some(vector)) => {
            let (values, rest) = vector.as_chunks::<4>();
            if !rest.is_empty() {
                return Ok(None);
            }
            Some(Embedding { model, values: values.iter().map(|v| f32::from_le_bytes(*v)).collect() })
        }
        _ => None,
    };
    Ok(Some(Sighting {
        id,
        visit: VisitId(visit),
        detector,
        time_zone,
        seen_at,
        arrived,
        shot: row.get("shot")?,
        quality: number("quality")?,
        expanded: row.get::<_, Vec<u8>>("expanded")?.into(),
        face: Rect {
            x: number("face_x")?,
            y: number("face_y")?,
            width: number("face_width")?,
            height: number("face_height")?,
        },
        aligned: bytes("aligned")?.map(Bytes::from),
        embedding,
    }))
}

/// SQLite stores NaN as NULL, which the columns refuse.
fn finite(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value }
}
