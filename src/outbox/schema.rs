//! The tables, and how older ones become them.
//!
//! In: a connection. Out: the same connection with the newest tables. A step, once released, never changes: a new one
//! is added at the end.

use std::path::Path;

use rusqlite::Connection;

use super::error::{OutboxError, storage};
use super::sql;

/// Step `n` makes version `n + 1` of the tables; SQLite's `user_version` says how many have been taken.
const STEPS: &[&str] = &[include_str!("schema.sql"), include_str!("schema_2.sql")];

/// Pages given back at once, 4 MiB: a visitor waits no longer for it than for a few pictures.
const GIVE_BACK_PAGES: u32 = 1024;

/// The write-ahead log is copied into the database after so many pages, 1 MiB, and cut to that: on a small disk it must
/// not take the place of what it logs.
const WAL_PAGES: u32 = 256;
const WAL_BYTES: u32 = 1 << 20;

/// Refuses the tables of a newer version, before anything is written.
pub(super) fn check_version(db: &Connection, path: &Path) -> Result<(), OutboxError> {
    let found = version(db).map_err(storage("read the version of the tables"))?;
    let known = STEPS.len() as i64;
    if found > known { Err(OutboxError::Newer { path: path.into(), found, known }) } else { Ok(()) }
}

/// Refuses tables that are not of this version.
pub(super) fn check_up_to_date(db: &Connection, path: &Path) -> Result<(), OutboxError> {
    check_version(db, path)?;
    let is_newest = version(db).is_ok_and(|found| found == STEPS.len() as i64);
    if is_newest { Ok(()) } else { Err(OutboxError::Older { path: path.into() }) }
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
    db.set_prepared_statement_cache_capacity(64);
    db.busy_timeout(std::time::Duration::from_secs(5))
}

/// Takes the steps that are missing, each whole or not at all.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let taken = version(db)?.unsigned_abs() as usize;
    STEPS.iter().enumerate().skip(taken).try_for_each(|(done, step)| {
        sql::transaction(db, |tx| {
            tx.execute_batch(step)?;
            tx.pragma_update(None, "user_version", done as i64 + 1)
        })
    })
}

pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether a commit waits until the disk has it.
pub(super) fn sync_at_commit(db: &Connection, sync: bool) -> rusqlite::Result<()> {
    db.pragma_update(None, "synchronous", if sync { "FULL" } else { "NORMAL" })
}

/// A commit that changes nothing.
pub(super) fn touch(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "user_version", version(db)?)
}

/// Gives some free pages back to the file system; false when there are no more to give.
pub(super) fn give_back(db: &Connection) -> rusqlite::Result<bool> {
    let free = || db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    let before = free()?;
    // Each step of this statement frees one page.
    sql::rows(db, &format!("PRAGMA incremental_vacuum({GIVE_BACK_PAGES})"), [], |_| Ok(()))?;
    let after = free()?;
    Ok(after > 0 && after < before)
}

/// Empties the write-ahead log, which still holds what was deleted; false when somebody else was reading.
pub(super) fn empty_log(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0)
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
