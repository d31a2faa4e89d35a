//! The tables, and how older ones become them.
//!
//! In: a connection. Out: the same connection with the newest tables. A step, once released, never changes: a new one is
//! added at the end.

use std::path::Path;

use rusqlite::Connection;

use super::error::{OutboxError, storage};

/// Step `n` makes version `n + 1` of the tables; SQLite's `user_version` says how many have been taken.
const STEPS: &[&str] = &["
    -- Waiting to be answered. What is here is personal, and leaves with its answer.
    CREATE TABLE sighting (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        id          TEXT NOT NULL UNIQUE,
        visit       TEXT NOT NULL,
        detector    TEXT NOT NULL,
        time_zone   TEXT NOT NULL,
        seen_us     INTEGER NOT NULL,
        shot        INTEGER NOT NULL,
        quality     REAL NOT NULL,
        face_x      REAL NOT NULL,
        face_y      REAL NOT NULL,
        face_width  REAL NOT NULL,
        face_height REAL NOT NULL,
        model       TEXT,           -- of the embedding
        embedding   BLOB,           -- float32, little-endian
        aligned     BLOB,           -- JPEG
        bytes       INTEGER NOT NULL,
        stored_ms   INTEGER NOT NULL,
        expanded    BLOB NOT NULL   -- JPEG; last, because what follows a large value is slow to read
    ) STRICT;

    -- What is told of a visit: ids, times and outcomes, no picture and no name.
    CREATE TABLE visit (
        id          TEXT PRIMARY KEY,
        detector    TEXT NOT NULL,
        first_ms    INTEGER NOT NULL,
        last_ms     INTEGER NOT NULL,
        outcome     TEXT,           -- NULL until it is closed
        reason      TEXT,
        detail      TEXT,           -- JSON
        told_ms     INTEGER NOT NULL -- when something was last written of it, by this machine's clock
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX visit_told ON visit (told_ms);

    CREATE TABLE shot (
        sighting    TEXT PRIMARY KEY,
        visit       TEXT NOT NULL,
        shot        INTEGER NOT NULL,
        seen_ms     INTEGER NOT NULL,
        quality     REAL NOT NULL,
        stored_ms   INTEGER NOT NULL,
        tries       INTEGER NOT NULL DEFAULT 0,
        outcome     TEXT,           -- NULL until it is settled
        reason      TEXT,
        person      TEXT,
        confidence  REAL,
        late        INTEGER NOT NULL DEFAULT 0,
        settled_ms  INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX shot_visit ON shot (visit);

    CREATE TABLE action (
        key         TEXT PRIMARY KEY,
        visit       TEXT NOT NULL,
        sighting    TEXT NOT NULL,
        detector    TEXT NOT NULL,
        rule        TEXT NOT NULL,
        action      TEXT NOT NULL,
        person      TEXT,
        seen_us     INTEGER NOT NULL,
        state       TEXT NOT NULL,  -- planned, claimed, done, expired, failed, interrupted
        reason      TEXT,
        request     TEXT,           -- JSON; NULL once it has ended
        planned_ms  INTEGER NOT NULL,
        ended_ms    INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX action_visit ON action (visit);
    CREATE INDEX action_planned ON action (planned_ms);
    CREATE INDEX action_open ON action (state) WHERE state IN ('planned', 'claimed');
"];

/// A write-ahead log larger than this is cut when it starts anew.
const WAL_BYTES: u32 = 4 << 20;

/// Refuses the tables of a newer version, before anything is written.
pub(super) fn check_version(db: &Connection, path: &Path) -> Result<(), OutboxError> {
    let found = version(db)?;
    let known = STEPS.len() as i64;
    if found > known { Err(OutboxError::Newer { path: path.into(), found, known }) } else { Ok(()) }
}

/// Sets the connection up: durable at every commit, deleted data overwritten.
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        // Only before the first table is made.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.busy_timeout(std::time::Duration::from_secs(5))
}

/// Takes the steps that are missing, each whole or not at all.
pub(super) fn migrate(db: &mut Connection) -> Result<(), OutboxError> {
    let failed = storage("prepare the tables");
    let taken = version(db)?.unsigned_abs() as usize;
    for (done, step) in STEPS.iter().enumerate().skip(taken) {
        let tx = db.transaction().map_err(failed)?;
        tx.execute_batch(step).map_err(failed)?;
        tx.pragma_update(None, "user_version", done as i64 + 1).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

fn version(db: &Connection) -> Result<i64, OutboxError> {
    db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(storage("read the version of the tables"))
}

/// Gives free pages back to the file system, and empties the write-ahead log, which still holds what was deleted.
pub(super) fn give_back(db: &Connection) -> Result<(), OutboxError> {
    let failed = storage("give disk space back");
    // Each step of this statement frees one page.
    let mut vacuum = db.prepare_cached("PRAGMA incremental_vacuum").map_err(failed)?;
    let mut pages = vacuum.query([]).map_err(failed)?;
    while pages.next().map_err(failed)?.is_some() {}
    drop(pages);
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_once_and_a_newer_version_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            check_version(&db, Path::new("x")).unwrap();
            migrate(&mut db).unwrap();
        }
        for table in ["sighting", "visit", "shot", "action"] {
            let rows: i64 = db.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 0);
        }
        db.pragma_update(None, "user_version", STEPS.len() as i64 + 1).unwrap();
        let error = check_version(&db, Path::new("x")).unwrap_err();
        assert!(matches!(error, OutboxError::Newer { .. }), "{error}");
        assert!(error.to_string().contains("newer doorward"), "{error}");
    }
}
