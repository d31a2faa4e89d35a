//! What a version before encryption left on the disk, sealed a little at a time.
//!
//! In: a database whose tables are new and whose rows may be old. Out: the same rows sealed, and nothing of them left in
//! the file or its log. An interruption loses nothing: the next start goes on.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use faces::detect::Rect;
use faces::embed::Embedding;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{OutboxError, storage};
use super::record::{self, Sealed};
use super::schema;
use super::seal::{Kind, Sealer};
use super::store::drop_sighting;
use super::terms::DropReason;
use crate::config::DetectorName;
use crate::crop::Sighting;
use crate::track::VisitId;

/// Sightings sealed in one transaction: a full disk needs room for these only.
const AT_ONCE: u32 = 16;

/// Its place in the queue, its id where that can be read, what it holds where that can, and when it was stored.
type Unsealed = (i64, Option<Uuid>, Option<Sighting>, DateTime<Utc>);

/// Seals everything an older version left; does nothing the second time.
pub(super) fn seal(db: &mut Connection, sealer: &Sealer) -> Result<(), OutboxError> {
    let failed = storage("encrypt what is stored");
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'unsealed_sighting'";
    let there = db.query_row(table, [], |_| Ok(())).optional().map_err(failed)?.is_some();
    if !there {
        return Ok(());
    }
    let mut count = 0;
    loop {
        let tx = db.transaction().map_err(failed)?;
        let read = |row: &Row<'_>| {
            let id = row.get::<_, String>("id")?.parse::<Uuid>().ok();
            let sighting = id.and_then(|id| decode(row, id).ok().flatten());
            let stored = DateTime::from_timestamp_millis(row.get("stored_ms")?).unwrap_or_default();
            Ok((row.get::<_, i64>("seq")?, id, sighting, stored))
        };
        let some: Vec<Unsealed> = tx
            .prepare_cached("SELECT * FROM unsealed_sighting ORDER BY seq LIMIT ?")
            .and_then(|mut statement| statement.query_map([AT_ONCE], read)?.collect())
            .map_err(failed)?;
        for (seq, id, sighting, stored) in &some {
            match (sighting, id) {
                (Some(sighting), _) => {
                    let sealed = Sealed::new(sighting, sealer);
                    record::insert_at(&tx, Some(*seq), sighting, &sealed, sealer, *stored).map_err(failed)?;
                }
                (None, Some(id)) => {
                    drop_sighting(&tx, *id, DropReason::Unreadable, 0, Utc::now()).map_err(failed)?;
                }
                (None, None) => {}
            }
            tx.execute("DELETE FROM unsealed_sighting WHERE seq = ?", [seq]).map_err(failed)?;
        }
        tx.commit().map_err(failed)?;
        count += some.len();
        if some.len() < AT_ONCE as usize {
            break;
        }
    }
    let tx = db.transaction().map_err(failed)?;
    let requests = seal_requests(&tx, sealer).map_err(failed)?;
    tx.execute_batch("ALTER TABLE action DROP COLUMN unsealed_request; DROP TABLE unsealed_sighting;")
        .map_err(failed)?;
    tx.commit().map_err(failed)?;
    while schema::give_back(db)? {}
    schema::empty_log(db)?;
    if count + requests > 0 {
        tracing::info!(sightings = count, requests, "what an older version stored is encrypted now");
    }
    Ok(())
}

/// Gives their number.
fn seal_requests(db: &Connection, sealer: &Sealer) -> rusqlite::Result<usize> {
    let mut open = db.prepare("SELECT key, unsealed_request FROM action WHERE unsealed_request IS NOT NULL")?;
    let requests: Vec<(String, String)> =
        open.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (key, request) in &requests {
        let sealed = sealer.seal(Kind::Request, key, &[request.as_bytes()]);
        db.execute("UPDATE action SET key_id = ?, request = ? WHERE key = ?", params![sealer.key_id(), sealed, key])?;
    }
    Ok(requests.len())
}

fn decode(row: &Row<'_>, id: Uuid) -> rusqlite::Result<Option<Sighting>> {
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
        arrived: None,
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
