//! What was deleted leaves the files, too.
//!
//! In: the connection that writes. Out: after a transaction that deleted or overwrote something of a person's, database
//! and write-ahead log without it: SQLite overwrites with zeros in the database (`secure_delete`), but the log keeps
//! every page as it was until it is written back and cut off. It does not know what was deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::Action;
use tracing::warn;

use super::Writer;

/// Parts of a person's record that are written over when they change; everything else only comes and goes.
const CHANGED: [&str; 6] = ["aliases", "addresses", "notes", "entity_fields", "documents", "photos"];

/// The value of `PRAGMA auto_vacuum` for a file that shrinks when it is told to.
const INCREMENTAL: i32 = 2;

/// Whether something was taken out since the files were last scrubbed.
#[derive(Clone, Default)]
pub struct Remains(Arc<AtomicBool>);

impl Remains {
    /// Notices from now on what this connection deletes and writes over.
    pub fn watch(connection: &mut Connection) -> rusqlite::Result<Self> {
        let remains = Self::default();
        let noticing = remains.clone();
        connection.update_hook(Some(move |action: Action, _: &str, table: &str, _| {
            let changes = action == Action::SQLITE_UPDATE && CHANGED.contains(&table);
            if changes || action == Action::SQLITE_DELETE {
                noticing.note();
            }
        }))?;
        Ok(remains)
    }

    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Writer {
    /// Scrubs the files if there is something to scrub; what fails (somebody reads for long, the disk is full) stays to
    /// be done.
    pub fn scrub(&mut self) {
        if !self.remains.0.swap(false, Ordering::Relaxed) {
            return;
        }
        let left = match scrub(&self.connection) {
            Ok(true) => return,
            Ok(false) => "somebody still reads what was there before".to_owned(),
            Err(error) => error.to_string(),
        };
        self.remains.note();
        warn!("what was erased is still in the write-ahead log, trying again: {left}");
    }
}

/// Gives free pages back to the file system, writes the log back and cuts it to nothing; whether it could be.
fn scrub(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum")?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    // Waits for readers as long as any statement waits.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i32>(0)).map(|busy| busy == 0)
}

/// Makes a database of an earlier version one that can shrink: it is written anew, once.
pub fn shrinkable(connection: &Connection) -> rusqlite::Result<()> {
    let mode: i32 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
    if mode == INCREMENTAL {
        return Ok(());
    }
    // Not through memory: it is as large as the database.
    connection
        .execute_batch("PRAGMA temp_store = file; PRAGMA auto_vacuum = incremental; VACUUM; PRAGMA temp_store = memory")
}
