//! Damaged databases: put aside, searched for what can still be read, and erased when their time is over.
//!
//! In: the file SQLite gave up on. Out: the same file under another name, and its readable rows in the new one. What is
//! put aside is sealed like everything else, and no older than the history may be.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::error::{OutboxError, on_file, storage};
use super::record::{self, Stored};
use super::seal::Sealer;
use super::{history, schema, sql, wipe};

/// Between the database's name and the moment it was put aside.
const MARK: &str = ".damaged-";
const STAMP: &str = "%Y%m%dT%H%M%S%3fZ";
/// A disk that goes on failing must not fill up with what it has damaged.
const MOST: usize = 3;
/// What belongs to a database.
pub const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// A database that was put aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Aside {
    /// Its main file; those beside it have the same name and `-wal` or `-shm` behind it.
    pub path: PathBuf,
    pub since: DateTime<Utc>,
}

/// Renames the database and what belongs to it.
pub fn put_aside(path: &Path) -> Result<PathBuf, OutboxError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = path.with_file_name(format!("{name}{MARK}{}", Utc::now().format(STAMP)));
    for part in PARTS {
        let from = with(path, part);
        match fs::rename(&from, with(&aside, part)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(on_file("put aside", &from)(error)),
            _ => {}
        }
    }
    metrics::counter!("doorward_outbox_quarantined_total").increment(1);
    Ok(aside)
}

/// The databases that were put aside, oldest first.
pub fn list(folder: &Path) -> Vec<Aside> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let mut found: Vec<Aside> = files
        .filter_map(|path| {
            let stamp = path.file_name()?.to_str()?.split_once(MARK)?.1;
            let since = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?.and_utc();
            Some(Aside { path, since })
        })
        .collect();
    found.sort_by_key(|aside| aside.since);
    found
}

/// Erases those put aside before, and all but the newest few.
pub fn expire(folder: &Path, now: DateTime<Utc>, history: TimeDelta) -> Result<(), OutboxError> {
    let found = list(folder);
    let too_many = found.len().saturating_sub(MOST);
    for (n, aside) in found.iter().enumerate() {
        if n < too_many || aside.since < now - history {
            erase(aside)?;
            tracing::info!(file = %aside.path.display(), "a damaged outbox that had been put aside was erased");
        }
    }
    metrics::gauge!("doorward_outbox_quarantined_files").set(list(folder).len() as f64);
    Ok(())
}

/// Overwrites and removes one.
pub fn erase(aside: &Aside) -> Result<(), OutboxError> {
    // The main file last: as long as it is there, the others are found again.
    for part in PARTS.iter().rev() {
        let path = with(&aside.path, part);
        wipe::file(&path).map_err(on_file("erase", &path))?;
    }
    Ok(())
}

/// Copies what can still be read into a new database. Gives the number of sightings saved.
pub fn salvage(aside: &Path, new: &mut Connection, sealer: &Sealer) -> Result<usize, OutboxError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(old) = Connection::open_with_flags(aside, flags) else { return Ok(0) };
    // Looking at it must not change the file: a checkpoint would. With `writable_schema` SQLite reads a file that is
    // shorter than it should be, as far as it goes.
    let only_read = old
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .and_then(|_| old.pragma_update(None, "writable_schema", "ON"))
        .and_then(|()| old.pragma_update(None, "query_only", "ON"));
    if only_read.is_err() || schema::version(&old).ok() != schema::version(new).ok() {
        return Ok(0);
    }
    let saved = sql::transaction(new, |tx| take_over(&old, tx, sealer));
    saved.map_err(storage("save what can be read of a damaged outbox"))
}

fn take_over(old: &Connection, tx: &Connection, sealer: &Sealer) -> rusqlite::Result<usize> {
    for (table, order) in [
        ("visit", "id"),
        ("shot", "sighting"),
        ("action", "key"),
        ("picture", "seq"),
        ("stay", "seq"),
        ("sighting", "seq"),
    ] {
        // From both ends, so that damage in the middle costs only the middle.
        for direction in ["ASC", "DESC"] {
            let query = format!("SELECT * FROM {table} ORDER BY {order} {direction}");
            if copy(old, tx, table, &query)? {
                break;
            }
        }
    }
    let ids: Vec<String> = sql::rows(tx, "SELECT id FROM sighting", [], |row| row.get(0))?;
    for text in &ids {
        match record::read(tx, sealer, text.parse().unwrap_or_default(), None)? {
            // Its record may have been lost; without one its answer would count for nothing.
            Stored::Sighting(sighting) => drop(history::shot_taken(tx, &sighting, Utc::now())?),
            Stored::Unreadable | Stored::Gone => {
                sql::execute(tx, "DELETE FROM sighting WHERE id = ?", [text])?;
            }
        }
    }
    let settled = "DELETE FROM sighting WHERE id IN (SELECT sighting FROM shot WHERE outcome IS NOT NULL)";
    sql::execute(tx, settled, [])?;
    tx.query_row("SELECT COUNT(*) FROM sighting", [], |row| row.get::<_, i64>(0)).map(|saved| saved as usize)
}

/// Copies rows until the end, or until no more can be read; true at the end. A row the new tables refuse is none.
fn copy(old: &Connection, new: &Connection, table: &str, query: &str) -> rusqlite::Result<bool> {
    let Ok(mut statement) = old.prepare(query) else { return Ok(false) };
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert =
        new.prepare(&format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({places})", columns.join(", ")))?;
    let Ok(mut rows) = statement.query([]) else { return Ok(false) };
    loop {
        let Ok(row) = rows.next() else { return Ok(false) };
        let Some(row) = row else { return Ok(true) };
        let values: Result<Vec<Value>, _> = (0..columns.len()).map(|column| row.get(column)).collect();
        let Ok(values) = values else { continue };
        match insert.execute(params_from_iter(values)) {
            Err(error) if error.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) => {
                return Err(error);
            }
            _ => {}
        }
    }
}

fn with(path: &Path, part: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(part);
    name.into()
}
