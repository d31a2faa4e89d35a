//! The tables, and how older ones become them.
//!
//! In: a connection. Out: the same connection with the newest tables. A step, once released, never changes: a new one is
//! added at the end.

use std::path::Path;

use rusqlite::Connection;

use super::error::{OutboxError, storage};
use super::seal::Sealer;
use super::unsealed;

/// Step `n` makes version `n + 1` of the tables; SQLite's `user_version` says how many have been taken.
pub(super) const STEPS: &[&str] = &[
    "
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
",
    "
    -- Who is present, with the name of those the engine knows; gone when they are.
    CREATE TABLE stay (
        seq         INTEGER PRIMARY KEY,
        detector    TEXT NOT NULL,
        record      TEXT NOT NULL   -- JSON
    ) STRICT;
    CREATE INDEX stay_detector ON stay (detector);

    -- What the rules made of an answer, or of somebody having left, for the operator: which matcher found what.
    CREATE TABLE judged (
        seq         INTEGER PRIMARY KEY,
        visit       TEXT NOT NULL,
        sighting    TEXT NOT NULL,
        event       TEXT NOT NULL,
        judged_ms   INTEGER NOT NULL,
        record      TEXT NOT NULL   -- JSON
    ) STRICT;
    CREATE INDEX judged_visit ON judged (visit);

    -- What the rule fired on: recognition, left. A state more: refused, by a guard, under a key of its own.
    ALTER TABLE action ADD COLUMN event TEXT NOT NULL DEFAULT 'recognition';
",
    // What is personal is sealed. What waited unsealed is moved over afterwards, a little at a time.
    "
    ALTER TABLE sighting RENAME TO unsealed_sighting;
    CREATE TABLE sighting (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        id          TEXT NOT NULL UNIQUE,
        visit       TEXT NOT NULL,
        shot        INTEGER NOT NULL,
        bytes       INTEGER NOT NULL,
        stored_ms   INTEGER NOT NULL,
        key_id      BLOB NOT NULL,  -- which key it was sealed with
        sealed      BLOB NOT NULL   -- last, because what follows a large value is slow to read
    ) STRICT;

    -- Pictures of answered sightings that are kept for a while (outbox.keep_*).
    CREATE TABLE picture (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        sighting    TEXT NOT NULL UNIQUE,
        visit       TEXT NOT NULL,
        until_ms    INTEGER NOT NULL,
        key_id      BLOB NOT NULL,
        bytes       INTEGER NOT NULL,
        sealed      BLOB NOT NULL
    ) STRICT;
    CREATE INDEX picture_until ON picture (until_ms);
    CREATE INDEX picture_visit ON picture (visit);

    ALTER TABLE action RENAME COLUMN request TO unsealed_request;
    ALTER TABLE action ADD COLUMN key_id BLOB;
    ALTER TABLE action ADD COLUMN request BLOB; -- sealed; NULL once it has ended
    DROP TABLE stay; -- who is present is soon told anew
    CREATE TABLE stay (
        seq         INTEGER PRIMARY KEY,
        detector    TEXT NOT NULL,
        key_id      BLOB NOT NULL,
        record      BLOB NOT NULL   -- sealed
    ) STRICT;
    CREATE INDEX stay_detector ON stay (detector);
    DROP TABLE judged; -- it tells of names; so does its successor, sealed
    CREATE TABLE judged (
        seq         INTEGER PRIMARY KEY,
        visit       TEXT NOT NULL,
        sighting    TEXT NOT NULL,
        event       TEXT NOT NULL,
        judged_ms   INTEGER NOT NULL,
        record      BLOB NOT NULL   -- sealed
    ) STRICT;
    CREATE INDEX judged_visit ON judged (visit);
    CREATE INDEX shot_person ON shot (person) WHERE person IS NOT NULL;
",
    // How sure the engine was of the person; `confidence` is of the face from here on.
    "ALTER TABLE shot ADD COLUMN match_confidence REAL;",
    "
    -- Topics the MQTT broker keeps something of ours under, so that it can be cleared when they are ours no more.
    CREATE TABLE broker_topic (
        broker      TEXT NOT NULL,  -- host and port
        topic       TEXT NOT NULL,
        witness     TEXT NOT NULL,  -- the topic that shows whose it is
        owner       TEXT NOT NULL,  -- this box, as the broker knew it
        PRIMARY KEY (broker, topic)
    ) STRICT, WITHOUT ROWID;
",
];

