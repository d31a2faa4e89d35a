//! Who is present, kept across a restart.
//!
//! In: a detector's stays, as the agent writes them. Out: the same after a restart. A record may hold a name: it is
//! sealed, and leaves the disk when the person has left.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::seal::{Kind, Sealer};
use super::sql;
use crate::config::DetectorName;

/// These and no others are present at the detector.
pub(super) fn replace(
    tx: &Connection,
    sealer: &Sealer,
    detector: &DetectorName,
    stays: &[Value],
) -> rusqlite::Result<()> {
    let detector = detector.as_str();
    sql::execute(tx, "DELETE FROM stay WHERE detector = ?", [detector])?;
    stays.iter().try_for_each(|stay| {
        let sql = "INSERT INTO stay (detector, key_id, record) VALUES (?, ?, ?)";
        let sealed = sealer.seal_json(Kind::Stay, detector, stay);
        sql::execute(tx, sql, params![detector, sealer.key_id(), sealed]).map(drop)
    })
}

/// Who was present at the detector when that was last written, as far as the key that is here tells.
pub(super) fn read(db: &Connection, sealer: &Sealer, detector: &DetectorName) -> rusqlite::Result<Vec<Value>> {
    let detector = detector.as_str();
    let sql = "SELECT record FROM stay WHERE detector = ? ORDER BY seq";
    let sealed: Vec<Vec<u8>> = sql::rows(db, sql, [detector], |row| row.get(0))?;
    Ok(sealed.into_iter().filter_map(|sealed| sealer.open_json(Kind::Stay, detector, sealed)).collect())
}
