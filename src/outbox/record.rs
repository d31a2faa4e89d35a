//! A sighting as a sealed row, and back.
//!
//! In: a [`Sighting`]. Out: a row of the `sighting` table, and the sighting again. Everything that is sent stands
//! inside the seal; beside it stands only what the order of the queue needs. The moment it entered this process is not
//! stored: it means nothing to another one.
//!
//! ```text
//! length of the head (u32, little-endian) · head (JSON) · embedding (float32, little-endian) · aligned · expanded
//! ```

use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use faces::detect::Rect;
use faces::embed::Embedding;
use faces::liveness::{Liveness, ModelScore};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::seal::{KeyId, Kind, Sealer};
use super::sql;
use crate::config::DetectorName;
use crate::crop::Sighting;
use crate::track::VisitId;

/// What a row and its history take beside the sealed part, about.
const ROW_BYTES: usize = 512;

/// What a sighting carries besides its pictures and its vector.
#[derive(Serialize, Deserialize)]
struct Head {
    visit: Uuid,
    detector: String,
    time_zone: Tz,
    seen_us: i64,
    shot: u8,
    quality: f32,
    face: [f32; 4],
    /// An older build has written none, as of the liveness.
    #[serde(default)]
    stay: Option<Uuid>,
    /// What the liveness models say together, and each by its name.
    #[serde(default)]
    liveness: Option<(f32, Vec<(String, f32)>)>,
    /// Of the embedding; `None` without one.
    model: Option<String>,
    embedding_bytes: usize,
    /// `None` without one.
    aligned_bytes: Option<usize>,
}

/// What reading a row gave.
#[derive(Debug)]
pub enum Stored {
    Sighting(Box<Sighting>),
    /// It does not open, or makes no sense.
    Unreadable,
    /// There is no such row: somebody else has erased it.
    Gone,
}

/// What a sighting counts against `outbox.max_bytes` once it is sealed.
pub fn size(sealed: &[u8]) -> u64 {
    (sealed.len() + ROW_BYTES) as u64
}

/// About what it will count.
pub fn expected_size(sighting: &Sighting) -> u64 {
    let embedding = sighting.embedding.as_ref().map_or(0, |embedding| embedding.values.len() * 4);
    (2 * ROW_BYTES + sighting.expanded.len() + sighting.aligned.as_ref().map_or(0, Bytes::len) + embedding) as u64
}

/// Adds the row; gives its place in the order.
pub fn insert(db: &Connection, s: &Sighting, sealed: &[u8], key: KeyId, now: DateTime<Utc>) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO sighting (id, visit, shot, bytes, stored_ms, key_id, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let (id, visit, bytes) = (s.id.to_string(), s.visit.to_string(), size(sealed) as i64);
    let row = params![id, visit, s.shot, bytes, now.timestamp_millis(), key, sealed];
    db.prepare_cached(sql)?.insert(row)
}

pub fn read(db: &Connection, sealer: &Sealer, id: Uuid, arrived: Option<Instant>) -> rusqlite::Result<Stored> {
    let key = id.to_string();
    let Some(sealed) = sql::value(db, "SELECT sealed FROM sighting WHERE id = ?", [&key])? else {
        return Ok(Stored::Gone);
    };
    let sighting = sealer.open(Kind::Sighting, &key, sealed).and_then(|record| decode(&record, id, arrived));
    Ok(sighting.map_or(Stored::Unreadable, |sighting| Stored::Sighting(Box::new(sighting))))
}

pub fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<usize> {
    sql::execute(db, "DELETE FROM sighting WHERE id = ?", [id.to_string()])
}