/// Pages given back at once, 4 MiB: a visitor waits no longer for it than for a few pictures.
const GIVE_BACK_PAGES: u32 = 1024;

/// The write-ahead log is copied into the database after so many pages, 1 MiB, and cut to that: on a small disk it must not
/// take the place of what it logs.
const WAL_PAGES: u32 = 256;
const WAL_BYTES: u32 = 1 << 20;

/// Refuses the tables of a newer version, before anything is written.
pub(super) fn check_version(db: &Connection, path: &Path) -> Result<(), OutboxError> {
    let found = version(db)?;
    let known = STEPS.len() as i64;
    if found > known { Err(OutboxError::Newer { path: path.into(), found, known }) } else { Ok(()) }
}

/// Refuses tables that are not of this version.
pub(super) fn check_up_to_date(db: &Connection, path: &Path) -> Result<(), OutboxError> {
    check_version(db, path)?;
    if version(db)? == STEPS.len() as i64 { Ok(()) } else { Err(OutboxError::Older { path: path.into() }) }
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
    db.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES, |_| Ok(()))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.busy_timeout(std::time::Duration::from_secs(5))
}

/// Takes the steps that are missing, each whole or not at all, and seals what an older version left unsealed.
pub(super) fn migrate(db: &mut Connection, sealer: &Sealer) -> Result<(), OutboxError> {
    let failed = storage("prepare the tables");
    let taken = version(db)?.unsigned_abs() as usize;
    for (done, step) in STEPS.iter().enumerate().skip(taken) {
        let tx = db.transaction().map_err(failed)?;
        tx.execute_batch(step).map_err(failed)?;
        tx.pragma_update(None, "user_version", done as i64 + 1).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    unsealed::seal(db, sealer)
}

fn version(db: &Connection) -> Result<i64, OutboxError> {
    db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(storage("read the version of the tables"))
}

/// Gives some free pages back to the file system; false when there are no more to give.
pub(super) fn give_back(db: &Connection) -> Result<bool, OutboxError> {
    let failed = storage("give disk space back");
    let free = || db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0)).map_err(failed);
    let before = free()?;
    // Each step of this statement frees one page.
    let mut vacuum = db.prepare_cached(&format!("PRAGMA incremental_vacuum({GIVE_BACK_PAGES})")).map_err(failed)?;
    let mut pages = vacuum.query([]).map_err(failed)?;
    while pages.next().map_err(failed)?.is_some() {}
    drop(pages);
    let after = free()?;
    Ok(after > 0 && after < before)
}

/// Empties the write-ahead log, which still holds what was deleted; false when somebody else was reading.
pub(super) fn empty_log(db: &Connection) -> Result<bool, OutboxError> {
    let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    busy.map(|busy| busy == 0).map_err(storage("empty the write-ahead log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_once_and_a_newer_version_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            check_version(&db, Path::new("x")).unwrap();
            migrate(&mut db, &Sealer::new(&[1; 32])).unwrap();
        }
        for table in ["sighting", "visit", "shot", "action", "picture", "stay", "judged", "broker_topic"] {
            let rows: i64 = db.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 0);
        }
        db.pragma_update(None, "user_version", STEPS.len() as i64 + 1).unwrap();
        let error = check_version(&db, Path::new("x")).unwrap_err();
        assert!(matches!(error, OutboxError::Newer { .. }), "{error}");
        assert!(error.to_string().contains("newer doorward"), "{error}");
    }
}
