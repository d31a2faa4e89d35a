//! Who is present, kept across a restart.
//!
//! In: a detector's stays, as the agent writes them. Out: the same after a restart. A record may hold a name: it is sealed,
//! and leaves the disk when the person has left.

use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

use super::error::{OutboxError, storage};
use super::seal::{Kind, Sealer};
use crate::config::DetectorName;

/// These and no others are present at the detector.
pub(super) fn replace(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    detector: &DetectorName,
    stays: &[Value],
) -> rusqlite::Result<()> {
    let detector = detector.as_str();
    tx.prepare_cached("DELETE FROM stay WHERE detector = ?")?.execute([detector])?;
    let mut insert = tx.prepare_cached("INSERT INTO stay (detector, key_id, record) VALUES (?, ?, ?)")?;
    stays.iter().try_for_each(|stay| {
        let sealed = sealer.seal(Kind::Stay, detector, &[stay.to_string().as_bytes()]);
        insert.execute(params![detector, sealer.key_id(), sealed]).map(drop)
    })
}

/// Who was present at the detector when that was last written, as far as the key that is here tells.
pub(super) fn read(db: &Connection, sealer: &Sealer, detector: &DetectorName) -> Result<Vec<Value>, OutboxError> {
    let failed = storage("read who was present");
    let detector = detector.as_str();
    let mut statement = db.prepare_cached("SELECT record FROM stay WHERE detector = ? ORDER BY seq").map_err(failed)?;
    let sealed = statement.query_map([detector], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
    let sealed = sealed.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let opened = sealed.into_iter().filter_map(|sealed| sealer.open(Kind::Stay, detector, sealed));
    Ok(opened.map(|text| serde_json::from_slice(&text).unwrap_or(Value::Null)).collect())
}