pub(super) fn seal(s: &Sighting, sealer: &Sealer, kind: Kind) -> Vec<u8> {
    let embedding = s.embedding.as_ref();
    let vector: Vec<u8> = embedding.iter().flat_map(|e| &e.values).flat_map(|v| v.to_le_bytes()).collect();
    let head = Head {
        visit: s.visit.0,
        detector: s.detector.to_string(),
        time_zone: s.time_zone,
        seen_us: s.seen_at.timestamp_micros(),
        shot: s.shot,
        quality: finite(s.quality),
        face: [s.face.x, s.face.y, s.face.width, s.face.height].map(finite),
        stay: s.stay.map(|stay| stay.0),
        liveness: s.liveness.as_ref().map(liveness_head),
        model: embedding.map(|e| e.model.clone()),
        embedding_bytes: vector.len(),
        aligned_bytes: s.aligned.as_ref().map(Bytes::len),
    };
    let head = serde_json::to_vec(&head).expect("numbers, ids and texts always make JSON");
    let length = (head.len() as u32).to_le_bytes();
    let aligned = s.aligned.as_deref().unwrap_or_default();
    sealer.seal(kind, &s.id.to_string(), &[&length, &head, &vector, aligned, &s.expanded])
}

/// Reads what stood inside the seal; `None` when it makes no sense. Whatever the bytes, it allocates no more than a few
/// times their number.
pub fn decode(record: &Bytes, id: Uuid, arrived: Option<Instant>) -> Option<Sighting> {
    let mut rest = record.clone();
    let mut take = |length: usize| (length <= rest.len()).then(|| rest.split_to(length));
    let length = u32::from_le_bytes(take(4)?.as_ref().try_into().ok()?);
    let head: Head = serde_json::from_slice(&take(length as usize)?).ok()?;
    let vector = take(head.embedding_bytes)?;
    let aligned = match head.aligned_bytes {
        Some(length) => Some(take(length)?),
        None => None,
    };
    let (values, left_over) = vector.as_chunks::<4>();
    let embedding = match head.model {
        Some(model) if left_over.is_empty() => {
            Some(Embedding { model, values: values.iter().map(|value| f32::from_le_bytes(*value)).collect() })
        }
        None if vector.is_empty() => None,
        _ => return None,
    };
    let [x, y, width, height] = head.face;
    Some(Sighting {
        id,
        visit: VisitId(head.visit),
        stay: head.stay.map(VisitId),
        detector: DetectorName::new(&head.detector).ok()?,
        time_zone: head.time_zone,
        seen_at: DateTime::from_timestamp_micros(head.seen_us)?,
        arrived,
        shot: head.shot,
        quality: head.quality,
        expanded: rest,
        face: Rect { x, y, width, height },
        aligned,
        embedding,
        liveness: head.liveness.map(liveness_of),
    })
}

fn liveness_head(liveness: &Liveness) -> (f32, Vec<(String, f32)>) {
    let models = liveness.models.iter().map(|score| (score.model.clone(), finite(score.live)));
    (finite(liveness.live), models.collect())
}

fn liveness_of((live, models): (f32, Vec<(String, f32)>)) -> Liveness {
    let models = models.into_iter().map(|(model, live)| ModelScore { model, live });
    Liveness { live, models: models.collect() }
}

/// JSON has no other numbers.
fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_stored_decoding_it_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode(&bytes.into(), Uuid::nil(), None);
        }

        #[test]
        fn nor_with_a_head_that_lies(embedding in any::<u64>(), aligned in any::<Option<u64>>(), pad in 0_usize..64) {
            let head = serde_json::json!({
                "visit": Uuid::nil(), "detector": "a", "time_zone": "UTC", "seen_us": 0, "shot": 1, "quality": 0.5,
                "face": [0, 0, 1, 1], "model": "m", "embedding_bytes": embedding, "aligned_bytes": aligned,
            });
            let head = head.to_string();
            let record = [&(head.len() as u32).to_le_bytes(), head.as_bytes(), &vec![0; pad]].concat();
            let fits = embedding.checked_add(aligned.unwrap_or(0)).is_some_and(|sum| sum <= pad as u64);
            let decoded = decode(&record.into(), Uuid::nil(), None);
            prop_assert_eq!(decoded.is_some(), fits && embedding % 4 == 0);
        }
    }
}
